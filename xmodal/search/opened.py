"""Opens what a search needs from a saved matcher and an index version, and warms it.

`open_searcher` gives all stages in one process; a deployment of the spread topology opens one.
Matcher and index are checked against each other on the way: a mismatched pair never starts.
"""

import io
import logging
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image

from xmodal.catalog.changes import Changes, products_folder, vectors_folder
from xmodal.index import layout
from xmodal.index.overlay import Overlay
from xmodal.index.proof import prove_encoder
from xmodal.index.tokens import TokenStore
from xmodal.index.vectors import LiveTokens, VectorLog
from xmodal.index.version import Index, open_index
from xmodal.journal import Journal
from xmodal.matcher.calibration import Calibration
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.forms import Form, fastest_form, load_form
from xmodal.matcher.reranker import load_reranker
from xmodal.matcher.saved import load_calibration, load_encoder, load_matcher, read_facts
from xmodal.search.fusion import Hybrid
from xmodal.search.query import Query
from xmodal.search.searcher import Searcher
from xmodal.search.shared import CachedEncoder
from xmodal.search.stages import LocalEncoder, LocalReranker, LocalRetriever, Pools

log = logging.getLogger(__name__)

WARM_ROUNDS = 3
WARM_S = 300.0  # a stage that is asked for a release which it lacks opens it first


@dataclass(frozen=True)
class Parts:
    """Where a release's matcher and index lie."""

    matcher: Path
    index: Path
    forms: Path | None = None
    """Where forms of encoders lie, by fingerprint; queries are read by the fastest that fits."""
    live: Path | None = None
    """The home whose changed products are found too; None: the index as it was built."""
    since: int = 0
    """The offset of the changes up to which the index holds them."""

    @property
    def has_reranker(self) -> bool:
        """Whether the saved matcher holds a reranker."""
        return bool(read_facts(self.matcher).reranker)

    @property
    def calibration(self) -> Calibration | None:
        """What the matcher's scores are worth, where it says so."""
        return load_calibration(self.matcher)

    @property
    def hybrid(self) -> Hybrid | None:
        """What the index's words are worth, where it has any."""
        facts = layout.read_facts(self.index)
        return None if facts.words_found is None else Hybrid.of(facts.hybrid)


def open_searcher(parts: Parts, pools: Pools, depth: int) -> tuple[Searcher, Index | Overlay]:
    """All stages in this process, and what is searched (with `parts.live`, an Overlay).

    Raises MatcherError, IndexMismatch or IndexDamaged.
    """
    matcher = load_matcher(parts.matcher)
    index = open_index(parts.index, matcher.facts.encoder)
    prove_encoder(index, matcher.encoder)
    searched = open_overlay(parts, index)
    reranker = None
    if matcher.reranker is not None:
        reranker = LocalReranker(matcher.reranker, _tokens(parts, index), pools)
    encoder = CachedEncoder(LocalEncoder(towers_of(parts, matcher.encoder), pools))
    retriever = LocalRetriever(searched, pools)
    searcher = Searcher(
        encoder,
        retriever,
        reranker,
        depth,
        calibration=matcher.calibration,
        hybrid=parts.hybrid,
    )
    return searcher, searched


def open_encoder(parts: Parts, pools: Pools) -> LocalEncoder:
    """The encoder alone."""
    return LocalEncoder(towers_of(parts, load_encoder(parts.matcher / "encoder")), pools)


def open_retriever(parts: Parts, pools: Pools) -> LocalRetriever:
    """The index alone, checked against the matcher's fingerprint."""
    index = open_index(parts.index, read_facts(parts.matcher).encoder)
    return LocalRetriever(open_overlay(parts, index), pools)


def open_changes(parts: Parts) -> Changes:
    """What changed since the index was built."""
    assert parts.live is not None
    return Changes(Journal(products_folder(parts.live)), parts.since)


def open_vectors(parts: Parts) -> VectorLog:
    """What the matcher's encoder gave for changed products; opens the encoder when it must."""
    assert parts.live is not None
    folder = vectors_folder(parts.live, read_facts(parts.matcher).encoder)
    return VectorLog(Journal(folder), parts.matcher / "encoder")


def open_overlay(parts: Parts, index: Index) -> Index | Overlay:
    """The index with what changed since; the index itself where `parts` names no home."""
    if parts.live is None:
        return index
    return Overlay(index, open_changes(parts), open_vectors(parts))


def open_reranker(parts: Parts, pools: Pools) -> LocalReranker:
    """The reranker with the index's token store."""
    index = open_index(parts.index, read_facts(parts.matcher).encoder)
    model = load_reranker(parts.matcher / "reranker")
    return LocalReranker(model, _tokens(parts, index), pools)


def _tokens(parts: Parts, index: Index) -> TokenStore | LiveTokens:
    return index.tokens if parts.live is None else LiveTokens(index.tokens, open_vectors(parts))


def towers_of(parts: Parts, encoder: Encoder) -> Encoder | Form:
    """What reads the queries: the fastest kept form of the encoder, where there is a faster one."""
    if parts.forms is not None and find_spec("onnxruntime") is not None:
        fingerprint = read_facts(parts.matcher).encoder
        form = fastest_form(parts.forms / fingerprint, fingerprint)
        if form is not None:
            log.warning("event=form_opened form=%s encoder=%s", form.name, fingerprint)
            return load_form(form, torch.get_num_threads())
    return encoder.eval()


async def warm(searcher: Searcher) -> None:
    """A few queries of each kind: pages are read, kernels chosen, costs measured."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(picture, "PNG")
    for number in range(WARM_ROUNDS):  # another text each time: what is known is not encoded again
        for query in (Query(text=f"red shoe {number}"), Query(image=picture.getvalue())):
            await searcher.answer(query, time.time() + WARM_S)
