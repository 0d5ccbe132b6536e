"""The teacher of a distilled run: another saved matcher's vectors of the same texts and pictures.

They are computed once, before the first step; a step only looks them up.

Shapes: B pairs, E the teacher's embedding size, of no consequence to the student's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from xmodal.matcher.saved import load_matcher
from xmodal.retrieval.embed import embed_texts, open_store
from xmodal.retrieval.store import FeatureStore
from xmodal.storage import read_json, write_json_atomic
from xmodal.training.captions import Ints
from xmodal.training.losses.contract import Teacher
from xmodal.training.texts import TextStore, write_texts

TEACHER_FILE = "teacher.json"
EmbedTeacher = Callable[[Path], FeatureStore]  # a saved matcher to its vectors of the catalogue


@dataclass(frozen=True)
class TeacherRows:
    """The teacher's vectors by the rows of the student's own stores."""

    texts: TextStore
    images: FeatureStore
    log_scale: float

    def take(self, text_B: Ints, image_B: Ints) -> Teacher:
        """Vectors of B pairs."""
        text_BE = torch.from_numpy(self.texts.take(text_B)["vector"]).float()
        image_BE = torch.from_numpy(self.images.take(image_B, ["vector"])["vector"]).float()
        return Teacher(text_BE, image_BE, self.log_scale)


def write_teacher(folder: Path, matcher: Path, texts: list[str], embed: EmbedTeacher) -> None:
    """Leave in `folder` what `open_teacher` needs; what is there already is kept.

    Raises:
        MatcherError: `matcher` is no folder of a saved matcher, or is damaged.
    """
    encoder = load_matcher(matcher).encoder
    write_texts(folder / "texts", texts, lambda chunk: {"vector": embed_texts(encoder, chunk)})
    found = {"images": str(embed(matcher).folder), "log_scale": float(encoder.log_scale.detach())}
    write_json_atomic(folder / TEACHER_FILE, found)


def open_teacher(folder: Path) -> TeacherRows:
    """Open what `write_teacher` left, memory-mapped."""
    found = read_json(folder / TEACHER_FILE)
    assert isinstance(found, dict)
    images = open_store(Path(found["images"]))
    return TeacherRows(TextStore(folder / "texts"), images, float(found["log_scale"]))
