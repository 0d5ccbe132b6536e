"""The first page as a whole: how alike its products are, and how much of the shop is ever shown.

Products are compared by the first contender's pictures, one ruler for all systems.
"""

from collections.abc import Mapping

import numpy as np

from xmodal.catalog.captions import describe
from xmodal.evaluation.gallery import Gallery, open_gallery
from xmodal.evaluation.judge import Result
from xmodal.evaluation.sections import Judged, Section, Table
from xmodal.evaluation.significance import interval
from xmodal.retrieval.topk import Floats

# Cosine of two pictures of one thing taken twice, or of one file saved twice.
ALIKE = 0.99
_PAGE = 10
_MOST_PAGES = 500


def first_page(judged: Judged) -> Section | None:
    """Diversity, near-duplicates and kinds on each first page; coverage over all of them.

    - diversity: mean of 1 - cosine over the pairs of a page (Ziegler et al., WWW 2005);
    - near-duplicates: share of the pages with two products whose pictures are as good as one;
    - coverage: share of the gallery shown on any page (Herlocker et al., TOIS 2004).
    """
    results = judged.evaluation.headline
    if not results:
        return None
    first = judged.contenders[0]
    gallery = open_gallery(judged.catalog, first.store, first.matcher.encoder)
    kind_of = _kinds(judged)
    figures = {one.system: _figures(one, gallery, kind_of, judged) for one in results}
    last, size = results[-1], judged.evaluation.gallery["products"]
    queries = len(last.top)
    most = min(1.0, queries * _PAGE / max(size, 1))
    head = (
        "",
        "Diversity",
        "95 % interval",
        "Pages with near-duplicates",
        "Kinds on a page",
        "Gallery shown",
    )
    found = figures[last.system]
    return Section(
        "first-page",
        f"The first page as a whole, part {last.part}",
        f"{last.system} shows {found['coverage']:.0%} of the gallery to {queries:,} queries (at "
        f"most {most:.0%} were possible), and {found['near_duplicates']:.0%} of its first pages "
        "show the same picture twice",
        (Table(head, tuple(_row(name, one) for name, one in figures.items())),),
        notes=(
            "diversity: 1 less the mean cosine of the pictures of a page, by the first system",
            f"near-duplicates: two products whose pictures have a cosine of {ALIKE} or more",
        ),
        data=dict(figures),
    )


def page_diversity(picture_KD: Floats) -> tuple[float, bool]:
    """Mean of 1 - cosine over all pairs of K unit vectors, and whether two are near-duplicates."""
    cosine_KK = picture_KD @ picture_KD.T
    above = np.triu_indices(len(picture_KD), 1)
    if not len(above[0]):
        return 0.0, False
    return float(1 - cosine_KK[above].mean()), bool((cosine_KK[above] >= ALIKE).any())


def _figures(
    result: Result, gallery: Gallery, kind_of: Mapping[str, str], judged: Judged
) -> dict[str, float]:
    pages = [page for page in result.top.values() if page]
    some = pages[:: max(1, len(pages) // _MOST_PAGES)]
    found = [page_diversity(gallery.first_pictures(page)) for page in some]
    diversity = [value for value, _ in found]
    settings = judged.settings
    low, high = interval(diversity, resamples=settings.evaluation.bootstrap, seed=settings.seed)
    kinds = [len({kind_of[p] for p in page if p in kind_of}) for page in pages]
    shown = {product for page in pages for product in page}
    return {
        "diversity": float(np.mean(diversity)),
        "diversity_low": low,
        "diversity_high": high,
        "near_duplicates": float(np.mean([is_alike for _, is_alike in found])),
        "kinds": float(np.mean(kinds)) if kind_of else 0.0,
        "coverage": len(shown) / max(judged.evaluation.gallery["products"], 1),
    }


def _row(name: str, found: Mapping[str, float]) -> tuple[str | float, ...]:
    between = f"{found['diversity_low']:.3f} to {found['diversity_high']:.3f}"
    return (
        name,
        found["diversity"],
        between,
        f"{found['near_duplicates']:.1%}",
        f"{found['kinds']:.1f}",
        f"{found['coverage']:.1%}",
    )


def _kinds(judged: Judged) -> dict[str, str]:
    kind = describe(row["attributes"] or {} for row in judged.catalog.rows(["attributes"])).kind
    if kind is None:
        return {}
    return {
        row["product_id"]: row["attributes"][kind]
        for row in judged.catalog.rows(["product_id", "attributes"])
        if (row["attributes"] or {}).get(kind)
    }
