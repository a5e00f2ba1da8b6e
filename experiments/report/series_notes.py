"""The sentences of a report by step: its sizes, what changed, where narrowing begins, its alarms, what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ...retrieval_index.plain_text import counted
from ..measures.by_step import SeriesRow
from ..measures.measures import measure_of
from .columns import reward_says_more
from .format import interval_legend
from .takeaway import objection, takeaway_of, verdicts_of

__all__ = ["SERIES_BLOCKS", "SeriesWords", "changing_keys", "series_sentence", "series_words", "shown_keys"]

SERIES_BLOCKS: Mapping[str, tuple[str, ...]] = {
    "Accuracy": ("em", "reward", "pass@8", "pass@4", "pass@2", "f1", "zero_variance", "finished"),
    "Breadth": (
        "breadth",
        "distinct_passages",
        "retrieval_clusters",
        "query_clusters",
        "unique_query_ratio",
        "query_similarity",
    ),
    "Entropy (nats)": (
        "query_token_entropy",
        "semantic_query_entropy",
        "path_entropy",
        "query_information",
        "query_specificity",
    ),
    "Text": ("format_dominant", "format_entropy", "degenerate_text", "valid_actions", "searches"),
}
"""Heading of a table -> keys of its columns."""

_COLUMNS = 5


def shown_keys(keys: Iterable[str], rows: SeriesRow) -> list[str]:
    """The first of these measures that some step has, at most five; of pass@k only the largest k.

    Recorded rewards are among them only where they differ from exact match at some step.
    """
    found = [key for key in keys if any(key in row["measures"] for row in rows["steps"])]
    if not any(reward_says_more(row["measures"], row.get("reward_against_em")) for row in rows["steps"]):
        found = [key for key in found if key != "reward"]
    tries = [key for key in found if key.startswith("pass@")]  # the largest k comes first
    return [key for key in found if key not in tries[1:]][:_COLUMNS]


def changing_keys(keys: Iterable[str], rows: SeriesRow) -> list[str]:
    """Those measures whose values are not the same at every step."""
    return [
        key
        for key in keys
        if len({row["measures"][key]["value"] for row in rows["steps"] if key in row["measures"]}) > 1
    ]


class SeriesWords(NamedTuple):
    """Lines on one series.

    Attributes:
        sizes: how much was measured.
        onsets: where narrowing begins, one line for each such step; one line also if nothing narrows.
        alarms: one line for each, with what usually helps.
        absent: what no step has, and why.
    """

    sizes: list[str]
    onsets: list[str]
    alarms: list[str]
    absent: list[str]


def series_words(rows: SeriesRow) -> SeriesWords:
    """Writes the lines."""
    return SeriesWords(
        _size_lines(rows), _onset_lines(rows), [alarm["text"] for alarm in rows["alarms"]], _absent_lines(rows)
    )


def series_sentence(rows: SeriesRow) -> str:
    """Writes the sentence that a reader should keep: the last step against the first, and what narrowed."""
    first, last = (f"step {rows['steps'][at]['step']}" for at in (0, -1))
    change = rows["change"]
    found = [] if change is None else verdicts_of([last, first], {f"{last} - {first}": change["differences"]})
    text = takeaway_of(found).removesuffix(".") if found else f"Whether {last} is better than {first} cannot be said"
    narrowed = {key: onset["step"] for key, onset in rows["onset"].items() if onset is not None}
    if narrowed:
        start = min(narrowed.values())
        labels = [measure_of(key).label for key, step in narrowed.items() if step == start]
        text += f"; narrower from step {start} on ({', '.join(labels)})"
    else:
        text += "; no narrowing can be seen"
    alarms = sorted({alarm["name"] for alarm in rows["alarms"]})
    text += f"; {counted(len(alarms), 'alarm')}: {', '.join(alarms)}." if alarms else "."
    ends = {f"step {row['step']}": row for row in (rows["steps"][0], rows["steps"][-1])}
    against = {name: row["reward_against_em"] for name, row in ends.items() if "reward_against_em" in row}
    return text[:1].upper() + text[1:] + objection(against)


def _size_lines(rows: SeriesRow) -> list[str]:
    steps = rows["steps"]
    asked = {row["num_questions"] for row in steps}
    same = "the same questions at every step" if rows["shared"] else "different questions at different steps"
    size = f"{min(asked)} questions" if len(asked) == 1 else f"{min(asked)} to {max(asked)} questions"
    keys = {key for keys in SERIES_BLOCKS.values() for key in shown_keys(keys, rows)}
    legend = interval_legend(row["measures"][key] for row in steps for key in keys if key in row["measures"])
    lines = [f"{size} x {steps[0]['samples']} samples, {same}; {legend}"]
    return lines + ([f"left out: {counted(rows['left_out'], 'rollout')} without a step"] if rows["left_out"] else [])


def _onset_lines(rows: SeriesRow) -> list[str]:
    """One line for each step at which something begins to narrow."""
    total = len(rows["steps"])
    starts: dict[int, list[str]] = {}
    below: dict[int, int] = {}
    for key, onset in rows["onset"].items():
        if onset is not None:
            starts.setdefault(onset["step"], []).append(measure_of(key).label)
            below[onset["step"]] = onset["steps_below"]
    lines = [
        f"narrowing from step {step} on: {', '.join(labels)} (below the first step's interval at {below[step]} of "
        f"{total} steps, to the end)"
        for step, labels in sorted(starts.items())
    ]
    none = "no onset of narrowing: no measure of breadth or entropy stays below the first step's interval"
    return lines or [none]


def _absent_lines(rows: SeriesRow) -> list[str]:
    absent = set.intersection(*({*row["absent"]} for row in rows["steps"]))
    reasons: dict[str, list[str]] = {}
    for key in sorted(absent):
        reasons.setdefault(rows["steps"][0]["absent"][key], []).append(measure_of(key).label)
    return [f"not measured ({why}): {', '.join(labels)}" for why, labels in reasons.items()]
