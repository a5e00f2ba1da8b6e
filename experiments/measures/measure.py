"""What a measure is called and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .group import Group

__all__ = ["Measure", "OfGroup"]

OfGroup = Callable[[Group], float | None]
"""The value of one question, from its rollouts; None where there is none."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a measure is called and what it says.

    Attributes:
        key: its name in JSON and CSV.
        label: its name in tables, figures and pages.
        unit: "share", "nats", "count", ...
        meaning: one line.
        short: the label of narrow columns; the label itself where it is empty.
        needs: what the rollouts must hold, for the reason that a report gives where no question has a value.
        of_group: computes the value of one question from its rollouts, None where there is none. Measures that are
            computed in another way have no such function.
    """

    key: str
    label: str
    unit: str
    meaning: str
    short: str = ""
    of_group: OfGroup | None = None
    needs: str = ""

    @property
    def family(self) -> str:
        """The key with {k} for its number: "pass@{k}" for "pass@8"."""
        return re.sub(r"@\d+", "@{k}", self.key)

    @property
    def head(self) -> str:
        """The head of a narrow column."""
        return self.short or self.label
