"""From a catalogue and a saved matcher to a published index: embed by Ray Data, then build.

The stage that `jobs/build_index.py` and `jobs/pipeline.py` share. Needs a Ray session.
"""

from collections.abc import Callable
from pathlib import Path

from xmodal.catalog.store import Catalog
from xmodal.index.build import MeasureWords, build_index
from xmodal.index.carry import carry_over
from xmodal.index.version import Index
from xmodal.matcher.saved import load_encoder, read_facts
from xmodal.retrieval.ray_embed import embed_matcher


def embed_and_build(
    home: Path,
    catalog: Catalog,
    matcher_folder: Path,
    *,
    actors: int = 2,
    progress: Callable[[int], None] = lambda _: None,
    measure_words: MeasureWords | None = None,
) -> Index:
    """Publish `<home>/indexes/<id>` for the matcher's encoder and return it opened.

    Pictures that this encoder embedded before are not embedded again, not even where changes were
    folded into the catalogue. `progress` is told the products of each shard as it is done.
    """
    fingerprint = read_facts(matcher_folder).encoder
    store = carry_over(home, catalog, matcher_folder)
    if store is None:
        store = embed_matcher(home, catalog, matcher_folder, actors=actors, progress=progress)
    encoder = load_encoder(matcher_folder / "encoder")
    indexes = home / "indexes"
    return build_index(store, catalog, encoder, fingerprint, indexes, measure_words=measure_words)
