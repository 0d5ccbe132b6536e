"""Families of encoders: from the id in the settings to a model, and back from a saved folder.

A family is imported where it is asked for: timm, transformers and open_clip take seconds, and many
a process of a cluster (a retriever, a deploying driver) never opens an encoder.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from xmodal.errors import MatcherError
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.inputs import Inputs
from xmodal.matcher.spec import EncoderSpec
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
    if settings.base == "offline" or (family == "towers" and "+" in name):
        from xmodal.matcher.towers import make_towers

        return make_towers(settings, texts, pictures)
    if family == "open_clip" and name:
        from xmodal.matcher.open_clip_dual import make_open_clip

        return make_open_clip(settings, texts)
    if family == "transformers" and name:
        from xmodal.matcher.transformers_dual import make_transformers

        return make_transformers(settings, texts)
    raise MatcherError(
        f"matcher.base={settings.base!r}: give `offline`, `open_clip:NAME[@WEIGHTS]`, "
        "`transformers:NAME_OR_FOLDER` or `towers:TIMM[@FILE]+TEXT`"
    )


def restore_encoder(spec: EncoderSpec, vocabulary: Vocabulary, folder: Path) -> Encoder:
    """The architecture that was saved in `folder`, its weights still random."""
    if spec.family == "towers":
        from xmodal.matcher.towers import restore_towers

        return restore_towers(spec, vocabulary, folder)
    if spec.family == "open_clip":
        from xmodal.matcher.open_clip_dual import restore_open_clip

        return restore_open_clip(spec, vocabulary, folder)
    if spec.family == "transformers":
        from xmodal.matcher.transformers_dual import restore_transformers

        return restore_transformers(spec, vocabulary, folder)
    raise MatcherError(f"{folder}/spec.json: unknown family {spec.family!r}")


def restore_inputs(spec: EncoderSpec, vocabulary: Vocabulary, folder: Path) -> Inputs:
    """The preprocessing of the encoder whose parts lie in `folder`, without any model.

    Raises:
        MatcherError: the tokenizer is missing or damaged.
    """
    if spec.family == "open_clip":
        from xmodal.matcher.open_clip_dual import restore_open_clip_tokens

        return Inputs(spec, restore_open_clip_tokens(folder), vocabulary)
    from xmodal.matcher.text_tower import SentenceTokens, restore_tokenizer

    tokenizer = restore_tokenizer(folder)
    if spec.family == "towers":
        return Inputs(spec, SentenceTokens(tokenizer, spec.max_tokens), vocabulary)
    from xmodal.matcher.transformers_dual import HubTokens

    is_siglip = spec.image_model.startswith("siglip")
    return Inputs(spec, HubTokens(tokenizer, spec.max_tokens, is_siglip), vocabulary)
