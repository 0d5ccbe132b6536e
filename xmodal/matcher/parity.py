"""Reload parity: a fresh process opens a saved encoder, or a form, and gives the same vectors.

    python -m xmodal.matcher.parity FOLDER TEXTS_AS_JSON ANSWER.safetensors

A gate before anything is registered: what is in memory is not what will be served.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from xmodal.errors import MatcherError, XmodalError
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.forms import FACTS, Form, load_form
from xmodal.matcher.saved import load_encoder

TOLERANCE = 1e-4
_TEXTS = ("red running shoes", "红色 连衣裙", "navy polo 男士", "unheard-of zyx 42")


def check_reload_parity(folder: Path, encoder: Encoder, texts: Sequence[str] = ()) -> float:
    """Largest difference between `encoder`'s vectors and those of its saved folder, reopened.

    Args:
        folder: a saved matcher's folder.
        encoder: the one in memory, on the CPU.
        texts: queries to compare besides four fixed ones.

    Raises:
        MatcherError: the fresh process cannot open it, or differs by more than 1e-4.
    """
    was_training = encoder.training
    encoder.eval()
    worst, _ = _compare(folder / "encoder", encoder, [*_TEXTS, *texts])
    encoder.train(was_training)
    if not worst <= TOLERANCE:
        raise MatcherError(f"{folder}: reopened, it differs by {worst:.1e}; it is not registered")
    return worst


def check_form_parity(folder: Path, form: Form, texts: Sequence[str] = ()) -> tuple[float, int]:
    """As `check_reload_parity`, of a saved form; and the most bytes that the fresh process held.

    Raises:
        MatcherError: the fresh process cannot open it, or differs by more than 1e-4.
    """
    worst, peak_bytes = _compare(folder, form, [*_TEXTS, *texts])
    if not worst <= TOLERANCE:
        raise MatcherError(f"{folder}: reopened, it differs by {worst:.1e}; it is not kept")
    return worst, peak_bytes


def memory_in_a_fresh_process(folder: Path, texts: Sequence[str] = ()) -> int:
    """The most bytes held by a process that opens a saved encoder or form and uses both towers."""
    return int(_answer(folder, [*_TEXTS, *texts])["peak_bytes"])


def peak_memory_bytes() -> int:
    """The most memory that this process has held at once; on Linux."""
    # Not `resource.getrusage`: its figure outlives exec, and is the parent's where that is larger.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if "VmHWM" in line)


def _compare(folder: Path, towers: Encoder | Form, asked: Sequence[str]) -> tuple[float, int]:
    """The largest difference from the fresh process's vectors, and that process's peak memory."""
    here, there = _vectors(towers, asked), _answer(folder, asked)
    worst = max(float((here[name] - there[name]).abs().max()) for name in here)
    return worst, int(there["peak_bytes"])


def _answer(folder: Path, asked: Sequence[str]) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer.safetensors"
        _fresh([str(folder), json.dumps(asked), str(answer)])
        return load_file(answer)


def main(argv: Sequence[str] | None = None) -> int:
    """The fresh process: folder, texts as JSON, where to write the vectors."""
    folder, texts, answer = sys.argv[1:] if argv is None else argv
    try:
        is_form = (Path(folder) / FACTS).exists()
        towers = load_form(Path(folder)) if is_form else load_encoder(Path(folder))
        found = _vectors(towers, json.loads(texts))
        save_file(found | {"peak_bytes": torch.tensor(peak_memory_bytes())}, answer)
    except XmodalError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _fresh(arguments: list[str]) -> None:
    """Run `main` in a new process that cannot reach the hub."""
    done = subprocess.run(
        [sys.executable, "-m", "xmodal.matcher.parity", *arguments],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise MatcherError(f"{arguments[0]}: a fresh process cannot open it: {last}")


def _vectors(towers: Encoder | Form, texts: Sequence[str]) -> dict[str, Tensor]:
    with torch.inference_mode():
        return {
            "image": towers.encode_image(_pixels(towers.spec.image_size)).contiguous(),
            "text": towers.encode_text(towers.inputs.texts(texts)).contiguous(),
        }


def _pixels(size: tuple[int, int]) -> Tensor:
    """Four pictures of noise, the same in every process."""
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (4, 3, *size), generator=draw, dtype=torch.uint8)


if __name__ == "__main__":
    sys.exit(main())
