"""A journal: an append-only log of records that survives crashes and mends itself.

    append(records) -> lock -> torn tail cut off -> write -> fsync -> the offset behind them

On disk: segments `<20 digits>.log`, named by the offset of their first byte. A record is `XMJ1`,
its length and a CRC-32 (both uint32, little endian), then its bytes. The checksum also takes in
the record's offset, so bytes that look like a record inside another one are none.

- What `append` returned for is on the disk. Of a call that raised nothing is kept.
- One writer at a time, guarded by a lock of the file system (flock), which a crash lets go.
  Threads that wait for it meanwhile are written together and share one fsync.
- A torn tail (a write that a crash cut short) is cut off by the next writer, counted, and put
  aside in a file `.torn`: damage to the very last record looks no different.
- A damaged record before the tail is stepped over, reported with its file and place, and left
  where it is: one flipped bit must not take a shop's other changes with it.
- Other processes read along. They see no byte that a writer has not made durable.
"""

import fcntl
import logging
import os
import struct
import threading
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from xmodal.errors import JournalDamaged, StorageError

log = logging.getLogger(__name__)

MAGIC = b"XMJ1"
SEGMENT_BYTES = 64 << 20
MOST_BYTES = 1 << 30  # of one record: a longer length is damage
_HEAD = struct.Struct("<4sII")
_OFFSET = struct.Struct("<Q")


@dataclass(frozen=True)
class Entry:
    """One record, the offset where it begins, and the one just behind it."""

    offset: int
    end: int
    content: bytes


@dataclass(frozen=True)
class Damage:
    """Bytes of a segment that are no record, and are not its tail."""

    file: Path
    position: int
    size_bytes: int


@dataclass(frozen=True)
class _Segment:
    path: Path
    start: int  # offset of its first byte
    size: int


class _Waiting:
    """Records of one call that wait for a writer's turn, and what came of them."""

    def __init__(self, records: Sequence[bytes]) -> None:
        self.records = records
        self.end: int | None = None
        self.error: StorageError | None = None


