"""LoRA and DoRA: low-rank adapters in the trained towers, merged away before a matcher is saved.

    trained tower -> its weights frozen, adapters in its layers -> training -> merged -> as before

Adapters go where training goes: into the trained upper image blocks, and into the text tower
where `matcher.train_text` is on. Layers are found by their type, so any base will do. The heads
and words, which are new, are trained whole.

Source: LoRA, arXiv 2106.09685, section 4.1; DoRA, arXiv 2402.09353, section 4; layers by `peft`.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import nn

from xmodal.errors import MatcherError
from xmodal.matcher.encoder import Encoder

if TYPE_CHECKING:
    from peft import LoraModel

AdapterKind = Literal["none", "lora", "dora"]
_NAME = "default"
_ALPHA = 2  # times the rank: the update is scaled by 2 whatever the rank


@dataclass(frozen=True)
class Adapters:
    """The adapters of an encoder, by the name of their tower; none where it is trained whole."""

    encoder: Encoder
    towers: dict[str, "LoraModel"]

    def merge(self) -> None:
        """Add what was learnt to the weights: the encoder is then as if it never had adapters."""
        for name, tower in self.towers.items():
            setattr(self.encoder, name, tower.merge_and_unload(safe_merge=True))
        if self.towers:
            self.encoder.fold()


def add_adapters(encoder: Encoder, kind: AdapterKind, rank: int) -> Adapters:
    """Put adapters into `encoder` in place; only they, heads and words are trained from here on.

    At first they change nothing. `encoder` has not been trained yet.

    Raises:
        MatcherError: no tower is trained, or one has no layer that adapters fit.
    """
    if kind == "none":
        return Adapters(encoder, {})
    encoder.unfold()
    towers = {name: getattr(encoder, name) for name in ("tuned", "text")}
    trained = {name: tower for name, tower in towers.items() if _is_trained(tower)}
    if not trained:
        raise MatcherError(
            f"matcher.adapter={kind}: no tower is trained; set matcher.trained_blocks above 0 or "
            "matcher.train_text=true, or matcher.adapter=none"
        )
    return Adapters(encoder, {n: _adapted(n, tower, kind, rank) for n, tower in trained.items()})


def is_adapter(weight: str) -> bool:
    """Whether a weight of this name is an adapter's."""
    return ".lora_" in weight


def _adapted(name: str, tower: nn.Module, kind: AdapterKind, rank: int) -> "LoraModel":
    from peft import LoraConfig, LoraModel

    targets = _targets(tower, kind)
    if not targets:
        side, mend = ("image", "trained_blocks") if name == "tuned" else ("text", "train_text")
        raise MatcherError(
            f"matcher.adapter={kind}: the trained part of the {side} tower has no linear, "
            f"attention or 1 x 1 convolution layer to adapt; change matcher.{mend} or "
            "matcher.base, or set matcher.adapter=none"
        )
    config = LoraConfig(
        r=rank,
        lora_alpha=_ALPHA * rank,
        target_modules="|".join(re.escape(target) for target in targets),  # whole names
        use_dora=kind == "dora",
    )
    return LoraModel(tower, config, _NAME)


def _targets(tower: nn.Module, kind: AdapterKind) -> list[str]:
    """Names of the layers of `tower` that peft can adapt and that have a say in its output."""
    attention = [n for n, part in tower.named_modules() if isinstance(part, nn.MultiheadAttention)]
    found = []
    for name, part in tower.named_modules():
        if isinstance(part, nn.MultiheadAttention):
            fits = kind == "lora"  # peft has no DoRA for it
        elif name.startswith(tuple(f"{n}." for n in attention)):
            fits = False  # its output layer is never called by itself
        elif isinstance(part, nn.Conv2d):
            fits = part.kernel_size == (1, 1) and part.groups == 1
        else:
            fits = isinstance(part, nn.Linear)
        if fits and _is_trained(part):
            found.append(name)
    return found


def _is_trained(part: nn.Module) -> bool:
    return any(weight.requires_grad for weight in part.parameters())
