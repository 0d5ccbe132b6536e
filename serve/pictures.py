"""Encoded pictures that were asked for lately, kept in memory up to a number of bytes."""

from collections import OrderedDict

MOST_BYTES = 64_000_000
Key = tuple[str, int, int]
"""Catalogue, product row, number of the picture."""


class Pictures:
    """The least recently asked for goes first; one larger than all the room is never kept."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self.size_bytes = 0

    def get(self, key: Key) -> bytes | None:
        """The picture, or None where it is not kept."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, key: Key, picture: bytes) -> None:
        """Keep a picture, and let go of others where there is no room."""
        self.size_bytes += len(picture) - len(self._kept.pop(key, b""))
        self._kept[key] = picture
        while self.size_bytes > self._most_bytes:
            self.size_bytes -= len(self._kept.popitem(last=False)[1])
