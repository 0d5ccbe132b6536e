"""Tiny shops for tests: an ingested catalogue, a matcher, an index, a release, all real."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tests.factories import CAPTIONS, make_picture, tiny_encoder
from xmodal.catalog.schema import PAIR, PRODUCT
from xmodal.catalog.store import Catalog, Manifest, Part, open_catalog
from xmodal.fingerprint import of_file, of_json
from xmodal.index.build import MeasureWords, build_index
from xmodal.index.version import Index
from xmodal.matcher.calibration import Calibration, Familiar, Scale
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.reranker import Reranker, RerankerSpec
from xmodal.matcher.saved import read_facts, save_matcher
from xmodal.registry.pointer import MatcherVersion, Release, make_release, move_pointer
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.store import FeatureStore, Plan
from xmodal.storage import write_json_atomic

COLOURS, KINDS = ("red", "blue", "green"), ("shoe", "shirt", "bag")


def product_row(number: int, pictures: int = 1) -> dict[str, object]:
    """One product of the schema: its title, colour and kind follow from `number`."""
    colour, kind = COLOURS[number % 3], KINDS[number // 3 % 3]
    return {
        "product_id": f"p{number:03d}",
        "title": f"{colour} {kind}",
        "images": [make_picture(number * 10 + picture) for picture in range(pictures)],
        "attributes": [("colour", colour), ("kind", kind)],
        "description": "",
        "price": float(number),
        "url": "",
        "lang": "en",
        "split": ("train", "train", "val", "dev")[number % 4],
    }


def write_catalog(folder: Path, rows: Sequence[dict[str, object]]) -> Catalog:
    """An ingested catalogue of these rows, without pairs and judged queries."""
    (folder / "products").mkdir(parents=True)
    part = folder / "products" / "part-00000.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows), PRODUCT), part, row_group_size=8)
    pq.write_table(PAIR.empty_table(), folder / "pairs.parquet")
    n_images = sum(len(row["images"]) for row in rows)  # type: ignore[arg-type]
    Manifest(
        id=folder.name,
        fingerprint=of_file(part),
        source=str(folder),
        n_products=len(rows),
        n_images=n_images,
        counts={},
        parts=[Part(part.name, len(rows))],
        n_pairs=0,
        quarantine={},
        made_val=False,
        made_queries={},
        n_queries={},
        straddling={},
    ).write(folder)
    return open_catalog(folder)


def tiny_catalog(folder: Path, products: int = 24) -> Catalog:
    """Products with one picture, but for p001 with three, and the last two without any."""
    pictures = [3 if n == 1 else 0 if n >= products - 2 else 1 for n in range(products)]
    return write_catalog(folder, [product_row(n, count) for n, count in enumerate(pictures)])


def embed(catalog: Catalog, encoder: Encoder, folder: Path) -> FeatureStore:
    """Vectors and tokens of a catalogue, in this process."""
    plan = Plan("vector+tokens", folder.name, catalog.manifest.fingerprint, catalog.n_products)
    folder.mkdir(parents=True, exist_ok=True)
    return embed_here(encoder, catalog, folder, plan)


def tiny_index(
    folder: Path,
    catalog: Catalog,
    encoder: Encoder,
    fingerprint: str = "e0",
    measure_words: MeasureWords | None = None,
) -> Index:
    """An index of `catalog` below `folder`."""
    store = embed(catalog, encoder, folder / f"store-{fingerprint}")
    indexes = folder / "indexes"
    return build_index(store, catalog, encoder, fingerprint, indexes, measure_words=measure_words)


def tiny_home(home: Path, products: int = 24) -> Release:
    """A home with a catalogue, a matcher of random weights, its index, and a release of them."""
    catalog = tiny_catalog(home / "catalogs" / "c1", products)
    write_json_atomic(home / "catalog.json", {"source": "made here", "current": "c1"})
    return add_release(home, catalog, seed=0)


def add_release(
    home: Path, catalog: Catalog, seed: int, measure_words: MeasureWords | None = None
) -> Release:
    """Another matcher (by `seed`), its index, and the pointer moved to both."""
    folder = home / "runs" / f"run{seed}" / "matcher"
    encoder = tiny_encoder(CAPTIONS, seed=seed)
    save_matcher(folder, encoder, tiny_reranker(encoder, seed), calibration=tiny_calibration())
    fingerprint = read_facts(folder).encoder
    index = tiny_index(home, catalog, encoder, fingerprint, measure_words)
    matcher = MatcherVersion("xmodal", str(seed + 1), str(folder.relative_to(home)), fingerprint)
    release = make_release(
        home,
        matcher,
        index=index.facts.id,
        catalog=catalog.manifest.id,
        settings=of_json({}),
        gate={"verdict": "first"},
    )
    move_pointer(home, release)
    return release


def tiny_calibration(threshold: float = -100.0) -> Calibration:
    """The log odds of a hit are its score; the best score is the evidence of a match."""
    scale = Scale((0.0, 1.0, 0.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0, 0.0), threshold)
    # Without captions every nearness is 0, far above this mean: no query is unfamiliar.
    return Calibration(scale, scale, Familiar(-1e9, 1.0, np.zeros((0, 16), np.float32)), 0.05)


def tiny_reranker(encoder: Encoder, seed: int = 0) -> Reranker:
    """A reranker of random weights that counts as much as the first stage."""
    torch.manual_seed(seed)
    spec = RerankerSpec(encoder.dim, len(encoder.vocabulary), pictures=5, words=4, bank=5)
    reranker = Reranker(spec)
    reranker.weights[:] = torch.tensor([0.0, 0.0, 1.0])
    return reranker
