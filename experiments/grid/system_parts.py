"""What the page and the figure of a published system are made of, as its file declares it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["ROOM_CORRECTION", "SETTINGS_CORRECTION", "Panel", "Published", "SystemTable"]

ROOM_CORRECTION = (
    "Room to fall was measured down to the start or to the best fixed order, and training can end below both; the room "
    "of a claim that names an arm was measured from that arm's control. Now it is measured down to 0 and from the arm "
    "that is named"
)
"""What was wrong with the checks before registration until December 2026; a page adds what came of it there."""

SETTINGS_CORRECTION = (
    "A sign that flips after fewer steps or at another learning rate makes a claim inconclusive; until December 2026 a "
    "claim that names an arm, or that is against a start, was not held to this. Now every claim is: "
)
"""What was wrong with some verdicts; a page adds which of its own have changed."""


@dataclass(frozen=True, slots=True)
class Published:
    """Figures of the paper that have a counterpart here.

    Attributes:
        about: what the paper measured, on what; one sentence.
        condition: where our counterparts are read.
        columns: head of a column -> our measure.
        rows: arm -> its name in the paper and the published values, one for each column.
        baseline: the arm that the figure holds the others against, in per cent.
    """

    about: str
    condition: str
    columns: Mapping[str, str]
    rows: Mapping[str, tuple[str, Sequence[float]]]
    baseline: str


@dataclass(frozen=True, slots=True)
class SystemTable:
    """A table of the page: arms, and some of their measures after training.

    Attributes:
        title: heading.
        about: what its numbers are; one paragraph.
        columns: head of a column -> measure.
        conditions: names; each is a table.
        strengths: whether every strength of an arm has a row.
    """

    title: str
    about: str
    columns: Mapping[str, str]
    conditions: tuple[str, ...]
    strengths: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of the figure: a measure along training, a line for each arm, labelled at its end.

    Attributes:
        title: of the panel.
        condition: name.
        measure: of the arms.
        arms: at the strength that claims are read at.
        reference: name and measure of a further line, read from the first arm; empty for none.
        axis: what the steps are.
    """

    title: str
    condition: str
    measure: str
    arms: tuple[str, ...]
    reference: tuple[str, str] | None = None
    axis: str = "RL steps"
