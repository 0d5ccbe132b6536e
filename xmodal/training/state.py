"""A checkpoint: all that a resumed run needs to go on as if nothing had happened.

Random numbers are not in it: they come from (seed, epoch, rank) at the start of each epoch.
"""

import os
from dataclasses import asdict
from pathlib import Path

import torch

from xmodal.training.loop import Progress, Trainee

STATE_FILE = "state.pt"


def save_state(trainee: Trainee, folder: Path) -> None:
    """Write weights, averages, optimiser, schedule and progress into `folder`, which exists."""
    state = {
        "weights": trainee.encoder.trained_state(),
        "loss": trainee.loss.state_dict(),
        "optimizer": trainee.optimizer.state_dict(),
        "schedule": trainee.schedule.state_dict(),
        "progress": asdict(trainee.progress),
        "average": trainee.average and trainee.average.state_dict(),
        "mined": None if trainee.mined_PM is None else torch.from_numpy(trainee.mined_PM),
    }
    torch.save(state, folder / STATE_FILE)


def restore_state(trainee: Trainee, folder: str | os.PathLike[str]) -> None:
    """Put `trainee` where `save_state` left it."""
    state = torch.load(Path(folder) / STATE_FILE, map_location="cpu", weights_only=True)
    trainee.encoder.load_trained_state(state["weights"])
    trainee.loss.load_state_dict(state["loss"])
    trainee.optimizer.load_state_dict(state["optimizer"])
    trainee.schedule.load_state_dict(state["schedule"])
    trainee.progress = Progress(**state["progress"])
    if trainee.average is not None:
        trainee.average.load_state_dict(state["average"])
    if state["mined"] is not None:
        trainee.mined_PM = state["mined"].numpy()


def read_weights(folder: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """The trained weights of a checkpoint, by name: those that were judged."""
    state = torch.load(Path(folder) / STATE_FILE, map_location="cpu", weights_only=True)
    weights: dict[str, torch.Tensor] = (state["average"] or state)["weights"]
    return weights


def read_progress(folder: str | os.PathLike[str]) -> Progress:
    """The progress of a checkpoint, its history among it."""
    state = torch.load(Path(folder) / STATE_FILE, map_location="cpu", weights_only=True)
    return Progress(**state["progress"])
