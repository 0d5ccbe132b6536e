"""Which groups a text query belongs to: what it says, what it looks for, what training knew of it.

    query -> length, rarest word, colour word, gender word, category, combination: a value each

Attributes are taken from the catalogue, whatever their names.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from xmodal.catalog.captions import Vocabulary, describe
from xmodal.catalog.language import is_chinese
from xmodal.catalog.store import Catalog
from xmodal.catalog.terms import COLOURS, GENDERS, stated
from xmodal.evaluation.tasks import Task
from xmodal.matcher.words import ngrams, words

Groups = dict[str, dict[str, str]]  # group to query id to the query's value

_LENGTHS = ((2, "1 to 2 words"), (4, "3 to 4 words"), (8, "5 to 8 words"))
_RARITY = ((0, "unknown to train"), (9, "tail: 1 to 9 in train"), (99, "body: 10 to 99 in train"))
NEW_PAIR, KNOWN_PAIRS = "a pair of attributes that train lacks", "all pairs known from train"

_FEW, _ATTRIBUTES = 12, 3  # values of an attribute that is a group; how many are

Fact = tuple[str, str]


@dataclass(frozen=True)
class Known:
    """What the catalogue says of its products, and which of it `train` shows."""

    facts_of: Mapping[str, Mapping[str, str]]  # product id to its attributes worth saying
    described: Vocabulary
    counts: Mapping[str, int]  # word to the train products that have it in a title or caption
    facts: frozenset[Fact]
    pairs: frozenset[tuple[Fact, Fact]]


def read_known(catalog: Catalog, tasks: Iterable[Task]) -> Known:
    """Read what the groups of these tasks' queries need."""
    asked = [task for task in tasks if task.name == "text-image"]
    wanted = {product for task in asked for grades in task.qrels.values() for product in grades}
    terms = {term for task in asked for text in task.texts.values() for term in terms_of(text)}
    described = describe(row["attributes"] or {} for row in catalog.rows(["attributes"]))
    facts_of: dict[str, Mapping[str, str]] = {}
    facts: set[Fact] = set()
    pairs: set[tuple[Fact, Fact]] = set()
    texts: dict[str, set[str]] = defaultdict(set)  # train product to the asked terms it has
    for row in catalog.rows(["product_id", "title", "attributes", "split"]):
        known = {k: v for k, v in (row["attributes"] or {}).items() if k in described.attributes}
        if row["product_id"] in wanted:
            facts_of[row["product_id"]] = known
        if row["split"] == "train":
            facts |= set(known.items())
            pairs |= set(combinations(sorted(known.items()), 2))
            texts[row["product_id"]] |= terms & terms_of(row["title"] or "")
    captions = catalog.pairs("train").select(["product_id", "text"]).to_pydict()
    for product, text in zip(captions["product_id"], captions["text"], strict=True):
        texts[product] |= terms & terms_of(text)
    counts = Counter(term for found in texts.values() for term in found)
    return Known(facts_of, described, counts, frozenset(facts), frozenset(pairs))


def query_groups(task: Task, known: Known) -> Groups:
    """The groups of a task's text queries; a query without a value is in none."""
    shared = {query: _shared(known, grades) for query, grades in task.qrels.items()}
    found: Groups = {
        "lang": dict(task.langs),
        "length": {q: _length(text) for q, text in task.texts.items()},
        "rarest word": {q: _rarity(text, known.counts) for q, text in task.texts.items()},
        "colour word": {
            q: next(iter(stated(text, COLOURS)), "none") for q, text in task.texts.items()
        },
        "gender word": {
            q: next(iter(stated(text, GENDERS)), "none") for q, text in task.texts.items()
        },
        "combination": {
            q: NEW_PAIR if _is_new(facts, known) else KNOWN_PAIRS
            for q, facts in shared.items()
            if len(facts) > 1
        },
    }
    return found | _attributes(task, known)


def most_common(
    name: str, qrels: Mapping[str, Mapping[str, int]], facts_of: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """For each query the value of attribute `name` that most of its relevant products have."""
    found = {}
    for query, grades in qrels.items():
        relevant = [product for product, grade in grades.items() if grade > 0]
        counts = Counter(facts_of.get(product, {}).get(name) for product in relevant)
        counts.pop(None, None)
        if counts:
            found[query] = str(counts.most_common(1)[0][0])
    return found


def terms_of(text: str) -> set[str]:
    """Latin words and pairs of Chinese characters.

    >>> sorted(terms_of("Nike 跑步鞋"))
    ['nike', '步鞋', '跑步']
    """
    latin = {word for word in words(text) if not is_chinese(word[0])}
    return latin | {term for term in ngrams(text) if len(term) == 2 and all(map(is_chinese, term))}


def _attributes(task: Task, known: Known) -> Groups:
    """By the kind of product, and by the attributes of few values that part the queries best."""
    kind = known.described.kind
    values = {
        name: most_common(name, task.qrels, known.facts_of) for name in known.described.attributes
    }
    few = [name for name in values if name != kind and 1 < len(set(values[name].values())) <= _FEW]
    best = sorted(few, key=lambda name: (-len(values[name]), name))[:_ATTRIBUTES]
    category = {f"category ({kind})": values[kind]} if kind is not None else {}
    return category | {name: values[name] for name in best}


def _length(text: str) -> str:
    """Two Chinese characters count as a word."""
    said = words(text)
    characters = sum(is_chinese(word[0]) for word in said)
    count = len(said) - characters + (characters + 1) // 2
    return next((name for most, name in _LENGTHS if count <= most), "9 or more words")


def _rarity(text: str, counts: Mapping[str, int]) -> str:
    rarest = min((counts.get(term, 0) for term in terms_of(text)), default=0)
    return next((name for most, name in _RARITY if rarest <= most), "head: 100 or more in train")


def _shared(known: Known, grades: Mapping[str, int]) -> list[Fact]:
    """The facts that all relevant products share: what the query asks for, as far as it shows."""
    relevant = [
        set(known.facts_of.get(product, {}).items()) for product, grade in grades.items() if grade
    ]
    return sorted(set.intersection(*relevant)) if relevant else []


def _is_new(facts: list[Fact], known: Known) -> bool:
    seen = [fact for fact in facts if fact in known.facts]
    return any(pair not in known.pairs for pair in combinations(seen, 2))
