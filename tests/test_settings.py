"""xmodal/settings.py and layers.py: the frozen list of knobs, and which layer wins."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from xmodal.errors import HomeError, SettingsError
from xmodal.layers import flatten, load_settings, origins, resolve_home
from xmodal.settings import Settings, SpaceItem, field_names

CONFIGS = Path(__file__).parents[1] / "configs"
KNOBS = [
    "home",
    "seed",
    "budget",
    "catalog.path",
    "catalog.queries",
    "catalog.glossary",
    "catalog.columns.product_id",
    "catalog.columns.title",
    "catalog.columns.images",
    "catalog.columns.description",
    "catalog.columns.price",
    "catalog.columns.url",
    "catalog.columns.lang",
    "catalog.columns.split",
    "catalog.max_bad_share",
    "catalog.val_share",
    "catalog.max_pixels",
    "matcher.base",
    "matcher.image_size",
    "matcher.dim",
    "matcher.trained_blocks",
    "matcher.train_text",
    "matcher.adapter",
    "matcher.adapter_rank",
    "matcher.dropout",
    "matcher.vocabulary",
    "training.epochs",
    "training.batch",
    "training.learning_rate",
    "training.weight_decay",
    "training.warmup_share",
    "training.clip_norm",
    "training.accumulate",
    "training.loss",
    "training.loss_share",
    "training.matryoshka",
    "training.teacher",
    "training.tasks",
    "training.adversary",
    "training.consistency",
    "training.bias_attribute",
    "training.bias_share",
    "training.pseudo_share",
    "training.mining",
    "training.ema",
    "training.base_share",
    "training.label_smoothing",
    "training.word_dropout",
    "training.text_noise",
    "training.patience",
    "training.workers",
    "training.gpu",
    "training.precision",
    "training.doctor",
    "training.retries",
    "reranker.epochs",
    "reranker.batch",
    "reranker.learning_rate",
    "reranker.candidates",
    "reranker.negatives",
    "tuning.trials",
    "tuning.space[].setting",
    "tuning.space[].low",
    "tuning.space[].high",
    "tuning.space[].log",
    "tuning.space[].choices",
    "evaluation.bootstrap",
    "evaluation.max_queries",
    "evaluation.false_alarm_rate",
    "evaluation.gains",
    "index.actors",
    "export.max_loss",
    "serve.host",
    "serve.port",
    "serve.mlflow_port",
    "serve.dashboard_port",
    "serve.topology",
    "serve.replicas",
    "serve.deadline_ms",
    "serve.rerank_depth",
    "serve.collapse_attribute",
    "tracking.uri",
]


def load(*sets, config=None, environ=None):
    return load_settings(config, sets, environ or {})


def branches(kind=Settings):
    yield kind
    for field in kind.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from branches(field.annotation)


def test_the_knobs_are_these_and_at_most_a_hundred():
    assert field_names() == KNOBS
    assert len(KNOBS) <= 100


def test_no_knob_is_a_free_form_dict():
    fields = [f for kind in (*branches(), SpaceItem) for f in kind.model_fields.values()]
    assert not any("dict" in str(field.annotation).lower() for field in fields)


def test_every_knob_says_what_it_is():
    kinds = (*branches(), SpaceItem)
    leaves = [
        (kind.__name__, name)
        for kind in kinds
        for name, field in kind.model_fields.items()
        if not field.description and not isinstance(field.default, BaseModel)
    ]
    assert leaves == []


def test_set_wins_over_environment_over_file_over_default(tmp_path):
    config = tmp_path / "shop.yaml"
    config.write_text("training:\n  epochs: 2\n  batch: 8\n  patience: 9\n")
    environ = {"XMODAL_TRAINING__EPOCHS": "3", "XMODAL_TRAINING__BATCH": "16"}
    training = load("training.epochs=4", config=config, environ=environ).training
    assert (training.epochs, training.batch, training.patience) == (4, 16, 9)
    said = origins(config, ["training.epochs=4"], environ)
    assert said["training.epochs"] == "--set"
    assert said["training.batch"] == "XMODAL_TRAINING__BATCH"
    assert said["training.patience"] == str(config)
    assert said["training.workers"] == "default"


def test_the_environment_sets_the_home():
    assert load(environ={"XMODAL_HOME": "/shop", "HOME": "/root"}).home == "/shop"


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("training.epoch", "training.epochs"),
        ("epochs", "training.epochs"),
        ("traning.epochs", "training.epochs"),
        ("catalog.columns.name", "catalog.columns."),
        ("zzz", "."),
    ],
)
def test_an_unknown_key_names_the_nearest(key, nearest, tmp_path):
    with pytest.raises(SettingsError, match=re.escape(nearest)) as said:
        load(f"{key}=1")
    assert f"unknown setting {key}" in str(said.value)


def test_an_unknown_key_in_a_file_or_variable_names_it(tmp_path):
    (tmp_path / "x.yaml").write_text("serve:\n  prot: 80\n")
    with pytest.raises(SettingsError, match=r"x.yaml: unknown setting serve.prot.*serve.port"):
        load(config=tmp_path / "x.yaml")
    with pytest.raises(SettingsError, match="XMODAL_SERVE__PROT: unknown"):
        load(environ={"XMODAL_SERVE__PROT": "80"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("training.epochs=many", "training.epochs: .*integer.*'many'"),
        ("training.epochs=0", "training.epochs: .*greater than or equal to 1"),
        ("training.bias_share=1", "bias_share needs training.bias_attribute"),
        ("training.tasks=[colour]", "training.tasks.0: .*'attributes'"),
        ("training.precision=fp8", "training.precision: .*'fp32' or 'bf16'"),
        ("training=3", "training is a group of settings"),
        ("training.epochs", "must look like"),
        ("training.epochs={", "not a value"),
        ("tuning.space=[{low: 1}]", r"tuning.space.0.setting: Field required"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(line, message):
    with pytest.raises(SettingsError, match=message) as said:
        load(line)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("training: [", "is not YAML"), ("- 1", "must hold settings"), (None, "cannot be read")],
)
def test_a_bad_file_is_one_line_that_names_it(text, message, tmp_path):
    config = tmp_path / "x.yaml"
    if text is not None:
        config.write_text(text)
    with pytest.raises(SettingsError, match=message) as said:
        load(config=config)
    assert str(config) in str(said.value)
    assert "\n" not in str(said.value)


def test_plain_forms_of_numbers_are_read():
    training = load("training.learning_rate=1e-3", "catalog.path=2024").training
    assert training.learning_rate == 0.001
    assert load("catalog.path=2024").catalog.path == "2024"
    assert load("matcher.image_size=[128, 96]").matcher.image_size == (128, 96)


@pytest.mark.parametrize("text", ["007", "shop #2", "~", "null", "a: b", "- x", "s3://b/c d", "{"])
def test_a_folder_may_be_called_anything(text):
    assert load(f"catalog.path={text}").catalog.path == text
    assert load(("catalog.path", text)).catalog.path == text
    assert load(environ={"XMODAL_CATALOG__PATH": text}).catalog.path == text


def test_empty_text_takes_a_value_back(tmp_path):
    (tmp_path / "x.yaml").write_text("catalog: {queries: mine}")
    assert load("catalog.queries=", config=tmp_path / "x.yaml").catalog.queries is None


def test_a_flag_of_a_job_wins_and_is_named():
    assert load("catalog.path=a", ("catalog.path", "b")).catalog.path == "b"
    assert origins(None, [("catalog.path", "b")], {})["catalog.path"] == "flag"


def test_flat_names_cover_the_tree():
    assert list(flatten(load())) == list(origins(None, [], {}))


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_our_configs_load(config):
    load_settings(config, [], {})


def test_xmodal_home_wins_over_the_setting_and_the_default(tmp_path):
    settings = load("home=/from/settings")
    assert resolve_home(settings, None, {"XMODAL_HOME": str(tmp_path)}) == tmp_path
    assert resolve_home(settings, None, {}) == Path("/from/settings")
    checkout = Path(__file__).parents[1]
    assert resolve_home(load(), Path("configs/shop.yaml"), {}) == checkout / ".xmodal" / "shop"


def test_without_config_and_home_there_is_none():
    with pytest.raises(HomeError, match="set XMODAL_HOME"):
        resolve_home(load(), None, {})


def test_a_relative_home_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert resolve_home(load(), None, {"XMODAL_HOME": "shop"}) == tmp_path / "shop"


def test_a_submitted_jobs_home_is_the_folder_itself_not_a_link_to_it(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    environ = {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}", "XMODAL_HOME": str(tmp_path / "link")}
    assert resolve_home(load(), None, environ) == tmp_path / "real"


@pytest.mark.parametrize("home", ["", "relative/shop"])
def test_a_submitted_job_needs_an_absolute_home(home):
    environ = {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}", "XMODAL_HOME": home}
    with pytest.raises(HomeError, match="--runtime-env-json") as said:
        resolve_home(load(), Path("configs/demo.yaml"), environ)
    assert "\n" not in str(said.value)
