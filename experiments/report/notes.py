"""The sentences of a report on arms: its sizes, its differences and the measures that it lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...retrieval_index.plain_text import counted
from ..measures.measures import measure_of
from ..measures.rows import ArmsReport, ContradictionRow, CoverageRow, LikenessRow, SummaryRow
from .format import number

__all__ = [
    "absent_lines",
    "contradiction_lines",
    "coverage_lines",
    "frontier_caption",
    "information_lines",
    "likeness_lines",
    "size_lines",
    "trained_lines",
]


def size_lines(report: ArmsReport) -> list[str]:
    """Says how many questions and samples were played: in one line if all arms agree, else for each arm and pair."""
    sizes = {name: _size(arm) for name, arm in report["arms"].items()}
    pairs = report.get("differences", {})
    if len(set(sizes.values())) == 1 and not any(pair["num_not_shared"] for pair in pairs.values()):
        return [next(iter(sizes.values()))]
    return [f"{name}: {size}" for name, size in sizes.items()] + [
        f"{name}: compared on the {pair['num_shared']} questions of both, {pair['samples']} samples each; "
        f"questions of one arm only: {pair['num_not_shared']}"
        for name, pair in pairs.items()
    ]


def trained_lines(report: ArmsReport) -> list[str]:
    """Says how the policies were trained, in one line; [] if nothing is known of it."""
    known = report.get("trained", {})
    return ["; ".join(f"{name}: {how}" for name, how in known.items())] if known else []


def _size(arm: SummaryRow) -> str:
    questions, samples, episodes = arm["num_questions"], arm["samples"], arm["num_episodes"]
    if questions * samples == episodes:
        return f"{counted(questions, 'question')} x {counted(samples, 'sample')}"
    return f"{questions} questions, {episodes} episodes, a different number for each question"


def absent_lines(arms: Mapping[str, SummaryRow]) -> list[str]:
    """Names the measures that no arm has, then those that single arms lack."""
    absent = {name: set(arm["absent"]) for name, arm in arms.items()}
    everywhere = set.intersection(*absent.values())
    lines = [f"not measured: {_labels(everywhere)}"] if everywhere else []
    return lines + [
        f"not measured in {name}: {_labels(keys - everywhere)}" for name, keys in absent.items() if keys - everywhere
    ]


def contradiction_lines(arms: Mapping[str, SummaryRow]) -> list[str]:
    """Says for each arm whose recorded rewards contradict exact match how often, and what to read instead."""
    return [f"{name}: {_against(arm, row)}" for name, arm in arms.items() if (row := arm.get("reward_against_em"))]


def _against(arm: SummaryRow, row: ContradictionRow) -> str:
    shown = {key: number(value["value"]) for key, value in arm["measures"].items() if key in ("reward", "em", "sub_em")}
    text = (
        f"recorded rewards and exact match contradict each other in {row['rollouts']} of "
        f"{counted(row['of'], 'rollout')} ({100 * row['share']:.0f} %): mean reward {shown['reward']}, "
        f"EM {shown['em']}. "
    )
    if not row["rewarded"]:
        return text + "These match and have no reward: it asks for more than the answer."
    contains = f" ({shown['sub_em']})" if "sub_em" in shown else ""
    return (
        f"{text}EM wants the accepted answer and not a word more; where answers are sentences, read the recorded "
        f"reward or the substring match{contains}. berrypick rescore scores them anew (--reward sub_em, --questions "
        "FILE)."
    )


_COVERED = 0.99
"""From this share of covered questions on, coverage is no bound worth a line."""


def coverage_lines(coverage: Mapping[str, CoverageRow]) -> list[str]:
    """Says where the corpus bounds accuracy: one line for each run folder, or one for all of equal coverage."""
    lines = [(name, _bound(row)) for name, row in coverage.items() if row["bound"] < _COVERED]
    texts = {text for _, text in lines}
    return list(texts) if len(texts) == 1 else [f"{name}: {text}" for name, text in lines]


def _bound(row: CoverageRow) -> str:
    return (
        f"Coverage bounds accuracy at {row['bound']:.3f}: the answer of {len(row['absent'])} of "
        f"{counted(row['questions'], 'question')} is in no passage. Passages, not another algorithm, raise that (arXiv "
        "2605.27881); berrypick index audit lists what is missing."
    )


def information_lines(arms: Mapping[str, SummaryRow]) -> list[str]:
    """Says how many questions query information was measured with, and thus how large it can be; [] without it."""
    used = [row["n"] for arm in arms.values() if (row := arm["measures"].get("query_information")) is not None]
    if not used:
        return []
    least, most = min(used), max(used)
    size = str(most) if least == most else f"{least} to {most}"
    return [f"query information: a lower bound from {size} questions, at most log {most} = {math.log(most):.2f} nats"]


def likeness_lines(likeness: Mapping[str, LikenessRow]) -> list[str]:
    """Says how alike rollouts are within each arm and between two; [] without such values."""
    found = [
        f"{name} {number(row['alike']['value'], 2)} ({number(row['floor']['value'], 2)})"
        for name, row in likeness.items()
        if "alike" in row
    ]
    if not found:
        return []
    return [f"alike, by the words of queries and answers (in brackets on different questions): {', '.join(found)}"]


def _labels(keys: set[str]) -> str:
    return ", ".join(sorted(measure_of(key).label for key in keys))


def frontier_caption(num_questions: int) -> str:
    """Says in two lines what the marks of a frontier figure are; see `frontier_svg` and `draw_frontier`."""
    return (
        f"Curve: the best possible trade, exact for these {num_questions} questions. Filled: what a policy did.\n"
        "Open: planned = a perfect reader replays the policy's choices. Crosses: exact values of fixed policies."
    )
