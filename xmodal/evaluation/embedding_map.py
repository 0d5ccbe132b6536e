"""The map: pictures and queries in the two directions in which the shop's embedding varies most.

Shapes: P pictures, Q queries, N = P + Q points, D embedding.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from xmodal.evaluation.classes import part_kinds
from xmodal.evaluation.drawing import points
from xmodal.evaluation.gallery import open_gallery
from xmodal.evaluation.judge import Contender
from xmodal.evaluation.sections import Judged, Picture, Section, Table
from xmodal.retrieval.topk import Floats

_PICTURES, _QUERIES = 400, 100
_NEIGHBOURS = 10
_COLOURED = 6  # kinds with a colour of their own
_NOTE = (
    "rings: queries; each cloud is moved to the middle, because pictures and texts lie apart in "
    "every model of this kind (Liang et al., NeurIPS 2022); the table says how far"
)
_OTHERS, _ASKED = "(other kinds)", "queries"


def embedding_map(judged: Judged) -> Section | None:
    """A map of each contender, and how often a picture's neighbours are of its kind."""
    results = judged.evaluation.headline
    labels = part_kinds(judged, results[0].part, most=_PICTURES) if results else None
    if labels is None:
        return None
    attribute, kind_of = labels
    texts = list(judged.evaluation.tasks[f"{results[0].part} text-image"].texts.values())
    pictures, rows = [], []
    for contender in judged.contenders:
        image_PD = _pictures(contender, judged, list(kind_of))
        text_QD = contender.embed_texts(texts[:: max(1, len(texts) // _QUERIES)])
        kinds = list(kind_of.values())
        pure, gap = purity(image_PD, kinds), _gap(image_PD, text_QD)
        rows.append((contender.name, pure, gap))
        svg = points(_grouped(image_PD, text_QD, kinds), frozenset({_ASKED}))
        pictures.append(Picture(svg, f"Map of {contender.name}: pictures by {attribute}, queries."))
    counts = Counter(kind_of.values())
    chance = sum((n / len(kind_of)) ** 2 for n in counts.values())
    head = ("", f"Neighbours of the same {attribute}", "Distance between the clouds")
    last = rows[-1]
    return Section(
        "map",
        f"The map of the shop, part {results[0].part}",
        f"For {last[0]}, {last[1]:.0%} of a picture's {_NEIGHBOURS} nearest pictures are of its "
        f"{attribute}; by chance it would be {chance:.0%}",
        (Table(head, tuple(rows)),),
        tuple(pictures),
        (_NOTE,),
        data={"purity": {row[0]: row[1] for row in rows}, "gap": {row[0]: row[2] for row in rows}},
    )


def principal(vector_ND: Floats) -> Floats:
    """The N points in the plane of the two largest principal components, (N, 2), centred."""
    centred_ND = vector_ND - vector_ND.mean(0)
    _, _, directions = np.linalg.svd(centred_ND, full_matrices=False)
    return np.asarray(centred_ND @ directions[:2].T, dtype=np.float32)


def purity(image_PD: Floats, kinds: list[str]) -> float:
    """Mean share of a picture's ten nearest other pictures that are of its kind."""
    cosine_PP = image_PD @ image_PD.T
    np.fill_diagonal(cosine_PP, -np.inf)
    k = min(_NEIGHBOURS, len(kinds) - 1)
    near_PK = np.argsort(-cosine_PP, axis=1, kind="stable")[:, :k]
    kind_P = np.array(kinds)
    return float((kind_P[near_PK] == kind_P[:, None]).mean())


def _pictures(contender: Contender, judged: Judged, products: list[str]) -> Floats:
    gallery = open_gallery(judged.catalog, contender.store, contender.matcher.encoder)
    return gallery.first_pictures(products)


def _gap(image_PD: Floats, text_QD: Floats) -> float:
    """Distance of the two clouds' centres."""
    return float(np.linalg.norm(image_PD.mean(0) - text_QD.mean(0)))


def _grouped(
    image_PD: Floats, text_QD: Floats, kinds: list[str]
) -> Mapping[str, list[tuple[float, float]]]:
    place_N2 = principal(
        np.concatenate([image_PD - image_PD.mean(0), text_QD - text_QD.mean(0)])
    ).tolist()
    shown = [kind for kind, _ in Counter(kinds).most_common(_COLOURED)]
    groups: dict[str, list[tuple[float, float]]] = {kind: [] for kind in [*shown, _OTHERS, _ASKED]}
    for kind, (a, b) in zip([*kinds, *[_ASKED] * len(text_QD)], place_N2, strict=True):
        groups[kind if kind in groups else _OTHERS].append((a, b))
    return {name: group for name, group in groups.items() if group}
