"""Plain factories for tests: tiny real parts, with defaults."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from xmodal.matcher.image_tower import make_timm
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.text_tower import TextTower
from xmodal.matcher.towers import Towers
from xmodal.matcher.words import Vocabulary

CAPTIONS = ("red shoe", "blue shirt", "green bag", "red bag", "blue shoe", "红色鞋子", "蓝色衬衫")


def tiny_encoder(
    texts: Sequence[str] = CAPTIONS,
    dim: int = 16,
    seed: int = 0,
    trained_blocks: int = 2,
    dropout: float = 0.0,
    train_text: bool = False,
    text_layers: int = 2,
) -> Towers:
    """A real encoder of separate towers, of about 0.3 million random weights, for 32 x 32."""
    torch.manual_seed(seed)
    spec = EncoderSpec(
        family="towers",
        base="offline",
        dim=dim,
        image_size=(32, 32),
        trained_blocks=trained_blocks,
        train_text=train_text,
        dropout=dropout,
        image_model="test_efficientnet",
    )
    vocabulary = Vocabulary.build(texts, limit=1000, min_count=1)
    image_model = make_timm(spec.image_model, spec.image_size)
    return Towers(
        spec, image_model, tiny_text(layers=text_layers), tiny_tokenizer(texts), vocabulary
    )


def tiny_text(vocabulary: int = 200, layers: int = 2) -> TextTower:
    """A BERT with random weights."""
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    return TextTower(BertModel(config))


def tiny_tokenizer(texts: Sequence[str] = CAPTIONS) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words in lower case, with BERT's special tokens."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    known = sorted({word for text in texts for word in text.lower().split()})[:190]
    ids = {word: number for number, word in enumerate([*special, *known])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def make_picture(seed: int = 0, size: tuple[int, int] = (40, 40), kind: str = "PNG") -> bytes:
    """An encoded picture of (height, width) with random coloured squares."""
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((size[1], size[0]), Image.Resampling.NEAREST)
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()
