"""Judged contenders of known skill: each picture's vector is that of a text that we choose."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.catalogs import make_catalog
from tests.factories import tiny_encoder
from xmodal.catalog.store import Catalog
from xmodal.evaluation.judge import Contender, evaluate
from xmodal.evaluation.sections import Judged
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import Matcher
from xmodal.retrieval.embed import embed_texts
from xmodal.retrieval.store import FeatureBatch, Plan, begin_store, finish_store, write_shard
from xmodal.settings import Settings

SETTINGS = Settings.model_validate({"evaluation": {"bootstrap": 200}})
Products = Sequence[dict[str, object]]


def judged_as(
    folder: Path,
    products: Products,
    queries: dict[str, dict[str, int]],
    shown_as: Callable[[dict[str, object]], str],
    *,
    hears: Callable[[str], str] = str,
    part: str = "dev",
) -> Judged:
    """One contender, `tuned`, for whom a product's picture means the text `shown_as(product)`.

    `hears` is what the encoder makes of a query's text before it reads it.
    """
    catalog = make_catalog(folder / "catalog", products, {part: queries})
    encoder = tiny_encoder([shown_as(product) for product in products] + list(queries))
    contender = _contender(folder / "store", encoder, catalog, [shown_as(p) for p in products])
    read = encoder.inputs.texts
    encoder.inputs.texts = lambda texts: read([hears(text) for text in texts])
    found = evaluate([contender], catalog, [part], SETTINGS)
    return Judged([contender], catalog, found, SETTINGS)


def _contender(folder: Path, encoder: Encoder, catalog: Catalog, means: list[str]) -> Contender:
    folder.mkdir(parents=True)
    rows = np.arange(len(means))
    plan = Plan("vector", "planted", catalog.manifest.fingerprint, len(means))
    begin_store(folder, plan)
    arrays = {"vector": embed_texts(encoder, means)}
    write_shard(folder, 0, [FeatureBatch(rows, np.zeros_like(rows), arrays)])
    return Contender("tuned", Matcher(encoder, None, Facts()), finish_store(folder, plan))
