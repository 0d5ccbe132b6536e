"""The report of an evaluation: `report.html`, one file with its pictures, and `metrics.json`."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from xmodal.catalog.store import Catalog
from xmodal.evaluation.examples import Picked, pick, thumbnails
from xmodal.evaluation.judge import Contrast, Evaluation, Result
from xmodal.evaluation.sections import Section, Table
from xmodal.evaluation.tasks import Task
from xmodal.storage import publish_file, write_json_atomic

METRICS = {
    "recall@1": "R@1",
    "recall@5": "R@5",
    "recall@10": "R@10",
    "mrr@10": "MRR@10",
    "ndcg@10": "nDCG@10",
    "map": "mAP",
    "median_rank": "Median rank",
}
_TASKS = {
    "text-image": "Text → image",
    "image-image": "Image → image",
    "image-text": "Image → text",
}
_EXAMPLES = 6
_PARTS = ("dev", "test", "val")  # the first with queries is shown on top: never tuned on


def write_report(
    folder: Path,
    evaluation: Evaluation,
    catalog: Catalog,
    facts: Mapping[str, object],
    sections: Sequence[Section] = (),
) -> Path:
    """Write `report.html` and `metrics.json` to `folder`; returns the path of the report.

    `facts`: what else to show of where the figures come from (matcher, settings, code).
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _facts(evaluation, catalog) | dict(facts)
    found = as_json(evaluation, known)
    found["sections"] = {section.name: section.data for section in sections}
    write_json_atomic(folder / "metrics.json", found)
    path = folder / "report.html"
    with publish_file(path) as beside:
        beside.write_text(_page(evaluation, catalog, known, sections), encoding="utf-8")
    return path


def as_json(evaluation: Evaluation, facts: Mapping[str, object]) -> dict[str, object]:
    """All means, slices and comparisons, in plain values."""
    return {
        "facts": {name: str(value) for name, value in facts.items()},
        "gallery": evaluation.gallery,
        "results": [
            {
                "system": one.system,
                "part": one.part,
                "task": one.task,
                "queries": len(one.per_query["map"]),
                "means": one.means,
                "slices": one.slices,
            }
            for one in evaluation.results
        ],
        "comparisons": [
            {
                "part": one.part,
                "task": one.task,
                "system": one.ours,
                "against": one.theirs,
                "metric": one.metric,
                **vars(one.found),
            }
            for one in evaluation.contrasts
        ],
        "notes": {name: list(task.notes) for name, task in evaluation.tasks.items()},
        "chance": {name: chance(task, evaluation) for name, task in evaluation.tasks.items()},
    }


def chance(task: Task, evaluation: Evaluation) -> float:
    """R@10 that a random order of the task's gallery reaches in the mean."""
    return min(1.0, 10 / max(len(task.titles) or evaluation.gallery["products"], 1))


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
) -> str:
    template = Template(files("xmodal.evaluation").joinpath("report.html").read_text("utf-8"))
    places = list(dict.fromkeys((one.part, one.task) for one in evaluation.results))
    places.sort(key=lambda place: (list(_TASKS).index(place[1]), _PARTS.index(place[0])))
    shown = _headline(evaluation)
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    return template.substitute(
        title="How well the matcher finds products",
        subtitle=escape(f"{facts['catalogue']}, searched by pictures alone"),
        tiles="".join(_tile(one) for one in shown),
        results="".join(_section(evaluation, part, task) for part, task in places),
        sections="".join(_finding(section) for section in sections),
        examples=_examples(evaluation, catalog, shown[-1]) if shown else "",
        facts=rows,
    )


def _finding(section: Section) -> str:
    tables = "".join(_plain_table(table) for table in section.tables)
    pictures = "".join(
        f'<figure role="img" aria-label="{escape(one.says, quote=True)}">{one.svg}</figure>'
        for one in section.pictures
    )
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in section.notes)
    return (
        f'<h2 id="{escape(section.name, quote=True)}">{escape(section.title)}</h2>'
        f'<div class="card"><p><b>{escape(section.verdict)}</b></p>{tables}{pictures}{notes}</div>'
    )


def _plain_table(table: Table) -> str:
    rows = [[_plain(value) for value in row] for row in table.rows]
    caption = f"<h3>{escape(table.caption)}</h3>" if table.caption else ""
    return caption + _table([escape(name) for name in table.head], rows)


def _plain(value: str | int | float | None) -> str:
    if value is None:
        return "too few"
    return f"{value:.4f}" if isinstance(value, float) else escape(f"{value}")


def _headline(evaluation: Evaluation) -> list[Result]:
    """The systems on text queries, of the first part that has any."""
    for part in _PARTS:
        found = [x for x in evaluation.results if (x.part, x.task) == (part, "text-image")]
        if found:
            return found
    return []


