"""The closed-form base: what separate towers reach with linear maps and no training.

Canonical correlation analysis and ridge regression on frozen features; the better of the two,
and its strength of regularisation, are picked on `val`. Deterministic, float64.

Shapes: N train pairs, M val pairs, S sentence features, F image features, D shared space.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from xmodal.errors import MatcherError
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.towers import Towers

# Added to the covariances, as a share of their mean variance.
_SHRINKAGES = (0.001, 0.01, 0.1, 1.0)
# Directions weigh as their correlation to this power.
_POWERS = (1, 2, 4)
_BLOCK = 4096


@dataclass(frozen=True)
class Pairs:
    """Frozen features of texts and pictures; row i of both is one pair."""

    text_NS: Tensor
    image_NF: Tensor


@dataclass(frozen=True)
class LinearMaps:
    """One candidate: maps of centred features to the shared space."""

    name: str
    text_SD: Tensor
    image_FD: Tensor


@dataclass(frozen=True)
class ClosedForm:
    """What was picked, and what each candidate reached on `val`."""

    encoder: Encoder
    name: str
    mrr: dict[str, float]


def fit_closed_form(encoder: Encoder, train: Pairs, val: Pairs) -> ClosedForm:
    """The best linear maps on `train`, as an encoder that shares `encoder`'s trunks.

    Args:
        encoder: gives the towers; its own heads are not read.
        train: `sentence_BS` and `base_BF` of training pairs.
        val: the same of other products; the mean reciprocal rank of each text's own picture
            among all of them picks the candidate, the first where there is one alone.

    Raises:
        MatcherError: a dual encoder (its base is zero-shot), or fewer than two pairs in `train`.
    """
    if not isinstance(encoder, Towers):
        raise MatcherError("a dual encoder needs no closed form: its base is the model as it is")
    if len(train.text_NS) < 2:
        raise MatcherError("a closed form needs at least two pairs in `train`")
    text_mean, image_mean = train.text_NS.double().mean(0), train.image_NF.double().mean(0)
    text_MS, image_MF = val.text_NS.double() - text_mean, val.image_NF.double() - image_mean
    best: LinearMaps | None = None
    scores: dict[str, float] = {}
    for maps in _candidates(train, encoder.spec.dim):
        scores[maps.name] = _mrr(text_MS @ maps.text_SD, image_MF @ maps.image_FD)
        if best is None or scores[maps.name] > scores[best.name]:
            best = maps
    assert best is not None
    return ClosedForm(_with_maps(encoder, best, text_mean, image_mean), best.name, scores)


def _candidates(train: Pairs, dim: int) -> Iterator[LinearMaps]:
    """Ridge and CCA at each strength, from one pass over the pairs."""
    text_NS, image_NF = train.text_NS.double(), train.image_NF.double()
    text_NS, image_NF = text_NS - text_NS.mean(0), image_NF - image_NF.mean(0)
    rows = len(text_NS)
    text_SS, image_FF = text_NS.T @ text_NS / rows, image_NF.T @ image_NF / rows
    cross_SF = text_NS.T @ image_NF / rows
    for share in _SHRINKAGES:
        text_chol = torch.linalg.cholesky(_shrunk(text_SS, share))
        image_chol = torch.linalg.cholesky(_shrunk(image_FF, share))
        weights_SF = torch.cholesky_solve(cross_SF, text_chol)
        yield LinearMaps(f"ridge {share:g}", weights_SF, torch.eye(len(image_FF)).double())
        yield from _cca(cross_SF, text_chol, image_chol, (dim, f"{share:g}"))


def _cca(
    cross_SF: Tensor, text_chol: Tensor, image_chol: Tensor, named: tuple[int, str]
) -> Iterator[LinearMaps]:
    """CCA at one strength, its directions weighted by their correlation to some powers.

    Source: Hardoon et al. 2004, Neural Computation 16(12), section 4; the weights are those of
    Gong et al., arXiv 1212.4522, section 3.2.
    """
    dim, share = named
    left = torch.linalg.solve_triangular(text_chol, cross_SF, upper=False)
    whitened = torch.linalg.solve_triangular(image_chol, left.T, upper=False).T
    text_U, correlation, image_Vh = torch.linalg.svd(whitened, full_matrices=False)
    text_SD = torch.linalg.solve_triangular(text_chol.T, text_U[:, :dim], upper=True)
    image_FD = torch.linalg.solve_triangular(image_chol.T, image_Vh[:dim].T, upper=True)
    for power in _POWERS:
        weight_D = correlation[:dim] ** power
        yield LinearMaps(f"cca {share} ^{power}", text_SD * weight_D, image_FD * weight_D)


def _shrunk(covariance: Tensor, share: float) -> Tensor:
    """The covariance with a share of its mean variance added; at least 1e-9, for dead features."""
    ridge = (share * covariance.diagonal().mean()).clamp(min=1e-9)
    return covariance + ridge * torch.eye(len(covariance), dtype=covariance.dtype)


def _mrr(text_MD: Tensor, image_MD: Tensor) -> float:
    """Mean reciprocal rank of each text's own picture; equal scores count against it."""
    text_MD, image_MD = normalize(text_MD, dim=1), normalize(image_MD, dim=1)
    total = 0.0
    for start in range(0, len(text_MD), _BLOCK):
        score_BM = text_MD[start : start + _BLOCK] @ image_MD.T
        own_B1 = score_BM.diagonal(start).unsqueeze(1)
        total += float((1 / (score_BM >= own_B1).sum(1)).sum())
    return total / len(text_MD)


def _with_maps(encoder: Towers, maps: LinearMaps, text_mean: Tensor, image_mean: Tensor) -> Towers:
    linear = encoder.with_linear_heads(maps.text_SD.shape[1])
    for head, weight, mean in (
        (linear.text_out, maps.text_SD, text_mean),
        (linear.image_out, maps.image_FD, image_mean),
    ):
        head.load_state_dict({"mean": mean.float(), "project.weight": weight.T.float()})
    return linear
