"""serve/pictures.py: a memory of bytes, not of pictures."""

from serve.pictures import Pictures


def test_the_least_recently_asked_for_goes_first():
    pictures = Pictures(most_bytes=10)
    for row in range(2):
        pictures.keep(("c", row, 0), b"12345")
    assert pictures.get(("c", 0, 0)) == b"12345"
    pictures.keep(("c", 2, 0), b"123")
    assert pictures.get(("c", 1, 0)) is None
    assert pictures.get(("c", 0, 0)) == b"12345"
    assert pictures.size_bytes == 8


def test_a_picture_kept_twice_counts_once():
    pictures = Pictures(most_bytes=10)
    for _ in range(3):
        pictures.keep(("c", 0, 0), b"12345")
    assert pictures.size_bytes == 5


def test_a_picture_larger_than_all_room_is_not_kept():
    pictures = Pictures(most_bytes=3)
    pictures.keep(("c", 0, 0), b"12345")
    assert pictures.get(("c", 0, 0)) is None
    assert pictures.size_bytes == 0
