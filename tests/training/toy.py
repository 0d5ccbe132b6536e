"""A toy run on disk: eight kinds of pictures with captions, cached features, a plan for workers."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from tests.factories import tiny_encoder, tiny_text, tiny_tokenizer
from xmodal.matcher.image_tower import make_timm
from xmodal.matcher.saved import load_encoder, save_encoder
from xmodal.retrieval.embed import embed_texts
from xmodal.retrieval.store import FeatureBatch, Plan, begin_store, finish_store, write_shard
from xmodal.settings import TrainingSettings
from xmodal.training.captions import build_table
from xmodal.training.held_out import ValSet
from xmodal.training.prepare import TrainPlan
from xmodal.training.texts import write_texts

COLOURS = {"red": (200, 20, 20), "blue": (20, 20, 200), "green": (20, 160, 20), "grey": (99,) * 3}
KINDS = ("shoe", "bag")
PRODUCTS = 48
TRAINING = TrainingSettings(
    epochs=3, batch=8, learning_rate=3e-3, word_dropout=0.2, warmup_share=0.1, patience=3
)


def make_plan(folder: Path, dropout: float = 0.0, **training: object) -> TrainPlan:
    """Write a toy run's inputs to `folder`, once, and return its plan."""
    products = np.arange(PRODUCTS)
    kinds = [f"{colour} {kind}" for colour in COLOURS for kind in KINDS]
    titles = [f"{kinds[p % 8]} {['old', 'new'][p // 8 % 2]}" for p in products]
    texts = sorted(set(titles))
    if not (folder / "data").exists():
        encoder = tiny_encoder(texts)
        save_encoder(encoder, folder / "start")
        encoder = load_encoder(folder / "start")
        write_texts(folder / "texts", texts, lambda part: embed_texts(encoder, part, what="trunk"))
        _write_images(folder / "images", encoder, products)
        _write_data(folder / "data", titles, texts)
    return TrainPlan(
        encoder=str(folder / "start"),
        images=str(folder / "images"),
        texts=str(folder / "texts"),
        data=str(folder / "data"),
        training=TRAINING.model_copy(update=training).model_dump(),
        dropout=dropout,
        seed=0,
        catalog="toy",
        facts={},
    )


def _write_images(folder: Path, encoder, products) -> None:
    folder.mkdir(parents=True)
    plan = Plan("trunk", "toy", "toy", len(products))
    rng = np.random.default_rng(0)
    pixels = np.full((len(products), 3, 32, 32), 255, dtype=np.uint8)
    for p in products:
        colour = np.array(list(COLOURS.values())[p % 8 // 2], dtype=np.uint8)
        height = (10, 26)[p % 2]
        pixels[p, :, 3 : 3 + height, 4:28] = colour[:, None, None]
    pixels -= rng.integers(0, 20, pixels.shape, dtype=np.uint8)
    trunk = encoder.image_trunk(torch.from_numpy(pixels))
    arrays = {name: x.half().numpy() for name, x in trunk.items()}
    begin_store(folder, plan)
    write_shard(folder, 0, [FeatureBatch(products, np.zeros_like(products), arrays)])
    finish_store(folder, plan)


def _write_data(folder: Path, titles: list[str], texts: list[str]) -> None:
    train = [p for p in range(PRODUCTS) if p % 6]
    pairs = pa.table(
        {
            "text": [titles[p] for p in train],
            "product_row": pa.array(train, pa.int64()),
            "weight": pa.array([1.0] * len(train), pa.float32()),
            "source": ["title"] * len(train),
        }
    )
    number = {text: row for row, text in enumerate(texts)}
    none = pa.array([[]] * PRODUCTS, type=pa.map_(pa.string(), pa.string()))
    folder.mkdir(parents=True)
    build_table(pairs, number, np.arange(PRODUCTS), none).save(folder)
    qrels: dict[str, dict[str, int]] = {}
    for p in range(0, PRODUCTS, 6):
        alike = range(p % 8, PRODUCTS, 8)  # all of its kind, which pictures can tell
        qrels[titles[p]] = {f"p{other}": 1 for other in alike}
    ValSet(
        query_ids=list(qrels),
        query_rows=[number[query] for query in qrels],
        gallery_rows=list(range(PRODUCTS)),
        gallery_products=list(range(PRODUCTS)),
        product_ids={str(p): f"p{p}" for p in range(PRODUCTS)},
        qrels=qrels,
    ).save(folder / "val.json")


def tiny_base(folder: Path) -> str:
    """The id of a base of two tiny towers with random weights, saved in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.save(make_timm("test_efficientnet", (32, 32)).state_dict(), folder / "image.pt")
    tiny_text().model.save_pretrained(folder / "text")
    tiny_tokenizer().save_pretrained(folder / "text")
    return f"towers:test_efficientnet@{folder}/image.pt+{folder}/text"
