"""xmodal/matcher/inputs.py: pictures of all kinds, pictures that are none, and texts."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.factories import make_picture, tiny_encoder
from xmodal.errors import QueryError
from xmodal.matcher.inputs import Inputs, decode, derive_image_size


def _encode(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _inputs(fit: str) -> Inputs:
    encoder = tiny_encoder()
    return Inputs(
        replace(encoder.spec, fit=fit), encoder.inputs.tokenise, encoder.inputs.vocabulary
    )


def test_a_tall_picture_is_padded_with_white() -> None:
    pixels = _inputs("pad").image(_encode(Image.new("RGB", (10, 40), "red")))
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (3, 32, 32)
    assert pixels[:, 16, 0].tolist() == [255, 255, 255]
    assert pixels[:, 16, 16].tolist() == [255, 0, 0]


@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_crop_and_stretch_leave_no_border(fit: str) -> None:
    pixels = _inputs(fit).image(_encode(Image.new("RGB", (10, 40), "red")))
    assert (pixels[0] == 255).all()
    assert (pixels[1] == 0).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    picture = Image.new(mode, (32, 32))
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert decode(_encode(picture, kind)).mode == "RGB"


def test_what_is_transparent_becomes_white() -> None:
    clear = _encode(Image.new("RGBA", (32, 32), (255, 0, 0, 0)))
    assert np.asarray(decode(clear)).min() == 255


def test_a_photo_taken_sideways_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(_encode(Image.new("RGB", (40, 20)), "JPEG", exif=exif)).size == (20, 40)


@pytest.mark.parametrize(
    "broken", [b"", b"product_id,title\n1,red", make_picture(kind="JPEG", size=(400, 400))[:900]]
)
def test_what_is_no_picture_is_one_line(broken: bytes) -> None:
    with pytest.raises(QueryError, match="cannot read the picture"):
        tiny_encoder().inputs.image(broken)


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = _encode(Image.new("1", (10_000, 6_000)))
    with pytest.raises(QueryError, match="10000 x 6000"):
        decode(bomb)


def test_texts_are_padded_and_unknown_tokens_masked() -> None:
    encoder = tiny_encoder()
    batch = encoder.inputs.texts(["red zzz", "red"])
    assert batch["mask_BT"].tolist() == [[1, 1, 0, 1], [1, 1, 1, 0]]
    assert batch["words_BW"].shape == (2, encoder.spec.max_words)


@pytest.mark.parametrize(
    ("size", "derived"),
    [
        ((80, 60), (128, 96)),
        ((500, 500), (128, 128)),
        ((600, 400), (160, 96)),
        ((60, 80), (96, 128)),
    ],
)
def test_the_size_follows_the_median_aspect(
    size: tuple[int, int], derived: tuple[int, int]
) -> None:
    sample = [make_picture(size=size)] * 3 + [make_picture(size=(20, 90)), b"no picture"]
    assert derive_image_size(sample) == derived


def test_without_pictures_the_size_is_square() -> None:
    assert derive_image_size([]) == (128, 128)
