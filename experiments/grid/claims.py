"""A claim, registered before its run, and the verdict that paired differences give on it.

Rules, the same for all experiments:

* a directional claim is *supported* if the differences lie on the expected side of zero (one-sided t-test over seeds,
  Holm over all claims of the experiment, 5 %) and their mean is at least the smallest effect of interest; it is
  *contradicted* if they lie below that smallest effect by the same kind of test;
* an equivalence is *supported* by two one-sided tests against the margin, *contradicted* if the differences lie beyond
  the margin;
* everything else is *inconclusive*; a claim with fewer seeds than it asked for, or whose stopping rule is not met, is
  inconclusive whatever the numbers say, and counts in Holm with p = 1;
* what this suite cannot measure is *not decidable here*, with the reason.

Support and contradiction are two Holm families of 5 % each, so the probability that any verdict of an experiment is
wrong is at most 10 %. The tests are over seeds, so they speak of the questions at hand. If an interval that also
resamples questions does not agree, the reason says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ...envs.metrics.statistics import Estimate, equivalence_p, holm, one_sided_p, paired_t_interval

__all__ = ["LEVEL", "Claim", "Evidence", "Verdict", "judge"]

LEVEL = 0.05
Expectation = Literal["increase", "decrease", "equivalent"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of a registration; nothing in it may depend on a result.

    Attributes:
        id: short and stable.
        statement: the claim in words.
        source: the paper that makes the claim, or "design".
        endpoint: the one primary measure, arm minus control, with where and when it is read.
        expected: sign of the endpoint, or equivalence.
        smallest_effect: smallest effect of interest, or the equivalence margin, above 0, in the endpoint's unit.
        min_seeds: fewer seeds give no verdict.
        stopping_rule: when the run ends.
        published: the paper's figure in words; empty if there is none.
        confounds: what was held fixed.
    """

    id: str
    statement: str
    source: str
    endpoint: str
    expected: Expectation
    smallest_effect: float
    min_seeds: int
    stopping_rule: str
    published: str = ""
    confounds: str = ""

    def __post_init__(self) -> None:
        if self.smallest_effect <= 0 or self.min_seeds < 2:
            raise ValueError(f"claim {self.id}: the smallest effect must be above 0 and at least 2 seeds be asked for")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run says about a claim.

    Attributes:
        differences: arm minus control, one per seed; NaN if a seed has no value.
        seeds: the seeds of the differences.
        missing: seed -> why it has no difference.
        undecidable: why the claim cannot be decided here; empty if it can.
        inside: interval of the mean difference by bootstrap over questions, seeds resampled too; None if not computed.
        unfinished: why the stopping rule is not met yet; empty if it is.
        caveat: what a reader must know in addition to the verdict.
    """

    differences: Sequence[float] = ()
    seeds: Sequence[int] = ()
    missing: Mapping[int, str] | None = None
    undecidable: str = ""
    inside: Estimate | None = None
    unfinished: str = ""
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim's row in the report. p-values are Holm-adjusted over the experiment's claims; None without a test."""

    claim: Claim
    verdict: Literal["supported", "contradicted", "inconclusive", "not decidable here"]
    reason: str
    estimate: Estimate | None
    inside: Estimate | None
    p_supported: float | None
    p_contradicted: float | None
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    missing: Mapping[str, str]

    def as_row(self) -> dict[str, Any]:
        """The verdict as JSON."""
        return asdict(self)


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
    """Moves seeds without a value from the differences to the missing ones."""
    missing = dict(part.missing or {})
    kept = []
    for seed, value in zip(part.seeds, part.differences, strict=True):
        if math.isnan(value):
            missing.setdefault(seed, "no value")
        else:
            kept.append((seed, float(value)))
    return replace(part, differences=[value for _, value in kept], seeds=[seed for seed, _ in kept], missing=missing)


def _p_values(claim: Claim, part: Evidence) -> tuple[float, float] | None:
    """Unadjusted p-values of support and of contradiction; None if it is too early to test."""
    if len(part.differences) < claim.min_seeds or part.unfinished or part.undecidable:
        return None
    d = np.asarray(part.differences) * (-1 if claim.expected == "decrease" else 1)
    if claim.expected == "equivalent":
        beyond = min(one_sided_p(d.tolist(), claim.smallest_effect), one_sided_p((-d).tolist(), claim.smallest_effect))
        return equivalence_p(d.tolist(), claim.smallest_effect), min(1.0, 2 * beyond)
    return one_sided_p(d.tolist()), one_sided_p((-d).tolist(), -claim.smallest_effect)


def _verdict(claim: Claim, part: Evidence, adjusted: tuple[float, float] | None) -> Verdict:
    estimate = paired_t_interval(part.differences) if len(part.differences) > 1 else None
    verdict, reason = _decide(claim, part, estimate, adjusted)
    return Verdict(
        claim=claim,
        verdict=verdict,
        reason=reason,
        estimate=estimate,
        inside=part.inside,
        p_supported=adjusted[0] if adjusted else None,
        p_contradicted=adjusted[1] if adjusted else None,
        seeds=tuple(part.seeds),
        differences=tuple(part.differences),
        missing={str(seed): why for seed, why in sorted((part.missing or {}).items())},
    )


def _decide(
    claim: Claim, part: Evidence, estimate: Estimate | None, adjusted: tuple[float, float] | None
) -> tuple[Literal["supported", "contradicted", "inconclusive", "not decidable here"], str]:
    if part.undecidable:
        return "not decidable here", part.undecidable
    if not part.seeds:
        reasons = sorted(set((part.missing or {}).values()) - {"not run"})
        return "inconclusive", f"no seed has a value: {reasons[0]}" if reasons else "not run"
    if len(part.seeds) < claim.min_seeds:
        return "inconclusive", f"{len(part.seeds)} seeds of the {claim.min_seeds} that were asked for"
    if part.unfinished or estimate is None or adjusted is None:
        return "inconclusive", part.unfinished
    signed = estimate.value * (-1 if claim.expected == "decrease" else 1)
    if adjusted[0] < LEVEL and (claim.expected == "equivalent" or signed >= claim.smallest_effect):
        return "supported", "; ".join(filter(None, (_these_questions(claim, part.inside), part.caveat)))
    if adjusted[1] < LEVEL:
        beyond = "beyond the margin" if claim.expected == "equivalent" else "below the smallest effect of interest"
        return "contradicted", "; ".join(filter(None, (f"the difference lies {beyond}", part.caveat)))
    return "inconclusive", "the interval holds both answers"


def _these_questions(claim: Claim, inside: Estimate | None) -> str:
    """What support over seeds does not say about other questions; empty if both intervals agree."""
    if inside is None:
        return ""
    if claim.expected == "equivalent":
        holds, told = max(abs(inside.low), abs(inside.high)) < claim.smallest_effect, "leaves the margin"
    else:
        holds, told = (inside.low > 0 if claim.expected == "increase" else inside.high < 0), "holds 0"
    if holds:
        return ""
    return f"on these questions; resampled too, the interval [{inside.low:+.3f}, {inside.high:+.3f}] {told}"
