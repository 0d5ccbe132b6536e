"""One vector a product, of pictures, title and attributes: is it better than pictures alone?

Asked with queries that are not made of the text of a product that they seek: with text in the
gallery those would find the words.

Shapes: P products of the sampled gallery, Q queries, D embedding.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from xmodal.evaluation.judge import COMPARED, Contender
from xmodal.evaluation.sections import Judged, Section, Table
from xmodal.evaluation.significance import Comparison, compare, holm
from xmodal.evaluation.slices import FEWEST
from xmodal.evaluation.tasks import Task
from xmodal.matcher.fields import FIELDS, FieldWeights, Floats
from xmodal.retrieval.fields import Fields, embed_fields, indexed_texts, is_made_of
from xmodal.retrieval.metrics import Qrels, Run, per_query
from xmodal.retrieval.topk import Ints, topk

PRODUCTS = 2_000  # in the gallery: a text model reads about 500 lines a second on a core
PLAIN = FieldWeights({"picture": 0.5, "title": 0.5, "attributes": 0.0})
_DEPTH = 100


@dataclass(frozen=True)
class Asked:
    """Queries that are not made of searched text, and the products that are searched."""

    texts: dict[str, str]
    qrels: Qrels
    product_row_P: Ints
    product_ids: list[str]  # of the P


@dataclass(frozen=True)
class Fused:
    """A product vector against pictures alone."""

    name: str
    found: Mapping[str, Comparison]  # by metric


def product_vectors(judged: Judged) -> Section | None:
    """The section; None where no contender has learnt weights, or there are too few queries."""
    able = [one for one in judged.contenders if one.matcher.fields is not None]
    task = judged.evaluation.asked
    if not able or task is None or len(task.qrels) < FEWEST:
        return None
    contender = able[-1]
    asked = draw(judged, task, contender)
    if len(asked.texts) < FEWEST:
        return Section(
            "fields",
            _TITLE,
            f"Not measured: all but {len(asked.texts)} of the {len(task.qrels)} queries are "
            "made of the text of a product that they are to find.",
        )
    weights = contender.matcher.fields
    assert weights is not None
    return _section(contender.name, weights, compare_all(contender, judged, asked, weights), asked)


def draw(judged: Judged, task: Task, contender: Contender) -> Asked:
    """The task's queries not made of searched text, and up to PRODUCTS products by the seed."""
    ids = judged.catalog.products(["product_id"])["product_id"].to_pylist()
    row_of = {product: row for row, product in enumerate(ids)}
    lines = indexed_texts(judged.catalog)
    shown = np.unique(contender.store.product_row)
    qrels: Qrels = {}
    wanted: set[int] = set()
    for query, grades in task.qrels.items():
        right = {row_of[product] for product, grade in grades.items() if grade > 0}
        is_made = is_made_of(task.texts[query], [line[row] for line in lines for row in right])
        if not is_made and len(wanted | right) <= PRODUCTS:
            qrels[query], wanted = grades, wanted | right
    others = np.setdiff1d(shown, sorted(wanted))
    drawn = np.random.default_rng(judged.settings.seed).permutation(others)
    rows_P = np.sort([*wanted, *drawn[: PRODUCTS - len(wanted)].tolist()]).astype(np.int64)
    texts = {query: task.texts[query] for query in qrels}
    return Asked(texts, qrels, rows_P, [ids[row] for row in rows_P.tolist()])


def compare_all(
    contender: Contender, judged: Judged, asked: Asked, weights: FieldWeights
) -> list[Fused]:
    """Pictures and title summed, the learnt weights, and the latter without each text, or both."""
    fields = embed_fields(
        contender.matcher.encoder, judged.catalog, contender.store, asked.product_row_P
    )
    query_QD = contender.embed_texts(list(asked.texts.values()))

    def table(product_PD: Floats) -> dict[str, dict[str, float]]:
        return per_query(_run(asked, query_QD, product_PD), asked.qrels)

    alone = table(fields.vector_PD["picture"])
    forms = {
        "picture + title": PLAIN.fuse(fields.vector_PD),
        "learnt weights": weights.fuse(fields.vector_PD),
        **{
            f"learnt weights, relevant products lack their {lost}": weights.fuse(
                without(fields, asked, lost).vector_PD
            )
            for lost in FIELDS
        },
    }
    draws = {"resamples": judged.settings.evaluation.bootstrap, "seed": judged.settings.seed}
    found = []
    for name, product_PD in forms.items():
        ours = table(product_PD)
        compared = {metric: compare(ours[metric], alone[metric], **draws) for metric in COMPARED}
        found.append(Fused(name, compared))
    return found


def without(fields: Fields, asked: Asked, lost: str) -> Fields:
    """The fields where every relevant product lacks one of them; the others stay complete."""
    relevant = {p for grades in asked.qrels.values() for p, grade in grades.items() if grade > 0}
    is_relevant_P = np.array([product in relevant for product in asked.product_ids])
    left_PD = fields.vector_PD[lost] * ~is_relevant_P[:, None]
    return replace(fields, vector_PD=fields.vector_PD | {lost: left_PD})


def _run(asked: Asked, query_QD: Floats, product_PD: Floats) -> Run:
    scores_QK, rows_QK = topk(query_QD, product_PD, min(_DEPTH, len(product_PD)))
    return {
        query: dict(zip(np.take(asked.product_ids, rows).tolist(), scores, strict=True))
        for query, rows, scores in zip(asked.texts, rows_QK, scores_QK.tolist(), strict=True)
    }


_TITLE = "Does a product's text help, beside its pictures?"


def _section(system: str, weights: FieldWeights, found: list[Fused], asked: Asked) -> Section:
    corrected = holm([one.found[metric].p_value for one in found for metric in COMPARED])
    rows: list[tuple[str | int | float | None, ...]] = []
    for place, (one, metric) in enumerate((one, metric) for one in found for metric in COMPARED):
        seen = one.found[metric]
        interval = f"{seen.low:+.3f} to {seen.high:+.3f}"
        rows.append((one.name, metric, seen.theirs, seen.ours, interval, corrected[place]))
    learnt = next(one for one in found if one.name == "learnt weights").found["recall@10"]
    worth = "more than chance" if learnt.is_significant else "no more than chance"
    shares = ", ".join(f"{name} {weights.weights[name]:.2f}" for name in FIELDS)
    return Section(
        name="fields",
        title=_TITLE,
        verdict=f"One vector a product, of fields weighed by {system} ({shares}), reaches R@10 "
        f"{learnt.ours:.3f} where pictures alone reach {learnt.theirs:.3f}: {worth}.",
        tables=(
            Table(
                (
                    "Product vector",
                    "Metric",
                    "Pictures alone",
                    "Fused",
                    "95 % of the difference",
                    "p",
                ),
                tuple(rows),
            ),
        ),
        notes=(
            f"{len(asked.texts)} queries, each with a word that no relevant product's text has",
            f"searched: {len(asked.product_ids):,} products, the mean of their pictures",
            "the weights were fitted on val, with fields hidden at random; p is Holm's",
        ),
        data={
            "weights": dict(weights.weights),
            "compared": [asdict(one) for one in found],
            "queries": len(asked.texts),
        },
    )
