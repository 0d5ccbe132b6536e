"""What a training setting is where nobody gave it: derived from the model, with the reason."""

from xmodal.settings import MatcherSettings, Settings, TrainingSettings

# Heads and words from scratch want a high rate; a dual encoder forgets above 1e-4.
# Adapters start at nothing and want about ten times the rate of full tuning.
_RATES = {"towers": 1e-3, "dual encoder": 3e-5, "dual encoder with adapters": 3e-4}


def derived(settings: Settings) -> Settings:
    """The settings with nothing of the training left open."""
    rate = settings.training.learning_rate or _RATES[_kind(settings.matcher)]
    training = settings.training.model_copy(update={"learning_rate": rate})
    return settings.model_copy(update={"training": training})


def reasons(matcher: MatcherSettings, given: TrainingSettings) -> dict[str, str]:
    """Rows for the summary: what was derived, and from what."""
    if given.learning_rate is not None:
        return {}
    kind = _kind(matcher)
    return {"learning rate": f"{_RATES[kind]:g}, for {kind} ({matcher.base})"}


def _kind(matcher: MatcherSettings) -> str:
    is_dual = matcher.base.startswith(("open_clip:", "transformers:"))
    if is_dual and matcher.adapter != "none":
        return "dual encoder with adapters"
    return "dual encoder" if is_dual else "towers"
