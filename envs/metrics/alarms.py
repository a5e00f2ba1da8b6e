"""Alarms over a series of steps or checkpoints: signs that a search policy collapses, and what usually helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALARMS", "Alarm", "collapse_alarms"]

Row = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A sign of collapse in a series.

    Attributes:
        name: one of `ALARMS`.
        step: the first step from which on the sign was there.
        until: the last step at which it was there.
        lasts: whether it was there at the end of the series.
        saw: the numbers that raised it.
        helps: what usually helps, in one sentence.
    """

    name: str
    step: int
    until: int
    lasts: bool
    saw: str
    helps: str

    @property
    def text(self) -> str:
        """The alarm in one line."""
        when = f"since step {self.step}" if self.lasts else f"from step {self.step} to {self.until}"
        return f"{self.name}, {when}: {self.saw}. {self.helps}"


ENTROPY = ("search/query_token_entropy_nats", "rl/token_entropy_nats", "path_entropy")
"""Keys of the policy's entropy; the first that a series has counts."""

BREADTH = {
    "search/breadth": "breadth",
    "search/retrieval_clusters": "the number of different result sets of a group",
    "search/unique_query_ratio": "the share of distinct queries",
}
"""Keys of breadth, and their words. Breadth has fallen if one of them has."""

FALL = 0.6
"""Entropy or breadth has fallen if it is below this share of its start."""

NOISES = 3.0
"""A fall or a rise must also exceed so many standard deviations of the first rows' noise in a mean of `window` rows."""


def collapse_alarms(rows: Sequence[Row], *, window: int = 5, patience: int = 3) -> list[Alarm]:
    """Finds signs of collapse in the rows of a series, in the order in which they began.

    A value at a row is the mean of the last `window` rows. The start is the mean of the first `window` rows. A sign
    counts if it is there at `patience` rows in succession; nothing is judged before row 2 x `window`. Signs whose keys
    a series lacks are never raised.

    Args:
        rows: one per step, in order: "step" and the names of metrics.jsonl.
        window: rows that are averaged; 1 for checkpoints, whose values are means over a whole evaluation.
        patience: rows in succession that raise an alarm.
    """
    if len(rows) < 2 * window:
        return []
    series = _Series(rows, window)
    found = [alarm for name, look in _SIGNS.items() if (alarm := _alarm(name, look(series), series, patience))]
    return sorted(found, key=lambda alarm: alarm.step)


class _Series:
    """Smoothed columns of the rows that are judged."""

    def __init__(self, rows: Sequence[Row], window: int) -> None:
        self._rows, self._window = rows, window
        self.steps = [int(row["step"]) for row in rows]
        self.first = 2 * window - 1

    def column(self, *keys: str) -> _Column | None:
        """The first of these keys that every row has."""
        key = next((key for key in keys if all(key in row for row in self._rows)), None)
        if key is None:
            return None
        values, size = np.array([row[key] for row in self._rows], np.float64), self._window
        sums = np.cumsum(np.concatenate([[0.0], values]))
        ends = np.arange(1, len(values) + 1)
        starts = np.maximum(0, ends - size)
        means = (sums[ends] - sums[starts]) / (ends - starts)
        head = values[:size]
        noise = float(head.std(ddof=1)) * np.sqrt(2 / size) if size > 1 else 0.0
        return _Column(key, means, float(head.mean()), NOISES * noise)


@dataclass(frozen=True, slots=True)
class _Column:
    """A smoothed column: its means, its start, and how far a mean strays by noise."""

    key: str
    means: NDArray[np.float64]
    start: float
    noise: float

    def fell(self, share: float) -> NDArray[np.bool_]:
        return (self.means < share * self.start) & (self.means < self.start - self.noise)

    def rose(self, least: float, by: float) -> NDArray[np.bool_]:
        return (self.means >= least) & (self.means >= self.start + max(by, self.noise))


@dataclass(frozen=True, slots=True)
class _Sign:
    """Where a sign is there, and how to say what was seen from one row to another."""

    there: NDArray[np.bool_]
    saw: Callable[[int], str]
    helps: str


