"""Families of encoders: from the id in the settings to a model, and back from a saved folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from xmodal.errors import MatcherError
from xmodal.matcher import offline
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.image_tower import load_weights, make_timm, pixel_statistics, split
from xmodal.matcher.inputs import derive_image_size
from xmodal.matcher.open_clip_dual import make_open_clip, restore_open_clip
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.text_tower import load_text
from xmodal.matcher.towers import Towers, restore_towers
from xmodal.matcher.transformers_dual import make_transformers, restore_transformers
from xmodal.matcher.words import Vocabulary
from xmodal.settings import MatcherSettings


def make_encoder(
    settings: MatcherSettings, texts: Iterable[str], pictures: Sequence[bytes] = ()
) -> Encoder:
    """An untuned encoder of the base that `settings` name.

    Args:
        settings: where the picture size or the trained blocks are not given, they are derived.
        texts: captions of the training products; the vocabulary is made of them.
        pictures: a sample of the catalogue's encoded pictures, to derive the picture size from.

    Raises:
        MatcherError: an unknown base, or weights that cannot be found or read.
    """
    family, _, name = settings.base.partition(":")
    if settings.base == "offline":
        return _make_towers(
            settings, (offline.IMAGE_MODEL, str(offline.image_weights())), texts, pictures
        )
    if family == "towers" and "+" in name:
        image, _, weights = name.partition("+")[0].partition("@")
        return _make_towers(settings, (image, weights), texts, pictures)
    if family == "open_clip" and name:
        return make_open_clip(settings, texts)
    if family == "transformers" and name:
        return make_transformers(settings, texts)
    raise MatcherError(
        f"matcher.base={settings.base!r}: give `offline`, `open_clip:NAME[@WEIGHTS]`, "
        "`transformers:NAME_OR_FOLDER` or `towers:TIMM[@FILE]+TEXT`"
    )


def restore_encoder(spec: EncoderSpec, vocabulary: Vocabulary, folder: Path) -> Encoder:
    """The architecture that was saved in `folder`, its weights still random."""
    if spec.family == "towers":
        return restore_towers(spec, vocabulary, folder)
    if spec.family == "open_clip":
        return restore_open_clip(spec, vocabulary, folder)
    if spec.family == "transformers":
        return restore_transformers(spec, vocabulary, folder)
    raise MatcherError(f"{folder}/spec.json: unknown family {spec.family!r}")


def _make_towers(
    settings: MatcherSettings,
    image: tuple[str, str],
    texts: Iterable[str],
    pictures: Sequence[bytes],
) -> Towers:
    name, weights = image
    text_source = settings.base.partition("+")[2] or str(offline.text_folder())
    image_size = settings.image_size or derive_image_size(pictures)
    model = make_timm(name, image_size, pretrained=not weights)
    if weights:
        load_weights(model, Path(weights))
    text, tokenizer = load_text(text_source)
    mean, std = pixel_statistics(model)
    spec = EncoderSpec(
        family="towers",
        base=settings.base,
        dim=settings.dim,
        image_size=image_size,
        mean=mean,
        std=std,
        trained_blocks=split(model, settings.trained_blocks)[2],
        train_text=settings.train_text,
        dropout=settings.dropout,
        image_model=name,
    )
    return Towers(spec, model, text, tokenizer, Vocabulary.build(texts, settings.vocabulary))
