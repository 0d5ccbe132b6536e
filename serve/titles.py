"""Type-ahead over the titles of changed products, beside that of the index."""

from xmodal.index.live import LiveProducts
from xmodal.search.suggest import Suggester


class LiveTitles:
    """Made anew when something changed since it was last asked; one thread asks at a time."""

    def __init__(self, live: LiveProducts) -> None:
        self._live = live
        self._end = -1
        self._suggester = Suggester(())

    def suggest(self, text: str, limit: int) -> list[str]:
        """As `Suggester.suggest`."""
        if self._end != self._live.changes.end:
            self._end = self._live.changes.end
            self._suggester = Suggester(self._live.titles())
        return self._suggester.suggest(text, limit)
