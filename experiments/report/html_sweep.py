"""The report on a sweep as one HTML page: takeaway, training curves over seeds, alarms, held-out measures, episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..measures.measures import measure_of
from ..measures.pooled import PooledReport
from ..measures.sweep import SweepReport
from .format import NOTHING, number
from .html import frontier_parts
from .html_document import CURVE_WIDTH, document, episode_parts, escaped
from .html_tables import html_table, measure_table, verdict_table, whole_intervals
from .packed_episode import PageEpisode
from .page_data import page_data
from .pooled import shown_measures
from .svg import curve_svg
from .sweep import sweep_lines, sweep_takeaway
from .takeaway import verdicts, verdicts_of

__all__ = ["sweep_page"]


def sweep_page(arms: Mapping[str, Sequence[PageEpisode]], report: SweepReport) -> str:
    """Builds the page.

    Args:
        arms: whole episodes of the evaluated cells; those of the first questions are enough.
        report: on the sweep.
    """
    data, cells, pooled = page_data(arms), report["cells"], report["held_out"]
    parts = [f'<p class="takeaway">{whole_intervals(escaped(sweep_takeaway(report)))}</p>']
    if lines := sweep_lines(report):
        parts.append(f'<ul class="alarms">{"".join(f"<li>{escaped(line)}</li>" for line in lines)}</ul>')
    figures = [
        f"<figure>{curve_svg(lines, key, width=CURVE_WIDTH)}</figure>"
        for key, lines in report["curves"].items()
        if len({row["value"] for points in lines.values() for _, row in points}) > 1
    ]
    note = "On training questions, means of five steps. Line: mean over seeds. Band: lowest to highest seed."
    parts += ["<h2>Training</h2>", f'<div class="curves">{"".join(figures)}</div>', f'<p class="note">{note}</p>']
    if cells is None:
        return document([*parts, "<p>No cell is evaluated on held-out questions.</p>"], data, browser=False)
    parts += frontier_parts(cells)
    found = verdicts(cells) if pooled is None else verdicts_of(pooled["arms"], pooled["differences"])
    if found:
        unit = "questions" if pooled is None else "seeds"
        parts += ["<h2>Is it better, is it narrower, is it sure?</h2>", verdict_table(found, unit)]
    if pooled is not None:
        parts += ["<h2>Means over seeds</h2>", _pooled_table(pooled)]
    total = sum(arm["num_episodes"] for arm in cells["arms"].values())
    parts += [*episode_parts(data, total), "<h2>Measures of each cell</h2>", measure_table(cells["arms"])]
    return document(parts, data)


def _pooled_table(pooled: PooledReport) -> str:
    keys = shown_measures(pooled)
    rows = [
        [escaped(name), *(number(row[key]["mean"]) if key in row else NOTHING for key in keys)]
        for name, row in pooled["arms"].items()
    ]
    return html_table(["objective", *(escaped(measure_of(key).label) for key in keys)], rows)
