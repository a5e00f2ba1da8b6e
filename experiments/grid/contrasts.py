"""Contrasts: claims, each with where its differences come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .claims import Claim, Expectation
from .comparison import pass_names
from .condition import Condition
from .series import Policy

__all__ = ["LADDER", "LARGEST_WASTE", "Contrast", "contrast"]

_STOP = {
    "tabular": "all cells of the tabular grid, 24 worlds, no interim look",
    "language model": "all cells of language models in the claim's condition, 8 worlds, no interim look",
}
_HELD_FIXED = "same world, start, questions, draws, rollouts, steps, learning rate; exact values in the population"
LADDER = "ladder "
LARGEST_WASTE = "largest waste"


@dataclass(frozen=True, slots=True)
class Contrast:
    """Where the differences of a claim come from.

    Attributes:
        claim: the registered row.
        policy: whose cells.
        condition: where the arm was trained.
        arm: name.
        measure: of the arm, minus the same of what it is compared with. "waste" is the pass@1 that the frontier has at
            the arm's pass@8 and the arm has not; "largest waste" the largest over all strengths.
        against: "control", "start" (the SFT policy the arm began at), "zero" (the measure itself), "matched" (the most
            that the control had, stopped early, at as much pass@8), "diverse start" (the same arm from a diverse
            start), the name of another arm, or "ladder NAME" (the most that another arm has, over its strengths, at as
            much pass@8).
        undecidable: why it cannot be decided here; empty where it can.
        relative: the difference is the arm's value over the other's, minus 1.
        at: with a ladder, a measure that is held equal: the other arm has, between two of its strengths, as much of it
            as the arm. A world in which no two strengths lie on either side has no value. With "matched", what the
            control must have as much of, instead of pass@8.
        needs: measure -> the least value of its mean over the pilot's worlds without which nothing is decided.
    """

    claim: Claim
    policy: Policy
    condition: Condition
    arm: str
    measure: str
    against: str = "control"
    undecidable: str = ""
    relative: bool = False
    at: str = ""
    needs: Mapping[str, float] = field(default_factory=dict)

    @property
    def ladder(self) -> str:
        """The arm whose strengths the arm is compared with; empty without one."""
        return self.against.removeprefix(LADDER) if self.against.startswith(LADDER) else ""

    @property
    def held_equal(self) -> str:
        """The measure of which what the arm is compared with has as much; empty where nothing is held equal."""
        if self.against != "matched" and not self.ladder:
            return ""
        return self.at or pass_names(self.policy)[1]


def contrast(
    name: str,
    statement: str,
    source: str,
    condition: str,
    arm: str,
    measure: str,
    expected: Expectation,
    effect: float,
    *,
    policy: Policy = "tabular",
    against: str = "control",
    published: str = "",
    undecidable: str = "",
    min_worlds: int | None = None,
    stop: str | None = None,
    relative: bool = False,
    at: str = "",
    needs: Mapping[str, float] | None = None,
    doubt: str = "",
    held: str = _HELD_FIXED,
) -> Contrast:
    """A contrast with its claim, registered in one call.

    Args:
        name: id of the claim, short and stable.
        statement: the claim in words.
        source: whose claim it is, or "design".
        condition: name of the condition, "preset/start".
        arm: see `Contrast`.
        measure: see `Contrast`.
        expected: sign of the difference, equivalence, or "at most".
        effect: smallest effect of interest, or the margin.
        policy: see `Contrast`.
        against: see `Contrast`.
        published: the paper's figure in words.
        undecidable: see `Contrast`.
        min_worlds: worlds without which there is no verdict; by default 20 for the tabular policy, 8 for language
            models, 7 of them where policies are matched.
        stop: when the run ends; by default after 24 worlds of the tabular policy, 8 of language models.
        relative: see `Contrast`.
        at: see `Contrast`.
        needs: see `Contrast`.
        doubt: where the verdict could be wrong, or mean less than it says.
        held: what was held fixed.
    """
    worlds = min_worlds or (20 if policy == "tabular" else 7 if against == "matched" else 8)
    player = "tabular policy" if policy == "tabular" else policy
    how = f"over {against}, minus 1" if relative else f"minus {against}"
    equal = f", at equal {at}" if at else ""
    endpoint = f"{measure} of {arm} {how}{equal}, {condition}, {player}"
    place = Condition.of(condition)
    claim = Claim(
        name, statement, source, endpoint, expected, effect, worlds, stop or _STOP[policy], published, held, doubt
    )
    return Contrast(claim, policy, place, arm, measure, against, undecidable, relative, at, needs or {})
