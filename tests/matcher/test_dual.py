"""xmodal/matcher/dual.py: reading and resuming any model at a block."""

import pytest
import torch
from torch import Tensor, nn

from xmodal.errors import MatcherError
from xmodal.matcher.dual import TappedTower, find_blocks, trained_blocks

_PICTURES = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class _Block(nn.Module):
    """A layer with its residual."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.inside(x).tanh()
        return out


class _Blocks(nn.Module):
    """Four blocks between an entry and an exit."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Linear(48, 6)
        self.layers = nn.ModuleList(_Block() for _ in range(4))
        self.exit = nn.Linear(6, 2)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        x = self.entry(pixels_BCHW.flatten(1))
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.exit(x)
        return out


def test_resumed_at_a_block_it_gives_the_whole_forward() -> None:
    torch.manual_seed(0)
    tower = TappedTower(_Blocks(), above=2)
    at_cut, whole, last = tower.read(_PICTURES)
    upper = tower.without_lower(2)
    resumed, last_again = upper.resume(at_cut, (4, 4))
    torch.testing.assert_close(resumed, whole)
    torch.testing.assert_close(last_again, last)
    assert len(find_blocks(upper)) == 2


def test_outside_of_read_and_resume_it_is_the_model_as_it_is() -> None:
    torch.manual_seed(0)
    model = _Blocks()
    before = model(_PICTURES)
    TappedTower(model, above=1).read(_PICTURES)
    torch.testing.assert_close(model(_PICTURES), before)


def test_a_quarter_of_the_blocks_is_trained_unless_said() -> None:
    assert trained_blocks(_Blocks(), None) == 1
    assert trained_blocks(_Blocks(), 3) == 3
    with pytest.raises(MatcherError, match="at most 3"):
        trained_blocks(_Blocks(), 4)


def test_a_model_without_blocks_is_refused() -> None:
    with pytest.raises(MatcherError, match="cannot tell"):
        find_blocks(nn.Linear(2, 2))
