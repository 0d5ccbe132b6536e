"""What a run needs before its first step: the untuned encoder, cached features, pairs, `val`.

    catalog -> make_encoder -> features below the trained part (cached once) -> pair table -> plan

Everything is in files with absolute paths, so that workers anywhere open it, memory-mapped.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from xmodal import fingerprint
from xmodal.catalog.store import Catalog
from xmodal.errors import CatalogError, SettingsError
from xmodal.matcher.adapters import AdapterKind, add_adapters
from xmodal.matcher.averaging import check_interpolation
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.families import make_encoder
from xmodal.matcher.saved import load_encoder, save_encoder
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.settings import MatcherSettings, Settings
from xmodal.storage import publish, read_json, write_json_atomic
from xmodal.training.batches import MIN_STEPS, passes_of, steps_of
from xmodal.training.captions import PairTable, build_table
from xmodal.training.clues import CLUES, write_clues
from xmodal.training.held_out import GALLERY, ValSet, build_valset, sample_queries
from xmodal.training.noise import with_variants
from xmodal.training.passes import check_passes
from xmodal.training.pseudo import pseudo_facts, with_pseudo
from xmodal.training.recipe import derived, reasons
from xmodal.training.teacher import EmbedTeacher, write_teacher
from xmodal.training.texts import TextStore, write_texts

PLAN_FILE = "plan.json"
NO_MATTER = ("doctor", "retries")  # settings that do not shape what is learnt
CLAIM_FILE = "run.json"
SAMPLE_PICTURES = 64
SETTLE_PICTURES = 4_096
TEXT_BATCH = 64
TEXT_SHARE = 0.5  # of the time that caching takes, where texts and pictures are as many
EmbedImages = Callable[[Path, Path, str], FeatureStore]  # encoder, store, key
Progress = Callable[[float], None]
ChooseSize = Callable[[Path, Encoder], tuple[int, int] | None]  # run, encoder at its derived size


@dataclass(frozen=True)
class TrainPlan:
    """Where a worker finds what it needs, and what it is to do with it. Plain values: for Ray."""

    encoder: str  # folder of the untuned encoder
    images: str  # feature store
    texts: str  # text store
    data: str  # pair table and val set
    training: dict[str, Any]  # TrainingSettings
    dropout: float
    seed: int
    catalog: str  # fingerprint
    facts: dict[str, str]  # what was derived, and from what
    resume: str = ""  # folder of a checkpoint of a shorter run, to go on from
    teacher: str = ""  # its vectors, where there is one
    adapter: AdapterKind = "none"
    adapter_rank: int = 0

    def as_config(self) -> dict[str, Any]:
        """Return the plan as Ray Train's loop config."""
        return asdict(self)


def load_plan(folder: Path) -> TrainPlan:
    """The plan that `prepare` left in a run's folder."""
    value = read_json(folder / PLAN_FILE)
    assert isinstance(value, dict)
    return TrainPlan(**value)


def prepare(
    home: Path,
    catalog: Catalog,
    settings: Settings,
    run: str,
    embed_images: EmbedImages,
    *,
    embed_teacher: EmbedTeacher | None = None,
    choose_size: ChooseSize = lambda *_: None,
    progress: Progress = lambda _: None,
) -> TrainPlan:
    """Make, or find made, what a run needs, and leave its plan in the run's folder.

    `progress` is told of the texts, TEXT_SHARE in all: `embed_images` tells the rest.

    Raises:
        SettingsError: the run exists with other settings, or the catalogue lacks what they need.
        MatcherError: the base cannot be opened, cannot be adapted, or there is no such teacher.
        CatalogError: no pair of `train` has a picture, or nothing can pick a checkpoint.
    """
    pairs = _train_pairs(catalog, settings)
    folder = claim_run(home / "runs" / run, catalog, settings)
    given, settings = settings, derived(settings)
    captions = list(dict.fromkeys(pairs["text"].to_pylist()))
    encoder = _first_encoder(folder / "start", catalog, settings, captions, choose_size)
    texts = list(dict.fromkeys([*captions, *(queries := _val_queries(catalog, settings)).values()]))
    number = {text: row for row, text in enumerate(texts)}
    cache = home / "cache" / (key := trunk_fingerprint(encoder, catalog))
    text_folder = cache / f"texts-{_text_key(texts, folder / 'start')}"
    embed_text_store(encoder, text_folder, texts, progress)
    store = embed_images(folder / "start", cache / "images", key)
    pairs, table = _table(catalog, pairs, number, store, settings.training.pseudo_share)
    valset = build_valset(catalog, queries, number, np.asarray(store.product_row), settings.seed)
    _teach(folder / "teacher", settings.training.teacher, texts, embed_teacher)
    _settle(encoder, store, table, settings.seed)
    _save_parts(folder, encoder, table, valset)
    told = write_clues(folder / "data" / CLUES, catalog, (pairs, table, texts), settings.training)
    plan = _plan(folder, catalog, settings, cache / "images", text_folder)
    told |= _facts(table, valset, given, asked=len(queries)) | pseudo_facts(pairs)
    return _leave(folder, replace(plan, facts=told))


