"""The report as one HTML page: the frontier picture, all measures with their intervals, and episodes to read.

The page loads nothing and runs nothing. All text of policies and passages is escaped, and control and bidirectional
characters are shown as escapes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape

from ...envs.record import EpisodeRecord
from ...retrieval_index.plain_text import safe_text
from ..measures.measures import measure_of
from ..measures.rows import ArmsReport, EstimateRow, PairedRow, SummaryRow
from .format import NOTHING, estimate_parts, interval
from .notes import size_lines
from .page_file import PAGE_MARK
from .svg import frontier_svg

__all__ = ["QUESTIONS_SHOWN", "html_page"]

QUESTIONS_SHOWN = 24
"""Questions of each arm whose episodes a page shows."""

SAMPLES_SHOWN = 4

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:74rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem;margin:1rem 0}
table{display:block;overflow-x:auto}
th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
small{color:#666}
details{margin:.3rem 0 .3rem 1rem}
summary{cursor:pointer}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f5f5f2;padding:.5rem .7rem;margin:.3rem 0}
pre{border-left:3px solid #2471a3}
pre.env{border-left-color:#999;color:#444}
.right{color:#1e7d32}.wrong{color:#b03a2e}
svg{max-width:100%;height:auto}
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}pre{background:#222}th,td{border-color:#333}
pre.env{color:#aaa}svg{background:#fff;border-radius:4px}}
"""


def html_page(arms: Mapping[str, Sequence[EpisodeRecord]], report: ArmsReport) -> str:
    """Builds the page.

    Args:
        arms: rollouts by arm, for the episodes; those of the first `QUESTIONS_SHOWN` questions are enough.
        report: the measures of the same arms.
    """
    sizes = "<br>".join(map(_text, size_lines(report)))
    parts = [f"<p>{sizes}<br>± is half of the 95 % bootstrap interval over questions.</p>"]
    if "lines_left_out" in report:
        parts.append(f"<p>Bad lines left out: {report['lines_left_out']}.</p>")
    if "frontier" in report:
        front = report["frontier"]
        parts += ["<h2>Frontier</h2>", frontier_svg(_points(report["arms"], front["k"]), front)]
    elif "no_frontier" in report and any("pass@1_plan" in arm["measures"] for arm in report["arms"].values()):
        parts.append(f"<p>{_text(report['no_frontier'])}.</p>")
    parts += ["<h2>Measures</h2>", _measure_table(report["arms"])]
    if report.get("differences"):
        parts += ["<h2>Paired differences</h2>", _difference_table(report["differences"])]
    shown = [_arm_episodes(name, records, report["arms"][name]) for name, records in arms.items()]
    parts += ["<h2>Episodes</h2>", *shown]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"{PAGE_MARK}"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # nothing may be loaded or run, whatever a policy wrote
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>berrypick report</title><style>{_STYLE}</style></head><body>\n<h1>berrypick report</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _text(value: object) -> str:
    return escape(safe_text(str(value)))


def _points(arms: Mapping[str, SummaryRow], k: int) -> dict[str, tuple[EstimateRow, EstimateRow]]:
    """Name of an arm -> (planned pass@1, planned pass@k), for the arms that have both."""
    across, up = "pass@1_plan", f"pass@{k}_plan"
    return {
        name: (arm["measures"][across], arm["measures"][up])
        for name, arm in arms.items()
        if across in arm["measures"] and up in arm["measures"]
    }


def _estimate(row: EstimateRow | None) -> str:
    value, half = estimate_parts(row)
    return f"{value} <small>{half}</small>" if half else value


def _label(key: str) -> str:
    measure = measure_of(key)
    words = measure.meaning + (f"; {measure.unit}" if measure.unit.startswith("nats") else "")
    return _text(measure.label) + (f"<br><small>{_text(words)}</small>" if words else "")


def _measure_table(arms: Mapping[str, SummaryRow]) -> str:
    keys = list(dict.fromkeys(key for arm in arms.values() for key in arm["measures"]))
    rows = [[_label(key), *(_estimate(arm["measures"].get(key)) for arm in arms.values())] for key in keys]
    absent = {key: why for arm in arms.values() for key, why in arm["absent"].items() if key not in keys}
    reasons = {why: [measure_of(key).label for key in sorted(absent) if absent[key] == why] for why in absent.values()}
    notes = [f"<p>{_text(f'Not measured ({why}): ' + ', '.join(labels))}.</p>" for why, labels in reasons.items()]
    return _table(["measure", *map(_text, arms)], rows) + "".join(notes)


def _difference_table(differences: Mapping[str, PairedRow]) -> str:
    keys = list(dict.fromkeys(key for pair in differences.values() for key in pair["differences"]))
    rows = []
    for key in keys:
        cells = [pair["differences"].get(key) for pair in differences.values()]
        rows.append([_text(measure_of(key).label), *map(_difference, cells)])
    return _table(["measure", *map(_text, differences)], rows)


def _difference(row: EstimateRow | None) -> str:
    if row is None:
        return NOTHING
    return f"{row['value']:+.3f} <small>{interval(row['low'], row['high'])}</small>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Builds a table of cells that are HTML already."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _arm_episodes(name: str, records: Sequence[EpisodeRecord], arm: SummaryRow) -> str:
    groups: dict[str, list[EpisodeRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: (record.question.id, record.sample_index)):
        groups[record.question.id].append(record)
    shown = list(groups.values())[:QUESTIONS_SHOWN]
    body = "\n".join(map(_question, shown))
    of = f"{len(shown)} of {arm['num_questions']} questions, up to {SAMPLES_SHOWN} episodes each"
    return f"<details><summary><b>{_text(name)}</b> <small>{of}</small></summary>\n{body}</details>"


def _question(group: Sequence[EpisodeRecord]) -> str:
    first = group[0].question
    right = sum(record.em == 1 for record in group)
    episodes = "\n".join(map(_episode, group[:SAMPLES_SHOWN]))
    wanted = _text(" | ".join(first.answers))
    return (
        f"<details><summary>{_text(first.text)} <small>{_text(first.id)}; right answer: {wanted}; "
        f"{right} of {len(group)} right</small></summary>\n{episodes}</details>"
    )


def _episode(record: EpisodeRecord) -> str:
    mark = '<span class="right">right</span>' if record.em == 1 else '<span class="wrong">wrong</span>'
    answer = "no answer" if record.answer_raw is None else f"answer: {_text(record.answer_raw)}"
    turns = []
    for turn in record.turns:
        turns.append(f"<pre>{_text(turn.text)}</pre>")
        if turn.observation:
            turns.append(f'<pre class="env">{_text(turn.observation)}</pre>')
    head = f"sample {record.sample_index}: {mark}, {len(record.queries)} searches, {answer}"
    return f"<details><summary>{head}</summary>{''.join(turns)}</details>"
