"""The shop's colours, and how one product's dye differs a little from another's."""

from colorsys import hsv_to_rgb, rgb_to_hsv
from random import Random

Colour = tuple[int, int, int]

PALETTE: dict[str, Colour] = {
    "red": (205, 36, 44),
    "orange": (238, 125, 38),
    "yellow": (246, 203, 58),
    "green": (58, 148, 74),
    "olive": (122, 124, 56),
    "teal": (26, 138, 142),
    "sky blue": (120, 186, 228),
    "blue": (38, 92, 198),
    "navy": (32, 44, 92),
    "purple": (122, 64, 158),
    "pink": (240, 140, 176),
    "brown": (122, 78, 48),
    "beige": (218, 196, 160),
    "grey": (136, 140, 146),
    "black": (38, 38, 42),
    "white": (243, 242, 238),
}

NEUTRALS = ("white", "black", "beige", "grey")


def dye(name: str, rng: Random) -> Colour:
    """A colour of this name: hue, saturation and value each a little off the palette's."""
    hue, saturation, value = rgb_to_hsv(*(part / 255 for part in PALETTE[name]))
    hue = (hue + rng.gauss(0, 0.008)) % 1
    saturation = _unit(saturation * rng.uniform(0.88, 1.08))
    value = _unit(value * rng.uniform(0.9, 1.06))
    red, green, blue = hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of `other` stirred into `one`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def lightness(colour: Colour) -> float:
    """Perceived lightness, 0 to 255 (Rec. 601 luma)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def contrasts(one: str, other: str) -> bool:
    """Whether a pattern of `other` on `one` is plain to see."""
    first, second = PALETTE[one], PALETTE[other]
    return sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 190


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
