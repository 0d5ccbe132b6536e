"""The report of an evaluation: `report.html`, one file that needs no other, and its figures.

    verdict -> means with intervals by part and task -> the sections -> picture grids -> facts

`metrics.json` and `queries.csv` lie beside it and inside it, for download.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from xmodal.catalog.store import Catalog
from xmodal.evaluation import tables
from xmodal.evaluation.figures import as_csv, as_json, chance
from xmodal.evaluation.grids import grids
from xmodal.evaluation.judge import HELD_OUT, Evaluation, Result
from xmodal.evaluation.sections import Section
from xmodal.evaluation.verdict import Verdict, page_share, say
from xmodal.storage import publish_file, write_json_atomic

_TASKS = {
    "text-image": "Text → image",
    "image-image": "Image → image",
    "image-text": "Image → text",
}


def write_report(
    folder: Path,
    evaluation: Evaluation,
    catalog: Catalog,
    facts: Mapping[str, object],
    sections: Sequence[Section] = (),
) -> Path:
    """Write `report.html`, `metrics.json` and `queries.csv` to `folder`; returns the report's path.

    `facts`: what else to show of where the figures come from (matcher, settings, code).
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _facts(evaluation, catalog) | dict(facts)
    found = as_json(evaluation, known, sections)
    write_json_atomic(folder / "metrics.json", found)
    rows = as_csv(evaluation)
    downloads = _download("metrics.json", "application/json", json.dumps(found, indent=1))
    downloads += _download("queries.csv", "text/csv", rows)
    page = _page(evaluation, catalog, known, sections, downloads=downloads)
    for name, content in (("queries.csv", rows), ("report.html", page)):
        with publish_file(folder / name) as beside:
            beside.write_text(content, encoding="utf-8")
    return folder / "report.html"


def _facts(evaluation: Evaluation, catalog: Catalog) -> dict[str, object]:
    manifest = catalog.manifest
    return {
        "catalogue": f"{manifest.source} ({manifest.n_products:,} products)",
        "catalogue fingerprint": manifest.fingerprint,
        "gallery": f"{evaluation.gallery['products']:,} products, "
        f"{evaluation.gallery['pictures']:,} pictures; nothing of their text is read",
    }


def _page(
    evaluation: Evaluation,
    catalog: Catalog,
    facts: Mapping[str, object],
    sections: Sequence[Section],
    *,
    downloads: str,
) -> str:
    template = Template(files("xmodal.evaluation").joinpath("report.html").read_text("utf-8"))
    places = list(dict.fromkeys((one.part, one.task) for one in evaluation.results))
    order = list(_TASKS)
    places.sort(key=lambda place: (order.index(place[1]), HELD_OUT.index(place[0])))
    contents = {
        "verdict": "Verdict",
        **{f"{part}-{task}": f"{_TASKS[task]}, {part}" for part, task in places},
        **{section.name: section.title for section in sections},
        "examples": "Wins and losses",
        "words": "What the words mean",
        "facts": "Measured on",
    }
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    return template.substitute(
        title="How well the matcher finds products",
        subtitle=escape(f"{facts['catalogue']}, searched by pictures alone"),
        contents="".join(
            f'<a href="#{escape(name, quote=True)}">{escape(title)}</a>'
            for name, title in contents.items()
        ),
        verdict=_verdict(say(evaluation)),
        tiles="".join(_tile(one) for one in evaluation.headline),
        results="".join(_place(evaluation, part, task) for part, task in places),
        sections="".join(tables.section(section) for section in sections),
        examples=grids(evaluation, catalog),
        downloads=downloads,
        facts=rows,
    )


def _verdict(found: Verdict) -> str:
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in found.facts)
    return (
        f'<div class="card verdict {found.tone}"><p class="headline">{escape(found.headline)}</p>'
        f"<ul>{facts}</ul><p><b>What to do:</b> {escape(found.advice)}</p></div>"
    )


def _tile(result: Result) -> str:
    return (
        f'<div class="card tile"><b>{page_share(result):.0%}</b>'
        f"<span>of queries show a right product on the first page: {escape(result.system)}</span>"
        f"<span>R@10 {result.means['recall@10']:.4f} · MRR@10 {result.means['mrr@10']:.4f}</span>"
        "</div>"
    )


def _place(evaluation: Evaluation, part: str, task_name: str) -> str:
    results = [one for one in evaluation.results if (one.part, one.task) == (part, task_name)]
    task = evaluation.tasks[f"{part} {task_name}"]
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in task.notes)
    has_holes = any(grade == 0 for grades in task.qrels.values() for grade in grades.values())
    contrasts = [x for x in evaluation.contrasts if (x.part, x.task) == (part, task_name)]
    return (
        f'<section id="{part}-{task_name}"><h2>{_TASKS[task_name]}, part {escape(part)}</h2>'
        f'<div class="card">{tables.means_table(results, has_holes)}'
        f'<p class="note">{len(results[0].per_query["map"]):,} queries; chance R@10: '
        f"{chance(task, evaluation):.4f}; small: 95 % intervals</p>{notes}</div>"
        f"{tables.contrast_table(contrasts)}</section>"
    )


def _download(name: str, kind: str, content: str) -> str:
    packed = base64.b64encode(content.encode()).decode()
    return f'<a download="{name}" href="data:{kind};base64,{packed}">{name}</a>'
