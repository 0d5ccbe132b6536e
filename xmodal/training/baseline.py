"""The base: what a user has before tuning. Zero-shot for a dual encoder, closed form for towers."""

from pathlib import Path

import numpy as np
import torch

from xmodal.catalog.store import Catalog
from xmodal.fingerprint import code_version, of_json
from xmodal.matcher.closed_form import Pairs, fit_closed_form
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import load_encoder, read_facts, save_matcher
from xmodal.matcher.towers import Towers
from xmodal.retrieval.embed import open_store
from xmodal.settings import Settings
from xmodal.training.captions import Ints, load_table
from xmodal.training.finish import fit_tokens
from xmodal.training.held_out import load_valset
from xmodal.training.prepare import TrainPlan, load_plan
from xmodal.training.texts import TextStore

# Pairs for the linear maps; 1,700 features are settled long before.
MOST_PAIRS = 50_000
_TEXTS = 256  # read at once


def make_base(home: Path, catalog: Catalog, settings: Settings, run: str) -> Path:
    """Save the base matcher in `<home>/base/matcher`, unless it is there, and return that folder.

    It stands on the cached features of `run`, which has been prepared.
    """
    folder = home / "base" / "matcher"
    made_of = {"matcher": of_json(settings.matcher.model_dump(mode="json")), "seed": settings.seed}
    if (folder / "matcher.json").exists():
        facts = read_facts(folder)
        if facts.data == catalog.manifest.fingerprint and facts.settings == made_of:
            return folder
    plan = load_plan(home / "runs" / run)
    encoder = load_encoder(Path(plan.encoder))
    if isinstance(encoder, Towers):
        encoder = _closed_form(encoder, plan)
    fit_tokens(encoder, plan)
    facts = Facts(catalog.manifest.fingerprint, "base", code_version(), made_of)
    save_matcher(folder, encoder, None, facts)
    return folder


def _closed_form(encoder: Towers, plan: TrainPlan) -> Encoder:
    """Linear maps fitted on one drawn caption and picture of each train product."""
    images, texts = open_store(Path(plan.images)), TextStore(Path(plan.texts))
    table = load_table(Path(plan.data))
    rng = np.random.default_rng(plan.seed)
    caption_P = table.draw_captions(rng.random(len(table)))
    image_P = table.draw_images(rng.random(len(table)))
    chosen = np.sort(rng.permutation(len(table))[:MOST_PAIRS])

    def pairs(text_rows: Ints, image_rows: Ints) -> Pairs:
        base_NF = torch.from_numpy(images.take(image_rows, ["base_BF"])["base_BF"])
        return Pairs(_sentences(encoder, texts, text_rows), base_NF)

    train = pairs(table.caption_text[caption_P[chosen]], image_P[chosen])
    valset = load_valset(Path(plan.data) / "val.json")
    place = {
        valset.product_ids[str(product)]: row
        for product, row in zip(valset.gallery_products, valset.gallery_rows, strict=True)
    }
    relevant = [
        place[min(product for product, grade in valset.qrels[query].items() if grade > 0)]
        for query in valset.query_ids
    ]
    val = pairs(np.array(valset.query_rows), np.array(relevant))
    return fit_closed_form(encoder, train, val).encoder


@torch.inference_mode()
def _sentences(encoder: Towers, texts: TextStore, rows: Ints) -> torch.Tensor:
    """Sentence features (N, S) of the untuned text tower."""
    parts = []
    for start in range(0, len(rows), _TEXTS):
        taken = texts.take(rows[start : start + _TEXTS])
        parts.append(encoder.sentence({name: torch.from_numpy(x) for name, x in taken.items()}))
    return torch.cat(parts)
