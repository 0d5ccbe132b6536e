"""Reload parity: a fresh process opens a saved encoder and gives the same vectors.

    python -m xmodal.matcher.parity ENCODER_FOLDER PROBE.safetensors ANSWER.safetensors

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
    asked = [*_TEXTS, *texts]
    pixels_BCHW = _pixels(encoder.spec.image_size)
    was_training = encoder.training
    encoder.eval()
    here = _vectors(encoder, asked, pixels_BCHW)
    encoder.train(was_training)
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer.safetensors"
        _fresh([str(folder / "encoder"), json.dumps(asked), str(answer)])
        there = load_file(answer)
    worst = max(float((here[name] - there[name]).abs().max()) for name in here)
    if not worst <= TOLERANCE:
        raise MatcherError(f"{folder}: reopened, it differs by {worst:.1e}; it is not registered")
    return worst


def main(argv: Sequence[str] | None = None) -> int:
    """The fresh process: folder, texts as JSON, where to write the vectors."""
    folder, texts, answer = sys.argv[1:] if argv is None else argv
    try:
        encoder = load_encoder(Path(folder))
        pixels_BCHW = _pixels(encoder.spec.image_size)
        save_file(_vectors(encoder, json.loads(texts), pixels_BCHW), answer)
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


def _vectors(encoder: Encoder, texts: Sequence[str], pixels_BCHW: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        return {
            "image": encoder.encode_image(pixels_BCHW).contiguous(),
            "text": encoder.encode_text(encoder.inputs.texts(texts)).contiguous(),
        }


def _pixels(size: tuple[int, int]) -> Tensor:
    """Four pictures of noise, the same in every process."""
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (4, 3, *size), generator=draw, dtype=torch.uint8)


if __name__ == "__main__":
    sys.exit(main())
