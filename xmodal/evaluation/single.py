"""One matcher on one file of judged text queries: its run and its figures."""

from dataclasses import dataclass

from xmodal.catalog.judged import Queries
from xmodal.catalog.store import Catalog
from xmodal.errors import MatcherError, QueriesError
from xmodal.evaluation.gallery import ATTRIBUTES, TITLE, Gallery, check_titles, open_gallery
from xmodal.evaluation.judge import COMPARED, DEPTH
from xmodal.evaluation.rerank import rerank
from xmodal.evaluation.significance import Comparison, compare
from xmodal.matcher.saved import Matcher
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.retrieval.fields import indexed_texts
from xmodal.retrieval.metrics import PerQuery, Qrels, Run, cut, means, per_query


@dataclass(frozen=True)
class FileResult:
    """What came of a file of queries."""

    run: Run  # every query of the file, 100 best products each
    means: dict[str, float]  # over the queries with a relevant product in the gallery
    judged: int  # number of those
    outside: int  # relevant judgements of products that are not in the gallery
    per_query: PerQuery


def evaluate_file(
    matcher: Matcher,
    queries: Queries,
    catalog: Catalog,
    gallery: Gallery,
    store: FeatureStore,
    *,
    candidates: int = 0,
) -> FileResult:
    """Answer and score all text queries; `candidates` above 0 re-orders as many by the reranker.

    Raises:
        QueriesError: no query has a relevant product in the gallery, or, where titles are
            searched, a query is itself such a title.
        MatcherError: the matcher has no reranker.
    """
    if candidates and matcher.reranker is None:
        raise MatcherError("this matcher has no reranker; train one, or leave out --rerank")
    qrels = _shown(queries, gallery)
    if gallery.kind == "product":
        _check(queries, qrels, catalog, gallery)
    vectors = embed_texts(matcher.encoder, list(queries.texts.values()))
    run = gallery.search(list(queries.texts), vectors, max(DEPTH, candidates))
    if candidates:
        titles = None
        if gallery.kind == "product":
            titles = catalog.products(["title"])["title"].to_pylist()
        run = rerank(
            matcher, queries.texts, run, gallery, store, candidates=candidates, titles=titles
        )
    best = cut(run, DEPTH)
    judged = (queries.qrels.get(query, {}) for query in queries.texts)
    relevant = sum(grade > 0 for grades in judged for grade in grades.values())
    inside = sum(grade > 0 for grades in qrels.values() for grade in grades.values())
    table = per_query(best, qrels)
    return FileResult(best, means(table), len(qrels), relevant - inside, table)


def beside_pictures(
    found: FileResult,
    matcher: Matcher,
    queries: Queries,
    catalog: Catalog,
    store: FeatureStore,
    *,
    split: str | None = None,
    candidates: int = 0,
) -> dict[str, Comparison]:
    """What `found`, of a gallery with text, is to the same queries on pictures alone, by metric."""
    gallery = open_gallery(catalog, store, matcher.encoder, "image", split)
    alone = evaluate_file(matcher, queries, catalog, gallery, store, candidates=candidates)
    return {name: compare(found.per_query[name], alone.per_query[name]) for name in COMPARED}


def _shown(queries: Queries, gallery: Gallery) -> Qrels:
    shown = gallery.shown
    qrels = {
        query: {product: grade for product, grade in grades.items() if product in shown}
        for query, grades in queries.qrels.items()
        if query in queries.texts
    }
    kept = {query: grades for query, grades in qrels.items() if any(grades.values())}
    if not kept:
        raise QueriesError(
            "no query has a relevant product with a picture in the gallery; check --split and "
            "--catalog"
        )
    return kept


def _check(queries: Queries, qrels: Qrels, catalog: Catalog, gallery: Gallery) -> None:
    asked = {query: queries.texts[query] for query in qrels}
    for what, lines in zip((TITLE, ATTRIBUTES), indexed_texts(catalog), strict=True):
        if what not in gallery.texts:
            continue
        indexed = dict(zip(gallery.product_ids, lines, strict=True))
        check_titles(asked, qrels, indexed, gallery.shown, what=what)
