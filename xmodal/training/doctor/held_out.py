"""The held-out part: products that train holds too, answers learnt by heart, another shop's goods.

Shapes: S train products, V val products, F features.
"""

from collections.abc import Iterator

import numpy as np

from xmodal.findings import Finding
from xmodal.training.doctor.evidence import Evidence, Floats

# Each leaked product may be a false success: recall on val is too high by as much as this share.
MOST_LEAKED = 0.05
# Area under the curve of a linear classifier that tells val's pictures from train's. Parts of one
# shop drawn at random have 0.5, and some more where copies stay together. At 0.95 it tells 19 in
# 20 pairs of a val and a train picture apart.
MOST_APART = 0.95
FEWEST_PICTURES = 20
_FEATURES = 64


def check_held_out(evidence: Evidence) -> Iterator[Finding]:
    """Whether the part that picks the checkpoint can do so."""
    yield from _leaked(evidence)
    yield from _answers(evidence)
    yield from _another_shop(evidence)


def separability(one_SF: Floats, other_VF: Floats) -> float:
    """Area under the ROC curve of a linear discriminant between two samples, cross-fitted.

    Source: a classifier two-sample test, Lopez-Paz and Oquab, arXiv 1610.06545, section 3.
    """
    rows = np.concatenate([one_SF, other_VF]).astype(np.float64)
    is_other = np.arange(len(rows)) >= len(one_SF)
    rows = (rows - rows.mean(0)) / (rows.std(0) + 1e-6)
    # Leading directions alone: with as many features as rows any two samples can be parted.
    _, _, direction_FF = np.linalg.svd(rows, full_matrices=False)
    rows = rows @ direction_FF[: min(_FEATURES, len(other_VF) // 2)].T
    score, areas = np.zeros(len(rows)), []
    for half in (0, 1):
        held = np.arange(len(rows)) % 2 == half
        score[held] = rows[held] @ _discriminant(rows[~held], is_other[~held])
        areas.append(_area(score[held & is_other], score[held & ~is_other]))
    return float(np.mean(areas))


def _leaked(evidence: Evidence) -> Iterator[Finding]:
    manifest = evidence.catalog.manifest
    leaked, val = manifest.straddling.get("val", 0), manifest.counts.get("val", 0)
    if val and leaked / val > MOST_LEAKED:
        yield Finding(
            "products-leaked",
            "warning",
            "before",
            f"{leaked:,} of {val:,} val products ({leaked / val:.0%}) show the picture of a train "
            "product, or its title on a near-identical picture",
            "take them out of one of the two splits; without a split column val is cut leak-free",
        )


def _answers(evidence: Evidence) -> Iterator[Finding]:
    """Queries whose every answer is a train product that bears the query as its caption."""
    train = set(evidence.table.product_P.tolist())
    row_of = {product: int(row) for row, product in evidence.valset.product_ids.items()}
    bears = {
        (text, row)
        for rows in evidence.captions.values()
        for row, own in rows.items()
        for text in own
    }
    learnt = 0
    for query, text in evidence.queries.items():
        right = [row_of[p] for p, grade in evidence.valset.qrels[query].items() if grade > 0]
        learnt += all(row in train and (text, row) in bears for row in right)
    if learnt > MOST_LEAKED * len(evidence.queries):
        yield Finding(
            "queries-leaked",
            "warning",
            "before",
            f"{learnt:,} of {len(evidence.queries):,} queries of val are train captions of the "
            "very products that answer them",
            "judge by queries whose products are of split val",
        )


def _another_shop(evidence: Evidence) -> Iterator[Finding]:
    splits = np.array(evidence.catalog.products(["split"])["split"].to_pylist(), dtype=object)
    row_N = np.asarray(evidence.images.product_row)
    val = np.flatnonzero(splits[row_N] == "val")
    size = min(len(val), len(evidence.features_SF))
    if size < FEWEST_PICTURES:
        return
    draw = np.random.default_rng(evidence.plan.seed)
    val_VF = evidence.features(np.sort(draw.permutation(val)[:size]))
    train = draw.permutation(len(evidence.features_SF))[: max(size, 256)]
    area = separability(evidence.features_SF[train], val_VF)
    if area > MOST_APART:
        yield Finding(
            "held-out-unlike-train",
            "warning",
            "before",
            f"a linear classifier tells pictures of val from those of train (area under the curve "
            f"{area:.2f} on {size} of val; 0.5 = alike): val is of another kind, or another shop",
            "hold out products of the same shop, drawn at random: leave the split column out",
        )


def _discriminant(rows: Floats, is_other: np.ndarray) -> Floats:
    gap = rows[is_other].mean(0) - rows[~is_other].mean(0)
    within = np.concatenate(
        [rows[is_other] - rows[is_other].mean(0), rows[~is_other] - rows[~is_other].mean(0)]
    )
    covariance = within.T @ within / len(within)
    ridge = 0.1 * covariance.trace() / len(covariance)
    solved: Floats = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), gap)
    return solved


def _area(right: Floats, wrong: Floats) -> float:
    """Share of (right, wrong) pairs in the right order; ties count half."""
    higher = (right[:, None] > wrong[None, :]).mean()
    return float(higher + (right[:, None] == wrong[None, :]).mean() / 2)
