"""xmodal/training/teacher.py: another matcher's vectors, whatever their size."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.factories import tiny_encoder
from tests.training.test_loop import train
from tests.training.toy import COLOURS, KINDS, PRODUCTS, make_plan
from xmodal.errors import MatcherError, SettingsError
from xmodal.layers import load_settings
from xmodal.matcher.saved import save_matcher
from xmodal.retrieval.store import FeatureBatch, Plan, begin_store, finish_store, write_shard
from xmodal.training.teacher import open_teacher, write_teacher

TEXTS = sorted(
    f"{colour} {kind} {age}" for colour in COLOURS for kind in KINDS for age in ("new", "old")
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the vectors of a teacher of 8 dimensions lie; the student has 16."""
    folder = tmp_path_factory.mktemp("teacher")
    save_matcher(folder / "matcher", tiny_encoder(TEXTS, dim=8, seed=3))
    write_teacher(folder / "made", folder / "matcher", TEXTS, lambda _: make_store(folder))
    return folder / "made"


def make_store(folder):
    plan, rows = Plan("vector", "toy", "toy", PRODUCTS), np.arange(PRODUCTS)
    vectors = np.eye(8, dtype=np.float32)[rows % 8]  # a teacher that tells the kinds
    (folder / "vectors").mkdir(exist_ok=True)
    begin_store(folder / "vectors", plan)
    write_shard(folder / "vectors", 0, [FeatureBatch(rows, rows * 0, {"vector": vectors})])
    return finish_store(folder / "vectors", plan)


def test_its_rows_are_its_encoders_vectors(folder):
    taken = open_teacher(folder).take(np.array([2, 0]), np.array([5, 5]))
    encoder = tiny_encoder(TEXTS, dim=8, seed=3)
    with torch.no_grad():
        vectors = encoder.encode_text(encoder.inputs.texts([TEXTS[2], TEXTS[0]]))
    torch.testing.assert_close(taken.text_BE, vectors, atol=1e-3, rtol=0)  # kept in float16
    assert taken.image_BE.argmax(1).tolist() == [5, 5]


def test_a_student_of_another_size_learns_from_it(folder, tmp_path):
    plan = make_plan(tmp_path, loss="distill", loss_share=1.0, teacher="unused here")
    history = train(replace(plan, teacher=str(folder))).progress.history
    assert history[-1]["loss"] < history[0]["loss"]


def test_a_teacher_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(MatcherError, match="no such folder; give the folder of a saved matcher"):
        write_teacher(tmp_path / "made", Path("/nowhere"), TEXTS, lambda _: None)


def test_distillation_without_a_teacher_is_refused():
    with pytest.raises(SettingsError, match=r"loss=distill needs training\.teacher"):
        load_settings(None, ["training.loss=distill"], {})
