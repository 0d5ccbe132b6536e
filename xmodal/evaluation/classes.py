"""Zero-shot classification: is a product's picture nearest to the name of its own kind?

    names of the kinds -> text vectors;  first picture -> nearest name -> confusion matrix

Source: Radford et al., ICML 2021, section 3.1. Shapes: P products, C classes, D embedding.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.captions import describe
from xmodal.evaluation.drawing import matrix
from xmodal.evaluation.gallery import open_gallery
from xmodal.evaluation.judge import Contender
from xmodal.evaluation.sections import Judged, Picture, Section, Table
from xmodal.evaluation.significance import Comparison, compare
from xmodal.retrieval.topk import Ints

_MOST_PRODUCTS = 2000
_LEAST_PRODUCTS = 5  # of a class: below, its precision and recall say little
_DRAWN = 15  # classes of the picture


@dataclass(frozen=True)
class ClassFigures:
    """Of each class: how many are it, and how well it is told from the others."""

    support_C: Ints
    precision_C: NDArray[np.float64]  # 0 where nothing was taken for it
    recall_C: NDArray[np.float64]
    f1_C: NDArray[np.float64]
    accuracy: float

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes, each counting the same."""
        return float(self.f1_C.mean())


def classification(judged: Judged) -> Section | None:
    """Products of the headline part by the attribute that names their kind, without training."""
    results = judged.evaluation.headline
    labels = part_kinds(judged, results[0].part) if results else None
    if labels is None:
        return None
    attribute, kind_of = labels
    classes = [name for name, _ in Counter(kind_of.values()).most_common()]
    row_of = {name: row for row, name in enumerate(classes)}
    true_P = np.array([row_of[kind] for kind in kind_of.values()])
    taken = {one.name: _predict(one, judged, list(kind_of), classes) for one in judged.contenders}
    counts = {name: confusion(true_P, taken_P, len(classes)) for name, taken_P in taken.items()}
    figures = {name: class_figures(one) for name, one in counts.items()}
    last = judged.contenders[-1].name
    share = float(figures[last].support_C.max() / len(kind_of))
    compared = _compare(judged, true_P, taken)
    return Section(
        "classification",
        f"Does it know what a thing is? Part {results[0].part}",
        f"Of {len(kind_of):,} products {last} names the {attribute} of "
        f"{figures[last].accuracy:.0%} right, among {len(classes)} and by its picture alone"
        f"{_against(compared, judged.contenders[0].name)}",
        (_overview(figures, share), _per_class(figures[last], classes, last)),
        (_drawing(counts[last], classes),),
        (f"a class is asked by its name; left out: those of under {_LEAST_PRODUCTS} products",),
        data={
            "attribute": attribute,
            "classes": classes,
            "confusion": {name: one.tolist() for name, one in counts.items()},
            "accuracy": {name: one.accuracy for name, one in figures.items()},
            "macro_f1": {name: one.macro_f1 for name, one in figures.items()},
        },
    )


def part_kinds(
    judged: Judged, part: str, most: int = _MOST_PRODUCTS
) -> tuple[str, dict[str, str]] | None:
    """The attribute of kinds, and its value of each product of the part that has a picture.

    At most `most` products, drawn by the seed; None where there are not two classes.
    """
    catalog = judged.catalog
    attribute = describe(row["attributes"] or {} for row in catalog.rows(["attributes"])).kind
    if attribute is None:
        return None
    pictured = set(np.unique(judged.contenders[0].store.product_row).tolist())
    rows = catalog.rows(["product_id", "attributes", "split"])
    kind_of = {
        row["product_id"]: row["attributes"][attribute]
        for number, row in enumerate(rows)
        if row["split"] == part and number in pictured and (row["attributes"] or {}).get(attribute)
    }
    counts = Counter(kind_of.values())
    known = [product for product, kind in kind_of.items() if counts[kind] >= _LEAST_PRODUCTS]
    if len({kind_of[product] for product in known}) < 2:
        return None
    if len(known) > most:
        draw = np.random.default_rng(judged.settings.seed)
        chosen = draw.choice(len(known), most, replace=False)
        known = [known[row] for row in sorted(chosen.tolist())]
    return attribute, {product: kind_of[product] for product in known}


def confusion(true_P: Ints, taken_P: Ints, classes: int) -> Ints:
    """Products by their true class (row) and the class they were taken for (column)."""
    counts_CC = np.zeros((classes, classes), np.int64)
    np.add.at(counts_CC, (true_P, taken_P), 1)
    return counts_CC


def class_figures(counts_CC: Ints) -> ClassFigures:
    """Precision, recall and F1 of each class of a confusion matrix.

    >>> found = class_figures(np.array([[2, 0], [1, 1]]))
    >>> found.precision_C.round(2).tolist(), found.recall_C.tolist(), found.accuracy
    ([0.67, 1.0], [1.0, 0.5], 0.75)
    """
    right_C, support_C, taken_C = counts_CC.diagonal(), counts_CC.sum(1), counts_CC.sum(0)
    precision_C = right_C / np.maximum(taken_C, 1)
    recall_C = right_C / np.maximum(support_C, 1)
    f1_C = 2 * right_C / np.maximum(taken_C + support_C, 1)
    accuracy = float(right_C.sum() / max(int(counts_CC.sum()), 1))
    return ClassFigures(support_C, precision_C, recall_C, f1_C, accuracy)


def _predict(
    contender: Contender, judged: Judged, products: Sequence[str], classes: Sequence[str]
) -> Ints:
    gallery = open_gallery(judged.catalog, contender.store, contender.matcher.encoder)
    picture_PD = gallery.first_pictures(products)
    return np.asarray((picture_PD @ contender.embed_texts(classes).T).argmax(1))


def _compare(judged: Judged, true_P: Ints, taken: dict[str, Ints]) -> Comparison | None:
    if len(taken) < 2:
        return None
    first, last = (
        {str(row): float(hit) for row, hit in enumerate(taken[one.name] == true_P)}
        for one in (judged.contenders[0], judged.contenders[-1])
    )
    settings = judged.settings
    return compare(last, first, resamples=settings.evaluation.bootstrap, seed=settings.seed)


def _against(found: Comparison | None, first: str) -> str:
    if found is None:
        return ""
    return (
        f"; {first} {found.theirs:.0%} (difference {found.difference:+.3f}, 95 % interval "
        f"{found.low:+.3f} to {found.high:+.3f})"
    )


def _overview(figures: dict[str, ClassFigures], most_common: float) -> Table:
    rows = [(name, one.accuracy, one.macro_f1) for name, one in figures.items()]
    return Table(
        ("", "Accuracy", "Macro F1"), (*rows, ("always the most common", most_common, "-"))
    )


def _per_class(found: ClassFigures, classes: Sequence[str], name: str) -> Table:
    rows = tuple(
        (
            one,
            int(found.support_C[c]),
            float(found.precision_C[c]),
            float(found.recall_C[c]),
            float(found.f1_C[c]),
        )
        for c, one in enumerate(classes)
    )
    return Table(("", "Products", "Precision", "Recall", "F1"), rows, f"Each class, by {name}")


def _drawing(counts_CC: Ints, classes: Sequence[str]) -> Picture:
    shown = list(classes[:_DRAWN])
    cells = counts_CC[: len(shown), : len(shown)].tolist()
    return Picture(
        matrix(cells, shown, shown),
        f"Confusion matrix of the {len(shown)} most common classes: a row is what a product is, a "
        "column what it was taken for.",
    )
