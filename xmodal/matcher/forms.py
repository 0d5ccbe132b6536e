"""A form of a matcher: its two towers as ONNX files, opened without the model that they are of.

    form.json     what it was made of, what it reaches, every file's fingerprint
    text.onnx     ids, mask, words -> unit vectors
    image.onnx    uint8 pixels -> unit vectors (and patch tokens)
    inputs/       spec, vocabulary and tokenizer: what turns texts and pictures into tensors

No pickle, no network. Needs onnxruntime (the extra `export`).

Shapes: B texts or pictures, T tokens, D embedding, K = 16 patch tokens of 128.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xmodal import fingerprint
from xmodal.errors import MatcherError
from xmodal.matcher.families import restore_inputs
from xmodal.matcher.inputs import Features
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.words import Vocabulary

FACTS, TEXT_FILE, IMAGE_FILE, INPUTS = "form.json", "text.onnx", "image.onnx", "inputs"
_TEXTS = 8  # read at once: texts of about one length, so that hardly any padding is


@dataclass(frozen=True)
class FormFacts:
    """What a form is. All of it is JSON."""

    name: str
    encoder: str
    """Fingerprint of the encoder that it is a form of; the vectors are close, not equal."""
    has_tokens: bool = False
    """Whether the image tower gives the reranker's patch tokens too."""
    image: str = "float"
    """How the image tower computes: only a `float` one's vectors are those of an index."""
    made: Mapping[str, object] = field(default_factory=dict)
    """How it was made, and its quality and speed against the float model, as measured then."""
    files: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write `form.json`, with the fingerprint of each other file in `folder`."""
        files = {
            path.relative_to(folder).as_posix(): fingerprint.of_file(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != FACTS
        }
        text = json.dumps(asdict(self) | {"files": files}, indent=1, ensure_ascii=False)
        (folder / FACTS).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "FormFacts":
        """Read what `save` wrote. Raises MatcherError where it is missing or damaged."""
        try:
            document = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            known = {entry.name for entry in fields(cls)}
            return cls(**{name: value for name, value in document.items() if name in known})
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise MatcherError(
                f"{folder / FACTS}: cannot read it ({error}); make the form again: jobs/export.py"
            ) from error


class Form:
    """Two towers in onnxruntime, with the encoder's `inputs`; one thread a core by default."""

    def __init__(self, folder: Path, facts: FormFacts, threads: int) -> None:
        self.facts = facts
        spec = EncoderSpec.load(folder / INPUTS / "spec.json")
        vocabulary = Vocabulary.load(folder / INPUTS / "vocabulary.json")
        self.inputs = restore_inputs(spec, vocabulary, folder / INPUTS)
        self.spec = spec
        self._text = open_session(folder / TEXT_FILE, threads)
        self._image = open_session(folder / IMAGE_FILE, threads)

    @property
    def dim(self) -> int:
        """Size D of the shared space."""
        return self.spec.dim

    def encode_text(self, tokens: Features) -> Tensor:
        """Unit vectors (B, D), float32, of `inputs.texts(...)`.

        Texts are read in order of their length, a few at a time: what a mask or a padding hides
        at their end is not read at all.
        """
        length_B = _lengths(tokens)
        order_B = length_B.argsort()
        found_BD = torch.empty(len(order_B), self.dim)
        for rows in order_B.split(_TEXTS):
            longest = max(1, int(length_B[rows].max()))
            found_BD[rows] = _run(self._text, _cut(tokens, rows, longest))[0]
        return found_BD

    def encode_image(self, pixels_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, D), float32, of uint8 pixels."""
        return _run(self._image, {"pixels_BCHW": pixels_BCHW}, ["vector_BD"])[0]

    def image_and_tokens(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors (B, D) and patch tokens (B, K, 128). Raises MatcherError without tokens."""
        if not self.facts.has_tokens:
            raise MatcherError(f"the form {self.facts.name!r} was made without patch tokens")
        vector_BD, tokens_BKC = _run(self._image, {"pixels_BCHW": pixels_BCHW})
        return vector_BD, tokens_BKC


def load_form(folder: Path, threads: int | None = None) -> Form:
    """The form in `folder`, in memory; `threads` of each tower, all cores if not said.

    Raises:
        MatcherError: a file is missing, or is not the one that was saved; or the extra is missing.
    """
    facts = FormFacts.load(folder)
    for name, saved in facts.files.items():
        if not (folder / name).is_file() or fingerprint.of_file(folder / name) != saved:
            raise MatcherError(
                f"{folder / name} is missing or changed; make the form again: jobs/export.py"
            )
    return Form(folder, facts, threads or os.cpu_count() or 1)


def fastest_form(forms: Path, encoder: str) -> Path | None:
    """The form to answer queries by: of the kept ones in `forms`, that whose text tower is fastest.

    None where no kept one of that encoder reads texts faster than the float model. A form whose
    pictures differ from those of an index built by the float model is left out.
    """
    speeds: dict[Path, float] = {}
    for folder in sorted(forms.glob(f"*/{FACTS}")):
        facts = FormFacts.load(folder.parent)
        text = facts.made.get("text")
        if facts.encoder == encoder and facts.image == "float" and isinstance(text, Mapping):
            speeds[folder.parent] = float(text["ratio"])
    best = max(speeds, key=speeds.__getitem__, default=None)
    return best if best is not None and speeds[best] > 1 else None


def open_session(path: Path, threads: int) -> Any:
    """An onnxruntime session on the CPU. Raises MatcherError where it cannot be opened."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MatcherError(
            "a form needs the extra `export`: pip install 'xmodal[export]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # A service shares its cores: threads that wait for work must sleep, not spin.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class of their own that is public
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise MatcherError(f"{path}: cannot be opened ({first})") from error


def _run(session: Any, given: Features, outputs: list[str] | None = None) -> list[Tensor]:
    """The session's outputs; inputs that it does not read are left out."""
    asked = {one.name for one in session.get_inputs()}
    fed = {name: value.contiguous().numpy() for name, value in given.items() if name in asked}
    return [torch.from_numpy(array) for array in session.run(outputs, fed)]


def _lengths(tokens: Features) -> Tensor:
    """Tokens (B,) up to the last one that is read; the full width where there is no mask."""
    mask_BT = tokens.get("mask_BT")
    if mask_BT is None:
        return torch.full((len(tokens["ids_BT"]),), tokens["ids_BT"].shape[1])
    places_T = torch.arange(1, mask_BT.shape[1] + 1)
    return (mask_BT * places_T).amax(1)


def _cut(tokens: Features, rows: Tensor, longest: int) -> Features:
    """These rows, without columns that are padding in all of them."""
    cut = {name: value[rows] for name, value in tokens.items()}
    for name in ("ids_BT", "mask_BT"):
        if name in cut and "mask_BT" in cut:
            cut[name] = cut[name][:, :longest]
    words = max(1, int((cut["words_BW"] > 0).sum(1).max()))
    return cut | {"words_BW": cut["words_BW"][:, :words]}
