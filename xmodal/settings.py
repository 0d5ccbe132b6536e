"""The one typed tree of settings: defaults, then a YAML file, then `XMODAL_*`, then `--set`.

Only `jobs/` and `serve/app.py` read the whole tree; a room is handed its own branch.
`XMODAL_TRAINING__EPOCHS=3` sets `training.epochs`, and so does `--set training.epochs=3`.
Reading and layering are in `xmodal/layers.py`.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, model_validator

LossName = Literal["info_nce", "siglip", "gcl", "margin", "distill"]
TaskName = Literal["attributes", "relevance", "matching", "self"]


class Branch(BaseModel):
    """A part of the tree: frozen, no unknown keys, every field with its unit and default."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, use_attribute_docstrings=True
    )


class ColumnSettings(Branch):
    """What the catalogue calls its columns, where it does not use our names."""

    product_id: str | None = None
    """Unique name of a product; else `product_id` or `id`."""
    title: str | None = None
    """One line of text; else `title`."""
    images: str | None = None
    """Encoded bytes, or paths relative to the file, several parted by `|`; else `image(s)`."""
    description: str | None = None
    """Longer text, kept for display; else `description`."""
    price: str | None = None
    """A number in the shop's currency; else `price`."""
    url: str | None = None
    """The product's page; else `url`."""
    lang: str | None = None
    """Language of title and description, such as `en`; else `lang`."""
    split: str | None = None
    """`train`, `val`, `dev` or `test`; else `split`."""


class CatalogSettings(Branch):
    """Where products and judged queries come from."""

    path: str | None = None
    """Folder (or one file, or a URI) with the products; `--catalog` sets it too."""
    queries: str | None = None
    """Judged queries: `{query: {product_id: grade}}` in JSON, or `queries.parquet` beside
    `qrels.parquet`; else they are made of titles."""
    glossary: str | None = None
    """Chinese terms of attribute values; else `glossary.zh.json` in the folder, if there."""
    columns: ColumnSettings = ColumnSettings()
    max_bad_share: float = Field(default=0.05, ge=0, le=1)
    """Share of rows in quarantine above which an ingest stops."""
    val_share: float = Field(default=0.05, gt=0, lt=0.5)
    """Share of `train` cut off as `val` where the folder has none."""
    max_pixels: int = Field(default=50_000_000, ge=1)
    """Largest picture, width times height; a larger one is refused before it is decoded."""


class MatcherSettings(Branch):
    """The encoder: which towers, and how much of them is trained."""

    base: str = "offline"
    """`offline`, `open_clip:NAME[@WEIGHTS]`, `transformers:NAME` or `towers:IMAGE+TEXT`."""
    image_size: tuple[int, int] | None = None
    """Height and width in pixels; derived from the base model if not given."""
    dim: int = Field(default=256, ge=8, le=4096)
    """Length of an embedding, for separate towers; a dual encoder brings its own."""
    trained_blocks: int | None = Field(default=None, ge=0)
    """Upper image blocks that are trained; derived if not given."""
    train_text: bool = False
    """Train the text tower too, where the base model's own is used."""
    adapter: Literal["none", "lora", "dora"] = "none"
    """What is trained of the pretrained towers: all weights of the trained part, or low-rank
    adapters in it, which are merged when the matcher is saved."""
    adapter_rank: int = Field(default=8, ge=1)
    """Rank of an adapter."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of features dropped in training; 0.3 won on a catalogue of 40,000 products."""
    vocabulary: int = Field(default=20_000, ge=100)
    """Most words and word pairs of the training texts that get a vector of their own."""


