"""xmodal/matcher/parity.py: a fresh process opens the folder and agrees."""

from pathlib import Path

import pytest

from tests.factories import tiny_encoder
from xmodal.errors import MatcherError
from xmodal.matcher.parity import TOLERANCE, check_reload_parity
from xmodal.matcher.saved import save_matcher


def test_a_fresh_process_gives_the_same_vectors(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    save_matcher(tmp_path / "matcher", encoder)
    assert check_reload_parity(tmp_path / "matcher", encoder) <= TOLERANCE


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    save_matcher(tmp_path / "matcher", tiny_encoder(seed=1))
    with pytest.raises(MatcherError, match="differs"):
        check_reload_parity(tmp_path / "matcher", tiny_encoder(seed=0))


def test_a_folder_that_does_not_open_is_refused(tmp_path: Path) -> None:
    save_matcher(tmp_path / "matcher", tiny_encoder())
    (tmp_path / "matcher" / "encoder" / "vocabulary.json").unlink()
    with pytest.raises(MatcherError, match=r"vocabulary\.json"):
        check_reload_parity(tmp_path / "matcher", tiny_encoder())
