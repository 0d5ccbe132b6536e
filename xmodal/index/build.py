"""Build an index version from embedded rows: write beside, prove, publish by one rename.

    FeatureStore (vectors, tokens) + Catalog + encoder -> <indexes>/<id>/

The same inputs give the same id; a version that is there and whole is opened, not built again.
Shapes: N vector rows, P products, D embedding size.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.errors import IndexDamaged, IndexMismatch
from xmodal.fingerprint import code_version, of_file, of_json
from xmodal.index.facets import write_facets
from xmodal.index.layout import (
    FACTS,
    FILES,
    FORMAT,
    PROBES,
    ROWS,
    SCALES,
    TOKENS,
    VECTORS,
    IndexFacts,
)
from xmodal.index.lexical import own_found, write_words
from xmodal.index.offset import NO_OFFSET, measure_offset
from xmodal.index.products import write_products
from xmodal.index.proof import measure_recall, prove_encoder
from xmodal.index.version import Index, open_index, self_found
from xmodal.matcher.encoder import Encoder
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.storage import publish, write_json_atomic

BLOCK_ROWS = 8192
SAMPLE = 256
PROBE_TEXTS = 8
LEAST_SELF_FOUND = 0.99

MeasureWords = Callable[[Index, Encoder, Catalog], Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Rows:
    """The vector rows: every picture in catalogue order, then titles of products without one."""

    store: FeatureStore
    text_ND: NDArray[np.float32]
    text_product_N: NDArray[np.int64]

    @property
    def product_row_N(self) -> NDArray[np.int64]:
        """The product of each row."""
        return np.concatenate([np.asarray(self.store.product_row, np.int64), self.text_product_N])

    def blocks(self) -> Iterator[dict[str, NDArray[np.generic]]]:
        """Pictures' vectors and tokens, a block at a time."""
        for start in range(0, self.store.rows, BLOCK_ROWS):
            yield self.store.take(np.arange(start, min(start + BLOCK_ROWS, self.store.rows)))


def build_index(
    store: FeatureStore,
    catalog: Catalog,
    encoder: Encoder,
    encoder_fingerprint: str,
    indexes: Path,
    *,
    measure_words: MeasureWords | None = None,
) -> Index:
    """Publish `<indexes>/<id>` and return it opened; a damaged one in its place is replaced.

    Args:
        store: what="vector+tokens" of every picture of `catalog`, made by `encoder`.
        measure_words: says what words add to the vectors, by kind of query, for the facts.

    Raises:
        IndexDamaged: `store` was not made by this encoder of this catalogue.
        StorageError: the disk is full; nothing is left under the version's name.
    """
    key = [FORMAT, encoder_fingerprint, catalog.manifest.fingerprint, code_version()]
    folder = indexes / of_json(key)
    if folder.exists():
        with suppress(IndexDamaged, IndexMismatch):  # then it is built anew, over the damaged one
            return open_index(folder, encoder_fingerprint)
    rows = _rows(store, catalog, encoder, catalog.products(["title"])["title"])
    with publish(folder) as beside:
        beside.mkdir(parents=True, exist_ok=True)
        facts = _write(
            beside, folder.name, rows, catalog, encoder, encoder_fingerprint=encoder_fingerprint
        )
        index = Index(beside, facts)
        facts = replace(facts, self_found=self_found(index), recall=measure_recall(index))
        if facts.self_found < LEAST_SELF_FOUND:
            found = f"{facts.self_found:.0%}"
            raise IndexDamaged(f"only {found} of the sample's products find themselves")
        prove_encoder(index, encoder, catalog)
        hybrid = measure_words(index, encoder, catalog) if measure_words else {}
        facts = _with_words(facts, index, hybrid)
        write_json_atomic(beside / FACTS, facts.as_json())
    return open_index(folder, encoder_fingerprint)


def _with_words(facts: IndexFacts, index: Index, hybrid: Mapping[str, Any]) -> IndexFacts:
    if index.words is None:
        return facts
    return replace(facts, words_found=own_found(index.words, index.products), hybrid=hybrid)


def _rows(store: FeatureStore, catalog: Catalog, encoder: Encoder, titles: pa.ChunkedArray) -> Rows:
    if store.rows != catalog.n_images:
        raise IndexDamaged(
            f"{store.rows} pictures embedded, the catalogue has {catalog.n_images}; embed again"
        )
    pictured = np.zeros(catalog.n_products, dtype=bool)
    pictured[np.asarray(store.product_row)] = True
    bare = np.flatnonzero(~pictured)
    texts = titles.take(pa.array(bare)).to_pylist()
    text_ND = embed_texts(encoder, texts)
    return Rows(store, text_ND, bare.astype(np.int64))


