"""A claim, registered before its run, and the verdict that paired differences give on it.

Rules, the same for all experiments:

* a directional claim is *supported* if the differences lie beyond the smallest effect of interest on the expected side
  (one-sided t-test over worlds, Holm over all claims of the experiment, 5 %); it is *contradicted* if they lie below
  that smallest effect by the same kind of test, and the reason says whether there is some effect, smaller than asked;
* an equivalence is *supported* by two one-sided tests against the margin, *contradicted* if the differences lie beyond
  the margin;
* "at most" is *supported* if the differences lie below the margin, *contradicted* if they lie above it;
* everything else is *inconclusive*; a claim with fewer worlds than it asked for, or whose stopping rule is not met, is
  inconclusive whatever the numbers say, and counts in Holm with p = 1; so is a directional claim whose sign flips at
  another learning rate or length, even if the effect reaches what was asked nowhere;
* what cannot be measured here, or could not have come out otherwise, is *not decidable here*, with the reason.

Support and contradiction are two Holm families of 5 % each, so the probability that any verdict of an experiment is
wrong is at most 10 %. The unit is the world: a replicate has a world and a training seed of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ...envs.metrics.statistics import Estimate, equivalence_p, holm, one_sided_p, paired_t_interval

__all__ = ["LEVEL", "Claim", "Evidence", "Verdict", "judge"]

LEVEL = 0.05
Expectation = Literal["increase", "decrease", "equivalent", "at most"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of a registration; nothing in it may depend on a result.

    Attributes:
        id: short and stable.
        statement: the claim in words.
        source: the paper that makes the claim, or "design".
        endpoint: the one primary measure, arm minus control, with where and when it is read.
        expected: sign of the endpoint, equivalence, or an upper limit.
        smallest_effect: smallest effect of interest, or the margin, above 0, in the endpoint's unit.
        min_worlds: fewer worlds give no verdict.
        stopping_rule: when the run ends.
        published: the paper's figure in words; empty if there is none.
        confounds: what was held fixed.
        doubt: where the verdict could be wrong, or mean less than it says.
    """

    id: str
    statement: str
    source: str
    endpoint: str
    expected: Expectation
    smallest_effect: float
    min_worlds: int
    stopping_rule: str
    published: str = ""
    confounds: str = ""
    doubt: str = ""

    def __post_init__(self) -> None:
        if self.smallest_effect <= 0 or self.min_worlds < 2:
            raise ValueError(f"claim {self.id}: the smallest effect must be above 0 and at least 2 worlds be asked for")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run says about a claim.

    Attributes:
        differences: arm minus control, one per world; NaN if a world has no value.
        worlds: the worlds of the differences.
        missing: world -> why it has no difference.
        undecidable: why the claim cannot be decided here; empty if it can.
        settings: the differences in other settings (learning rates, lengths), by what differs.
        unfinished: why the stopping rule is not met yet; empty if it is.
        caveat: what a reader must know in addition to the verdict.
    """

    differences: Sequence[float] = ()
    worlds: Sequence[int] = ()
    missing: Mapping[int, str] | None = None
    undecidable: str = ""
    settings: Mapping[str, Estimate] = field(default_factory=dict)
    unfinished: str = ""
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim's row in the report. p-values are Holm-adjusted over the experiment's claims; None without a test."""

    claim: Claim
    verdict: Literal["supported", "contradicted", "inconclusive", "not decidable here"]
    reason: str
    estimate: Estimate | None
    settings: Mapping[str, Estimate]
    p_supported: float | None
    p_contradicted: float | None
    worlds: tuple[int, ...]
    differences: tuple[float, ...]
    missing: Mapping[str, str]

    def as_row(self) -> dict[str, Any]:
        """The verdict as JSON."""
        row = asdict(self)
        if not self.claim.doubt:
            del row["claim"]["doubt"]
        return row


def judge(claims: Sequence[Claim], evidence: Mapping[str, Evidence]) -> list[Verdict]:
    """Gives verdicts in the order of the claims; a claim without evidence was not run and is inconclusive.

    Args:
        claims: all claims of the experiment, since Holm counts them.
        evidence: claim id -> evidence.
    """
    ids = [claim.id for claim in claims]
    if len(set(ids)) != len(ids) or set(evidence) - set(ids):
        raise ValueError("claim ids must be unique, and evidence must name registered claims only")
    found = [_clean(evidence.get(claim.id, Evidence())) for claim in claims]
    tested = [_p_values(claim, part) for claim, part in zip(claims, found)]
    # a claim that is not tested counts with p = 1: Holm's family is the registered one, whatever has been run
    supported = holm([1.0 if pair is None else pair[0] for pair in tested])
    contradicted = holm([1.0 if pair is None else pair[1] for pair in tested])
    return [
        _verdict(claim, part, None if pair is None else (yes, no))
        for claim, part, pair, yes, no in zip(claims, found, tested, supported, contradicted)
    ]


