"""Curves: recall by how far one looks, and the training's figures over its epochs."""

from collections.abc import Mapping, Sequence

from xmodal.evaluation.drawing import Axis, axis_of, lines
from xmodal.evaluation.sections import Judged, Picture, Row, Section, Table

_SHOWN = (1, 5, 10, 20, 50, 100)
_QUALITY = {"recall@10": "R@10", "mrr@10": "MRR@10", "ndcg@10": "nDCG@10", "map": "mAP"}


def recall_curves(judged: Judged) -> Section | None:
    """Recall@k for k from 1 to 100 of each system, on the headline part's text queries."""
    results = judged.evaluation.headline
    if not results:
        return None
    top = max(max(one.curve) for one in results)
    svg = lines(
        {one.system: list(enumerate(one.curve, 1)) for one in results},
        Axis("first k products", 1, 100, is_log=True),
        axis_of("recall", [top], include=0.0),
    )
    best = max(results, key=lambda one: one.curve[-1])
    ten, hundred = best.curve[9], best.curve[99]
    verdict = (
        f"{best.system} finds {ten:.0%} of what is sought among the first 10 products and "
        f"{hundred:.0%} among the first 100: what a reranker could still bring up"
    )
    rows: list[Row] = [(one.system, *(one.curve[k - 1] for k in _SHOWN)) for one in results]
    return Section(
        "recall",
        f"How far one has to look, part {results[0].part}",
        verdict,
        (Table(("", *(f"R@{k}" for k in _SHOWN)), tuple(rows)),),
        (Picture(svg, "Recall by the number of products looked at, a line for each system."),),
        data={"recall": {one.system: one.curve for one in results}},
    )


def training_curves(judged: Judged) -> Section | None:
    """Loss and held-out quality by epoch, of the training that made the tuned matcher."""
    history = judged.history
    if not history:
        return None
    losses = _series(history, {"loss": "train loss", "val_loss": "val loss"})
    quality = _series(history, _QUALITY)
    epochs = [row["epoch"] + 1 for row in history]
    across = Axis("epoch", min(epochs), max(epochs))
    pictures = []
    for name, series in (("loss", losses), ("quality on val", quality)):
        if series:
            values = [value for points in series.values() for _, value in points]
            svg = lines(series, across, axis_of(name, values))
            pictures.append(Picture(svg, f"The {name} after each epoch."))
    return Section(
        "training",
        "How the training went",
        _training_verdict(history),
        pictures=tuple(pictures),
        data={"history": [dict(row) for row in history]},
    )


def _training_verdict(history: Sequence[Mapping[str, float]]) -> str:
    values = [row["mrr@10"] for row in history if "mrr@10" in row]
    if not values:
        return f"{len(history)} epochs were trained"
    best = max(range(len(values)), key=values.__getitem__)
    tail = (
        "the last one, so a longer training may well bring more"
        if best == len(values) - 1
        else "and what came after did not help"
    )
    return f"Of {len(values)} epochs number {best + 1} was the best on val by MRR@10, {tail}"


def _series(
    history: Sequence[Mapping[str, float]], names: Mapping[str, str]
) -> dict[str, list[tuple[float, float]]]:
    found = {
        shown: [(row["epoch"] + 1, row[name]) for row in history if name in row]
        for name, shown in names.items()
    }
    return {shown: points for shown, points in found.items() if points}
