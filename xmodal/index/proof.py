"""What a version proves with the encoder at hand: its vectors are this encoder's, its search exact.

Shapes: Q queries, N vector rows, D embedding size.
"""

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.errors import IndexMismatch
from xmodal.index.version import Index, Kind, load_probes
from xmodal.matcher.encoder import Encoder
from xmodal.retrieval.embed import embed_texts, image_features
from xmodal.retrieval.topk import NO_ROW, topk_products

DEPTH = 10
BLOCK_ROWS = 65_536  # vectors copied at once: 64 MiB of 256 dimensions
QUERIES = 100
LEAST_COSINE = 0.999  # float32 in another batch size moves a cosine by less than 1e-5


def measure_recall(index: Index) -> dict[str, float]:
    """Share of the exact ten best products that `index.search` returns, for either kind of query.

    Exact is a product of all vectors in numpy; text queries are the sample's texts and, to have
    enough of them, points half-way between a text and a sample's picture.
    """
    probes = load_probes(index.folder)
    images, texts = probes["vectors"][:QUERIES], probes["text_vectors"]
    between = [texts[row % len(texts)] + image for row, image in enumerate(images[::-1])]
    queries = np.concatenate([texts, np.array(between, np.float32).reshape(-1, index.facts.dim)])
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return {"text": _recall(index, queries, "text"), "image": _recall(index, images, "image")}


def _recall(index: Index, query_QD: NDArray[np.float32], kind: Kind) -> float:
    if not len(query_QD) or not index.facts.vectors:
        return 1.0
    found = total = 0
    for query_D, exact_K in zip(query_QD, _exact(index, query_QD, kind), strict=True):
        hits = index.search(query_D, len(exact_K), kind=kind)
        # By score, so that which of two equal products is named does not matter.
        found += int((hits.scores[: len(exact_K)] >= exact_K[-1] - 1e-5).sum())
        total += len(exact_K)
    return found / max(total, 1)


def _exact(index: Index, query_QD: NDArray[np.float32], kind: Kind) -> list[list[float]]:
    """Scores of the ten best products of each query, best first; a block of vectors at a time."""
    if index.facts.text_rows:
        mark = np.full((len(query_QD), 1), -index.facts.text_offset[kind], dtype=np.float32)
        query_QD = np.hstack([query_QD, mark])
    best: list[dict[int, float]] = [{} for _ in query_QD]  # product to its best score
    for start in range(0, index.facts.vectors, BLOCK_ROWS):
        block_ND = index.vectors.reconstruct_n(start, min(BLOCK_ROWS, index.facts.vectors - start))
        product_row_N = index.product_row_N[start : start + len(block_ND)]
        scores_QK, products_QK = topk_products(query_QD, block_ND, product_row_N, DEPTH)
        for known, scores, products in zip(best, scores_QK.tolist(), products_QK, strict=True):
            for score, product in zip(scores, products.tolist(), strict=True):
                if product != NO_ROW:
                    known[product] = max(score, known.get(product, score))
    return [sorted(known.values(), reverse=True)[:DEPTH] for known in best]


def prove_encoder(index: Index, encoder: Encoder, catalog: Catalog | None = None) -> None:
    """Raises IndexMismatch unless today's code and weights give the vectors that the index holds.

    Texts of the sample are encoded afresh, and with `catalog` its first pictures too. A changed
    resize or tokenizer is caught here even where every fingerprint agrees.
    """
    probes = load_probes(index.folder)
    fresh_QD = embed_texts(encoder, [str(text) for text in probes["texts"]])
    _prove_same(index, fresh_QD, probes["text_vectors"], "texts")
    if catalog is None or not catalog.n_images:
        return
    batches = image_features(encoder, catalog, 0, min(8, catalog.n_products), "vector", batch=8)
    pictures = np.concatenate([np.asarray(batch.arrays["vector"]) for batch in batches])
    stored = [index.vector(row) for row in range(len(pictures))]
    _prove_same(index, pictures, np.array(stored), "pictures")


def _prove_same(
    index: Index, fresh_QD: NDArray[np.float32], stored_QD: NDArray[np.float32], what: str
) -> None:
    cosines = (fresh_QD.astype(np.float32) * stored_QD).sum(axis=1)
    if len(cosines) and cosines.min() < LEAST_COSINE:
        raise IndexMismatch(
            f"{index.folder}: the encoder gives other vectors for its sample of {what} "
            f"(cosine {cosines.min():.4f}); build the index anew with this code and matcher"
        )