def _tile(result: Result) -> str:
    return (
        f'<div class="card tile"><b>{result.means["recall@10"]:.3f}</b>'
        f"<span>R@10 of {escape(result.system)}, part {escape(result.part)}</span></div>"
    )


def _section(evaluation: Evaluation, part: str, task_name: str) -> str:
    results = [one for one in evaluation.results if (one.part, one.task) == (part, task_name)]
    task = evaluation.tasks[f"{part} {task_name}"]
    queries = len(results[0].per_query["map"])
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in task.notes)
    floor = f"chance R@10: {chance(task, evaluation):.4f}"
    contrasts = [x for x in evaluation.contrasts if (x.part, x.task) == (part, task_name)]
    return (
        f"<h2>{_TASKS[task_name]}, part {escape(part)}</h2>"
        f'<div class="card">{_means_table(results)}'
        f'<p class="note">{queries:,} queries; {floor}</p>{notes}</div>'
        f"{_contrast_table(contrasts)}{_slice_tables(results)}"
    )


def _means_table(results: list[Result]) -> str:
    best = {
        name: (min if name == "median_rank" else max)(one.means[name] for one in results)
        for name in METRICS
    }
    rows = []
    for one in results:
        cells = [_cell(name, one.means[name], one.means[name] == best[name]) for name in METRICS]
        rows.append([escape(one.system), *cells])
    return _table(["", *METRICS.values()], rows)


def _cell(name: str, value: float, is_best: bool) -> str:
    text = f"{value:,.0f}" if name == "median_rank" else f"{value:.4f}"
    return f'<td class="best">{text}</td>' if is_best else text


def _contrast_table(contrasts: list[Contrast]) -> str:
    if not contrasts:
        return ""
    rows = []
    for one in contrasts:
        tone = ("good" if one.found.low > 0 else "bad") if one.found.is_significant else ""
        ratio = f"{one.found.ours / one.found.theirs:.2f} ×" if one.found.theirs else "-"
        rows.append(
            [
                escape(f"{one.ours} against {one.theirs}"),
                METRICS[one.metric],
                f'<td class="{tone}">{one.found.difference:+.4f}</td>',
                f"{one.found.low:+.4f} to {one.found.high:+.4f}",
                f"{one.found.p_value:.3f}",
                ratio,
            ]
        )
    head = ["Compared", "Metric", "Difference", "95 % interval", "p", "Ratio"]
    return f'<h3>Is it more than chance?</h3><div class="card">{_table(head, rows)}</div>'


def _slice_tables(results: list[Result]) -> str:
    parts = []
    for group in results[-1].slices:
        rows = []
        for value, last in results[-1].slices[group].items():
            found = [one.slices.get(group, {}).get(value, {}) for one in results]
            recalls = [f"{means.get('recall@10', 0.0):.4f}" for means in found]
            rows.append([escape(value), f"{last['queries']:,.0f}", *recalls])
        head = [escape(group), "Queries", *(f"R@10 {escape(one.system)}" for one in results)]
        parts.append(f'<h3>By {escape(group)}</h3><div class="card">{_table(head, rows)}</div>')
    return "".join(parts)


def _table(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(x if x.startswith("<td") else f"<td>{x}</td>" for x in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _examples(evaluation: Evaluation, catalog: Catalog, result: Result) -> str:
    best, worst = pick(evaluation, result, _EXAMPLES)
    wanted = {p for one in best + worst for p in (one.relevant, *one.answer)}
    pictures = thumbnails(catalog, wanted)
    system = escape(f"{result.system}, part {result.part}")
    return (
        f'<h2>Found at once ({system})</h2><div class="queries">'
        + "".join(_query(one, pictures) for one in best)
        + f'</div><h2>Missed ({system})</h2><div class="queries">'
        + "".join(_query(one, pictures) for one in worst)
        + "</div>"
    )


def _query(one: Picked, pictures: Mapping[str, str]) -> str:
    figures = "".join(_figure(p, pictures, one.grades.get(p, 0) > 0) for p in one.answer)
    return (
        f'<div class="card query"><h4>{escape(one.text)}</h4>'
        f"<p>first relevant product at rank {one.rank:.0f} (before: {one.rank_before:.0f})</p>"
        f'<div class="strip"><div class="wanted">{_figure(one.relevant, pictures, False)}</div>'
        f"{figures}</div></div>"
    )


def _figure(product: str, pictures: Mapping[str, str], is_hit: bool) -> str:
    name = escape(product, quote=True)
    kind = ' class="hit"' if is_hit else ""
    source = pictures.get(product, "")
    return (
        f'<figure{kind}><img src="{source}" alt="{name}"><figcaption>{name}</figcaption></figure>'
    )
