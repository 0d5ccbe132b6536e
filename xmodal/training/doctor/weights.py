"""Weights: what is trained, how fast against what this base wants, and from which temperature."""

from collections.abc import Iterator
from math import exp, log, log1p, sqrt

from xmodal.findings import Finding
from xmodal.settings import Settings
from xmodal.training.doctor.evidence import Evidence
from xmodal.training.recipe import derived

# AdamW moves each weight by about the rate a step, whatever the gradient. What searches try spans
# some three times either way; an order beyond that, single steps rewrite the weights (at 50 times
# 1e-3 they are as large as a new layer's weights, width^-0.5), or a whole run moves none.
MOST_TIMES = 50.0
USUAL_BATCH = 512
# The lowest loss that a temperature allows must be well below chance, or nothing can be learnt.
MOST_FLOOR = 0.5


def check_weights(evidence: Evidence) -> Iterator[Finding]:
    """Everything frozen; a learning rate far outside what this base wants; a dead temperature."""
    yield from _frozen(evidence)
    yield from _rate(evidence)
    yield from _temperature(evidence)


def lowest_loss(log_scale: float, batch: int) -> float:
    """The least that InfoNCE can be at this scale, as a share of chance, ln(batch).

    Reached when all own pairs agree (cosine 1) and all others stand at right angles, which is
    about as far apart as many vectors can be: ln(1 + (N - 1) exp(-scale)) / ln N.
    """
    return log1p((batch - 1) * exp(-exp(min(log_scale, 50.0)))) / log(batch)


def _frozen(evidence: Evidence) -> Iterator[Finding]:
    encoder = evidence.encoder
    trained = {name for name, w in encoder.named_parameters() if w.requires_grad and w.numel()}
    trained.discard("log_scale")
    frozen = sum(w.numel() for w in encoder.parameters() if not w.requires_grad)
    mend = "set matcher.trained_blocks to 1 or more, or matcher.train_text=true"
    if not trained:
        yield Finding(
            "everything-frozen",
            "severe",
            "before",
            f"no weight is trained but the temperature; {frozen:,} are frozen",
            mend,
        )
    elif trained == {"words.weight"}:
        yield Finding(
            "towers-frozen",
            "warning",
            "before",
            f"both towers' {frozen:,} weights are frozen: only a correction of each known word "
            "is learnt, and pictures stay where the base put them",
            mend,
        )


def _rate(evidence: Evidence) -> Iterator[Finding]:
    base, recipe = evidence.encoder.spec.base, evidence.recipe
    usual = derived(Settings.model_validate({"matcher": {"base": base}})).training.learning_rate
    assert usual is not None
    assert recipe.learning_rate is not None
    # Adam's rate goes with the root of the batch (Malladi et al., arXiv 2205.10287).
    times = sqrt(recipe.batch / USUAL_BATCH)
    low, high = usual / MOST_TIMES, usual * max(1.0, times) * MOST_TIMES
    if low <= recipe.learning_rate <= high:
        return
    is_high = recipe.learning_rate > high
    why = "each step rewrites the weights" if is_high else "the weights will hardly move"
    yield Finding(
        "learning-rate-too-high" if is_high else "learning-rate-too-low",
        "warning",
        "before",
        f"training.learning_rate={recipe.learning_rate:g} is {recipe.learning_rate / usual:g} "
        f"times the {usual:g} that base {base} wants at batch {USUAL_BATCH}: {why}",
        f"leave training.learning_rate open, or set it near {usual * times:.1g} "
        f"for batch {recipe.batch}",
    )


def _temperature(evidence: Evidence) -> Iterator[Finding]:
    log_scale, batch = float(evidence.encoder.log_scale.detach()), evidence.recipe.batch
    floor = lowest_loss(log_scale, batch)
    # A sigmoid loss has a bias beside the scale, and no such floor.
    if evidence.recipe.loss != "siglip" and floor > MOST_FLOOR:
        yield Finding(
            "temperature-collapsed",
            "warning",
            "before",
            f"the base's logit scale is {exp(log_scale):.2g}: the loss of a batch of {batch} "
            f"cannot fall below {floor:.0%} of chance",
            "take a base whose logit_scale is that of its training (CLIP: ln 100 = 4.6)",
        )
