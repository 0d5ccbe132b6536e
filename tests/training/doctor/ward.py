"""A small shop drawn for the doctor, and its run: data and settings in, findings out.

Everything that ails a run here enters by the shop's folder or by its settings.
"""

import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from tests.shops import Row, take_in, write_csv
from xmodal.catalog.store import Catalog
from xmodal.findings import Finding
from xmodal.matcher.saved import load_encoder
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.store import Plan
from xmodal.settings import Settings
from xmodal.training.doctor.before import examine
from xmodal.training.doctor.during import follow
from xmodal.training.prepare import TrainPlan, prepare
from xmodal.training.worker import train_worker

COLOURS = {
    "red": (200, 20, 30),
    "blue": (30, 40, 200),
    "green": (20, 150, 40),
    "yellow": (230, 210, 40),
    "black": (20, 20, 20),
    "pink": (240, 140, 180),
}
SHAPES = ("ball", "box", "kite", "ring", "bar")
CHINESE = {
    "red": "红色", "blue": "蓝色", "green": "绿色", "yellow": "黄色", "black": "黑色",
    "pink": "粉色", "ball": "圆球", "box": "方盒", "kite": "风筝", "ring": "圆环", "bar": "长条",
}  # fmt: skip
SIDE = 40


@dataclass(frozen=True)
class Good:
    """One product: what it is, and its pictures."""

    colour: str
    shape: str
    size: str
    pictures: tuple[Image.Image, ...]

    @property
    def title(self) -> str:
        return f"{self.size} {self.colour} {self.shape}"


def goods(count: int, seed: int = 0, pictures: int = 1) -> list[Good]:
    """`count` products, drawn."""
    rng = random.Random(seed)
    return [_good(rng, pictures) for _ in range(count)]


def rows_of(made: Sequence[Good], folder: Path, title: Callable[[Good], str] = lambda g: g.title):
    """Rows of a shop's CSV; its pictures are written below `folder`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    return [_row(number, good, folder, title(good)) for number, good in enumerate(made)]


def settings_for(base: str, **changes: object) -> Settings:
    """A short run with the tiny base; `changes` by dotted name with `__`."""
    tree: dict[str, dict[str, object]] = {
        "matcher": {"base": base, "dim": 32, "image_size": [32, 32], "dropout": 0.1},
        "training": {"epochs": 2, "batch": 32, "workers": 1, "learning_rate": 5e-3},
        "catalog": {"val_share": 0.2},
    }
    for name, value in changes.items():
        branch, _, leaf = name.partition("__")
        tree[branch][leaf] = value
    return Settings.model_validate(tree)


def take(folder: Path, rows: Sequence[Row], settings: Settings) -> Catalog:
    """The shop of these rows, taken in."""
    given = settings.catalog.model_dump(include={"val_share", "queries"})
    return take_in(write_csv(folder / "shop", rows), folder / "home", **given).catalog


def admit(folder: Path, catalog: Catalog, settings: Settings, run: str = "run") -> "Patient":
    """A run on that shop, prepared."""
    plan = prepare(folder / "home", catalog, settings, run, _embed(catalog))
    return Patient(plan, catalog, folder / "home" / "runs" / run)


@dataclass(frozen=True)
class Patient:
    """A prepared run."""

    plan: TrainPlan
    catalog: Catalog
    folder: Path

    def before(self) -> set[str]:
        """Names of what is found before the first step."""
        return names(examine(self.plan, self.catalog, self.folder))

    def during(self) -> set[str]:
        """Names of what is found after all epochs, by the plain loop."""
        torch.set_num_threads(1)
        history = train_worker(
            self.plan, torch.device("cpu"), lambda model: model, lambda *_: None
        ).progress.history
        return names(follow(history, self.plan, self.folder))


def names(findings: Sequence[Finding]) -> set[str]:
    return {finding.name for finding in findings}


def clip_base(
    folder: Path,
    mean: Sequence[float] = open_clip.OPENAI_DATASET_MEAN,
    std: Sequence[float] = open_clip.OPENAI_DATASET_STD,
    log_scale: float | None = None,
) -> str:
    """The id of a tiny open_clip model with random weights, in the hub's own layout."""
    folder.mkdir(parents=True)
    vision = {"image_size": 32, "timm_model_name": "test_efficientnet", "timm_proj": "linear"}
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    parts = {"vision_cfg": vision | {"timm_pool": "avg"}, "text_cfg": text}
    document = {
        "model_cfg": {"embed_dim": 32, **parts},
        "preprocess_cfg": {"mean": list(mean), "std": list(std), "resize_mode": "squash"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    if log_scale is not None:
        state["logit_scale"] = torch.tensor(log_scale)
    save_file(state, folder / "open_clip_model.safetensors")
    return f"open_clip:{folder}"


def _embed(catalog: Catalog):
    def embed(encoder: Path, out: Path, key: str):
        out.mkdir(parents=True, exist_ok=True)
        plan = Plan("trunk", key, catalog.manifest.fingerprint, catalog.n_products)
        return embed_here(load_encoder(encoder), catalog, out, plan)

    return embed


def _good(rng: random.Random, pictures: int) -> Good:
    colour, shape = rng.choice(list(COLOURS)), rng.choice(SHAPES)
    reach = rng.choice((7, 13))
    drawn = tuple(_draw(rng, colour, shape, reach) for _ in range(pictures))
    return Good(colour, shape, "small" if reach == 7 else "large", drawn)


def _draw(rng: random.Random, colour: str, shape: str, reach: int) -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE), (250, 250, 250))
    draw = ImageDraw.Draw(picture)
    x, y = (SIDE // 2 + rng.randint(-4, 4) for _ in range(2))
    shade = tuple(max(0, min(255, level + rng.randint(-12, 12))) for level in COLOURS[colour])
    box = (x - reach, y - reach, x + reach, y + reach)
    if shape == "ball":
        draw.ellipse(box, fill=shade)
    elif shape == "box":
        draw.rectangle(box, fill=shade)
    elif shape == "kite":
        draw.polygon([(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)], fill=shade)
    elif shape == "ring":
        draw.ellipse(box, outline=shade, width=4)
    else:
        draw.rectangle((x - reach, y - 3, x + reach, y + 3), fill=shade)
    return picture


def _row(number: int, good: Good, folder: Path, title: str) -> Row:
    paths = []
    for place, picture in enumerate(good.pictures):
        paths.append(f"images/{number:05d}-{place}.png")
        file = io.BytesIO()
        picture.save(file, "PNG")
        (folder / paths[-1]).write_bytes(file.getvalue())
    return {"product_id": f"p{number:05d}", "image": "|".join(paths), "title": title}
