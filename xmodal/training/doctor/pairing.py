"""Pairs: do texts belong to their pictures at all, and how many products are copies of others?

Shapes: S sampled products, F features, W words, R permutations.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import log

import numpy as np

from xmodal.findings import Finding
from xmodal.matcher.words import words
from xmodal.training.doctor.evidence import Evidence, Floats

PAIRS = 320  # a dependence that 320 pairs do not show, no batch of that size can learn from
FEWEST_PAIRS = 40  # below, a test has no power, and its silence says nothing
PERMUTATIONS = 299  # p < 1/300 where no shuffling of the pairs comes near
# Of a batch's rows, how many may meet their own picture under another product's name.
MOST_TWINS = 0.05
MOST_COPIES = 0.3  # of the catalogue
TWIN = 1e-3  # squared distance of twins, as a share of the mean: half floats of one picture differ


def check_pairing(evidence: Evidence) -> Iterator[Finding]:
    """Texts and pictures that have nothing to do with each other; copies of products."""
    yield from _unrelated(evidence)
    yield from _copies(evidence)


def dependence(text_SS: Floats, image_SS: Floats, seed: int) -> float:
    """p-value that two kernels on the same S pairs are independent, by permuting the pairs.

    The Hilbert-Schmidt independence criterion, biased estimate.

    Source: Gretton et al., A kernel statistical test of independence, NIPS 2007, section 3.
    """
    text_SS, image_SS = _centred(text_SS), _centred(image_SS)
    observed = float((text_SS * image_SS).sum())
    draw, better = np.random.default_rng(seed), 0
    for _ in range(PERMUTATIONS):
        order = draw.permutation(len(text_SS))
        better += float((text_SS * image_SS[np.ix_(order, order)]).sum()) >= observed
    return (1 + better) / (1 + PERMUTATIONS)


def word_kernel(texts: Sequence[str]) -> Floats:
    """(S, S) cosines of texts as bags of words, rare words weighing more; no model is asked."""
    bags = [Counter(words(text)) for text in texts]
    spread = Counter(word for bag in bags for word in bag)
    # A word of one text alone links it to no other.
    place = {word: i for i, word in enumerate(sorted(w for w, n in spread.items() if n > 1))}
    weight_SW = np.zeros((len(texts), max(1, len(place))), np.float32)
    for row, bag in enumerate(bags):
        for word in bag.keys() & place.keys():
            weight_SW[row, place[word]] = log(1 + len(texts) / spread[word])
    norm_S1 = np.linalg.norm(weight_SW, axis=1, keepdims=True)
    weight_SW /= np.maximum(norm_S1, 1e-9)
    cosine_SS: Floats = weight_SW @ weight_SW.T
    return cosine_SS


def picture_kernel(features_SF: Floats) -> Floats:
    """(S, S) Gaussian kernel on standardised features, as wide as their median distance."""
    distance_SS = squared_distances(_standard(features_SF))
    off = distance_SS[~np.eye(len(distance_SS), dtype=bool)]
    width = max(float(np.median(off)), 1e-9)
    kernel_SS: Floats = np.exp(-distance_SS / width).astype(np.float32)
    return kernel_SS


def squared_distances(features_SF: Floats) -> Floats:
    """(S, S), never below 0."""
    norm_S = (features_SF**2).sum(1)
    distance_SS: Floats = norm_S[:, None] + norm_S[None, :] - 2 * features_SF @ features_SF.T
    return np.maximum(distance_SS, 0)


def _unrelated(evidence: Evidence) -> Iterator[Finding]:
    """One test for each source of captions: right attributes would hide shuffled titles."""
    place = {int(evidence.table.product_P[p]): i for i, p in enumerate(evidence.products_S)}
    for source, captions in evidence.captions.items():
        rows = [row for row in captions if row in place]
        if len(rows) < FEWEST_PAIRS:
            continue
        draw = np.random.default_rng(evidence.plan.seed)
        chosen = sorted(draw.permutation(rows)[:PAIRS].tolist())
        text_SS = word_kernel([captions[row][0] for row in chosen])
        features_SF = evidence.features_SF[[place[row] for row in chosen]]
        if _is_constant(text_SS) or _is_constant(features_SF.T):
            continue  # blank: another finding's
        p_value = dependence(text_SS, picture_kernel(features_SF), evidence.plan.seed)
        if p_value > 0.01:
            yield Finding(
                "pairs-unrelated",
                "warning",
                "before",
                f"{source} captions and pictures of {len(chosen)} train products fit no better "
                f"than shuffled ones (p = {p_value:.2f} in {PERMUTATIONS} shufflings)",
                "check that images and texts are of the same product: "
                "a column sorted alone, or ids joined wrongly?",
            )


def _copies(evidence: Evidence) -> Iterator[Finding]:
    features_SF = evidence.features_SF
    if len(features_SF) < 2 or _is_constant(features_SF.T):
        return
    distance_SS = squared_distances(_standard(features_SF))
    np.fill_diagonal(distance_SS, np.inf)
    near_SS = distance_SS < TWIN * float(distance_SS[np.isfinite(distance_SS)].mean())
    copies = float(near_SS.any(1).mean())
    pairs = float(near_SS.sum()) / (len(near_SS) * (len(near_SS) - 1))
    batch = min(evidence.recipe.batch, len(evidence.table))
    meet = 1 - (1 - pairs) ** (batch - 1)
    if copies >= MOST_COPIES or meet >= MOST_TWINS:
        yield Finding(
            "duplicates-in-batch",
            "warning",
            "before",
            f"{copies:.0%} of {len(near_SS):,} sampled train products show the picture of another "
            f"one: {meet:.0%} of a batch's {batch} rows meet their own picture as a negative, "
            "unless it bears the same caption",
            "take copies out of the catalogue: one product with all its captions and variants",
        )


def _standard(features_SF: Floats) -> Floats:
    spread_F = features_SF.std(0)
    moving_F = spread_F > 1e-6
    kept_SF = features_SF[:, moving_F]
    even_SF: Floats = (kept_SF - kept_SF.mean(0)) / spread_F[moving_F]
    return even_SF


def _centred(kernel_SS: Floats) -> Floats:
    centred: Floats = kernel_SS - kernel_SS.mean(0) - kernel_SS.mean(1)[:, None] + kernel_SS.mean()
    return centred


def _is_constant(rows: Floats) -> bool:
    """Whether nothing moves along the rows."""
    return bool((np.ptp(rows, axis=1) < 1e-6).all())