class Journal:
    """The log in one folder; any number of objects, threads and processes may share it."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Nothing is read or made before the first call; a new segment begins at that size."""
        self.folder = folder
        self.torn_bytes = 0  # cut off by this object, of writes that a crash had cut short
        self.damaged: dict[tuple[str, int], Damage] = {}  # that this object has met
        self._segment_bytes = segment_bytes
        self._queue: list[_Waiting] = []
        self._queued, self._turn = threading.Lock(), threading.Lock()
        self._places: list[_Segment] = []  # as `at` last saw them
        self._sound = 0  # every byte before this offset was read or written here

    def append(self, records: Sequence[bytes]) -> int:
        """Keep `records`; returns the offset behind the last one once all are on the disk.

        Raises:
            StorageError: the disk is full or cannot be written; none of them is kept.
            ValueError: a record is longer than `MOST_BYTES`.
        """
        longest = max(map(len, records), default=0)
        if longest > MOST_BYTES:
            raise ValueError(f"a record of {longest:,} bytes; at most {MOST_BYTES:,}")
        mine = _Waiting(records)
        with self._queued:
            self._queue.append(mine)
        with self._turn:
            if mine.end is None and mine.error is None:
                self._write_waiting()
        if mine.error is not None:
            raise StorageError(str(mine.error)) from mine.error
        assert mine.end is not None
        return mine.end

    def read(self, offset: int = 0) -> Iterator[Entry]:
        """Yield the records from `offset` on that are durable now, in order."""
        segments = self._durable()
        for number, segment in enumerate(segments):
            if segment.start + segment.size <= offset:
                continue
            place = max(offset, segment.start)
            for entry in self._records(segment, place):
                yield entry
                place = entry.end
            closed_at = segments[number + 1].start if number + 1 < len(segments) else place
            if place < closed_at:
                self._note(Damage(segment.path, place - segment.start, closed_at - place))

    def at(self, offset: int) -> bytes:
        """The record that begins at `offset`. Raises JournalDamaged where there is none."""
        for is_known in (True, False):
            if not is_known:
                self._places = self._segments()
            number = bisect_right([segment.start for segment in self._places], offset) - 1
            record = None if number < 0 else _record_of(self._places[number], offset)
            if record is not None:
                return record
        raise JournalDamaged(f"{self.folder}: no record at offset {offset}; restore it from a copy")

    def stamp(self) -> tuple[str, int, int]:
        """Changes whenever something is written, durable or not: one look at the last file."""
        try:
            last = max(name for name in os.listdir(self.folder) if name.endswith(".log"))
            facts = os.stat(self.folder / last)
        except (FileNotFoundError, ValueError):
            return "", 0, 0
        return last, facts.st_size, facts.st_mtime_ns

    def _write_waiting(self) -> None:
        with self._queued:
            batch, self._queue = self._queue, []
        try:
            self._write(batch)
        except OSError as error:
            for one in batch:
                one.error = StorageError(
                    f"{self.folder}: cannot be written ({error.strerror}), nothing was kept;"
                    " free some space or choose another disk"
                )
        finally:
            for one in batch:  # of a writer that was interrupted
                if one.end is None and one.error is None:
                    one.error = StorageError(f"{self.folder}: the writing was interrupted")

    def _write(self, batch: Sequence[_Waiting]) -> None:
        if not self.folder.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            for parent in (self.folder.parent, self.folder.parent.parent):
                _sync_folder(parent)
        with locked(self.folder / "writer.lock"):
            segment = self._settled()
            end = segment.start + segment.size
            framed: list[bytes] = []
            ends: list[int] = []
            for one in batch:
                for record in one.records:
                    framed.append(_framed(record, end))
                    end += len(framed[-1])
                ends.append(end)
            if framed:
                _write_durably(segment, b"".join(framed))
            self._sound = end
            for one, its_end in zip(batch, ends, strict=True):
                one.end = its_end

    def _settled(self) -> _Segment:
        """The segment to write to, whole to its last byte; call it with the lock."""
        segments = self._segments()
        if not segments:
            return self._begin(0)
        last = segments[-1]
        end = last.start + last.size
        if self._sound != end:
            whole = last.start
            for entry in self._records(last, max(last.start, min(self._sound, end))):
                whole = entry.end
            whole = max(whole, min(self._sound, end))
            if whole < end:
                self._cut(last, whole)
            last = _Segment(last.path, last.start, whole - last.start)
            self._sound = whole
        full = last.size >= self._segment_bytes
        return self._begin(last.start + last.size) if full else last

    def _cut(self, segment: _Segment, whole: int) -> None:
        torn = segment.start + segment.size - whole
        log.warning("event=journal_torn file=%s bytes=%d", segment.path, torn)
        with segment.path.open("r+b") as file:
            file.seek(whole - segment.start)
            with suppress(OSError):  # a full disk must not keep the journal from its mending
                (self.folder / f"{whole:020d}.torn").write_bytes(file.read())
            file.truncate(whole - segment.start)
            os.fsync(file.fileno())
        self.torn_bytes += torn

    def _begin(self, start: int) -> _Segment:
        path = self.folder / f"{start:020d}.log"
        path.touch()
        _sync_folder(self.folder)
        return _Segment(path, start, 0)

    def _durable(self) -> list[_Segment]:
        """Segments as long as they are while nobody writes."""
        lock = self.folder / "writer.lock"
        if not lock.exists():
            return []
        with locked(lock, shared=True):
            return self._segments()

    def _segments(self) -> list[_Segment]:
        found = sorted(self.folder.glob("[0-9]*.log"))
        return [_Segment(path, int(path.stem), path.stat().st_size) for path in found]

    def _records(self, segment: _Segment, offset: int) -> Iterator[Entry]:
        """The records of a segment from `offset` on; damage is noted, a torn tail is not read."""
        with segment.path.open("rb") as file:
            file.seek(offset - segment.start)
            data = file.read(segment.start + segment.size - offset)
        place = 0
        while place < len(data):
            size = _size_at(data, place, offset + place)
            if size:
                start = offset + place
                yield Entry(start, start + size, data[place + _HEAD.size : place + size])
                place += size
                continue
            sound = _next_record(data, place + 1, offset)
            if sound is None:
                return
            self._note(Damage(segment.path, offset + place - segment.start, sound - place))
            place = sound

    def _note(self, damage: Damage) -> None:
        key = (damage.file.name, damage.position)
        if key not in self.damaged:
            self.damaged[key] = damage
            log.error(
                "event=journal_damaged file=%s position=%d bytes=%d",
                damage.file,
                damage.position,
                damage.size_bytes,
            )


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a file for the block, in this and all other processes.

    A process that dies lets go of it. `shared`: beside others that share it.
    """
    flags = os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_durably(segment: _Segment, data: bytes) -> None:
    """Append `data`; where that fails the segment is as it was. Raises OSError."""
    descriptor = os.open(segment.path, os.O_WRONLY | os.O_APPEND)
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, segment.size)
        raise
    finally:
        os.close(descriptor)


def _framed(record: bytes, offset: int) -> bytes:
    return _HEAD.pack(MAGIC, len(record), _checksum(record, offset)) + record


def _checksum(record: bytes | memoryview, offset: int) -> int:
    return zlib.crc32(record, zlib.crc32(_OFFSET.pack(offset)))


def _record_of(segment: _Segment, offset: int) -> bytes | None:
    with segment.path.open("rb") as file:
        file.seek(offset - segment.start)
        head = file.read(_HEAD.size)
        data = head + file.read(_length(head))
    return data[_HEAD.size :] if _size_at(data, 0, offset) else None


def _length(head: bytes) -> int:
    """What the head of a record says of its length; 0 where it is no head."""
    if len(head) < _HEAD.size:
        return 0
    magic, length, _ = _HEAD.unpack(head)
    return int(length) if magic == MAGIC and length <= MOST_BYTES else 0


def _size_at(data: bytes, place: int, offset: int) -> int:
    """Bytes of the whole record at `place`, which lies at `offset`; 0 where there is none."""
    if len(data) - place < _HEAD.size:
        return 0
    magic, length, checksum = _HEAD.unpack_from(data, place)
    size = _HEAD.size + int(length)
    if magic != MAGIC or length > MOST_BYTES or place + size > len(data):
        return 0
    record = memoryview(data)[place + _HEAD.size : place + size]
    return size if _checksum(record, offset) == checksum else 0


def _next_record(data: bytes, place: int, offset: int) -> int | None:
    """Where the next whole record begins; `offset` is that of the data's first byte."""
    while (place := data.find(MAGIC, place)) >= 0:
        if _size_at(data, place, offset + place):
            return place
        place += 1
    return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