def _clean(part: Evidence) -> Evidence:
    """Moves worlds without a value from the differences to the missing ones."""
    missing = dict(part.missing or {})
    kept = []
    for world, value in zip(part.worlds, part.differences, strict=True):
        if math.isnan(value):
            missing.setdefault(world, "no value")
        else:
            kept.append((world, float(value)))
    return replace(part, differences=[value for _, value in kept], worlds=[world for world, _ in kept], missing=missing)


def _p_values(claim: Claim, part: Evidence) -> tuple[float, float] | None:
    """Unadjusted p-values of support and of contradiction; None if it is too early to test."""
    if len(part.differences) < claim.min_worlds or part.unfinished or part.undecidable:
        return None
    d, margin = np.asarray(part.differences), claim.smallest_effect
    if claim.expected == "equivalent":
        beyond = min(one_sided_p(d.tolist(), margin), one_sided_p((-d).tolist(), margin))
        return equivalence_p(d.tolist(), margin), min(1.0, 2 * beyond)
    above, below = (
        one_sided_p((_towards(claim) * d).tolist(), margin),
        one_sided_p((-_towards(claim) * d).tolist(), -margin),
    )
    return (below, above) if claim.expected == "at most" else (above, below)


def _towards(claim: Claim) -> int:
    """The sign that turns the differences so that the claim speaks of positive ones."""
    return -1 if claim.expected == "decrease" else 1


def _verdict(claim: Claim, part: Evidence, adjusted: tuple[float, float] | None) -> Verdict:
    estimate = paired_t_interval(part.differences) if len(part.differences) > 1 else None
    verdict, reason = _decide(claim, part, estimate, adjusted)
    return Verdict(
        claim=claim,
        verdict=verdict,
        reason=reason,
        estimate=estimate,
        settings=dict(part.settings),
        p_supported=adjusted[0] if adjusted else None,
        p_contradicted=adjusted[1] if adjusted else None,
        worlds=tuple(part.worlds),
        differences=tuple(part.differences),
        missing={str(world): why for world, why in sorted((part.missing or {}).items())},
    )


def _decide(
    claim: Claim, part: Evidence, estimate: Estimate | None, adjusted: tuple[float, float] | None
) -> tuple[Literal["supported", "contradicted", "inconclusive", "not decidable here"], str]:
    if part.undecidable:
        return "not decidable here", part.undecidable
    if not part.worlds:
        reasons = sorted(set((part.missing or {}).values()) - {"not run"})
        return "inconclusive", f"no world has a value: {reasons[0]}" if reasons else "not run"
    if len(part.worlds) < claim.min_worlds:
        return "inconclusive", f"{len(part.worlds)} worlds of the {claim.min_worlds} that were asked for"
    if part.unfinished or estimate is None or adjusted is None:
        return "inconclusive", part.unfinished
    flipped = _flipped(claim, estimate, part.settings)
    if min(adjusted) < LEVEL and flipped:
        return "inconclusive", f"the sign flips with the setting: {flipped}"
    if adjusted[0] < LEVEL:
        return "supported", part.caveat
    if adjusted[1] < LEVEL:
        return "contradicted", "; ".join(filter(None, (_beyond(claim, part.differences), part.caveat)))
    return "inconclusive", _undecided(claim, part)


def _undecided(claim: Claim, part: Evidence) -> str:
    """Why neither answer is certain enough: the interval holds both, or one claim among so many might err."""
    alone = _p_values(claim, part)
    if alone is None or min(alone) >= LEVEL:
        return "the interval holds both answers"
    word = "supported" if alone[0] < LEVEL else "contradicted"
    return f"alone it would be {word}; with all claims counted (Holm) it is not certain enough"


def _flipped(claim: Claim, estimate: Estimate, settings: Mapping[str, Estimate]) -> str:
    """The settings whose whole interval lies on the other side of 0 than the estimate; empty if the sign holds."""
    if claim.expected not in ("increase", "decrease"):
        return ""
    sign = float(np.sign(estimate.value))
    return ", ".join(name for name, other in settings.items() if max(sign * other.low, sign * other.high) < 0)


def _beyond(claim: Claim, differences: Sequence[float]) -> str:
    """What contradicts a claim."""
    if claim.expected == "equivalent":
        return "the difference lies beyond the margin"
    if claim.expected == "at most":
        return "the value lies above the margin"
    if one_sided_p([_towards(claim) * value for value in differences]) < LEVEL:
        return "some effect, smaller than asked"
    return "the difference lies below the smallest effect of interest"