def _alarm(name: str, sign: _Sign | None, series: _Series, patience: int) -> Alarm | None:
    """The first stretch of at least `patience` rows; a later one that lasts to the end is preferred."""
    if sign is None:
        return None
    there = sign.there.copy()
    there[: series.first] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there.astype(np.int8), [0]])))
    stretches = [(a, b - 1) for a, b in zip(edges[::2].tolist(), edges[1::2].tolist()) if b - a >= patience]
    if not stretches:
        return None
    start, end = stretches[-1] if stretches[-1][1] == len(there) - 1 else stretches[0]
    lasts = end == len(there) - 1
    return Alarm(name, series.steps[start], series.steps[end], lasts, sign.saw(end), sign.helps)


def _fell(column: _Column, what: str) -> Callable[[int], str]:
    return lambda at: f"{what} fell from {column.start:.3g} to {column.means[at]:.3g}"


def _narrowing(series: _Series) -> _Sign | None:
    entropy = series.column(*ENTROPY)
    breadth = [column for key in BREADTH if (column := series.column(key)) is not None]
    if entropy is None or not breadth:
        return None
    fallen = np.stack([column.fell(FALL) for column in breadth])  # bool [kinds of breadth, rows]

    def saw(at: int) -> str:
        column = breadth[int(fallen[:, at].argmax())]
        return f"{_fell(entropy, 'entropy')(at)} and {_fell(column, BREADTH[column.key])(at)}"

    return _Sign(
        entropy.fell(FALL) & fallen.any(0),
        saw,
        "A diversity objective (darling, a batch bonus) or an entropy or KL term keeps several ways open.",
    )


def _zero_variance(series: _Series) -> _Sign | None:
    share, right = series.column("rl/zero_variance_share"), series.column("pass@1")
    if share is None:
        return None

    def saw(at: int) -> str:
        solved = "" if right is None else f"; pass@1 is {right.means[at]:.3g}"
        return f"{share.means[at]:.0%} of the groups have no advantage and teach nothing{solved}"

    return _Sign(
        share.means >= 0.9,
        saw,
        "Easier or harder questions, larger groups or --dynamic-sampling bring groups that differ.",
    )


def _ratio_drift(series: _Series) -> _Sign | None:
    kl, clipped = series.column("rl/kl_to_sampler_nats"), series.column("rl/clip_fraction")
    if kl is None:
        return None
    part = np.zeros_like(kl.means) if clipped is None else clipped.means
    return _Sign(
        (kl.means >= 0.1) | (part >= 0.3),
        lambda at: (
            f"the updated policy is {kl.means[at]:.3g} nats per token from the one that sampled, and "
            f"{part[at]:.0%} of the importance ratios are clipped"
        ),
        "Fewer epochs or mini-batches, a lower learning rate, or a check of the engine that samples helps.",
    )


def _rising(key: str, least: float, by: float, say: str, helps: str, *, one_minus: bool = False) -> _Look:
    def look(series: _Series) -> _Sign | None:
        column = series.column(key)
        if column is None:
            return None
        if one_minus:
            column = _Column(key, 1 - column.means, 1 - column.start, column.noise)
        there = column.rose(least, by)
        return _Sign(there, lambda at: say.format(column.means[at], column.start), helps)

    return look


def _stopped_searching(series: _Series) -> _Sign | None:
    searches = series.column("env/number_of_valid_search")
    if searches is None or searches.start < 0.5:
        return None
    return _Sign(
        searches.fell(0.3),
        _fell(searches, "searches per episode"),
        "A smaller price per query, a reward for evidence, or questions that cannot be answered from memory help.",
    )


_Look = Callable[[_Series], _Sign | None]

_SIGNS: Mapping[str, _Look] = {
    "narrowing": _narrowing,
    "no gradient": _zero_variance,
    "importance ratios drift": _ratio_drift,
    "invalid actions": _rising(
        "env/ratio_of_valid_action", 0.2, 0.2, "invalid turns rose to {:.0%} of all turns, from {:.0%}",
        "A reward term for the format, a lower learning rate or more SFT on the format helps.", one_minus=True,
    ),
    "repeated text": _rising(
        "env/degenerate_text", 0.1, 0.1, "{:.0%} of the turns repeat themselves, at the start {:.0%}",
        "A lower learning rate, a KL term to the start or fewer tokens per turn helps.",
    ),
    "stopped searching": _stopped_searching,
    "retrieval errors": _rising(
        "search/failed", 0.05, 0.0, "the search failed in {:.0%} of the cases, at the start in {:.0%}",
        "Check the search server: its rewards of these episodes are noise.",
    ),
}  # fmt: skip

ALARMS = tuple(_SIGNS)
"""Names of all alarms."""
