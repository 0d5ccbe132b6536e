"""The text tower: any transformers text model; its tokens' mean is the sentence.

Shapes: B texts, U different ones, T tokens, S features of a sentence.
"""

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from xmodal.errors import MatcherError
from xmodal.matcher.inputs import Features


class TextTower(nn.Module):
    """A transformers text model under mean pooling."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @property
    def width(self) -> int:
        """Size S of a sentence."""
        return int(self.model.config.hidden_size)  # type: ignore[union-attr, arg-type]

    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Mean over each text's unmasked tokens, float32 (B, S); zeros where all are masked.

        Source: Sentence-BERT, arXiv 1908.10084, section 3.
        """
        # What is masked is never read: Chinese captions that the model hardly knows become alike.
        read_B2T = torch.cat([ids_BT * mask_BT, mask_BT], dim=1)
        different, place_B = read_B2T.unique(dim=0, return_inverse=True)
        if len(different) < len(read_B2T):
            ids_UT, mask_UT = different.split(ids_BT.shape[1], dim=1)
            return self.forward(ids_UT, mask_UT)[place_B]
        known_B = mask_BT.any(dim=1)
        if bool(known_B.all()):
            return self.mean(ids_BT, mask_BT)
        sentence_BS = torch.zeros(len(ids_BT), self.width, device=ids_BT.device)
        if bool(known_B.any()):
            sentence_BS[known_B] = self.mean(ids_BT[known_B], mask_BT[known_B])
        return sentence_BS

    def mean(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """As `forward`, of texts that each have an unmasked token; every one is read."""
        hidden_BTS = self.model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
        weight_BT1 = mask_BT.unsqueeze(2).to(hidden_BTS.dtype)
        sentence_BS = (hidden_BTS * weight_BT1).sum(1) / weight_BT1.sum(1).clamp(min=1)
        return cast(Tensor, sentence_BS.float())


class SentenceTokens:
    """Tokens of a sentence model: `ids_BT` and `mask_BT`, T the longest text's.

    Unknown tokens are masked: in a mean they would only blur the known ones. A text of which the
    model knows less than half (Chinese, to an English one) is masked whole: what is left would
    be noise, and 30,000 such captions cost minutes.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens

    def __call__(self, texts: list[str]) -> Features:
        """Int64 ids and mask of texts."""
        batch = self.tokenizer(
            texts,
            padding="longest",
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        ids_BT, mask_BT = batch["input_ids"], batch["attention_mask"]
        if self.tokenizer.unk_token_id is not None:
            mask_BT = self._known(ids_BT, mask_BT)
        return {"ids_BT": ids_BT, "mask_BT": mask_BT}

    def _known(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """The mask without unknown tokens, and without texts that are mostly unknown."""
        unknown_BT = ids_BT == self.tokenizer.unk_token_id
        special_BT = torch.isin(ids_BT, torch.tensor(self.tokenizer.all_special_ids))
        known_B = (mask_BT.bool() & ~special_BT).sum(1)
        is_foreign_B = known_B < unknown_BT.sum(1)
        known_BT: Tensor = ~(unknown_BT | is_foreign_B[:, None])
        return mask_BT * known_BT


def load_text(source: str) -> tuple[TextTower, PreTrainedTokenizerBase]:
    """A pretrained text model and its tokenizer, from a folder or by its hub id.

    Raises:
        MatcherError: the folder or the hub has no such model, or it cannot be read.
    """
    is_local = Path(source).is_dir()
    logging.disable_progress_bar()
    try:
        model = AutoModel.from_pretrained(source, local_files_only=is_local)
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=is_local)
    except (OSError, ValueError, KeyError) as error:
        raise MatcherError(f"text tower {source!r}: {first_line(error)}") from error
    return TextTower(model), tokenizer


def save_text(tower: TextTower, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the model's config to `text/` and the tokenizer to `tokenizer/`; no weights."""
    tower.model.config.save_pretrained(folder / "text")  # type: ignore[union-attr, operator]
    tokenizer.save_pretrained(folder / "tokenizer")


def restore_text(folder: Path) -> tuple[TextTower, PreTrainedTokenizerBase]:
    """The architecture that `save_text` wrote, with random weights, and the tokenizer."""
    try:
        config = AutoConfig.from_pretrained(folder / "text", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise MatcherError(
            f"{folder}: cannot read text/ ({first_line(error)}); copy the matcher folder again"
        ) from error
    return TextTower(AutoModel.from_config(config)), restore_tokenizer(folder)


def restore_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in `folder`/tokenizer. Raises MatcherError where it cannot be read."""
    try:
        return AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise MatcherError(
            f"{folder}: cannot read tokenizer/ ({first_line(error)}); copy the matcher folder again"
        ) from error


def first_line(error: Exception) -> str:
    """The first line of what a library says; some say twenty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
