"""`val` queries whose words were not copied from the indexed text: what words may be judged by.

    judged queries of people, captions of attributes -> chinese, mixed, latin

A query made of a product's own title finds it by words however bad the vectors are: it proves
nothing. So Latin and mixed queries are asked of titles alone, and none that a relevant product's
text holds as it stands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from xmodal.catalog.language import fold
from xmodal.catalog.lexicon import lexicon
from xmodal.catalog.store import Catalog
from xmodal.catalog.variants.texts import text_variants, vary
from xmodal.errors import FilterError
from xmodal.fingerprint import of_bytes
from xmodal.index.facets import as_filter
from xmodal.index.lexical import text_of
from xmodal.index.version import Index
from xmodal.retrieval.metrics import Qrels
from xmodal.search.fusion import KINDS, Kind, kind_of

MOST = 300  # queries of a kind: enough for the permutation test, seconds
LEAST = 20  # of fewer nothing can be said
_LOOKED_AT = 20  # relevant products whose text may hold a query

Mined = tuple[str, dict[str, int]]  # a text, and the grades of its products


@dataclass
class Questions:
    """Queries of one kind, with their grades."""

    titles_only: bool
    texts: dict[str, str] = field(default_factory=dict)
    qrels: Qrels = field(default_factory=dict)


def ask(catalog: Catalog, index: Index) -> dict[Kind, Questions]:
    """The questions of each kind that has LEAST of them at least.

    Judged queries come first; captions of `val` products' attributes fill up what is missing.
    Mixed ones are both, with some of their known words in the other language.
    """
    found = {kind: Questions(kind != "chinese") for kind in KINDS}
    variants = text_variants(lexicon(catalog.glossary()))
    for text, grades in (*_judged(catalog), *_captions(catalog, index)):
        other = vary(text, "mixed languages", 0, variants)
        for form in (text, other) if other else (text,):
            one = found[kind_of(form)]
            is_wanted = len(one.texts) < MOST and form not in one.texts
            if is_wanted and not _is_copied(form, grades, index, titles_only=one.titles_only):
                one.texts[form], one.qrels[form] = form, grades
    return {kind: one for kind, one in found.items() if len(one.texts) >= LEAST}


def _judged(catalog: Catalog) -> Iterator[Mined]:
    """Queries that people judged, in an order that no seed moves."""
    judged = catalog.judged("val")
    if judged.made:
        return
    for query in sorted(judged.queries, key=lambda name: of_bytes(name.encode())):
        grades = judged.qrels[query]
        if any(grades.values()):
            yield judged.queries[query], grades


def _captions(catalog: Catalog, index: Index) -> Iterator[Mined]:
    """Captions of attributes, in either language; whatever shows all their facts is relevant."""
    pairs = catalog.pairs("val").to_pylist()
    stated = {pair["text"]: pair["facts"] for pair in pairs if pair["facts"]}
    products = index.products
    for text in sorted(stated, key=lambda text: of_bytes(text.encode())):
        facts = dict(fact.split("=", 1) for fact in stated[text])
        try:
            rows = index.facets.mask(as_filter(facts)).nonzero()[0]
        except FilterError:
            continue
        ids = products.column("product_id", rows)
        if ids:
            yield text, dict.fromkeys(ids, 1)


def _is_copied(text: str, grades: Mapping[str, int], index: Index, *, titles_only: bool) -> bool:
    """Whether the indexed text of a relevant product holds the query as it stands."""
    asked = fold(text)
    for product_id in [one for one, grade in grades.items() if grade > 0][:_LOOKED_AT]:
        row = index.products.row_of(product_id)
        if row is None:
            continue
        product = index.products.product(row)
        whole = product.title if titles_only else text_of(product.title, product.attributes)
        if asked in fold(whole):
            return True
    return False
