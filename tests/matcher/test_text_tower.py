"""xmodal/matcher/text_tower.py: the mean of the tokens that count."""

from pathlib import Path

import pytest
import torch

from tests.factories import tiny_text, tiny_tokenizer
from xmodal.errors import MatcherError
from xmodal.matcher.text_tower import SentenceTokens, load_text


def test_padding_does_not_change_a_sentence() -> None:
    tower, tokens = tiny_text().eval(), SentenceTokens(tiny_tokenizer(), 16)
    with torch.inference_mode():
        alone = tower(**_named(tokens(["red"])))
        beside = tower(**_named(tokens(["red", "blue shirt green bag"])))
    torch.testing.assert_close(alone[0], beside[0], atol=1e-5, rtol=1e-5)


def test_a_text_of_unknown_tokens_is_still_a_number() -> None:
    tower, tokens = tiny_text().eval(), SentenceTokens(tiny_tokenizer(), 16)
    with torch.inference_mode():
        assert torch.isfinite(tower(**_named(tokens(["旗袍", ""])))).all()


def test_a_folder_without_a_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MatcherError, match="text tower"):
        load_text(str(tmp_path))


def _named(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"ids_BT": batch["ids_BT"], "mask_BT": batch["mask_BT"]}


def test_texts_that_read_alike_are_read_once() -> None:
    tower = tiny_text().eval()
    ids = torch.tensor([[2, 5, 3, 0], [2, 7, 3, 0], [2, 5, 3, 9]])
    mask = torch.tensor([[1, 1, 1, 0]] * 3)
    given = []
    tower.model.register_forward_pre_hook(
        lambda model, args, kwargs: given.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    together = tower(ids, mask)
    assert given == [2]
    alone = torch.cat([tower(ids[row : row + 1], mask[row : row + 1]) for row in range(3)])
    torch.testing.assert_close(together, alone)
