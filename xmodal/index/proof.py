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
from xmodal.retrieval.topk import topk_products

DEPTH = 10
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
    gallery_ND = index.vectors.reconstruct_n(0, index.facts.vectors)
    if index.facts.text_rows:
        mark = np.full((len(query_QD), 1), -index.facts.text_offset[kind], dtype=np.float32)
        query_QD = np.hstack([query_QD, mark])
    scores_QK, _ = topk_products(query_QD, gallery_ND, index.product_row_N, DEPTH)
    found = total = 0
    for query, padded_K in zip(query_QD, scores_QK, strict=True):
        exact_K = padded_K[np.isfinite(padded_K)]
        hits = index.search(query[: index.facts.dim], len(exact_K), kind=kind)
        # By score, so that which of two equal products is named does not matter.
        found += int((hits.scores[: len(exact_K)] >= exact_K[-1] - 1e-5).sum())
        total += len(exact_K)
    return found / max(total, 1)


def prove_encoder(index: Index, encoder: Encoder, catalog: Catalog | None = None) -> None:
    """Raises IndexMismatch unless today's code and weights give the vectors that the index holds.

    Texts of the sample are encoded afresh, and with `catalog` its first pictures too. A changed
    resize or tokenizer is caught here even where every fingerprint agrees.
    """
    probes = load_probes(index.folder)
    fresh_QD = np.asarray(embed_texts(encoder, [str(text) for text in probes["texts"]], 8))
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
