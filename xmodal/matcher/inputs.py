"""Inputs: encoded pictures and texts become tensors here and nowhere else. Saved with the weights.

    bytes -> uint8 (C, H, W) at the encoder's size; the encoder normalises. text -> ids.

Shapes: B pictures or texts, C H W image, T tokens of the text tower, W words of the vocabulary.
"""

import io
import statistics
from collections.abc import Callable, Iterable, Sequence
from math import log

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from xmodal.errors import QueryError
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.words import Vocabulary

Features = dict[str, Tensor]
Tokenise = Callable[[list[str]], Features]

MAX_PIXELS = 50_000_000
_WHITE = (255, 255, 255)
_SIDES = range(64, 225, 32)
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class Inputs:
    """Preprocessing of one encoder, as its `spec` says."""

    def __init__(self, spec: EncoderSpec, tokenise: Tokenise, vocabulary: Vocabulary) -> None:
        """`tokenise` turns texts into what the family's text tower reads."""
        self.spec = spec
        self.tokenise = tokenise
        self.vocabulary = vocabulary

    def image(self, encoded: bytes) -> Tensor:
        """One picture as uint8 (C, H, W). Raises QueryError where it cannot be read."""
        return self.images([encoded])[0]

    def images(self, encoded: Sequence[bytes]) -> Tensor:
        """Pictures as uint8 (B, C, H, W), channels last in memory.

        Raises:
            QueryError: one of them is no picture, is cut short, or has too many pixels.
        """
        return self.decoded(decode(one, self.spec.image_size) for one in encoded)

    def decoded(self, pictures: Iterable[Image.Image]) -> Tensor:
        """As `images`, of RGB pictures that are decoded already."""
        height, width = self.spec.image_size
        rows = [np.asarray(self._fit(picture)) for picture in pictures]
        pixels_BHWC = np.stack(rows) if rows else np.empty((0, height, width, 3), np.uint8)
        return torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2)

    def texts(self, texts: Sequence[str]) -> Features:
        """Texts as int64 ids: `ids_BT` and mostly `mask_BT` of the tower's own tokenizer, and
        `words_BW` of the vocabulary, W the spec's `max_words`, padded with 0.
        """
        return self.tokenise(list(texts)) | {"words_BW": self.words(texts)}

    def words(self, texts: Sequence[str]) -> Tensor:
        """Vocabulary ids of texts, int64 (B, W), padded with 0."""
        ids_BW = torch.zeros(len(texts), self.spec.max_words, dtype=torch.int64)
        for row, text in enumerate(texts):
            ids = self.vocabulary.encode(text)[: self.spec.max_words]
            ids_BW[row, : len(ids)] = torch.tensor(ids, dtype=torch.int64)
        return ids_BW

    def _fit(self, picture: Image.Image) -> Image.Image:
        height, width = self.spec.image_size
        how = _RESAMPLING[self.spec.interpolation]
        if self.spec.fit == "crop":
            return ImageOps.fit(picture, (width, height), method=how)
        if self.spec.fit == "pad":
            return ImageOps.pad(picture, (width, height), method=how, color=_WHITE)
        return picture.resize((width, height), how)


def decode(encoded: bytes, size: tuple[int, int] | None = None) -> Image.Image:
    """An upright RGB picture on white; JPEGs are decoded at about twice `size` (height, width).

    Raises:
        QueryError: the bytes are no picture, are cut short, or hold too many pixels.
    """
    try:
        picture = Image.open(io.BytesIO(encoded))
        if picture.width * picture.height > MAX_PIXELS:
            raise QueryError(
                f"a picture of {picture.width} x {picture.height} pixels is above the limit of "
                f"{MAX_PIXELS:,}; make it smaller"
            )
        if size is not None:
            picture.draft("RGB", (2 * size[1], 2 * size[0]))
        return _on_white(ImageOps.exif_transpose(picture))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise QueryError(
            f"cannot read the picture ({error}); give a JPEG, PNG, WebP or GIF file"
        ) from error
    except Image.DecompressionBombError as error:
        raise QueryError(f"the picture is too large ({error}); make it smaller") from error


def derive_image_size(pictures: Sequence[bytes]) -> tuple[int, int]:
    """Height and width for a catalogue, from the median aspect and size of a sample of it.

    Sides are multiples of 32. Small pictures are enlarged 1.6 times a side (60 x 80 become
    96 wide, 128 high); nothing grows above the pixels of 128 x 128, for the CPU's sake.
    """
    sizes = []
    for encoded in pictures:
        try:
            with Image.open(io.BytesIO(encoded)) as picture:
                sizes.append((picture.height, picture.width))
        except (UnidentifiedImageError, OSError):
            continue
    if not sizes:
        return (128, 128)
    aspect = statistics.median(height / width for height, width in sizes)
    pixels = min(statistics.median(height * width for height, width in sizes) * 2.56, 128 * 128)
    choices = ((height, width) for height in _SIDES for width in _SIDES)
    return min(
        choices,
        key=lambda side: (
            2 * abs(log(side[0] / side[1] / aspect)) + abs(log(side[0] * side[1] / pixels))
        ),
    )


def _on_white(picture: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes white, as shops show it."""
    if picture.mode == "RGB":
        picture.load()
        return picture
    if "A" in picture.getbands() or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (*_WHITE, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return picture.convert("RGB")
