"""The report as one HTML page: the takeaway, the frontier, the measures with their intervals, and episodes to read.

The page loads nothing. Its policy allows one style and one script, by their hashes; without JavaScript it shows all
but the episodes. All text of policies and passages is escaped, and control and bidirectional characters are shown as
escapes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path

from ...envs.record import EpisodeRecord
from ...retrieval_index.plain_text import safe_text
from ..measures.rows import ArmsReport, EstimateRow, SummaryRow
from .columns import is_world
from .html_tables import difference_table, measure_table, verdict_table, whole_intervals
from .notes import frontier_caption, information_lines, size_lines
from .page_data import PageData, page_data
from .page_file import PAGE_MARK
from .svg import Points, Series, curve_svg, frontier_svg
from .takeaway import takeaway, verdicts

__all__ = ["html_page"]

_NARROW = 380
"""Width of the figures on narrow screens, where the wide ones would be unreadably small."""

_BROWSER = """<p class="note keys"><kbd>/</kbd> search, <kbd>j</kbd> <kbd>k</kbd> next and previous episode,
<kbd>Enter</kbd> read it, <kbd>Esc</kbd> back and clear the search</p>
<div id="browser" hidden>
<div id="filters">
<input id="search" type="search" placeholder="search questions, queries, passages, answers"
aria-label="search all texts">
<input id="question" type="search" placeholder="question" aria-label="question: id or words">
<select id="policy" aria-label="policy"><option value="">all policies</option></select>
<select id="result" aria-label="result"><option value="">right and wrong</option><option value="1">right</option>
<option value="0">wrong</option></select>
<select id="kind" aria-label="record kinds in the order they were tried">
<option value="">all kind paths</option></select>
<span id="count" role="status"></span>
</div>
<div id="list" role="listbox" tabindex="0" aria-label="episodes"><div id="rows"></div></div>
<div id="detail" tabindex="-1"></div>
</div>"""


def html_page(
    arms: Mapping[str, Sequence[EpisodeRecord]], report: ArmsReport, *, curves: Mapping[str, Series] | None = None
) -> str:
    """Builds the page.

    Args:
        arms: whole episodes by arm; those of the first questions are enough.
        report: the measures of the same arms.
        curves: key of a measure -> its values over training steps, see `curve_svg`; a figure for each.
    """
    data = page_data(arms)
    total = sum(arm["num_episodes"] for arm in report["arms"].values())
    sizes = "<br>".join(map(_text, size_lines(report)))
    parts = [
        f'<p class="takeaway">{whole_intervals(_text(takeaway(report)))}</p>',
        f'<p class="sizes">{sizes}<br>± is half of the 95 % bootstrap interval over questions.</p>',
    ]
    if "lines_left_out" in report:
        parts.append(f"<p>Bad lines left out: {report['lines_left_out']}.</p>")
    parts += _frontier(report)
    for measure, series in (curves or {}).items():
        figures = (curve_svg(series, measure), curve_svg(series, measure, width=_NARROW))
        parts.append(_figure(figures, "Bands are 95 % intervals over questions."))
    if found := verdicts(report):
        parts += ["<h2>Is it better, is it narrower, is it sure?</h2>", verdict_table(found)]
    parts += [
        "<h2>Episodes</h2>",
        _kept(data, total),
        _BROWSER,
        "<noscript><p>Episodes need JavaScript.</p></noscript>",
    ]
    parts += ["<h2>Measures</h2>", measure_table(report["arms"])]
    parts += [f'<p class="note">{_text(line)}</p>' for line in information_lines(report["arms"])]
    if report.get("differences"):
        parts += ["<h2>Paired differences</h2>", difference_table(report["differences"])]
    style, script = _asset("page.css"), _asset("page.js")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"{PAGE_MARK}"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # nothing may be loaded, and nothing but these two texts may act, whatever a policy wrote
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'\">"
        f"<title>berrypick report</title><style>{style}</style></head><body>\n<h1>berrypick report</h1>\n"
        + "\n".join(parts)
        + f'\n<script type="application/json" id="episodes">{data.json}</script>\n<script>{script}</script>\n'
        "</body></html>\n"
    )


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(value: object) -> str:
    return escape(safe_text(str(value)))


def _frontier(report: ArmsReport) -> list[str]:
    if "frontier" not in report:
        shown = "no_frontier" in report and is_world(report)
        return [f"<p>{_text(report['no_frontier'])}.</p>"] if shown else []
    front, k = report["frontier"], report["frontier"]["k"]
    points = _points(report["arms"], "pass@1", f"pass@{k}")
    if not points:
        return []
    planned = _points(report["arms"], "pass@1_plan", f"pass@{k}_plan")
    exact = report.get("references")
    figures = tuple(
        frontier_svg(points, front, planned=planned, references=exact, width=width) for width in (640, _NARROW)
    )
    questions = max(arm["num_questions"] for arm in report["arms"].values())
    return ["<h2>Frontier</h2>", _figure(figures, frontier_caption(questions))]


def _figure(figures: Sequence[str], caption: str) -> str:
    """A figure in two widths, of which a screen shows one."""
    wide, narrow = (svg.replace("<svg ", f'<svg class="{name}" ', 1) for svg, name in zip(figures, ("wide", "narrow")))
    return f"<figure>{wide}{narrow}<figcaption>{_text(caption)}</figcaption></figure>"


def _points(arms: Mapping[str, SummaryRow], across: str, up: str) -> Points:
    """Name of an arm -> its two measures, for the arms that have both."""
    found: dict[str, tuple[EstimateRow, EstimateRow]] = {
        name: (arm["measures"][across], arm["measures"][up])
        for name, arm in arms.items()
        if across in arm["measures"] and up in arm["measures"]
    }
    return found


def _kept(data: PageData, total: int) -> str:
    """Says what the page leaves out; "" if it holds everything."""
    lines = []
    if data.kept < total:
        lines.append(
            f"To keep this file small, it holds the first {data.kept:,} of {total:,} episodes, in the order of "
            "the questions. The measures are of all of them."
        )
    if data.texts_cut:
        lines.append(f"Texts longer than {data.text_limit:,} characters are cut, with a mark.")
    return f'<p class="note">{_text(" ".join(lines))}</p>' if lines else ""