def _leave(folder: Path, plan: TrainPlan) -> TrainPlan:
    write_json_atomic(folder / PLAN_FILE, plan.as_config())
    return plan


def _teach(folder: Path, teacher: str | None, texts: list[str], embed: EmbedTeacher | None) -> None:
    if teacher is not None:
        assert embed is not None  # whoever knows the catalogue's cluster gives it
        write_teacher(folder, Path(teacher), texts, embed)


def _val_queries(catalog: Catalog, settings: Settings) -> dict[str, str]:
    limit = settings.evaluation.max_queries
    return sample_queries(catalog.judged("val").queries, limit, settings.seed)


def _save_parts(folder: Path, encoder: Encoder, table: PairTable, valset: ValSet) -> None:
    save_encoder(encoder, folder / "first")
    with publish(folder / "data") as temporary:
        table.save(temporary)
        valset.save(temporary / "val.json")


def claim_run(folder: Path, catalog: Catalog, settings: Settings) -> Path:
    """Note what the run is made of in its folder, and return that; refuse to go on with another.

    Raises:
        SettingsError: naming what differs.
    """
    tree = settings.model_dump(mode="json")
    mine = {
        "catalog": catalog.manifest.fingerprint,
        "seed": settings.seed,
        **{f"matcher.{key}": value for key, value in tree["matcher"].items()},
        **{
            f"training.{key}": value
            for key, value in tree["training"].items()
            if key not in NO_MATTER
        },
        "budget": settings.epoch_budget,
    }
    path = folder / CLAIM_FILE
    if path.exists():
        theirs = read_json(path)
        assert isinstance(theirs, dict)
        odd = sorted(key for key in mine if mine[key] != theirs.get(key))
        if odd:
            raise SettingsError(
                f"run {folder.name!r} was begun with {odd[0]}={theirs.get(odd[0])}, not "
                f"{mine[odd[0]]}: give the run another name with --run, or remove {folder}"
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_json_atomic(path, mine)
    return folder


def trunk_fingerprint(encoder: Encoder, catalog: Catalog) -> str:
    """Fingerprint of the cached features: frozen weights, inputs and catalogue.

    A tuned encoder has the one of the untuned encoder that it came from.
    """
    spec = asdict(encoder.spec)
    del spec["dropout"]
    frozen = [
        fingerprint.of_bytes(weight.detach().contiguous().cpu().numpy().tobytes())
        for _, weight in sorted(encoder.named_parameters())
        if not weight.requires_grad
    ]
    return fingerprint.of_json([spec, frozen, catalog.manifest.fingerprint])


def embed_text_store(
    encoder: Encoder, folder: Path, texts: list[str], progress: Progress
) -> TextStore:
    """The texts' features below the trained part, computed once."""
    return write_texts(
        folder,
        texts,
        lambda chunk: embed_texts(encoder, chunk, TEXT_BATCH, what="trunk"),
        progress=lambda done: progress(TEXT_SHARE * done / len(texts)),
    )


def _first_encoder(
    folder: Path,
    catalog: Catalog,
    settings: Settings,
    captions: list[str],
    choose_size: ChooseSize,
) -> Encoder:
    if not folder.exists():
        images = catalog.images(0, catalog.n_products)
        pictures = [image for _, _, image in islice(images, SAMPLE_PICTURES)]

        def make(matcher: MatcherSettings) -> Encoder:
            torch.manual_seed(settings.seed)  # the new layers' first weights
            return make_encoder(matcher, captions, pictures)

        made = make(settings.matcher)
        if (size := choose_size(folder.parent, made)) is not None:
            made = make(settings.matcher.model_copy(update={"image_size": size}))
        save_encoder(made, folder)
    encoder = load_encoder(folder)
    # On a copy: a base that cannot be adapted is told now, not after an hour of caching.
    add_adapters(deepcopy(encoder), settings.matcher.adapter, settings.matcher.adapter_rank)
    check_interpolation(encoder, settings.training.base_share)
    check_passes(encoder, settings.training)
    return encoder


def _text_key(texts: list[str], encoder: Path) -> str:
    """Fingerprint of the captions, and of the vocabulary that numbers their words."""
    return fingerprint.of_json([texts, fingerprint.of_file(encoder / "vocabulary.json")])


def _plan(
    folder: Path, catalog: Catalog, settings: Settings, images: Path, texts: Path
) -> TrainPlan:
    return TrainPlan(
        encoder=str(folder / "first"),
        images=str(images),
        texts=str(texts),
        data=str(folder / "data"),
        training=settings.training.model_dump(mode="json"),
        dropout=settings.matcher.dropout,
        seed=settings.seed,
        catalog=catalog.manifest.fingerprint,
        facts={},
        teacher=str(folder / "teacher") if settings.training.teacher else "",
        adapter=settings.matcher.adapter,
        adapter_rank=settings.matcher.adapter_rank,
    )


def _settle(encoder: Encoder, store: FeatureStore, table: PairTable, seed: int) -> None:
    """Let the encoder read, before its first step, what its train pictures' features are like."""
    rng = np.random.default_rng(seed)
    size = min(SETTLE_PICTURES, len(table.image_row))
    rows = np.sort(rng.choice(table.image_row, size=size, replace=False))
    encoder.settle({name: torch.from_numpy(x) for name, x in store.take(rows).items()})


def _facts(table: PairTable, valset: ValSet, given: Settings, asked: int) -> dict[str, str]:
    """What was derived from the data and the model, for the summary."""
    training = given.training
    unanswered = asked - len(valset.query_ids)
    passes, steps = passes_of(len(table), training.batch), steps_of(len(table), training.batch)
    why = f"so that an epoch has {MIN_STEPS} steps" if passes > 1 else "enough steps"
    return {
        "train products": f"{len(table):,} with a picture and a caption",
        "captions": f"{len(table.caption_text):,}",
        "epoch": f"{steps} steps of {training.batch} pairs, {passes} pass(es): {why}",
        "val": f"{len(valset.query_ids):,} queries on {len(valset.gallery_rows):,} pictures "
        f"(all of val, and train up to {GALLERY:,})"
        + (f"; {unanswered:,} more ask for no picture that is there" if unanswered else ""),
        **reasons(given.matcher, training),
    }


def _table(
    catalog: Catalog,
    pairs: pa.Table,
    number: Mapping[str, int],
    store: FeatureStore,
    pseudo_share: float,
) -> tuple[pa.Table, PairTable]:
    """The pairs, with those of borrowed titles, and the table made of them."""
    pairs = with_pseudo(catalog, pairs, store, pseudo_share)
    attributes = catalog.products(["attributes"])["attributes"].combine_chunks()
    table = build_table(pairs, number, np.asarray(store.product_row), attributes)
    if not len(table):
        raise _nothing_to_train(catalog)
    return pairs, table


def _train_pairs(catalog: Catalog, settings: Settings) -> pa.Table:
    """The pairs of train, noisy ones too, of a catalogue that can be trained on."""
    catalog.check_trainable()
    pairs = catalog.pairs("train")
    if not len(pairs):
        raise _nothing_to_train(catalog)
    noise, glossary = settings.training.text_noise, catalog.glossary()
    return with_variants(pairs, noise, glossary, settings.seed)


def _nothing_to_train(catalog: Catalog) -> CatalogError:
    return CatalogError(
        f"{catalog.manifest.source}: no product of split train has both a picture and a title or a "
        "judged query; give titles, or map their column with catalog.columns.title"
    )
