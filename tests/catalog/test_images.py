"""xmodal/catalog/images.py: whole pictures pass, others say why not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.shops import encoded, picture
from xmodal.catalog.images import ImageFault, check_image, difference_hash, mean_colours

MOST = 1_000_000


def saved(image, kind="PNG", **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def shown(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=int)


def bomb(side=60_000):
    """A PNG of a few bytes whose header claims 3.6 billion pixels."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = (b"IHDR" + head, b"IDAT" + zlib.compress(bytes(100_000)), b"IEND")
    sizes = [struct.pack(">I", len(chunk) - 4) for chunk in chunks]
    sums = [struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    parts = zip(sizes, chunks, sums, strict=True)
    return b"\x89PNG\r\n\x1a\n" + b"".join(part for chunk in parts for part in chunk)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_whole_picture_is_kept_as_it_is(kind):
    content = encoded(1, kind)
    checked = check_image(content, MOST)
    assert checked.content == content or checked.is_converted == (kind == "GIF")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"this is a text file, not a picture", "not_an_image"),
        (b"", "not_an_image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not_an_image"),
        (encoded(1)[:600], "image_truncated"),
        (encoded(1, "PNG")[:120], "image_truncated"),
        (encoded(1, size=(1001, 1000)), "image_huge"),
        (bomb(), "image_huge"),
    ],
)
def test_a_bad_picture_says_why(content, reason):
    with pytest.raises(ImageFault) as fault:
        check_image(content, MOST)
    assert fault.value.reason == reason


def test_a_damaged_picture_says_why():
    content = bytearray(encoded(1, "PNG"))
    middle = len(content) // 2
    content[middle : middle + 40] = b"\x00" * 40
    with pytest.raises(ImageFault) as fault:
        check_image(bytes(content), MOST)
    assert fault.value.reason in ("image_broken", "image_truncated")


@pytest.mark.parametrize("mode", ["CMYK", "P", "LA", "RGBA", "1", "I;16", "F", "L"])
def test_every_mode_ends_as_rgb_or_grey(mode):
    kind = {"CMYK": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    image = picture(1, mode="L").convert("F") if mode == "F" else None
    if mode == "I;16":
        image = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    checked = check_image(saved(image or picture(1, mode=mode), kind), MOST)
    assert Image.open(io.BytesIO(checked.content)).mode in ("RGB", "L")


def test_deep_grey_keeps_its_range():
    ramp = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    values = shown(check_image(saved(ramp), MOST).content)[..., 0]
    assert (values[0, 0], values[-1, -1]) == (0, 255)
    assert abs(values[128, 0] - 128) <= 1


def test_what_is_transparent_becomes_white():
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert (shown(check_image(saved(clear), MOST).content) == 255).all()


def test_a_turned_photograph_is_put_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(picture(1, size=(40, 80)), "JPEG", exif=exif)
    checked = check_image(content, MOST)
    assert checked.is_converted
    assert Image.open(io.BytesIO(checked.content)).size == (80, 40)


def test_the_same_pixels_in_another_file_are_the_same_picture():
    png, bmp = (check_image(encoded(1, kind), MOST) for kind in ("PNG", "BMP"))
    assert png.pixels == bmp.pixels
    assert png.pixels != check_image(encoded(2, "PNG"), MOST).pixels


def test_the_difference_hash_asks_whether_a_cell_is_darker_than_the_next():
    ramp = Image.fromarray(np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1)))
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0


def test_near_identical_pictures_have_near_hashes():
    small = check_image(encoded(1, size=(96, 128)), MOST)
    large = check_image(encoded(1, size=(192, 256), kind="PNG"), MOST)
    other = check_image(encoded(2, size=(96, 128)), MOST)
    assert (small.dhash ^ large.dhash).bit_count() <= 6
    assert (small.dhash ^ other.dhash).bit_count() > 12


def test_the_colours_are_the_mean_of_each_cell():
    flag = Image.new("RGB", (80, 80), "red")
    flag.paste((0, 0, 255), (40, 0, 80, 80))
    assert mean_colours(flag) == 4 * (2 * b"\xff\0\0" + 2 * b"\0\0\xff")
    again = check_image(saved(flag, "JPEG"), MOST).colours
    assert max(abs(a - b) for a, b in zip(mean_colours(flag), again, strict=True)) < 8
