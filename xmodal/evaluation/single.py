"""One matcher on one file of judged text queries: its run and its figures."""

from dataclasses import dataclass

from xmodal.catalog.judged import Queries
from xmodal.catalog.store import Catalog
from xmodal.errors import MatcherError, QueriesError
from xmodal.evaluation.gallery import Gallery, check_titles
from xmodal.evaluation.judge import DEPTH
from xmodal.evaluation.rerank import rerank
from xmodal.matcher.saved import Matcher
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.retrieval.metrics import Qrels, Run, cut, means, per_query


@dataclass(frozen=True)
class FileResult:
    """What came of a file of queries."""

    run: Run  # every query of the file, 100 best products each
    means: dict[str, float]  # over the queries with a relevant product in the gallery
    judged: int  # number of those
    outside: int  # relevant judgements of products that are not in the gallery


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
    return FileResult(best, means(per_query(best, qrels)), len(qrels), relevant - inside)


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
    columns = catalog.products(["product_id", "title"]).to_pydict()
    titles = dict(zip(columns["product_id"], columns["title"], strict=True))
    asked = {query: queries.texts[query] for query in qrels}
    check_titles(asked, qrels, titles, gallery.shown)
