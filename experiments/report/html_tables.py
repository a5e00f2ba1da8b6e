"""The tables of the HTML page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from ...retrieval_index.plain_text import safe_text
from ..measures.measures import measure_of
from ..measures.rows import EstimateRow, LikenessRow, PairedRow, SummaryRow
from .format import NOTHING, compact, estimate_parts, interval
from .palette import arm_colours
from .takeaway import Verdict
from .verdict_table import UNITS

__all__ = ["difference_table", "html_table", "likeness_table", "measure_table", "verdict_table", "whole_intervals"]


def whole_intervals(text: str) -> str:
    """Keeps each value and its interval, such as "+.059 [.020, .100]", on one line of the page."""
    return re.sub(r"\S+ \[[^\[\]]*\]", lambda found: found[0].replace(" ", "\u00a0"), text)


def measure_table(arms: Mapping[str, SummaryRow]) -> str:
    """Every measure of every arm, then the measures that are absent and why."""
    keys = list(dict.fromkeys(key for arm in arms.values() for key in arm["measures"]))
    rows = [[_label(key), *(_estimate(arm["measures"].get(key)) for arm in arms.values())] for key in keys]
    absent = {key: why for arm in arms.values() for key, why in arm["absent"].items() if key not in keys}
    reasons = {why: [measure_of(key).label for key in sorted(absent) if absent[key] == why] for why in absent.values()}
    notes = [f"<p>{_text(f'Not measured ({why}): ' + ', '.join(labels))}.</p>" for why, labels in reasons.items()]
    heads = [f"{_dot(colour)}{_text(name)}" for name, colour in arm_colours(arms).items()]
    return html_table(["measure", *heads], rows, "measures") + "".join(notes)


def difference_table(differences: Mapping[str, PairedRow]) -> str:
    """Every measure of every pair of arms."""
    keys = list(dict.fromkeys(key for pair in differences.values() for key in pair["differences"]))
    rows = []
    for key in keys:
        cells = [pair["differences"].get(key) for pair in differences.values()]
        rows.append([_text(measure_of(key).label), *map(_difference, cells)])
    return html_table(["measure", *map(_text, differences)], rows)


def likeness_table(likeness: Mapping[str, LikenessRow]) -> str:
    """How alike rollouts are, within every arm and between every two."""
    rows = []
    for name, row in likeness.items():
        found = [row.get("alike"), row["floor"], row.get("above_floor"), row.get("high")]
        rows.append([_text(name.replace(" | ", " and ")), *map(_estimate, found)])
    note = (
        "Cosine of the words of queries and answers: 1 says that two rollouts use the same words. Rollouts of "
        "different questions are alike, too, because questions share a form. The difference leaves that out."
    )
    heads = ["rollouts of", "on one question", "on different ones", "difference", "questions above .8"]
    return html_table(heads, rows) + f'<p class="note">{_text(note)}</p>'


def verdict_table(found: Sequence[Verdict], unit: str) -> str:
    """Each comparison with its intervals over units, see `UNITS`, and its verdict in words."""
    rows = [
        [
            _text(f"{verdict.arm} - {verdict.base}"),
            whole_intervals(compact(verdict.at_once)),
            f"{whole_intervals(compact(verdict.in_tries))} <small>in {verdict.tries} tries</small>"
            if verdict.in_tries
            else NOTHING,
            _text(verdict.words),
        ]
        for verdict in found
    ]
    note = (
        f"{UNITS[unit]}. No difference can be seen where an interval has 0 in it. Better: more right at once. "
        "Narrower: fewer questions are solved in several tries."
    )
    heads = ["difference", "right at once", "in several tries", "so it is"]
    return html_table(heads, rows, "words") + f'<p class="note">{_text(note)}</p>'


def _text(value: object) -> str:
    return escape(safe_text(str(value)))


def _dot(colour: str) -> str:
    """A small disc; drawn, because the page's policy allows no style attributes."""
    disc = f'<circle cx="5" cy="5" r="5" fill="{colour}"/>'
    return f'<svg width="10" height="10" class="dot" aria-hidden="true">{disc}</svg>'


def _estimate(row: EstimateRow | None) -> str:
    value, half = estimate_parts(row)
    return f"{value} <small>{half}</small>" if half else value


def _label(key: str) -> str:
    measure = measure_of(key)
    words = measure.meaning + (f"; {measure.unit}" if measure.unit.startswith("nats") else "")
    return _text(measure.label) + (f"<br><small>{_text(words)}</small>" if words else "")


def _difference(row: EstimateRow | None) -> str:
    if row is None:
        return NOTHING
    shown = interval(row["low"], row["high"]) if row["n"] > 1 else "1 question"
    return f"{row['value']:+.3f} <small>{shown}</small>"


_WIDE = 8
"""Number of columns above which a table may be wider than paper; its cells then carry their heads, see page.css."""


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Builds a table of cells that are HTML already."""
    wide = len(header) > _WIDE
    heads = [re.sub(r"<[^>]*>", " ", head).strip() for head in header]
    marks = ["", *(f' data-head="{head}"' for head in heads[1:])] if wide else [""] * len(heads)
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "\n".join(
        "<tr>" + "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, row)) + "</tr>" for row in rows
    )
    names = " ".join(filter(None, (kind, "many" if wide else "")))
    named = f' class="{names}"' if names else ""
    return f'<div class="scroll"><table{named}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
