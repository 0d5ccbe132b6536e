"""xmodal/journal.py: what was acknowledged stays, whatever happens to writer, disk and file."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from xmodal.errors import JournalDamaged, StorageError
from xmodal.journal import Journal, locked

ROOT = Path(__file__).parents[1]
WRITER = """
import sys
from pathlib import Path
from xmodal.journal import Journal
journal = Journal(Path(sys.argv[1]), segment_bytes=2000)
number = 0
while True:
    journal.append([f"record {number}".encode() * 10])
    print(number, flush=True)
    number += 1
"""


def contents(folder, offset=0):
    return [entry.content for entry in Journal(folder).read(offset)]


def last_file(folder):
    return max(folder.glob("*.log"))


def test_what_was_appended_is_read_in_order_from_any_offset(tmp_path):
    journal = Journal(tmp_path / "log")
    assert list(journal.read()) == []
    first = journal.append([b"a", b""])
    second = journal.append([b"c" * 100_000])
    assert contents(journal.folder) == [b"a", b"", b"c" * 100_000]
    assert contents(journal.folder, first) == [b"c" * 100_000]
    assert contents(journal.folder, second) == []
    assert journal.append([]) == second
    offsets = [entry.offset for entry in journal.read()]
    assert Journal(journal.folder).at(offsets[2]) == b"c" * 100_000
    with pytest.raises(JournalDamaged, match="no record at offset 1"):
        journal.at(1)


def test_segments_roll_over_and_offsets_go_on(tmp_path):
    journal = Journal(tmp_path, segment_bytes=100)
    ends = [journal.append([bytes([n]) * 40]) for n in range(10)]
    assert len(list(tmp_path.glob("*.log"))) == 5
    assert contents(tmp_path) == [bytes([n]) * 40 for n in range(10)]
    assert contents(tmp_path, ends[6]) == [bytes([n]) * 40 for n in (7, 8, 9)]
    assert all(journal.at(ends[n - 1]) == bytes([n]) * 40 for n in range(1, 10))


def test_a_torn_tail_is_cut_off_at_whatever_byte_it_ends(tmp_path):
    journal = Journal(tmp_path)
    keep = journal.append([b"first", b"second"])
    end = journal.append([b"the last one"])
    whole = last_file(tmp_path).read_bytes()
    for size in range(keep, end):
        last_file(tmp_path).write_bytes(whole[:size])
        assert contents(tmp_path) == [b"first", b"second"]
        again = Journal(tmp_path)
        again.append([b"after"])
        assert again.torn_bytes == size - keep
        assert contents(tmp_path) == [b"first", b"second", b"after"]
        assert not again.damaged


def test_any_flipped_bit_costs_only_its_own_record(tmp_path):
    journal = Journal(tmp_path)
    start = journal.append([b"first"])
    stop = journal.append([b"second"])
    journal.append([b"third"])
    path = last_file(tmp_path)
    whole = path.read_bytes()
    for place in range(start, stop):
        for bit in range(8):
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            path.write_bytes(broken)
            reader = Journal(tmp_path)
            assert [entry.content for entry in reader.read()] == [b"first", b"third"]
            (damage,) = reader.damaged.values()
            assert (damage.file, damage.position, damage.size_bytes) == (path, start, stop - start)
    writer = Journal(tmp_path)
    writer.append([b"fourth"])
    assert writer.torn_bytes == 0
    assert contents(tmp_path) == [b"first", b"third", b"fourth"]


def test_a_record_inside_another_one_is_none(tmp_path):
    inner = Journal(tmp_path / "inner")
    inner.append([b"forged"])
    forged = last_file(inner.folder).read_bytes()
    journal = Journal(tmp_path / "outer")
    journal.append([b"before"])
    journal.append([b"x" * 50 + forged + b"y" * 50])
    path = last_file(journal.folder)
    path.write_bytes(path.read_bytes()[:-1])
    assert contents(journal.folder) == [b"before"]


def test_an_earlier_segment_that_is_cut_short_is_damage(tmp_path):
    journal = Journal(tmp_path, segment_bytes=10)
    for record in (b"one", b"two", b"three"):
        journal.append([record])
    second = sorted(tmp_path.glob("*.log"))[1]
    second.write_bytes(second.read_bytes()[:-2])
    reader = Journal(tmp_path)
    assert [entry.content for entry in reader.read()] == [b"one", b"three"]
    assert [damage.file for damage in reader.damaged.values()] == [second]


def test_a_writer_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    for _ in range(50):
        acknowledged = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
    writer.wait()
    writer.stdout.close()
    journal = Journal(tmp_path)
    journal.append([b"the next writer"])  # whoever held the lock is gone, and so is its hold
    found = contents(tmp_path)
    expected = [f"record {n}".encode() * 10 for n in range(acknowledged + 1)]
    assert found[: len(expected)] == expected
    assert len(found) - len(expected) in (1, 2)  # and perhaps the one that was on its way


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_leaves_nothing_half_visible(tmp_path, monkeypatch, call):
    journal = Journal(tmp_path)
    journal.append([b"before"])
    size = last_file(tmp_path).stat().st_size
    true_write, calls = os.write, []

    def full(descriptor, data=b""):
        calls.append(len(data))
        if call == "write" and len(calls) == 1:
            return true_write(descriptor, data[:10])  # ten bytes fit, then no more
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"xmodal.journal.os.{call}", full)
    with pytest.raises(StorageError, match="nothing was kept"):
        journal.append([b"too much"])
    monkeypatch.undo()
    assert last_file(tmp_path).stat().st_size == size
    journal.append([b"after"])
    assert contents(tmp_path) == [b"before", b"after"]


def test_many_threads_and_objects_write_side_by_side(tmp_path):
    journals = [Journal(tmp_path, segment_bytes=500) for _ in range(3)]

    def write(number):
        for turn in range(10):
            end = journals[number % 3].append([f"{number}.{turn}".encode()])
            assert end > 0

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = contents(tmp_path)
    assert sorted(found) == sorted(f"{n}.{t}".encode() for n in range(6) for t in range(10))
    assert all(found.index(b"%d.3" % n) < found.index(b"%d.4" % n) for n in range(6))


def test_threads_that_wait_share_one_fsync(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.append([b"first"])
    synced, true_fsync = [], os.fsync
    monkeypatch.setattr("xmodal.journal.os.fsync", lambda fd: (synced.append(fd), true_fsync(fd)))
    with journal._turn:
        threads = [threading.Thread(target=journal.append, args=([b"x"],)) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(journal._queue) < 8:
            pass
    for thread in threads:
        thread.join()
    assert len(synced) == 1
    assert len(contents(tmp_path)) == 9


def test_a_reader_waits_for_a_writer_and_sees_growth(tmp_path):
    journal, reader = Journal(tmp_path), Journal(tmp_path)
    before = reader.stamp()
    journal.append([b"one"])
    assert reader.stamp() != before
    with locked(tmp_path / "writer.lock"):
        found = []
        thread = threading.Thread(target=lambda: found.extend(reader.read()))
        thread.start()
        thread.join(0.1)
        assert not found
    thread.join()
    assert [entry.content for entry in found] == [b"one"]
