"""`val` queries whose words were not copied from the indexed text: what words may be judged by.

    judged queries of people, captions of attributes -> chinese, mixed, latin

A query made of a product's own title finds it by words however bad the vectors are: it proves
nothing. So captions of attributes, and all Latin and mixed queries, are asked of titles alone; a
Chinese query that people judged is asked of all that is indexed; and none is asked that a relevant
product's text holds as it stands.
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

    of_titles: dict[str, bool] = field(default_factory=dict)
    """Text to whether it is asked of titles alone."""
    qrels: Qrels = field(default_factory=dict)


def ask(catalog: Catalog, index: Index) -> dict[Kind, Questions]:
    """The questions of each kind that has LEAST of them at least.

    Judged queries come first; captions of `val` products' attributes fill up what is missing.
    Mixed ones are both, with some of their known words in the other language.
    """
    found = {kind: Questions() for kind in KINDS}
    variants = text_variants(lexicon(catalog.glossary()))
    mined = [(True, one) for one in _judged(catalog)]
    mined += [(False, one) for one in _captions(catalog, index)]
    for is_judged, (text, grades) in mined:
        other = vary(text, "mixed languages", 0, variants)
        for form in (text, other) if other else (text,):
            kind = kind_of(form)
            one, of_titles = found[kind], not (is_judged and kind == "chinese")
            is_wanted = len(one.qrels) < MOST and form not in one.qrels
            if is_wanted and not _is_copied(form, grades, index, of_titles=of_titles):
                one.of_titles[form], one.qrels[form] = of_titles, grades
    return {kind: one for kind, one in found.items() if len(one.qrels) >= LEAST}


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


def _is_copied(text: str, grades: Mapping[str, int], index: Index, *, of_titles: bool) -> bool:
    """Whether the indexed text of a relevant product holds the query as it stands."""
    asked = fold(text)
    for product_id in [one for one, grade in grades.items() if grade > 0][:_LOOKED_AT]:
        row = index.products.row_of(product_id)
        if row is None:
            continue
        product = index.products.product(row)
        whole = product.title if of_titles else text_of(product.title, product.attributes)
        if asked in fold(whole):
            return True
    return False
