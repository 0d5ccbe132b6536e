"""The space of a search: what may vary, checked before the first trial. No Ray.

A point is a dict of dotted settings and their values, as `{"training.learning_rate": 0.001}`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from xmodal.errors import SettingsError
from xmodal.settings import Settings, SpaceItem, TrainingSettings
from xmodal.training.prepare import TrainPlan

Point = dict[str, Any]
DROPOUT = "matcher.dropout"
# What would change the cached features, the pairs and what is known of them, the cluster, or the
# clock by which trials are compared.
FIXED = {
    *("epochs", "workers", "gpu", "retries", "patience"),
    *("tasks", "bias_attribute", "bias_share", "pseudo_share"),
}


def check_space(settings: Settings) -> None:
    """Raise SettingsError where an item of `tuning.space` cannot be searched."""
    if not settings.tuning.space:
        raise SettingsError("tuning.space is empty: give at least one setting to search")
    for item in settings.tuning.space:
        branch, _, name = item.setting.partition(".")
        known = branch == "training" and name in TrainingSettings.model_fields
        if item.setting != DROPOUT and (not known or name in FIXED):
            raise SettingsError(
                f"tuning.space: {item.setting!r} cannot be searched; {DROPOUT} and training.* "
                f"can, save {', '.join(sorted(FIXED))}"
            )
        for value in ends(item):
            _check_value(settings, item.setting, value)


def ends(item: SpaceItem) -> Sequence[int | float | str]:
    """The choices, or the two ends of the range. Raises SettingsError where there is neither."""
    if item.choices:
        return item.choices
    if item.low is None or item.high is None or item.low >= item.high:
        raise SettingsError(f"tuning.space: {item.setting} needs `choices`, or `low` below `high`")
    if item.log and item.low <= 0:
        raise SettingsError(f"tuning.space: {item.setting} on a log scale needs `low` above 0")
    return item.low, item.high


def current(settings: Settings, name: str) -> Any:
    """The value that a dotted setting has now."""
    branch, _, field = name.partition(".")
    return getattr(getattr(settings, branch), field)


def first_point(settings: Settings) -> Point | None:
    """The settings as they stand, if they lie in the space: the search begins with them."""
    point: Point = {}
    for item in settings.tuning.space:
        value, bounds = current(settings, item.setting), ends(item)
        inside = value in bounds if item.choices else bounds[0] <= value <= bounds[1]
        if not inside:
            return None
        point[item.setting] = value
    return point


def at_point(plan: TrainPlan, point: Point) -> TrainPlan:
    """The plan with the point's values in place of the settings'."""
    training = {name.partition(".")[2]: v for name, v in point.items() if name != DROPOUT}
    dropout = float(point.get(DROPOUT, plan.dropout))
    return replace(plan, training={**plan.training, **training}, dropout=dropout)


def _check_value(settings: Settings, name: str, value: int | float | str) -> None:
    branch, _, field = name.partition(".")
    part = getattr(settings, branch)
    if isinstance(current(settings, name), int) and isinstance(value, float):
        value = round(value)
    try:
        changed = type(part).model_validate({**part.model_dump(), field: value})
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise SettingsError(f"tuning.space: {name}={value!r}: {reason}") from error
    if isinstance(changed, TrainingSettings):
        check_shares(changed)


def check_shares(training: TrainingSettings) -> None:
    """Raise SettingsError unless the batch falls into equal parts."""
    parts = training.workers * training.accumulate
    if training.batch % parts:
        raise SettingsError(
            f"training.batch={training.batch} does not fall into equal parts for "
            f"training.workers={training.workers} times training.accumulate="
            f"{training.accumulate}: give a multiple of {parts}"
        )