class TrainingSettings(Branch):
    """The encoder's training."""

    epochs: int = Field(default=6, ge=1)
    """Passes over the products of `train`."""
    batch: int = Field(default=512, ge=2)
    """Pairs per step, over all workers; never changed in silence."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak rate, reached after the warm-up; derived from the base model if not given."""
    weight_decay: float = Field(default=0.05, ge=0)
    """AdamW's decay, on matrices only."""
    warmup_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of all steps in which the rate rises."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Largest norm of a step's gradient."""
    accumulate: int = Field(default=1, ge=1)
    """Micro-steps per step of the optimiser."""
    loss: LossName = "info_nce"
    """What is minimised: `info_nce` (softmax over the batch), `siglip` (a yes or no for each pair),
    `gcl` (pairs count by their weight), `margin` (also the hardest negative), `distill` (also a
    teacher)."""
    loss_share: float = Field(default=0.5, gt=0, le=1)
    """Share of what `margin` or `distill` adds to InfoNCE, which has the rest."""
    matryoshka: tuple[int, ...] = ()
    """Prefixes of a vector, such as 64 and 128 dimensions, that are trained to do for a search."""
    teacher: str | None = None
    """Folder of the saved matcher that `distill` learns from."""
    tasks: tuple[TaskName, ...] = ()
    """What is learnt beside retrieval, weighed by learnt uncertainties: `attributes` (their values,
    from the picture), `relevance` (the cosine is the pair's weight), `matching` (does this picture
    fit this text), `self` (two views of a picture)."""
    adversary: float = Field(default=0.0, ge=0, lt=1)
    """How far features are pushed against each step, as a share of their norm; 0: not at all."""
    consistency: float = Field(default=0.0, ge=0)
    """Weight of the difference between two dropout passes (R-Drop); 0: one pass."""
    bias_attribute: str | None = None
    """Attribute, such as `gender`, whose groups should score alike where a query names none."""
    bias_share: float = Field(default=0.0, ge=0)
    """Weight of the squared difference of those groups' mean scores; 0: none."""
    pseudo_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the untitled products of `train`, the surest first, that borrow the title of the
    product that looks most alike."""
    mining: int = Field(default=0, ge=0)
    """Epochs between two minings of hard negatives, which then share a batch with their product;
    0: none are mined."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the moving average of the weights that is judged and saved; 0: the weights."""
    base_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the untuned base in the saved weights of a dual encoder (WiSE-FT)."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of the target spread over all products."""
    word_dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of a caption's words that are dropped."""
    text_noise: float = Field(default=0.0, ge=0, lt=1)
    """Share of captions that are drawn with a typing error, in another script or in other words."""
    patience: int = Field(default=3, ge=1)
    """Epochs without a better `val` after which training stops."""
    workers: int = Field(default=2, ge=1)
    """Processes of Ray Train."""
    gpu: bool = False
    """One GPU for each worker."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Type of the forward pass; weights stay fp32."""
    doctor: Literal["stop", "report"] = "stop"
    """What a severe finding does, with which no training has a meaning: end the run before its
    first step, or only be shown."""
    retries: int = Field(default=2, ge=0)
    """How often training starts again from its last checkpoint after a worker died."""

    @model_validator(mode="after")
    def _has_teacher(self) -> Self:
        if self.loss == "distill" and not self.teacher:
            raise ValueError("loss=distill needs training.teacher, the folder of a saved matcher")
        return self

    @model_validator(mode="after")
    def _names_groups(self) -> Self:
        if self.bias_share and not self.bias_attribute:
            raise ValueError("bias_share needs training.bias_attribute, such as gender")
        return self

    @property
    def passes(self) -> int:
        """How often a step reads each pair, each time with other dropout."""
        return 2 if self.consistency or "self" in self.tasks else 1


class RerankerSettings(Branch):
    """The second stage: re-orders what the first stage found."""

    epochs: int = Field(default=4, ge=1)
    """Passes over the training queries."""
    batch: int = Field(default=64, ge=1)
    """Queries per step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate."""
    candidates: int = Field(default=200, ge=1)
    """Products per query that evaluation re-orders."""
    negatives: int = Field(default=15, ge=1)
    """Hard negatives per query and step, mined from the first stage."""


class SpaceItem(Branch):
    """One dimension of the search: a range, or a list of choices."""

    setting: str
    """A setting's dotted name, such as `training.learning_rate`."""
    low: float | None = None
    """Smallest value."""
    high: float | None = None
    """Largest value."""
    log: bool = False
    """Search on a log scale."""
    choices: tuple[int | float | str, ...] | None = None
    """The values to choose from, instead of a range."""


