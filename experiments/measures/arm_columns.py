"""Measures of a question that need the other questions of its arm: formats, and whether queries follow the question."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from ...envs.metrics.queries import query_words, specificity
from .rollout import Rollout

__all__ = ["FormatColumns", "format_columns", "specificities"]


def specificities(groups: Sequence[Sequence[Rollout]]) -> list[float | None]:
    """The specificity of each question's first queries, against those of the next question; the last meets the first.

    At the first query all that differs between rollouts of two questions is the question.
    """
    first = [[query_words(rollout.queries[0]) for rollout in group if rollout.queries] for group in groups]
    if len(groups) < 2:
        return [None] * len(groups)
    return [specificity(own, first[(at + 1) % len(first)]) for at, own in enumerate(first)]


class FormatColumns(NamedTuple):
    """One value for each question, or None for a question without recorded text.

    Attributes:
        dominant: share of the question's rollouts that have the arm's most frequent format.
        entropy: cross entropy of the question's formats and the arm's, in nats. Its mean over questions is exactly the
            entropy of the arm's formats, questions weighted equally, so that a bootstrap over questions applies.
    """

    dominant: list[float | None]
    entropy: list[float | None]


def format_columns(groups: Sequence[Sequence[Rollout]]) -> FormatColumns:
    """The formats of all rollouts of an arm, see `markup`, as columns."""
    shares = [_shares([rollout.format for rollout in group if rollout.format is not None]) for group in groups]
    known = [share for share in shares if share]
    arm: dict[str, float] = defaultdict(float)
    for share in known:
        for name, part in share.items():
            arm[name] += part / len(known)
    if not known:
        return FormatColumns([None] * len(groups), [None] * len(groups))
    top = min(arm, key=lambda name: (-arm[name], name))
    logs = {name: math.log(part) for name, part in arm.items()}
    return FormatColumns(
        [share.get(top, 0.0) if share else None for share in shares],
        [abs(sum(part * logs[name] for name, part in share.items())) if share else None for share in shares],
    )


def _shares(names: Sequence[str]) -> dict[str, float]:
    return {name: count / len(names) for name, count in Counter(names).items()}
