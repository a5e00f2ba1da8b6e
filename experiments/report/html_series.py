"""The report by step as one HTML page: the takeaway, curves with the onset of narrowing, alarms, values, episodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ..measures.by_step import SeriesRow, StepRow
from ..measures.measures import measure_of
from .format import estimate_parts
from .html_document import CURVE_WIDTH, document, episode_parts, escaped
from .html_tables import html_table, whole_intervals
from .packed_episode import PageEpisode
from .page_data import page_data
from .series_notes import SERIES_BLOCKS, changing_keys, series_sentence, series_words, shown_keys
from .svg import Series, curve_svg

__all__ = ["series_page"]


def series_page(
    arms: Mapping[str, Sequence[PageEpisode]], series: Mapping[str, SeriesRow], total: int, *, left_out: int = 0
) -> str:
    """Builds the page.

    Args:
        arms: whole episodes by arm; those of the first questions are enough.
        series: the measures of their checkpoints.
        total: number of episodes that were measured.
        left_out: number of bad lines that were skipped.
    """
    data = page_data(_by_step(arms, one_series=len(series) == 1))
    parts = [f"<p>Bad lines left out: {left_out}.</p>"] if left_out else []
    for name, rows in series.items():
        words = series_words(rows)
        parts.append(f"<h2>{escaped(name)}</h2>")
        parts.append(f'<p class="takeaway">{whole_intervals(escaped(series_sentence(rows)))}</p>')
        parts += [f'<p class="sizes">{escaped(line)}</p>' for line in words.sizes]
        if words.alarms:
            parts += ["<h3>Alarms</h3>", _list(words.alarms, "alarms")]
        parts += ["<h3>Where narrowing begins</h3>", _list(words.onsets)]
    parts += ["<h2>Curves</h2>", *_curves(series), *episode_parts(data, total), "<h2>Measures</h2>"]
    for name, rows in series.items():
        if len(series) > 1:
            parts.append(f"<h3>{escaped(name)}</h3>")
        for heading, keys in SERIES_BLOCKS.items():
            if shown := shown_keys(keys, rows):
                parts.append(_table(heading, shown, rows))
        parts += [f'<p class="note">{escaped(line)}.</p>' for line in series_words(rows).absent]
    return document(parts, data)


def _by_step(arms: Mapping[str, Sequence[PageEpisode]], *, one_series: bool) -> dict[str, list[PageEpisode]]:
    """Episodes by step, and by arm if there are several series."""
    steps: dict[tuple[int, str], list[PageEpisode]] = defaultdict(list)
    for name, records in arms.items():
        for record in records:
            if record.checkpoint_step is not None:
                steps[record.checkpoint_step, "" if one_series else f"{name}, "].append(record)
    return {f"{arm}step {step}": steps[step, arm] for step, arm in sorted(steps)}


def _curves(series: Mapping[str, SeriesRow]) -> list[str]:
    """A figure for each measure that changes in some series, with the lines of all series."""
    figures = []
    for keys in SERIES_BLOCKS.values():
        found = (key for rows in series.values() for key in changing_keys(shown_keys(keys, rows), rows))
        for key in dict.fromkeys(found):
            lines: Series = {
                name: [(row["step"], row["measures"][key]) for row in rows["steps"] if key in row["measures"]]
                for name, rows in series.items()
            }
            onsets = {name: onset["step"] for name, rows in series.items() if (onset := rows["onset"].get(key))}
            figures.append(f"<figure>{curve_svg(lines, key, onsets=onsets, width=CURVE_WIDTH)}</figure>")
    note = "Bands: 95 % intervals over questions. Dashed: the onset of narrowing. No curve: measures that never change."
    return [f'<div class="curves">{"".join(figures)}</div>', f'<p class="note">{note}</p>']


def _table(heading: str, keys: Sequence[str], rows: SeriesRow) -> str:
    body = [[f"step {row['step']}", *(_cell(key, row, rows) for key in keys)] for row in rows["steps"]]
    return html_table([escaped(heading), *(escaped(measure_of(key).label) for key in keys)], body, "steps")


def _cell(key: str, row: StepRow, rows: SeriesRow) -> str:
    value, half = estimate_parts(row["measures"].get(key))
    onset = rows["onset"].get(key)
    text = f"{value} <small>{half}</small>" if half else value
    return f'<span class="fallen">↓ {text}</span>' if onset is not None and row["step"] >= onset["step"] else text


def _list(lines: Sequence[str], kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f"<ul{named}>{''.join(f'<li>{escaped(line)}</li>' for line in lines)}</ul>"