def _write(
    beside: Path,
    name: str,
    rows: Rows,
    catalog: Catalog,
    encoder: Encoder,
    *,
    encoder_fingerprint: str,
) -> IndexFacts:
    """Write all files but the facts; returns the facts, recall and self-find still open."""
    attributes = write_products(beside, catalog.products())
    write_facets(beside, attributes)
    titles = catalog.products(["title"])["title"].to_pylist()
    names = (*FILES, *write_words(beside, titles, attributes))
    product_row_N = rows.product_row_N
    np.save(beside / ROWS, product_row_N)
    _write_vectors(beside, rows, encoder.dim)
    _write_probes(beside, rows, catalog, encoder)
    return IndexFacts(
        id=name,
        format=FORMAT,
        encoder=encoder_fingerprint,
        catalog=catalog.manifest.fingerprint,
        catalog_id=catalog.manifest.id,
        code=code_version(),
        dim=encoder.dim,
        products=catalog.n_products,
        vectors=len(product_row_N),
        text_rows=len(rows.text_product_N),
        text_offset=_offsets(rows, catalog, encoder),
        recall={},
        self_found=0.0,
        files={file: of_file(beside / file) for file in names},
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _write_vectors(beside: Path, rows: Rows, dim: int) -> None:
    """The FAISS file and the token store in one pass over the shards.

    With texts in the gallery a row has one coordinate more, 1 for a text and 0 for a picture: a
    query whose last coordinate is minus the offset then gets it taken off, inside the search.
    """
    marked = len(rows.text_product_N) > 0
    vectors = faiss.IndexFlatIP(dim + marked)
    total, filled = len(rows.product_row_N), 0
    first = rows.store.take(np.arange(1)) if rows.store.rows else {"tokens": np.zeros((1, 16, 128))}
    row_shape = first["tokens"].shape[1:]
    header = {"descr": "|i1", "fortran_order": False, "shape": (total, *row_shape)}
    scales = np.zeros(total, dtype=np.float32)
    # Written, not mapped: on a full disk a write is an error, a mapped page is a SIGBUS.
    with (beside / TOKENS).open("wb") as tokens:
        np.lib.format.write_array_header_1_0(tokens, header)
        for block in rows.blocks():
            vector_BD = block["vector"].astype(np.float32)
            vectors.add(np.pad(vector_BD, ((0, 0), (0, int(marked)))))
            tokens.write(block["tokens"].astype(np.int8).tobytes())
            scales[filled : filled + len(vector_BD)] = block["scale"]
            filled += len(vector_BD)
        # Texts have no tokens: a hole in the file reads as zeros.
        tokens.truncate(tokens.tell() + (total - filled) * math.prod(row_shape))
    if marked:
        vectors.add(np.pad(rows.text_ND, ((0, 0), (0, 1)), constant_values=1.0))
    np.save(beside / SCALES, scales)
    faiss.write_index(vectors, str(beside / VECTORS))


def _write_probes(beside: Path, rows: Rows, catalog: Catalog, encoder: Encoder) -> None:
    """An even sample of pictures, their rows and products; a few texts; the vectors of both."""
    sample = np.unique(np.linspace(0, max(rows.store.rows - 1, 0), SAMPLE).astype(np.int64))
    sample = sample[: rows.store.rows]
    products = catalog.products(["product_id", "title"])
    of = products.take(pa.array(rows.product_row_N[sample]))
    texts = [text for text in of["title"].to_pylist() if text][:PROBE_TEXTS] or ["red shoe"]
    vectors = rows.store.take(sample)["vector"] if len(sample) else np.zeros((0, encoder.dim))
    np.savez(
        beside / PROBES,
        rows=sample,
        product_ids=np.array(of["product_id"].to_pylist(), dtype=np.str_),
        vectors=vectors.astype(np.float32),
        texts=np.array(texts, dtype=np.str_),
        text_vectors=embed_texts(encoder, texts),
    )


def _offsets(rows: Rows, catalog: Catalog, encoder: Encoder) -> dict[str, float]:
    """The offsets for text and image queries, measured on pictured products of `val`."""
    if not len(rows.text_product_N):
        return dict(NO_OFFSET)
    products = catalog.products(["title", "split"])
    product_row = np.asarray(rows.store.product_row)
    held_out = np.asarray(pa.compute.equal(products["split"], "val"))
    titled = np.asarray(pa.compute.not_equal(products["title"], ""))
    _, first = np.unique(product_row, return_index=True)
    chosen = first[(held_out & titled)[product_row[first]]][:1000]
    image_PD = rows.store.take(chosen)["vector"].astype(np.float32)
    titles = products["title"].take(pa.array(product_row[chosen])).to_pylist()
    title_PD = embed_texts(encoder, titles)
    own = np.arange(len(chosen))
    return {
        "text": measure_offset(title_PD, own, image_PD, title_PD),
        "image": measure_offset(image_PD, own, image_PD, title_PD),
    }
