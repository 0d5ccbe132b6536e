"""During: what the epochs' figures say. Pure functions of a run's history.

N rows of a batch; chance of a loss is ln N, of R@10 ten over the products of the gallery.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, sqrt
from pathlib import Path

from xmodal.findings import Finding, keep_findings
from xmodal.settings import TrainingSettings
from xmodal.training.doctor.watch import CHANCE_DEPTH, DEPTH, FEWEST, Metrics
from xmodal.training.doctor.weights import MOST_FLOOR, lowest_loss
from xmodal.training.optimise import LOG_SCALE_BOUNDS
from xmodal.training.prepare import TrainPlan

SOFTMAX = ("info_nce", "gcl")  # losses whose value without any knowledge is ln N
AT_CHANCE = 0.99  # of ln N: what a batch of unrelated pairs costs; a run that learns leaves it soon
RISEN = 0.1  # of ln N: more than the noise of an epoch's mean over its steps
# A fall of three standard errors of two independent means; the queries are the same ones, so that
# the real error is smaller still.
FALLEN = 3.0
# Directions in use, of at least 16; and the mean cosine that leaves one nat between two vectors at
# the lowest temperature that is allowed, 1/100.
FEWEST_DIRECTIONS, MOST_COSINE = 2.0, 0.99
# Norms of 1 to 10 are usual for a new head, and AdamW does not mind a clip at each step. By two
# orders: then steps of quiet batches weigh as much as those of loud ones.
MOST_CLIPPED, MOST_NORMS = 0.99, 100.0
EXPLODED = 10.0  # times the first epoch's norm, the loss rising
# Adam divides by the gradient's size plus 1e-8: 1e6 weights below that have a norm below 1e-5.
LEAST_NORM = 1e-5
MOST_WAITING, WAITED_S = 0.5, 60.0
LONG_PAST = 8  # epochs without a better one, where these are half of the run


@dataclass(frozen=True)
class Course:
    """A run so far, an epoch a row, at least one."""

    rows: Sequence[Metrics]
    recipe: TrainingSettings

    @property
    def chance(self) -> float:
        """The loss of a batch of unrelated pairs, in nats."""
        return log(self.recipe.batch)

    @property
    def last(self) -> Metrics:
        """The newest epoch."""
        return self.rows[-1]

    @property
    def best(self) -> Metrics:
        """The first of the best epochs by retrieval."""
        return max(self.rows, key=lambda row: row["map"])

    @property
    def is_over(self) -> bool:
        """Whether no epoch is to come, as far as the settings say."""
        late = self.last["epoch"] - self.best["epoch"]
        return self.last["epoch"] + 1 >= self.recipe.epochs or late >= self.recipe.patience


def follow(history: Sequence[Metrics], plan: TrainPlan, folder: Path) -> list[Finding]:
    """What is wrong with the course of a run; kept in the run's `folder`."""
    if not history:
        return []
    course = Course(history, TrainingSettings(**plan.training))
    found = [finding for check in CHECKS for finding in check(course)]
    keep_findings(folder, found, "during")
    return found


def check_finite(course: Course) -> Iterator[Finding]:
    """A loss or a gradient that is no number."""
    for row in course.rows:
        odd = [name for name in ("loss", "grad_norm", "map") if not isfinite(row.get(name, 0.0))]
        if odd:
            yield _warn(
                "non-finite",
                f"{odd[0]} of epoch {row['epoch'] + 1:.0f} is {row[odd[0]]}",
                "lower training.learning_rate, or set training.precision=fp32",
            )
            return


def check_loss(course: Course) -> Iterator[Finding]:
    """A loss that stays at chance, or that rises again."""
    recipe = course.recipe
    has_more = recipe.tasks or recipe.consistency or recipe.bias_share
    if recipe.loss not in SOFTMAX or has_more:
        return
    lowest = min(row["loss"] for row in course.rows)
    if course.is_over and lowest >= AT_CHANCE * course.chance:
        yield _warn(
            "loss-at-chance",
            f"after {len(course.rows)} epochs the loss is {course.last['loss']:.2f}; unrelated "
            f"pairs cost {course.chance:.2f} (ln {course.recipe.batch})",
            "look for unrelated or blank pairs, frozen weights, or a rate too high or too low",
        )
    elif course.last["loss"] > lowest + RISEN * course.chance:
        yield _warn(
            "loss-rising",
            f"the loss fell to {lowest:.2f} and is {course.last['loss']:.2f} again",
            "lower training.learning_rate, or raise training.batch",
        )


def check_retrieval(course: Course) -> Iterator[Finding]:
    """Held-out retrieval at chance, or falling while the loss falls."""
    best, last = course.best, course.last
    yield from _at_chance(course)
    errors = sqrt(best.get("map_error", 1.0) ** 2 + last.get("map_error", 1.0) ** 2)
    fell = best["map"] - last["map"] > FALLEN * errors
    late = last["epoch"] - best["epoch"]
    is_stale = late >= max(LONG_PAST, len(course.rows) / 2)
    if last["loss"] < best["loss"] and (fell or is_stale):
        yield _warn(
            "over-fitting",
            f"since epoch {best['epoch'] + 1:.0f} MAP on val went from {best['map']:.3f} to "
            f"{last['map']:.3f} in {late:.0f} epochs, while the loss went on from "
            f"{best['loss']:.2f} to {last['loss']:.2f}",
            "set training.epochs or training.patience lower, matcher.dropout higher, "
            "or give more products",
        )


