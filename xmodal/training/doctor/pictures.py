"""Pictures: blank or all alike, and normalised for another base than this one.

Shapes: B sampled pictures, C H W at the encoder's size.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from xmodal.findings import Finding
from xmodal.matcher.pixels import distance, pretrained_pixels
from xmodal.training.doctor.evidence import Evidence

LEVELS = 2 / 255  # a picture whose pixels spread less shows nothing: JPEG's own noise is that large
MOST_BLANK = 0.2
# The statistics of two large photo collections (ImageNet's, CLIP's) put black and white 0.35
# spreads apart in the mean; twice that is another convention, not another collection.
MOST_APART = 0.7
# White under the narrowest of the known statistics stands at 2.64, black at -2.12, and pixels half
# black, half white spread 2.23: beyond, the pixels are not on the scale that mean and std are of.
MOST_MEAN, MOST_SPREAD = 2.7, 2.3
# Pretraining has spread 1; white goods on white still reach 0.3. An eighth uses 16 grey levels.
LEAST_SPREAD = 1 / 8


def check_pictures(evidence: Evidence) -> Iterator[Finding]:
    """What a sample of the train pictures looks like to the encoder."""
    pixels_BCHW = evidence.pixels_BCHW
    if not len(pixels_BCHW):
        return
    found = list(_blank(pixels_BCHW.float() / 255))
    yield from found
    yield from _other_statistics(evidence)
    if not found:
        yield from _off_scale(evidence.encoder.normalise(pixels_BCHW))


def _blank(pixels_BCHW: Tensor) -> Iterator[Finding]:
    between = float((pixels_BCHW - pixels_BCHW.mean(0)).square().mean().sqrt())
    # Of one colour each: the spread over places, in the channel where it is largest.
    spread_B = pixels_BCHW.flatten(2).std(2, correction=0).amax(1)
    blank = float((spread_B < LEVELS).float().mean())
    many = len(pixels_BCHW)
    if many > 1 and between < LEVELS:
        yield Finding(
            "pictures-alike",
            "severe",
            "before",
            f"{many} sampled pictures are one and the same (they differ by {255 * between:.1f} "
            "of 255 grey levels): text has nothing to be matched with",
            "check the catalogue's image column: a placeholder, or a failed download?",
        )
    elif blank >= MOST_BLANK:
        yield Finding(
            "pictures-blank",
            "warning",
            "before",
            f"{blank:.0%} of {many} sampled pictures are of one colour all over",
            "check the catalogue's image column: placeholders, or failed downloads?",
        )


def _other_statistics(evidence: Evidence) -> Iterator[Finding]:
    spec, wanted = evidence.encoder.spec, pretrained_pixels(evidence.encoder)
    given = (spec.mean, spec.std)
    if wanted is None or distance(given, wanted) <= MOST_APART:
        return
    yield Finding(
        "wrong-normalisation",
        "warning",
        "before",
        f"pixels are normalised by mean {_rgb(spec.mean)} and std {_rgb(spec.std)}; weights of "
        f"base {spec.base} were trained with {_rgb(wanted[0])} and {_rgb(wanted[1])}",
        "restore the base's preprocessing file (mean and std), or take the base anew",
    )


def _off_scale(pixels_BCHW: Tensor) -> Iterator[Finding]:
    mean = float(pixels_BCHW.mean((0, 2, 3)).abs().amax())
    spread_C = pixels_BCHW.transpose(0, 1).flatten(1).std(1)
    low, high = float(torch.min(spread_C)), float(torch.max(spread_C))
    if mean <= MOST_MEAN and low >= LEAST_SPREAD and high <= MOST_SPREAD:
        return
    yield Finding(
        "pixels-off-scale",
        "warning",
        "before",
        f"after normalisation {len(pixels_BCHW)} sampled pictures have mean {mean:.2f} (largest "
        f"channel) and std {low:.2f} to {high:.2f}; the base was trained near 0 and 1",
        "check that pictures hold the full range 0 to 255, and the base's mean and std (of 0 to 1)",
    )


def _rgb(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:.2f}" for value in values)
