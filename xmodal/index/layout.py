"""What lies in an index version's folder, and the facts that it is judged by.

index.faiss     vectors, flat inner product, one row per image (or per text of an imageless product)
rows.npy        int64: product row of each vector row
products.arrow  one row per product: id, title, attributes (JSON), ...; memory-mapped
by_id.npy       int64: product rows in order of product id, for look-ups by bisection
facets.npy      int32 (keys, products): code of the attribute's value, -1 for none; memory-mapped
facets.json     the values behind those codes
tokens.npy      int8 (vector rows, 16, 128): the token store; memory-mapped
scales.npy      float32 (vector rows,): what one step of a row's int8 tokens is worth
words.*         BM25 of titles and attributes (lexical.py); not there where no product has a word
probes.npz      a sample of products (with their rows) and texts with their vectors, for the proof
index.json      the facts below; written last
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from xmodal.errors import IndexDamaged, StorageError
from xmodal.fingerprint import of_file
from xmodal.storage import read_json

FORMAT = 2
FACTS = "index.json"
VECTORS, ROWS, PRODUCTS, BY_ID = "index.faiss", "rows.npy", "products.arrow", "by_id.npy"
FACETS, FACET_VALUES = "facets.npy", "facets.json"
TOKENS, SCALES, PROBES = "tokens.npy", "scales.npy", "probes.npz"
FILES = (VECTORS, ROWS, PRODUCTS, BY_ID, FACETS, FACET_VALUES, TOKENS, SCALES, PROBES)


@dataclass(frozen=True)
class IndexFacts:
    """The content of `index.json`.

    `text_offset` holds, for text and for image queries, what is taken off the score of a row that
    is the vector of a text: measured so that those rows reach the top as often as pictures do.
    `recall` is the share of the exact ten best that a search returns, for either kind of query.
    `words_found` is the share of a sample that finds itself by its title's words, None without
    words; `hybrid` says by kind of query whether words help, and by how much (search/hybrid.py).
    """

    id: str
    format: int
    encoder: str
    catalog: str
    catalog_id: str
    code: str
    dim: int
    products: int
    vectors: int
    text_rows: int
    text_offset: Mapping[str, float]
    recall: Mapping[str, float]
    self_found: float
    files: Mapping[str, str]
    created_at: str
    words_found: float | None = None
    hybrid: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """What `index.json` holds."""
        return asdict(self)

    def summary(self) -> dict[str, str]:
        """The facts that a person wants to see, by name."""
        return {
            "products": f"{self.products:,}",
            "vectors": f"{self.vectors:,} of {self.dim} dimensions, {self.text_rows:,} of texts",
            "sample finds itself": f"{self.self_found:.1%}",
            "recall@10 against exact": f"text {self.recall['text']:.3f}, "
            f"image {self.recall['image']:.3f}",
            "encoder, catalogue": f"{self.encoder}, {self.catalog_id}",
            **{f"words, {kind} queries": _worth(found) for kind, found in self.hybrid.items()},
        }


def _worth(found: Mapping[str, Any]) -> str:
    """What words add to the vectors, for a person."""
    share = f" {found['share']:g}" if found["method"] == "weights" else ""
    on = ["off", "on"][found["is_on"]]
    second = ["off", "on"][found["is_on_reranked"]]
    return (
        f"{on}: MRR@10 {found['vectors']:.3f} -> {found['fused']:.3f} ({found['gain']:+.3f}, "
        f"p {found['p_value']:.3f}) by {found['method']}{share}, {found['queries']} queries; "
        f"reranked {second}: {found['reranked_gain']:+.3f}, p {found['reranked_p_value']:.3f}"
    )


def read_facts(folder: Path) -> IndexFacts:
    """The facts of the version in `folder`. Raises IndexDamaged where they cannot be read."""
    path = folder / FACTS
    if not path.is_file():
        raise IndexDamaged(
            f"{path} is missing: {folder} is no index; build it anew (jobs/build_index.py)"
        )
    try:
        facts = read_json(path)
        found = facts.get("format") if isinstance(facts, dict) else None
        if not isinstance(facts, dict) or found != FORMAT:
            raise IndexDamaged(f"{path}: format {found}, this code reads {FORMAT}; build it anew")
        return IndexFacts(**facts)
    except (StorageError, TypeError) as error:
        raise IndexDamaged(f"{path} is not an index's facts ({error}); build it anew") from error


def prove_files(folder: Path, facts: IndexFacts) -> None:
    """Raises IndexDamaged naming the first file that is missing or not what was published."""
    for name in dict.fromkeys([*FILES, *facts.files]):
        path = folder / name
        if not path.is_file():
            raise IndexDamaged(f"{path} is missing; build the index anew (jobs/build_index.py)")
        if of_file(path) != facts.files.get(name):
            raise IndexDamaged(
                f"{path} is not the file that was published (truncated?); build the index anew"
            )
