"""Takes a shop's folder in: rows to products, splits, judged queries, pairs; whole or not at all.

    folder ─► rows ─► products ──► val cut ──► judged queries ─► pairs ─► <home>/catalogs/<id>
                └► quarantine

One pass over the source in bounded memory: pictures are decoded, hashed and written as they
come; of each product some 400 bytes stay (`splits.Traits`).
"""

import dataclasses
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from xmodal import fingerprint
from xmodal.catalog import shop
from xmodal.catalog.captions import Glossary, read_glossary, spelled_as
from xmodal.catalog.demo import write_demo_shop
from xmodal.catalog.images import ImageFault, Picture, check_image
from xmodal.catalog.judged import Queries
from xmodal.catalog.judgements import Judgement, gather
from xmodal.catalog.judging import given_queries, judge, why_not_trainable
from xmodal.catalog.looks import write_looks
from xmodal.catalog.near_duplicates import across
from xmodal.catalog.pairs import Texts, write_pairs
from xmodal.catalog.rows import Draft, ImageRef, RowFault, peek_id, to_draft
from xmodal.catalog.schema import SPLITS, Split
from xmodal.catalog.source import Source, find_source
from xmodal.catalog.splits import Traits, check_cut, cut_val, straddling
from xmodal.catalog.store import GLOSSARY, Catalog, Manifest, open_catalog
from xmodal.catalog.writer import ProductWriter, Quarantine, rewrite_splits
from xmodal.errors import CatalogError
from xmodal.settings import CatalogSettings
from xmodal.storage import publish, scratch, settle, write_json_atomic

DEMO = "demo"
_FORMAT = 1
_AHEAD = 8  # products that wait for each thread: encoded pictures in memory
_MOST_NAMES = 12  # attributes that a note lists
_DRAWING = 0.9  # of the time that the demo shop takes until it is in
Progress = Callable[[float], None]  # told the share that was done since the last call


@dataclass(frozen=True)
class IngestSummary:
    """What an ingest did."""

    catalog: Catalog
    is_new: bool  # False: the same folder was taken in before, nothing was done
    rows: int
    dropped_images: int
    converted_images: int
    notes: tuple[str, ...]


@dataclass
class _Intake:
    """What the pass over the source leaves."""

    traits: Traits
    quarantine: Quarantine
    parts: ProductWriter
    rows: int = 0
    images: int = 0
    converted: int = 0
    lost: set[str] = field(default_factory=set)  # ids in quarantine
    attributes: set[str] = field(default_factory=set)  # names that any product has
    judged: dict[Split, Queries] = field(default_factory=dict)  # that the source itself has
    digest: str = ""


def ingest(
    folder: str,
    settings: CatalogSettings,
    home: Path,
    seed: int,
    progress: Progress,
) -> IngestSummary:
    """Take `folder` in and make it the home's current catalogue; `demo` is drawn into the home.

    One that nothing can be trained on, as val would have no query, is taken in with a note: it can
    still be searched (`Catalog.check_trainable`).

    Raises:
        HomeError: the home holds another folder's shop.
        CatalogError: no such folder, no product in it, or too many bad rows.
        QueriesError: judged queries that cannot be read or name unknown products.
        SplitLeak: the val that was cut here shares products with train.
    """
    if folder == DEMO:
        shop.claim(home, str((home / "demo-shop").resolve()))
        folder, progress = _drawn(home / "demo-shop", seed, progress)
    source = find_source(folder, settings.columns, home)
    shop.claim(home, source.uri)
    stamp = shop.stamp(source, settings, seed, _FORMAT, home)
    known = shop.same_as_before(home, stamp)
    if known is not None:
        return IngestSummary(
            known, False, known.manifest.n_products, 0, 0, _known_notes(source, known)
        )
    with scratch(home / "catalogs") as beside:
        intake = _take_in(source, settings, beside, progress)
        _stop_if_bad(intake, source, settings, home)
        manifest, notes = _finish(intake, source, settings, (beside, seed))
        final = home / "catalogs" / manifest.id
        if not (final / "manifest.json").exists():  # else equal content is there, and may be in use
            settle(beside, final)
    shop.make_current(home, source.uri, manifest.id, stamp)
    dropped, converted = intake.quarantine.dropped_images, intake.converted
    notes = [*source.layout.notes, *notes]
    return IngestSummary(open_catalog(final), True, intake.rows, dropped, converted, tuple(notes))


def _drawn(folder: Path, seed: int, progress: Progress) -> tuple[str, Progress]:
    """Draw the demo shop where it is not there yet; the progress left is for taking it in."""
    products = 2500

    def drawn(n: int) -> None:
        progress(_DRAWING * n / products)

    write_demo_shop(folder, products, seed, drawn)
    return str(folder), lambda share: progress((1 - _DRAWING) * share)


