"""The optimiser: AdamW with decay groups, warm-up then cosine, and the temperature's bounds."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

# A tuned pretrained block moves at this share of the learning rate of the new layers.
PRETRAINED_SHARE = 0.3
# exp(log_scale) stays in [1, 100], as in CLIP: above 100 a few pairs own the whole gradient.
LOG_SCALE_BOUNDS = (0.0, math.log(100.0))


def make_optimizer(
    model: nn.Module,
    learning_rate: float,
    weight_decay: float,
    pretrained: Iterable[nn.Parameter] = (),
    pretrained_share: float = PRETRAINED_SHARE,
) -> torch.optim.AdamW:
    """AdamW over the trained parameters of `model`, in up to four groups.

    Vectors and scalars (norms, biases, the temperature) are not decayed: shrinking them changes
    scale, not complexity. Those in `pretrained` learn at `pretrained_share` of the rate.
    """
    slow = {id(parameter) for parameter in pretrained}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            key = (id(parameter) in slow, parameter.ndim >= 2)
            groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": learning_rate * (pretrained_share if is_slow else 1.0),
                "weight_decay": weight_decay if is_decayed else 0.0,
            }
            for (is_slow, is_decayed), parameters in groups.items()
        ],
        lr=learning_rate,
        betas=(0.9, 0.98),
        fused=True,  # one pass over 5 M bag-of-words weights instead of five
    )


def make_schedule(
    optimizer: torch.optim.Optimizer, total_steps: int, warmup_share: float
) -> LambdaLR:
    """Linear warm-up over `warmup_share` of the steps, then a cosine to zero; step() per step."""
    warmup = max(1, round(total_steps * warmup_share))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, total_steps - warmup)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))

    return LambdaLR(optimizer, factor)


def clamp_temperature(log_scale: torch.Tensor) -> None:
    """Keep the learnt temperature within `LOG_SCALE_BOUNDS`, in place."""
    with torch.no_grad():
        log_scale.clamp_(*LOG_SCALE_BOUNDS)
