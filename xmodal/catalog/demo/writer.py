"""The demo shop as a catalogue folder: one CSV beside images, a glossary, judged queries.

products.csv · images/*.jpg · glossary.zh.json · queries/{val,dev,test}.json
"""

import csv
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

from xmodal.catalog.demo.assortment import HELD_OUT, Offer, assortment
from xmodal.catalog.demo.kinds import KINDS
from xmodal.catalog.demo.queries import judged_queries
from xmodal.catalog.demo.scene import photograph
from xmodal.catalog.demo.titles import write_title
from xmodal.catalog.demo.words import glossary
from xmodal.storage import publish

Report = Callable[[int], None]

_CHUNK = 50  # products a task: a report about every second
_ALONE = 200  # fewer products than this are drawn before a second process has started


def write_demo_shop(
    folder: Path, products: int = 2500, seed: int = 0, progress: Report | None = None
) -> Path:
    """Draw the shop into `folder`, whole or not at all. Returns `folder`.

    The same `products` and `seed` give the same bytes (with the same Pillow and NumPy).
    `progress` is called with the number of products drawn since its last call.
    A folder that is there already is left as it is.
    """
    if (folder / "products.csv").exists():
        return folder
    offers = assortment(products, seed)
    with publish(folder) as draft:
        (draft / "images").mkdir()
        (draft / "queries").mkdir()
        for drawn in _drawn(draft / "images", offers, seed):
            if progress is not None:
                progress(drawn)
        _write_table(draft / "products.csv", offers, seed)
        for split in HELD_OUT:
            _write_json(draft / "queries" / f"{split}.json", judged_queries(offers, split, seed))
        _write_json(draft / "glossary.zh.json", glossary())
    return folder


def _drawn(folder: Path, offers: Sequence[Offer], seed: int) -> Iterator[int]:
    """Draw every picture; yields the products done, task by task."""
    tasks = [offers[start : start + _CHUNK] for start in range(0, len(offers), _CHUNK)]
    if len(offers) < _ALONE:
        yield from (_draw(folder, task, seed) for task in tasks)
        return
    # Spawned, not forked: the caller may hold threads (Ray, torch) that a fork would freeze.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as pool:
        yield from pool.map(_draw, [folder] * len(tasks), tasks, [seed] * len(tasks))


def _draw(folder: Path, offers: Sequence[Offer], seed: int) -> int:
    for offer in offers:
        rng = Random(f"pictures {seed} {offer.product_id}")
        for name in _pictures(offer):
            (folder / name).write_bytes(photograph(offer.design, rng))
    return len(offers)


def _pictures(offer: Offer) -> list[str]:
    return [f"{offer.product_id}-{number}.jpg" for number in range(1, offer.pictures + 1)]


def _write_table(path: Path, offers: Sequence[Offer], seed: int) -> None:
    rows = [_row(offer, Random(f"words {seed} {offer.product_id}")) for offer in offers]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names, restval="")
        table.writeheader()
        table.writerows(rows)


def _row(offer: Offer, rng: Random) -> Mapping[str, str]:
    kind = KINDS[offer.design.kind]
    return {
        "product_id": offer.product_id,
        "images": "|".join(f"images/{name}" for name in _pictures(offer)),
        "title": write_title(offer.design, offer.lang, rng) if offer.titled else "",
        "lang": offer.lang,
        "price": f"{rng.randint(*kind.price) - 0.05:.2f}",
        "split": offer.split,
        "category": kind.category,
        **offer.design.attributes(),
    }


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