def check_temperature(course: Course) -> Iterator[Finding]:
    """A logit scale that collapsed, or that ran into its bound."""
    if "log_scale" not in course.last:
        return
    now, first = course.last["log_scale"], course.rows[0].get("log_scale", course.last["log_scale"])
    is_softmax = course.recipe.loss != "siglip"
    if is_softmax and lowest_loss(now, course.recipe.batch) > MOST_FLOOR:
        yield _warn(
            "temperature-collapsed",
            f"the logit scale is {exp(now):.2g}: no batch of {course.recipe.batch} can tell its "
            "pairs apart",
            "lower training.learning_rate; take a base whose logit_scale is that of its training",
        )
    bound = LOG_SCALE_BOUNDS[1]
    if now >= bound - 1e-3 and first < bound - 0.3:
        yield _warn(
            "temperature-at-bound",
            f"the logit scale rose from {exp(first):.0f} to its bound, {exp(bound):.0f}: few "
            "pairs own the gradient",
            "raise training.label_smoothing, or set training.epochs lower",
        )


def check_collapse(course: Course) -> Iterator[Finding]:
    """Vectors of one side that are all alike."""
    for side, mend in (("text", "titles"), ("image", "pictures")):
        cosine = course.last.get(f"{side}_cosine", 0.0)
        rank = course.last.get(f"{side}_rank", float("inf"))
        if cosine > MOST_COSINE or rank < FEWEST_DIRECTIONS:
            yield _warn(
                "representation-collapsed",
                f"{side} vectors on val have mean cosine {cosine:.3f} and use {rank:.1f} "
                "directions: they are all alike",
                f"look for blank {mend}; lower training.learning_rate; raise training.batch",
            )


def check_gradients(course: Course) -> Iterator[Finding]:
    """Gradients that vanish, explode, or are clipped at each step."""
    first, last = course.rows[0], course.last
    if "grad_norm" not in last:
        return
    norm, clip = last["grad_norm"], course.recipe.clip_norm
    before = first.get("grad_norm", norm)  # a run begun by an older version has none
    seen = f"gradients have norm {norm:.2g} in the mean of epoch {last['epoch'] + 1:.0f}"
    if norm < LEAST_NORM:
        yield _warn(
            "gradients-vanishing",
            f"{seen}: the optimiser cannot see them",
            "look for frozen weights or a collapsed temperature",
        )
    elif norm > EXPLODED * before and last["loss"] > first["loss"]:
        yield _warn(
            "gradients-exploding",
            f"{seen}, {norm / before:.0f} times the first epoch's",
            "lower training.learning_rate, or raise training.warmup_share",
        )
    elif last["clipped_share"] >= MOST_CLIPPED and norm > MOST_NORMS * clip:
        yield _warn(
            "clipped-every-step",
            f"{seen}, and {last['clipped_share']:.0%} of its steps were clipped to {clip:g}",
            f"raise training.clip_norm to about {norm:.1g}, or lower training.learning_rate",
        )


def check_waiting(course: Course) -> Iterator[Finding]:
    """Time that the step spent waiting for data."""
    waited = sum(row["data_wait_share"] * row["train_s"] for row in course.rows)
    share = waited / max(1e-9, sum(row["train_s"] for row in course.rows))
    if share > MOST_WAITING and waited > WAITED_S:
        yield _warn(
            "waiting-for-data",
            f"{share:.0%} of {waited / share:.0f} s of training were spent waiting for data",
            "put the home on a faster disk, or train with fewer training.workers on this machine",
        )


CHECKS: tuple[Callable[[Course], Iterator[Finding]], ...] = (
    check_finite,
    check_loss,
    check_retrieval,
    check_temperature,
    check_collapse,
    check_gradients,
    check_waiting,
)


def _at_chance(course: Course) -> Iterator[Finding]:
    """Neither R@10 nor the median rank better than those of a random order, by three errors.

    Of fewer than 16 queries nothing is said: a random order would reach what they reach.
    """
    chance, queries = course.last.get("chance_recall", 1.0), course.last.get("val_queries", 1.0)
    highest = max(row["recall@10"] for row in course.rows)
    lowest = min(row["median_rank"] for row in course.rows)
    noise = 3 * sqrt(chance * (1 - chance) / queries)
    # The median of Q even draws has the standard error 1 / (2 sqrt(Q)); ranks end at the depth.
    products = CHANCE_DEPTH / chance
    low_rank = min(DEPTH, products * (0.5 - 1.5 / sqrt(queries)))
    if course.is_over and queries >= FEWEST and highest <= chance + noise < 1 and lowest > low_rank:
        yield _warn(
            "held-out-at-chance",
            f"the best R@10 on val is {highest:.3f}; a random order gives {chance:.3f}, up to "
            f"{chance + noise:.3f} on {queries:.0f} queries",
            "look for unrelated or leaked pairs, another shop's val, or a rate too low",
        )


def _warn(name: str, seen: str, mend: str) -> Finding:
    return Finding(name, "warning", "during", seen, mend)