def _take_in(
    source: Source, settings: CatalogSettings, folder: Path, progress: Progress
) -> _Intake:
    """One pass over the source: products and quarantine are written, traits are kept."""
    intake = _Intake(
        Traits(), Quarantine(folder / "quarantine"), ProductWriter(folder / "products")
    )
    seen: set[str] = set()
    done = 0.0
    contents = fingerprint.Running()
    for draft, pictures, share in _checked(source, settings.max_pixels, intake, seen):
        progress(share - done)
        done = share
        if draft is None:
            continue
        kept = _kept(draft, pictures, intake)
        if kept is None:
            continue
        intake.parts.add(draft, [picture.content for picture in kept])
        intake.attributes.update(draft.attributes)
        hashes = [(picture.pixels, picture.dhash, picture.colours) for picture in kept]
        intake.traits.add(draft.product_id, draft.title, hashes, draft.split)
        intake.images += len(kept)
        intake.converted += sum(picture.is_converted for picture in kept)
        contents.add([draft.product_id, draft.title, draft.attributes, draft.description])
        contents.add([draft.price, draft.url, draft.lang, [pixels for pixels, *_ in hashes]])
    intake.parts.close()
    _take_judgements(source, intake)
    intake.quarantine.close()
    intake.digest = contents.hexdigest()
    return intake


def _take_judgements(source: Source, intake: _Intake) -> None:
    """The judgements that the source itself brings; a bad one is quarantined as a bad row is."""

    def refuse(one: Judgement, fault: RowFault) -> None:
        named = next(iter(one.grades or ()), "")
        intake.quarantine.add(Draft(one.file, one.row, named), fault.reason, fault.detail)

    known, labels = set(intake.traits.ids), source.layout.labels
    judgements = source.judgements()
    intake.judged, rows = gather(judgements, known, intake.lost, refuse, labels)
    intake.rows += rows


_Checked = list[Picture | ImageFault]


def _checked(
    source: Source, max_pixels: int, intake: _Intake, seen: set[str]
) -> Iterator[tuple[Draft | None, _Checked, float]]:
    """Products in order, their pictures decoded by threads (decoders free the GIL)."""
    has_affinity = hasattr(os, "sched_getaffinity")  # macOS has not
    workers = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    waiting: deque[tuple[Draft | None, Future[_Checked] | None, float]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for raw, columns, share in source.rows():
            intake.rows += 1
            draft: Draft | None = None
            try:
                draft = to_draft(raw, columns)
                if draft.product_id in seen:
                    raise RowFault("duplicate_id", f"{draft.product_id!r} came before; first wins")
                seen.add(draft.product_id)
            except RowFault as fault:
                bad = draft or Draft(raw.file, raw.row, peek_id(raw, columns))
                intake.quarantine.add(bad, fault.reason, fault.detail)
                if fault.reason != "duplicate_id":
                    intake.lost.add(bad.product_id)
                waiting.append((None, None, share))
            else:
                job = pool.submit(_check_all, source, draft, max_pixels)
                waiting.append((draft, job, share))
            while len(waiting) > _AHEAD * workers:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())


def _result(
    draft: Draft | None, job: Future[_Checked] | None, share: float
) -> tuple[Draft | None, _Checked, float]:
    return draft, job.result() if job else [], share


def _check_all(source: Source, draft: Draft, max_pixels: int) -> _Checked:
    return [_check(source, draft.file, ref, max_pixels) for ref in draft.images]


def _check(source: Source, file: str, ref: ImageRef, max_pixels: int) -> Picture | ImageFault:
    try:
        content = source.read_image(file, ref) if isinstance(ref, str) else ref
        return check_image(content, max_pixels)
    except ImageFault as fault:
        return fault


def _kept(draft: Draft, pictures: _Checked, intake: _Intake) -> list[Picture] | None:
    """The pictures that are whole; None, and a row in quarantine, where none of several is."""
    good = [picture for picture in pictures if isinstance(picture, Picture)]
    bad = [picture for picture in pictures if isinstance(picture, ImageFault)]
    if bad and not good:
        intake.quarantine.add(draft, bad[0].reason, bad[0].detail)
        intake.lost.add(draft.product_id)
        return None
    for fault in bad:
        intake.quarantine.add(draft, fault.reason, fault.detail, is_kept=True)
    return good


