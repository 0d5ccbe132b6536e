"""xmodal/matcher/saved.py: one folder, read back whole or not at all."""

from pathlib import Path

import pytest
import torch

from tests.factories import make_picture, tiny_encoder
from tests.homes import tiny_calibration
from xmodal.errors import MatcherError
from xmodal.matcher.calibration import Calibration
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import encoder_fingerprint, load_encoder, load_matcher, save_matcher


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved matcher without reranker."""
    facts = Facts(data="abc", run="first", evaluation={"recall@10": 0.25})
    save_matcher(tmp_path / "matcher", tiny_encoder(), facts=facts)
    return tmp_path / "matcher"


def test_it_comes_back_with_the_same_vectors(folder: Path) -> None:
    matcher, encoder = load_matcher(folder), tiny_encoder()
    pixels = encoder.inputs.images([make_picture(3)])
    with torch.inference_mode():
        assert torch.equal(matcher.encoder.encode_image(pixels), encoder.encode_image(pixels))
    assert matcher.reranker is None
    assert not matcher.encoder.training
    assert matcher.facts.data == "abc"


def test_the_fingerprint_is_of_the_encoder_alone(folder: Path, tmp_path: Path) -> None:
    save_matcher(tmp_path / "again", tiny_encoder(), facts=Facts(run="second"))
    save_matcher(tmp_path / "other", tiny_encoder(seed=1))
    mine = encoder_fingerprint(folder / "encoder")
    assert mine == load_matcher(folder).facts.encoder
    assert mine == encoder_fingerprint(tmp_path / "again" / "encoder")
    assert mine != encoder_fingerprint(tmp_path / "other" / "encoder")


def test_nothing_in_it_is_a_pickle(folder: Path) -> None:
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors", ".md"}


@pytest.mark.parametrize(
    "name",
    [
        "matcher.json",
        "encoder/weights.safetensors",
        "encoder/spec.json",
        "encoder/vocabulary.json",
        "encoder/text/config.json",
        "encoder/tokenizer/tokenizer.json",
    ],
)
@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_a_harmed_file_is_named(folder: Path, name: str, harm: str) -> None:
    path = folder / name
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MatcherError, match=Path(name).name) as caught:
        load_matcher(folder)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["weights.safetensors", "spec.json", "tokenizer/tokenizer.json"])
def test_an_encoder_alone_names_its_truncated_file_too(folder: Path, name: str) -> None:
    path = folder / "encoder" / name
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(MatcherError, match=name.partition("/")[0]):
        load_encoder(folder / "encoder")


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MatcherError, match="no such folder"):
        load_matcher(tmp_path / "nowhere")


def test_the_model_card_holds_the_evaluation(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| recall@10 | 0.2500 |" in card
    assert load_matcher(folder).facts.encoder in card


def test_a_calibration_makes_another_matcher_of_the_same_encoder(tmp_path: Path) -> None:
    plain = save_matcher(tmp_path / "plain", tiny_encoder())
    told = save_matcher(tmp_path / "told", tiny_encoder(), calibration=tiny_calibration())
    assert told.encoder == plain.encoder
    assert told.parts != plain.parts
    assert load_matcher(tmp_path / "told").calibration == tiny_calibration()
    assert load_matcher(tmp_path / "plain").calibration is None


def test_a_calibration_that_was_changed_is_named(tmp_path: Path) -> None:
    save_matcher(tmp_path / "told", tiny_encoder(), calibration=tiny_calibration())
    folder = tmp_path / "told" / "calibration"
    (folder / "calibration.json").write_text("{}")
    with pytest.raises(MatcherError, match=r"calibration\.json is cut short or changed"):
        load_matcher(tmp_path / "told")
    with pytest.raises(MatcherError, match="cannot read the calibration"):
        Calibration.load(folder)