class TuningSettings(Branch):
    """The search for better settings of the training."""

    trials: int = Field(default=6, ge=0)
    """Training runs in all, most of which ASHA ends early; 0: the pipeline does not tune."""
    space: tuple[SpaceItem, ...] = (
        SpaceItem(setting="training.learning_rate", low=3e-4, high=3e-3, log=True),
        SpaceItem(setting="training.label_smoothing", low=0.0, high=0.2),
    )
    """What is searched."""


class EvaluationSettings(Branch):
    """How a run is judged."""

    bootstrap: int = Field(default=1000, ge=100)
    """Resamples of the paired bootstrap and of the permutation test."""
    max_queries: int = Field(default=2000, ge=1)
    """Most queries of a part that are judged; more are sampled by the seed."""
    false_alarm_rate: float = Field(default=0.05, gt=0, lt=0.5)
    """Share of answerable queries that may be told that nothing fits well; a larger one finds more
    of those that the shop cannot answer."""
    gains: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat, NonNegativeFloat] = (
        0,
        1,
        2,
        3,
    )
    """What nDCG gives for a product of grade 0, 1, 2 and 3; ESCI's paper: 0, 0.01, 0.1, 1."""


class IndexSettings(Branch):
    """How a catalogue is embedded."""

    actors: int = Field(default=2, ge=1)
    """Processes that embed; one thread each."""


class ExportSettings(Branch):
    """Smaller and faster forms of a matcher."""

    max_loss: float = Field(default=0.01, ge=0, lt=1)
    """Share of the float model's R@10 that a form may lose; one that loses more is refused."""


class ServeSettings(Branch):
    """The service over HTTP."""

    host: str = "127.0.0.1"
    """Address of every listener; loopback unless somebody says otherwise."""
    port: int = Field(default=8000, ge=1, le=65535)
    """HTTP port of search and page."""
    mlflow_port: int = Field(default=5000, ge=1, le=65535)
    """Port of MLflow's pages."""
    dashboard_port: int = Field(default=8265, ge=1, le=65535)
    """Port of Ray's dashboard."""
    topology: Literal["fused", "spread"] = "fused"
    """All stages in one replica, or one deployment each."""
    replicas: int = Field(default=1, ge=1)
    """Copies of each stage."""
    deadline_ms: int = Field(default=2000, ge=10)
    """Time for one answer; one that would miss it degrades and says so."""
    rerank_depth: int = Field(default=50, ge=1)
    """Products that a request re-orders."""
    collapse_attribute: str | None = None
    """Attribute by which a request may collapse its hits, such as the style of many colours."""


class TrackingSettings(Branch):
    """Where runs are recorded."""

    uri: str | None = None
    """MLflow's tracking server; else SQLite in the home."""


class Settings(Branch):
    """The whole tree."""

    home: str | None = None
    """Folder that holds one shop; `XMODAL_HOME` wins over it."""
    seed: int = Field(default=0, ge=0)
    """Seed of everything that is drawn."""
    budget: str | None = None
    """Time for the whole job on this machine, such as `40m` or `2h`; it chooses `training.epochs`,
    unless they are given."""
    catalog: CatalogSettings = CatalogSettings()
    matcher: MatcherSettings = MatcherSettings()
    training: TrainingSettings = TrainingSettings()
    reranker: RerankerSettings = RerankerSettings()
    tuning: TuningSettings = TuningSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    index: IndexSettings = IndexSettings()
    export: ExportSettings = ExportSettings()
    serve: ServeSettings = ServeSettings()
    tracking: TrackingSettings = TrackingSettings()

    @property
    def epoch_budget(self) -> str | None:
        """The budget, where it chooses the epochs: epochs given by hand win over it."""
        return None if "epochs" in self.training.model_fields_set else self.budget


def field_names(branch: type[BaseModel] = Settings, prefix: str = "") -> list[str]:
    """Dotted names of all knobs, in the tree's order; those of a list's items have `[]`."""
    names: list[str] = []
    for name, field in branch.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += field_names(kind, f"{prefix}{name}.")
        elif kind == tuple[SpaceItem, ...]:
            names += field_names(SpaceItem, f"{prefix}{name}[].")
        else:
            names.append(f"{prefix}{name}")
    return names