def _stop_if_bad(intake: _Intake, source: Source, settings: CatalogSettings, home: Path) -> None:
    """Raise CatalogError above the share of bad rows; the quarantine stays readable."""
    n_bad = intake.quarantine.rows.total()
    n_good = len(intake.traits.ids)
    if n_good and n_bad <= settings.max_bad_share * intake.rows:
        return
    if not intake.rows:
        raise CatalogError(f"catalogue {source.uri}: {source.layout.files[0].name} has no rows")
    kept = home / "quarantine"
    with publish(kept) as folder:
        settle(intake.quarantine.folder, folder)
    reasons = ", ".join(f"{reason} {n}" for reason, n in intake.quarantine.rows.most_common())
    bound = "no product is left" if not n_good else f"more than {settings.max_bad_share:.0%}"
    raise CatalogError(
        f"catalogue {source.uri}: {n_bad} of {intake.rows} rows are bad ({bound}): {reasons};"
        f" see {kept}/<reason>.parquet, mend them or raise catalog.max_bad_share"
    )


def _finish(
    intake: _Intake,
    source: Source,
    settings: CatalogSettings,
    where: tuple[Path, int],
) -> tuple[Manifest, list[str]]:
    """Splits, judged queries, pairs and the manifest of a folder whose products are written."""
    folder, seed = where
    traits = intake.traits
    has_val = "val" in traits.splits
    if not has_val:
        cut_val(traits, settings.val_share, seed)
        rewrite_splits(folder / "products", intake.parts.parts, traits.splits.__getitem__)
    manifest = _begun(intake, source, made_val=not has_val)
    catalog = Catalog(folder, manifest)
    write_looks(folder, traits)
    given = given_queries(shop.queries_place(source, settings), traits, intake.lost)
    judged = judge(catalog, traits, intake.judged | given)
    glossary = _glossary(source, settings, intake.attributes)
    write_json_atomic(folder / GLOSSARY, dict(glossary))
    pairs = write_pairs(catalog, Texts(glossary, judged.train, seed))
    content = fingerprint.of_json(
        [_FORMAT, intake.digest, traits.splits, glossary, judged.digest, seed]
    )
    manifest = shop.complete(manifest, content, pairs.total(), judged)
    why = why_not_trainable(judged, traits, is_made=not has_val)
    manifest = dataclasses.replace(manifest, cannot_train=why)
    manifest.write(folder)
    notes = (
        _val_notes(manifest)
        + _training_notes(manifest)
        + _glossary_notes(glossary, pairs["glossary"], intake.attributes)
    )
    return manifest, notes


def _begun(intake: _Intake, source: Source, *, made_val: bool) -> Manifest:
    """The manifest as far as it is known before queries and pairs."""
    counts = Counter(intake.traits.splits)
    near = across(intake.traits.looks, intake.traits.splits)
    if made_val:
        check_cut(intake.traits, near)
    return Manifest(
        id="",
        fingerprint="",
        source=source.uri,
        n_products=len(intake.traits.ids),
        n_images=intake.images,
        counts={split: counts[split] for split in SPLITS if counts[split]},
        parts=intake.parts.parts,
        n_pairs=0,
        quarantine=dict(intake.quarantine.rows.most_common()),
        made_val=made_val and counts["val"] > 0,
        made_queries={},
        n_queries={},
        straddling=straddling(intake.traits),
        near_duplicates=near,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        facts={"code": fingerprint.code_version()},
    )


def _val_notes(manifest: Manifest) -> list[str]:
    n_val = manifest.counts.get("val", 0)
    made = f"val: {n_val} products cut from train (catalog.val_share and its bounds)"
    return [made] if manifest.made_val else []


def _training_notes(manifest: Manifest) -> list[str]:
    why = manifest.cannot_train
    return [f"warning: it can be searched, not trained on: {why}"] if why else []


def _known_notes(source: Source, known: Catalog) -> tuple[str, ...]:
    return (*source.layout.notes, *_training_notes(known.manifest))


def _glossary(source: Source, settings: CatalogSettings, names: set[str]) -> Glossary:
    place = shop.glossary_place(source, settings)
    return {} if place is None else spelled_as(read_glossary(place), names)


def _glossary_notes(glossary: Glossary, n_captions: int, names: set[str]) -> list[str]:
    if not glossary:
        return []
    terms = sum(map(len, glossary.values()))
    if n_captions:
        return [f"Chinese captions: {n_captions}, of the {terms} terms of the glossary"]
    known, have = (", ".join(sorted(some)[:_MOST_NAMES]) for some in (glossary, names))
    note = (
        f"warning: 0 Chinese captions: the glossary's attributes are {known or 'none'}, the"
        f" shop's are {have or 'none'}; attributes and values must be the shop's"
    )
    return [note]
