"""The report's tables as HTML. Whatever comes from the catalogue is escaped here."""

from collections.abc import Sequence
from html import escape

from xmodal.evaluation.judge import Contrast, Result
from xmodal.evaluation.sections import Section, Table

METRICS = {
    "recall@1": "R@1",
    "recall@5": "R@5",
    "recall@10": "R@10",
    "mrr@10": "MRR@10",
    "ndcg@10": "nDCG@10",
    "map": "mAP",
    "median_rank": "Median rank",
    "judged@10": "Judged@10",
}
_HOLES = {"condensed_ndcg@10": "nDCG@10 of judged", "bpref": "bpref"}


def means_table(results: Sequence[Result], has_holes: bool) -> str:
    """A row a system, the best of each metric marked; `has_holes`: with the measures for it."""
    shown = METRICS | (_HOLES if has_holes else {})
    best = {
        name: (min if name == "median_rank" else max)(one.means[name] for one in results)
        for name in shown
        if name != "judged@10" and len(results) > 1
    }
    rows = [
        [
            escape(one.system),
            *(_mean(one, name, one.means[name] == best.get(name)) for name in shown),
        ]
        for one in results
    ]
    return html_table(["", *shown.values()], rows)


def contrast_table(contrasts: Sequence[Contrast]) -> str:
    """Is it more than chance? A row for each comparison; nothing without one."""
    if not contrasts:
        return ""
    head = ["Compared", "Metric", "Difference", "95 % interval", "p", "p corrected", "Ratio", ""]
    table = html_table(head, [_contrast(one) for one in contrasts])
    return f'<h3>Is it more than chance?</h3><div class="card">{table}</div>'


def section(found: Section) -> str:
    """A section's verdict, tables and pictures; beside each other where there are as many."""
    tables = [_section_table(table) for table in found.tables]
    pictures = [
        f'<figure class="chart" role="img" aria-label="{escape(one.says, quote=True)}">{one.svg}'
        f"</figure>"
        for one in found.pictures
    ]
    if len(tables) == len(pictures) > 1:
        parts = [f'<div class="pair">{a}{b}</div>' for a, b in zip(tables, pictures, strict=True)]
    else:
        parts = [*pictures, *tables]
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in found.notes)
    return (
        f'<section id="{escape(found.name, quote=True)}"><h2>{escape(found.title)}</h2>'
        f'<div class="card"><p class="finding">{escape(found.verdict)}.</p>{"".join(parts)}{notes}'
        "</div></section>"
    )


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already; one that is a whole `<td>` stays as it is."""
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(x if x.startswith("<td") else f"<td>{x}</td>" for x in row) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )


def _mean(result: Result, name: str, is_best: bool) -> str:
    value = result.means[name]
    text = f"{value:,.0f}" if name == "median_rank" else f"{value:.4f}"
    if name in result.intervals:
        low, high = result.intervals[name]
        text += f"<small>{low:.3f} to {high:.3f}</small>"
    return f'<td class="best">{text}</td>' if is_best else text


def _contrast(one: Contrast) -> list[str]:
    tone = ("good" if one.found.difference > 0 else "bad") if one.is_significant else ""
    word = {"good": "better", "bad": "worse", "": "may be chance"}[tone]
    return [
        escape(f"{one.ours} against {one.theirs}"),
        METRICS[one.metric],
        f'<td class="{tone}">{one.found.difference:+.4f}</td>',
        f"{one.found.low:+.4f} to {one.found.high:+.4f}",
        f"{one.found.p_value:.4f}",
        f"{one.corrected:.4f}",
        f"{one.found.ours / one.found.theirs:.2f} ×" if one.found.theirs else "-",
        f'<td class="{tone}">{word}</td>',
    ]


def _section_table(table: Table) -> str:
    caption = f"<h3>{escape(table.caption)}</h3>" if table.caption else ""
    rows = [[_plain(value) for value in row] for row in table.rows]
    return f"<div>{caption}{html_table([escape(name) for name in table.head], rows)}</div>"


def _plain(value: str | int | float | None) -> str:
    if value is None:
        return '<td class="few">too few</td>'
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else escape(value)
