"""One encoded picture: is it whole, how large, and what is it a copy of.

A picture is decoded here once, in full, so that nothing later meets a broken one. What is kept
decodes to upright RGB or grey: other modes, transparency and EXIF turns are written anew.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from xmodal.fingerprint import of_bytes

MAX_BYTES = 256 << 20
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_ORIENTATION = 0x0112


class ImageFault(ValueError):
    """A picture cannot be used: `reason` names its quarantine, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Picture:
    """A picture that decodes."""

    content: bytes  # encoded
    pixels: str  # fingerprint of the decoded pixels: equal for the same picture
    dhash: int  # 64-bit difference hash: near for near-identical pictures
    colours: bytes  # RGB of 4 x 4 cells: what the difference hash does not see
    is_converted: bool


def check_image(content: bytes, max_pixels: int) -> Picture:
    """Decode a picture in full and hash it.

    Raises:
        ImageFault: `not_an_image`, `image_huge`, `image_truncated` or `image_broken`.
    """
    if len(content) > MAX_BYTES:
        raise ImageFault("image_huge", f"{len(content) >> 20} MB")
    try:
        return _decoded(content, max_pixels)
    except ImageFault:
        raise
    except UnidentifiedImageError as error:
        raise ImageFault("not_an_image", _start_of(content)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageFault("image_huge", str(error)) from error
    except Exception as error:
        # Decoders fail in a dozen types on hostile bytes: each is a fault of the picture.
        is_short = isinstance(error, EOFError) or "truncated" in str(error).lower()
        reason = "image_truncated" if is_short else "image_broken"
        raise ImageFault(reason, f"{type(error).__name__}: {error}") from error


def difference_hash(image: Image.Image) -> int:
    """64 bits: is each of 8 x 8 cells darker than its right neighbour."""
    grey = image.convert("L").resize((9, 8), Image.Resampling.BILINEAR, reducing_gap=3.0)
    cells = np.asarray(grey)
    return int.from_bytes(np.packbits(cells[:, :-1] < cells[:, 1:]).tobytes(), "big")


def mean_colours(image: Image.Image) -> bytes:
    """48 bytes: the mean RGB of each of 4 x 4 cells of an RGB picture."""
    return image.resize((4, 4), Image.Resampling.BOX).tobytes()


def _decoded(content: bytes, max_pixels: int) -> Picture:
    with Image.open(io.BytesIO(content), formats=_formats()) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ImageFault("image_huge", f"{width} x {height} pixels, at most {max_pixels}")
        kind = image.format
        image.load()
        plain = _plain(image)
    is_converted = plain is not image
    rgb = plain if plain.mode == "RGB" else plain.convert("RGB")
    pixels = of_bytes(f"{rgb.width}x{rgb.height}:".encode() + rgb.tobytes())
    stored = _encoded(plain, kind) if is_converted else content
    return Picture(stored, pixels, difference_hash(rgb), mean_colours(rgb), is_converted)


def _plain(image: Image.Image) -> Image.Image:
    """The picture itself where it is upright and RGB or grey; else a copy that is."""
    plain = image
    if image.getexif().get(_ORIENTATION, 1) != 1:
        plain = ImageOps.exif_transpose(image)
    if plain.mode in _DEEP_MODES:
        return _eight_bits(plain)
    if plain.has_transparency_data:
        opaque = Image.new("RGBA", plain.size, "white")
        opaque.alpha_composite(plain.convert("RGBA"))
        return opaque.convert("RGB")
    return plain if plain.mode in ("RGB", "L") else plain.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """A deep grey picture in 8 bits; its own range is kept, as `convert` would clip it."""
    values = np.asarray(image, dtype=np.float64)
    top = 65535.0 if image.mode.startswith("I") and values.max(initial=0) > 255 else 255.0
    top = max(top, float(values.max(initial=0)))
    return Image.fromarray(np.clip(values / top * 255, 0, 255).astype(np.uint8))


def _encoded(image: Image.Image, kind: str | None) -> bytes:
    file = io.BytesIO()
    if kind in ("JPEG", "MPO"):
        image.save(file, "JPEG", quality=95)
    else:
        image.save(file, "PNG")
    return file.getvalue()


def _formats() -> list[str]:
    Image.preinit()
    if "TIFF" not in Image.OPEN:
        Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _start_of(content: bytes) -> str:
    return f"{len(content)} bytes that start with {content[:24]!r}"
