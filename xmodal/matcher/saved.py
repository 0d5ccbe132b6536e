"""A saved matcher: one folder, safetensors and JSON, no pickle, no network.

    encoder/    weights.safetensors, spec.json, vocabulary.json, tokenizer and configs
    reranker/   optional; a fingerprint of its own, so a new one needs no new index
    matcher.json, README.md
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from xmodal import fingerprint
from xmodal.errors import MatcherError
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.families import restore_encoder
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.words import Vocabulary
from xmodal.storage import publish

WEIGHTS = "weights.safetensors"


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write `encoder` to `folder`, whole or not at all; what was there is replaced."""
    with publish(folder) as temporary:
        state = {name: value.contiguous() for name, value in encoder.state_dict().items()}
        save_file(state, temporary / WEIGHTS)
        encoder.spec.save(temporary / "spec.json")
        encoder.vocabulary.save(temporary / "vocabulary.json")
        encoder.save_parts(temporary)


def load_encoder(folder: Path) -> Encoder:
    """The encoder that `save_encoder` wrote, in inference mode, on the CPU.

    Raises:
        MatcherError: a file is missing, cut short, or of another architecture.
    """
    spec = EncoderSpec.load(folder / "spec.json")
    vocabulary = Vocabulary.load(folder / "vocabulary.json")
    path = folder / WEIGHTS
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise MatcherError(
            f"{path}: cannot read the weights ({error}); copy the matcher folder again"
        ) from error
    encoder = restore_encoder(spec, vocabulary, folder)
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise MatcherError(f"{path}: weights of another architecture ({error})") from error
    encoder.eval()
    return encoder


def encoder_fingerprint(folder: Path) -> str:
    """Fingerprint of a saved encoder: what an index names."""
    return fingerprint.of_folder(folder)
