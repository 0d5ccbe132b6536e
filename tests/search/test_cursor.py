"""xmodal/search/cursor.py: what comes back is what was written, and nothing else is read."""

import base64
import pickle
from dataclasses import replace

import numpy as np
import pytest

from xmodal.errors import RequestError
from xmodal.search.cursor import LONGEST, Cursor, fingerprint, read_cursor, write_cursor
from xmodal.search.query import Query
from xmodal.search.wishes import Boost, Head, Order, Part, Place, empty_head


def place(count=3, dim=4):
    rng = np.random.default_rng(0)
    names = rng.integers(0, 2**64, count * 3, dtype=np.uint64)
    scores = rng.normal(size=(3, count)).astype(np.float32)
    scores[2, :1] = np.nan
    vector_D = rng.normal(size=dim).astype(np.float32)
    head = Head(names[:count], *scores)
    shown, dropped = names[count : 2 * count], names[2 * count :]
    return Place(vector_D, head, shown, dropped, (0.1, "é1"), 7, is_reranked=True)


def same(one, other):
    assert (one.after, one.seen, one.is_reranked, one.no_good_match) == (
        (other.after, other.seen, other.is_reranked, other.no_good_match)
    )
    for name in ("vector_D", "shown_S", "dropped_X"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("name_R", "raw_R", "score_R", "probability_R"):
        np.testing.assert_array_equal(getattr(one.head, name), getattr(other.head, name))


@pytest.mark.parametrize("count", [0, 1, 50])
def test_a_place_comes_back_to_the_last_bit(count):
    there = Cursor("r1", "q1", place(count))
    back = read_cursor(write_cursor(there))
    assert (back.release, back.query) == ("r1", "q1")
    same(back.place, there.place)


def test_an_empty_place_comes_back():
    there = Place(np.ones(3, np.float32), empty_head())
    same(read_cursor(write_cursor(Cursor("r", "q", there))).place, there)


def test_the_largest_is_below_the_limit():
    assert len(write_cursor(Cursor("r" * 16, "q" * 16, place(1000, 4096)))) < LONGEST
    assert len(write_cursor(Cursor("r" * 16, "q" * 16, place(50, 256)))) < 5000


def test_every_damaged_byte_is_noticed():
    text = write_cursor(Cursor("r", "q", place()))
    whole = bytearray(base64.urlsafe_b64decode(text))
    for at in range(len(whole)):
        damaged = bytes(whole[:at]) + bytes([whole[at] ^ 1]) + bytes(whole[at + 1 :])
        with pytest.raises(RequestError, match="next_cursor"):
            read_cursor(base64.urlsafe_b64encode(damaged).decode())
        with pytest.raises(RequestError):
            read_cursor(base64.urlsafe_b64encode(bytes(whole[:at])).decode())


def test_a_forged_vector_without_numbers_is_refused():
    broken = replace(place(), vector_D=np.array([np.nan, 0], np.float32))
    with pytest.raises(RequestError):
        read_cursor(write_cursor(Cursor("r", "q", broken)))


def test_a_fingerprint_is_of_all_that_changes_the_list():
    query = Query(text="a")
    others = [
        Query(text="b"),
        Query(text="a", image=b"x"),
        Query(text="a", parts=(Part("a", 2.0),)),
        Query(text="a", wanted=(("c", ("d",)),)),
        Query(text="a", rerank=False),
        Query(text="a", candidates=50),
        Query(text="a", history=("p",)),
        Query(text="a", order=Order((Boost("a", "b", 1.0),))),
        Query(text="a", order=Order(min_score=0.5)),
    ]
    assert len({fingerprint(one) for one in [query, *others]}) == len(others) + 1
    assert fingerprint(query) == fingerprint(Query(text="a", limit=99, explain=True))


def test_a_request_error_crosses_processes_whole():
    back = pickle.loads(pickle.dumps(RequestError("what", "where", "which")))
    assert (str(back), back.field, back.code) == ("what", "where", "which")
