"""How many questions and samples stand behind a report: once where all arms agree, else arm by arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["size_lines"]


def size_lines(arms: Mapping[str, Mapping[str, Any]], differences: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line for all, or one an arm and one a comparison.

    Args:
        arms: name -> summary, see `summary.py`.
        differences: "b - a" -> what `compare` found.
    """
    sizes = {name: _size(arm) for name, arm in arms.items()}
    if len(set(sizes.values())) == 1 and not any(pair["num_not_shared"] for pair in differences.values()):
        return [next(iter(sizes.values()))]
    return [f"{name}: {size}" for name, size in sizes.items()] + [
        f"{name}: paired over the {pair['num_shared']} questions of both, {pair['samples']} samples each; "
        f"questions of one alone: {pair['num_not_shared']}"
        for name, pair in differences.items()
    ]


def _size(arm: Mapping[str, Any]) -> str:
    questions, samples, episodes = arm["num_questions"], arm["samples"], arm["num_episodes"]
    if questions * samples == episodes:
        return f"{questions} questions x {samples} samples"
    return f"{questions} questions, {episodes} episodes, not equally many of each"
