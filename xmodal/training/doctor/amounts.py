"""Amounts: the batch and the epochs against the size of the catalogue."""

from collections.abc import Iterator

from xmodal.findings import Finding
from xmodal.training.batches import passes_of, steps_of
from xmodal.training.doctor.evidence import Evidence

# Of repeated data the fortieth pass is worth nothing (Muennighoff et al., arXiv 2305.16264, section
# 5); a caption and a picture that are drawn anew, with words and cells dropped, bear some more.
MOST_PASSES = 200


def check_amounts(evidence: Evidence) -> Iterator[Finding]:
    """A batch that no catalogue of this size can fill; products seen hundreds of times."""
    products, recipe = len(evidence.table), evidence.recipe
    passes = passes_of(products, recipe.batch)
    if recipe.batch > products:
        yield Finding(
            "batch-larger-than-catalogue",
            "warning",
            "before",
            f"a batch of {recipe.batch} pairs holds each of the {products} train products "
            f"{recipe.batch / products:.1f} times: its copies are no negatives",
            f"set training.batch to {_power_of_two(products / 4)} or less, or give more products",
        )
    if passes * recipe.epochs >= MOST_PASSES:
        steps = steps_of(products, recipe.batch)
        yield Finding(
            "too-many-passes",
            "warning",
            "before",
            f"{recipe.epochs} epochs of {steps} steps pass each of the {products} train products "
            f"{passes * recipe.epochs} times: they are learnt by heart (over-fitting)",
            f"set training.epochs to {max(1, MOST_PASSES // 4 // passes)}, or give more products",
        )


def _power_of_two(most: float) -> int:
    size = 2
    while size * 2 <= most:
        size *= 2
    return size
