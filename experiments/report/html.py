"""The report as one HTML page: the takeaway, the frontier, the measures with their intervals, and episodes to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..measures.rows import ArmsReport, EstimateRow, PopulationRow, SummaryRow
from .columns import is_world
from .format import interval_legend
from .html_document import NARROW, document, episode_parts, escaped, figure
from .html_tables import difference_table, html_table, likeness_table, measure_table, verdict_table, whole_intervals
from .notes import contradiction_lines, frontier_caption, information_lines, size_lines, trained_lines
from .packed_episode import PageEpisode
from .page_data import page_data
from .population_table import POPULATION_NOTE, population_heads, population_rows, population_sentence
from .svg import Points, frontier_svg
from .takeaway import takeaway, verdicts

__all__ = ["frontier_parts", "html_page"]


def html_page(arms: Mapping[str, Sequence[PageEpisode]], report: ArmsReport) -> str:
    """Builds the page.

    Args:
        arms: whole episodes by arm; those of the first questions are enough.
        report: the measures of the same arms.
    """
    data = page_data(arms)
    total = sum(arm["num_episodes"] for arm in report["arms"].values())
    sizes = "<br>".join(map(escaped, [*trained_lines(report), *size_lines(report)]))
    legend = interval_legend(row for arm in report["arms"].values() for row in arm["measures"].values())
    parts = [
        f'<p class="takeaway">{whole_intervals(escaped(takeaway(report) + population_sentence(report)))}</p>',
        f'<p class="sizes">{sizes}<br>{escaped(legend)}.</p>',
    ]
    parts += [f'<p class="note">{escaped(line)}</p>' for line in contradiction_lines(report["arms"])]
    if "lines_left_out" in report:
        parts.append(f"<p>Bad lines left out: {report['lines_left_out']}.</p>")
    if "rollouts_missing" in report:
        parts.append(f"<p>Rollouts missing: {report['rollouts_missing']}.</p>")
    parts += frontier_parts(report)
    if found := verdicts(report):
        parts += ["<h2>Is it better, is it narrower, is it sure?</h2>", verdict_table(found, "questions")]
    if "population" in report:
        parts += ["<h2>What did the task ask, and what was wasted?</h2>", *_population(report["population"])]
    parts += ["<h2>Measures</h2>", measure_table(report["arms"])]
    parts += [f'<p class="note">{escaped(line)}</p>' for line in information_lines(report["arms"])]
    if report.get("differences"):
        parts += ["<h2>Paired differences</h2>", difference_table(report["differences"])]
    if alike := report.get("likeness"):
        parts += ["<h2>How alike are rollouts?</h2>", likeness_table(alike)]
    parts += episode_parts(data, total)
    return document(parts, data)


def _population(row: PopulationRow) -> list[str]:
    """Both tables of values over all questions, and what they say."""
    tables = [
        html_table([*map(escaped, heads)], [[whole_intervals(escaped(cell)) for cell in line] for line in rows])
        for heads, rows in zip(population_heads(row), population_rows(row))
    ]
    return [*tables, f'<p class="note">{escaped(POPULATION_NOTE.format(k=row["k"]))}</p>']


def frontier_parts(report: ArmsReport) -> list[str]:
    """The frontier figure, or why there is none."""
    if "frontier" not in report:
        shown = "no_frontier" in report and is_world(report)
        return [f"<p>{escaped(report['no_frontier'])}.</p>"] if shown else []
    front, k = report["frontier"], report["frontier"]["k"]
    points = _points(report["arms"], "pass@1", f"pass@{k}")
    if not points:
        return []
    planned = _points(report["arms"], "pass@1_plan", f"pass@{k}_plan")
    exact = report.get("references")
    figures = tuple(
        frontier_svg(points, front, planned=planned, references=exact, width=width) for width in (640, NARROW)
    )
    questions = max(arm["num_questions"] for arm in report["arms"].values())
    return ["<h2>Frontier</h2>", figure(figures, frontier_caption(questions))]


def _points(arms: Mapping[str, SummaryRow], across: str, up: str) -> Points:
    """Name of an arm -> its two measures, for the arms that have both."""
    found: dict[str, tuple[EstimateRow, EstimateRow]] = {
        name: (arm["measures"][across], arm["measures"][up])
        for name, arm in arms.items()
        if across in arm["measures"] and up in arm["measures"]
    }
    return found
