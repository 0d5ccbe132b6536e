"""Judged queries: read from a file, or made of the titles of a part."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from xmodal.catalog.images import ImageFault, check_image
from xmodal.catalog.language import fold, language_of
from xmodal.catalog.schema import QREL, QUERY, Split
from xmodal.errors import QueriesError
from xmodal.storage import Place, filesystem

MAX_GRADE = 3
_MOST_PIXELS = 50_000_000  # of a query's picture, width times height
_FORM = "must be {query: {product_id: grade}} with grades 0 to 3"


@dataclass(frozen=True)
class Queries:
    """Queries with their judgements, as they were read."""

    texts: dict[str, str] = field(default_factory=dict)  # query id to text
    images: dict[str, bytes] = field(default_factory=dict)  # query id to encoded image
    qrels: dict[str, dict[str, int]] = field(default_factory=dict)
    langs: dict[str, str] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)  # what the set calls its grades

    def only(self, ids: Collection[str]) -> "Queries":
        """The queries of `ids`."""
        return Queries(
            {q: text for q, text in self.texts.items() if q in ids},
            {q: image for q, image in self.images.items() if q in ids},
            {q: grades for q, grades in self.qrels.items() if q in ids},
            {q: lang for q, lang in self.langs.items() if q in ids},
            self.labels,
        )


def read_queries(
    place: Path | Place, known: Collection[str], lost: Collection[str] = ()
) -> Queries:
    """The judged queries of a JSON file, or of `queries.parquet` with `qrels.parquet` beside it.

    Judgements of `lost` products (those in quarantine) are left out. A query that is left without
    a relevant product can be asked but judges nothing: it has a text or image, and no `qrels`.

    Raises:
        QueriesError: the file is missing or malformed, or names products that nobody knows.
    """
    system, path = place if isinstance(place, tuple) else filesystem(place)
    if path.endswith(".parquet"):
        queries = _from_parquet(system, path)
    else:
        queries = _from_json(system, path)
    unknown = [p for grades in queries.qrels.values() for p in grades if p not in known]
    strange = [p for p in unknown if p not in lost]
    if strange:
        raise QueriesError(
            f"{path}: {len(set(strange))} products are not in the catalogue, such as"
            f" {strange[0]!r}; take them out, or ingest the catalogue that has them"
        )
    gone = set(unknown)
    left = {
        query: {product: grade for product, grade in grades.items() if product not in gone}
        for query, grades in queries.qrels.items()
    }
    return replace(queries, qrels={q: grades for q, grades in left.items() if any(grades.values())})


def qrels_beside(path: str) -> str:
    """The file of judgements that belongs to a file of queries."""
    whole = PurePosixPath(path)
    return str(whole.with_name(whole.name.replace("queries", "qrels")))


def part_of(grades: Mapping[str, int], split_of: Mapping[str, Split]) -> Split:
    """The part that a query judges: what is held out wins over what is trained on."""
    counts = Counter(split_of[product] for product, grade in grades.items() if grade > 0)
    for part in ("test", "dev"):
        if counts[part]:
            return part
    return "val" if counts["val"] and counts["val"] >= counts["train"] else "train"


Titled = tuple[str, str, Split, bool]  # product_id, title, split, has an image


def made_of_titles(products: Callable[[], Iterable[Titled]], part: Split) -> Queries:
    """Every title of the part as a query; all products of that title are relevant.

    Args:
        products: the whole catalogue, gone through twice so that only the part's titles are held;
            a product without an image is neither asked for nor relevant, as the gallery is of
            images.
        part: the split whose titles ask; titles that differ in case or space alone are one.
    """
    asked: dict[str, str] = {}  # folded to as it is written first
    for _, title, split, has_image in products():
        if has_image and split == part and fold(title):
            asked.setdefault(fold(title), title)
    qrels: dict[str, dict[str, int]] = {title: {} for title in asked.values()}
    for product_id, title, _, has_image in products():
        if has_image and (query := asked.get(fold(title))) is not None:
            qrels[query][product_id] = 1
    return Queries(
        texts={title: title for title in qrels},
        qrels=qrels,
        langs={title: language_of(title) for title in qrels},
    )


def write_queries(folder: Path, part: str, queries: Queries) -> None:
    """Write `<part>.queries.parquet` and `<part>.qrels.parquet`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "query_id": query,
            "text": queries.texts.get(query),
            "image": queries.images.get(query),
            "lang": queries.langs.get(query, ""),
        }
        for query in queries.qrels
    ]
    grades = [
        {
            "query_id": query,
            "product_id": product,
            "grade": grade,
            "label": queries.labels.get(grade),
        }
        for query, graded in queries.qrels.items()
        for product, grade in graded.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows, QUERY), folder / f"{part}.queries.parquet")
    pq.write_table(pa.Table.from_pylist(grades, QREL), folder / f"{part}.qrels.parquet")


def _from_json(system: fs.FileSystem, path: str) -> Queries:
    try:
        with system.open_input_stream(path) as file:
            content: Any = json.loads(file.read())
    except OSError as error:
        raise QueriesError(f"{path}: cannot be read ({_short(error)})") from error
    except ValueError as error:
        raise QueriesError(f"{path}: is not JSON ({error}); it {_FORM}") from error
    if not isinstance(content, dict) or not content:
        raise QueriesError(f"{path}: {_FORM}")
    queries = Queries()
    for query, grades in content.items():
        if not isinstance(grades, dict) or not all(map(_is_grade, grades.values())):
            raise QueriesError(f"{path}: query {query!r}: {_FORM}")
        if query.strip():
            queries.texts[query] = query
            queries.qrels[query] = {str(p): int(grade) for p, grade in grades.items()}
            queries.langs[query] = language_of(query)
    return queries


def _from_parquet(system: fs.FileSystem, path: str) -> Queries:
    beside = qrels_beside(path)
    queries = Queries()
    try:
        asked = pq.read_table(path, filesystem=system).to_pylist()
        columns = ["query_id", "product_id", "grade"]
        judged = pq.read_table(beside, columns=columns, filesystem=system).to_pylist()
        for row in asked:
            _ask(queries, row, path)
        for row in judged:
            query = str(row["query_id"])
            if not _is_grade(row["grade"]):
                raise QueriesError(f"{beside}: grade {row['grade']!r}; use 0 to 3")
            if query not in queries.qrels:
                raise QueriesError(
                    f"{beside}: judges query {query!r}, which {path} does not ask; add it there,"
                    " or take its judgements out"
                )
            queries.qrels[query][str(row["product_id"])] = int(row["grade"])
    except (OSError, pa.ArrowException, KeyError, AttributeError, TypeError) as error:
        raise QueriesError(
            f"{path}: needs query_id and text or image, and query_id, product_id, grade in"
            f" {beside} ({_short(error)})"
        ) from error
    return queries


def _ask(queries: Queries, row: Mapping[str, Any], path: str) -> None:
    """Add a row's query."""
    query, text, image = str(row["query_id"]), row.get("text"), row.get("image")
    queries.qrels[query] = {}
    queries.langs[query] = row.get("lang") or language_of(text or "")
    if text:
        queries.texts[query] = text
    elif image:
        content: Any = image.get("bytes") if isinstance(image, dict) else image
        try:
            queries.images[query] = check_image(content, _MOST_PIXELS).content
        except (ImageFault, TypeError) as fault:
            raise QueriesError(
                f"{path}: the image of query {query!r} cannot be used ({_short(fault)}); give the"
                " bytes of a picture, or a text"
            ) from fault


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _is_grade(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value in range(MAX_GRADE + 1)
