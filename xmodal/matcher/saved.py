"""A saved matcher: one folder, safetensors and JSON, no pickle, no network.

encoder/      weights.safetensors, spec.json, vocabulary.json, tokenizer and configs
reranker/     optional; a fingerprint of its own, so that a new one needs no new index
calibration/  optional; what its scores are worth, a fingerprint of its own too
fields/       optional; how much pictures, title and attributes count in a product's one vector
matcher.json  facts, and every file's fingerprint
README.md     the model card
"""

from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from xmodal import fingerprint
from xmodal.errors import MatcherError
from xmodal.matcher.calibration import Calibration
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.facts import Facts, model_card
from xmodal.matcher.families import restore_encoder
from xmodal.matcher.fields import FieldWeights
from xmodal.matcher.reranker import Reranker, load_reranker, save_reranker
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.words import Vocabulary
from xmodal.storage import publish

WEIGHTS = "weights.safetensors"
FACTS = "matcher.json"


@dataclass(frozen=True)
class Matcher:
    """A matcher in memory, in inference mode."""

    encoder: Encoder
    reranker: Reranker | None
    facts: Facts
    calibration: Calibration | None = None
    fields: FieldWeights | None = None


def save_matcher(
    folder: Path,
    encoder: Encoder,
    reranker: Reranker | None = None,
    facts: Facts | None = None,
    calibration: Calibration | None = None,
    *,
    fields: FieldWeights | None = None,
) -> Facts:
    """Write a matcher to `folder`, whole or not at all, and return its facts, filled in."""
    with publish(folder) as temporary:
        save_encoder(encoder, temporary / "encoder")
        if reranker is not None:
            save_reranker(reranker, temporary / "reranker")
        if calibration is not None:
            calibration.save(temporary / "calibration")
        if fields is not None:
            fields.save(temporary / "fields")
        facts = replace(
            facts or Facts(),
            encoder=encoder_fingerprint(temporary / "encoder"),
            reranker=fingerprint.of_folder(temporary / "reranker") if reranker else "",
            calibration=fingerprint.of_folder(temporary / "calibration") if calibration else "",
            fields=fingerprint.of_folder(temporary / "fields") if fields else "",
            files=_fingerprints(temporary),
        )
        (temporary / "README.md").write_text(model_card(encoder.spec, facts), encoding="utf-8")
        facts.save(temporary / FACTS)
    return facts


def load_matcher(folder: Path) -> Matcher:
    """The matcher that `save_matcher` wrote, in inference mode, on the CPU.

    Raises:
        MatcherError: a file is missing, or is not the one that was saved.
    """
    facts = read_facts(folder)
    for name, saved in facts.files.items():
        if not (folder / name).is_file():
            raise MatcherError(f"{folder / name} is missing; copy the matcher folder again")
        if fingerprint.of_file(folder / name) != saved:
            raise MatcherError(
                f"{folder / name} is cut short or changed; copy the matcher folder again"
            )
    encoder = load_encoder(folder / "encoder")
    reranker = load_reranker(folder / "reranker") if facts.reranker else None
    fields = FieldWeights.load(folder / "fields") if facts.fields else None
    return Matcher(encoder, reranker, facts, load_calibration(folder), fields)


def load_calibration(folder: Path) -> Calibration | None:
    """What the saved matcher's scores are worth; None where it does not say.

    Raises:
        MatcherError: the file is missing or damaged.
    """
    has_one = bool(read_facts(folder).calibration)
    return Calibration.load(folder / "calibration") if has_one else None


def read_facts(folder: Path) -> Facts:
    """The facts of a saved matcher. Raises MatcherError where `folder` holds none."""
    if not folder.is_dir():
        raise MatcherError(f"{folder}: no such folder; give the folder of a saved matcher")
    return Facts.load(folder / FACTS)


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
        first = str(error).splitlines()[1:2] or [str(error)]
        raise MatcherError(
            f"{path}: weights of another architecture: {first[0].strip()}"
        ) from error
    encoder.eval()
    return encoder


def encoder_fingerprint(folder: Path) -> str:
    """Fingerprint of a saved encoder (the folder `encoder/`): what an index names."""
    return fingerprint.of_folder(folder)


def _fingerprints(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): fingerprint.of_file(path) for path in files}
