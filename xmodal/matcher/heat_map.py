"""An explanation as a picture: the product as the matcher sees it, its weighty cells glowing.

SVG text with the picture inside it, which needs no other file. Shapes: C H W image, G grid.
"""

import base64
import io
from html import escape

import numpy as np
from PIL import Image
from torch import Tensor

from xmodal.matcher.explain import Explanation

_SIDE = 256  # of the longer side, in units of the drawing
_STRONGEST = 0.75  # opacity of the heaviest cell
_GLOW, _AGAINST = "#ff5a1f", "#1f66ad"
_FOOT = 40


def heat_map(pixels_CHW: Tensor, why: Explanation) -> str:
    """The picture under a grid: warm cells held the score up, cool ones held it down.

    Below it the query's words, the heavier the bolder; each says its weight when pointed at.
    """
    height, width = pixels_CHW.shape[1:]
    scale = _SIDE / max(height, width)
    high, wide = height * scale, width * scale
    most = max(float(np.abs(why.region_GG).max()), 1e-9)
    rows, columns = why.region_GG.shape
    size = f'width="{wide:.0f}" height="{high:.0f}" preserveAspectRatio="none"'
    parts = [f'<image href="{_data_uri(pixels_CHW)}" {size}/>']
    for row, line in enumerate(why.region_GG.tolist()):
        for column, weight in enumerate(line):
            opacity = _STRONGEST * abs(weight) / most
            if opacity >= 0.05:
                parts.append(
                    f'<rect x="{column * wide / columns:.1f}" y="{row * high / rows:.1f}"'
                    f' width="{wide / columns:.1f}" height="{high / rows:.1f}"'
                    f' fill="{_GLOW if weight > 0 else _AGAINST}" fill-opacity="{opacity:.2f}">'
                    f"<title>{weight:+.3f}</title></rect>"
                )
    parts.append(_words(why, high))
    return (
        f'<svg viewBox="0 0 {max(wide, _SIDE):.0f} {high + _FOOT:.0f}"'
        ' xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif"'
        f' style="max-width:{_SIDE}px">{"".join(parts)}</svg>'
    )


def _words(why: Explanation, high: float) -> str:
    """The query in a line, each word as bold as it is heavy."""
    most = max((abs(word.weight) for word in why.words), default=1.0) or 1.0
    size = min(16.0, 1.7 * _SIDE / max(sum(_ems(word.text) for word in why.words), 1.0))
    spans = "".join(
        f'<tspan dx="4" fill="{_GLOW if word.weight > 0 else _AGAINST}"'
        f' fill-opacity="{0.35 + 0.65 * abs(word.weight) / most:.2f}"'
        f' font-weight="{700 if abs(word.weight) > most / 2 else 400}">'
        f"{escape(word.text)}<title>{word.weight:+.3f}</title></tspan>"
        for word in why.words
    )
    return f'<text x="0" y="{high + 26:.0f}" font-size="{size:.1f}">{spans}</text>'


def _ems(text: str) -> float:
    """About how wide the word is, in half ems: unspaced scripts are twice as wide."""
    return 1.2 + sum(1.15 if letter.isascii() else 2.1 for letter in text)


def _data_uri(pixels_CHW: Tensor) -> str:
    out = io.BytesIO()
    Image.fromarray(pixels_CHW.permute(1, 2, 0).contiguous().numpy()).save(out, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
