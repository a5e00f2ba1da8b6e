"""What the study claims, registered before its first agent was trained on the study's questions.

Seen before: the pilot, on 100 training questions of a replicate of its own (seed 100). SFT has EM .18 greedy and .111
at temperature 1 (8 rollouts), breadth .665 and .835, pass@8 .36. Of GRPO, 22 steps at learning rate 1e-4 (mean reward
.091) and 16 at 3e-4 (.117; .092 for the same 16 steps at 1e-4), which decided for 3e-4.

Rules: a difference is taken question by question; its interval is that of `crossed_mean`, over seeds and held-out
questions that both vary. A claim is *supported* if the whole interval lies beyond the margin on the expected side,
*contradicted* if it lies wholly short of the margin, else *inconclusive*; an equivalence is supported if the interval
lies within the margin, contradicted if it lies wholly outside. Where the pilot shows that the measure has no room for
three margins, the claim is *not decidable here*. Three seeds: Student's t has few degrees of freedom, and an effect
below about .05 of EM or breadth cannot be told from none if seeds differ by .02.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...envs.metrics.crossed import crossed_mean
from ...envs.metrics.statistics import Estimate

__all__ = ["CLAIMS", "MIN_SEEDS", "StudyClaim", "estimate", "judge", "matched"]

MIN_SEEDS = 3
Array = NDArray[np.float64]
Side = tuple[str, str]
"""Agent and setting."""

TEMPERATURES = ("hotpotqa-greedy", "hotpotqa-t0.5", "hotpotqa-t0.7", "hotpotqa")
"""Settings along which SFT is sharpened, from greedy to temperature 1."""


@dataclass(frozen=True, slots=True)
class StudyClaim:
    """One row.

    Attributes:
        id: short and stable.
        statement: in words.
        source: the paper that makes the claim, or "design".
        measure: see `MEASURES` and `_own_measures` in cells.py.
        arm: agent and setting.
        control: the same of what it is compared with; () compares at equal breadth with sft_diverse along
            `TEMPERATURES`.
        expected: "more" or "less" than the control by the margin, or "equal" within it.
        margin: smallest effect of interest, in the measure's unit.
        room: pilot's difference of two settings of sft_diverse that must reach three margins; () needs none.
        seeds: fewer give no verdict.
    """

    id: str
    statement: str
    source: str
    measure: str
    arm: Side
    control: Side | tuple[()]
    expected: Literal["more", "less", "equal"]
    margin: float
    room: tuple[str, str] | tuple[()] = ()
    seeds: int = MIN_SEEDS


_T1, _GREEDY = "hotpotqa", "hotpotqa-greedy"
_SFT: Side = ("sft_diverse", _T1)

_GRPO: Side = ("grpo", _T1)
_MIX: Side = ("pass_mix", _T1)
_GREEDY_SFT: Side = ("sft_diverse", _GREEDY)

# fmt: off
CLAIMS: tuple[StudyClaim, ...] = (
    StudyClaim("rl-gains", "GRPO raises sampled EM over its SFT start",
               "design", "em", _GRPO, _SFT, "more", 0.02, (_GREEDY, _T1)),
    StudyClaim("rl-beyond-sharpening", "GRPO has more EM than its SFT start at the temperature of equal breadth",
               "2504.13837", "em", _GRPO, (), "more", 0.02),
    StudyClaim("rl-greedy", "GRPO raises greedy EM over its SFT start",
               "design", "em", ("grpo", _GREEDY), _GREEDY_SFT, "more", 0.02),
    StudyClaim("rl-narrows", "GRPO lowers the breadth of 8 rollouts",
               "design", "breadth", _GRPO, _SFT, "less", 0.02, (_T1, _GREEDY)),
    StudyClaim("rl-costs-pass8", "GRPO lowers pass@8",
               "2504.13837", "pass@8", _GRPO, _SFT, "less", 0.02),
    StudyClaim("rl-squeezes-wrong", "GRPO lowers the number of different wrong answers",
               "2509.21128", "wrong_answers", _GRPO, _SFT, "less", 0.3),
    StudyClaim("rl-squeezes-queries", "GRPO lowers the number of different query sequences",
               "2509.21128", "query_sequences", _GRPO, _SFT, "less", 0.3),
    StudyClaim("rl-expands-queries", "GRPO raises the number of different query sequences",
               "2604.14877", "query_sequences", _GRPO, _SFT, "more", 0.3),
    StudyClaim("mix-keeps-breadth", "pass_mix keeps more breadth than GRPO",
               "design", "breadth", _MIX, _GRPO, "more", 0.01),
    StudyClaim("mix-costs-nothing", "pass_mix has the same sampled EM as GRPO",
               "design", "em", _MIX, _GRPO, "equal", 0.03),
    StudyClaim("diverse-widens", "diverse demonstrations give SFT more query sequences than narrow ones",
               "2604.14877", "query_sequences", _SFT, ("sft_narrow", _T1), "more", 0.5),
    StudyClaim("diverse-start-pays", "GRPO ends with a higher pass@8 from the diverse start than from the narrow one",
               "design", "pass@8", _GRPO, ("grpo_narrow", _T1), "more", 0.02),
    StudyClaim("rl-over-more-sft", "GRPO has more sampled EM than SFT on as many more tokens",
               "design", "em", _GRPO, ("sft_more", _T1), "more", 0.02, seeds=1),
    StudyClaim("reward-matters", "GRPO has more sampled EM than GRPO on shuffled rewards",
               "design", "em", _GRPO, ("grpo_shuffled", _T1), "more", 0.02, seeds=1),
)
# fmt: on
"""The registration."""

Values = Callable[[str, str, str], Mapping[int, Array]]
"""(agent, setting, measure) -> seed -> float64 [questions], of finished cells."""


def judge(claim: StudyClaim, values: Values, pilot: Callable[[str, str], float | None]) -> dict[str, Any]:
    """The row of a claim.

    Args:
        claim: what was registered.
        values: of the held-out questions.
        pilot: (setting, measure) -> mean of the pilot's sft_diverse, None where it was not run.
    """
    arm = values(*claim.arm, claim.measure)
    if claim.control:
        control = values(*claim.control, claim.measure)
        pairs = {seed: arm[seed] - control[seed] for seed in sorted(arm.keys() & control.keys())}
    else:
        pairs = matched(claim, values)
    row: dict[str, Any] = {
        "id": claim.id, "statement": claim.statement, "source": claim.source, "measure": claim.measure,
        "expected": claim.expected, "margin": claim.margin, "seeds": sorted(pairs), "value": None,
    }  # fmt: skip
    found = estimate(pairs)
    if found is not None:
        row |= {"value": found.value, "low": found.low, "high": found.high}
        row["by_seed"] = {str(seed): round(float(one.mean()), 4) for seed, one in pairs.items()}
    verdict, reason = _verdict(claim, found, len(pairs), pilot)
    return row | {"verdict": verdict, "reason": reason}


def _verdict(
    claim: StudyClaim, found: Estimate | None, seeds: int, pilot: Callable[[str, str], float | None]
) -> tuple[str, str]:
    if claim.room:
        there, here = (pilot(setting, claim.measure) for setting in claim.room)
        if there is None or here is None:
            return "inconclusive", "the pilot has not been run"
        if abs(there - here) < 3 * claim.margin:
            return "not decidable here", f"room {abs(there - here):.3f} in the pilot, below three margins"
    if found is None or seeds < claim.seeds:
        return "inconclusive", f"{seeds} of {claim.seeds} seeds"
    if claim.expected == "equal":
        if max(abs(found.low), abs(found.high)) <= claim.margin:
            return "supported", ""
        outside = found.low > claim.margin or found.high < -claim.margin
        return ("contradicted", "beyond the margin") if outside else ("inconclusive", "the interval holds both answers")
    low, high = (found.low, found.high) if claim.expected == "more" else (-found.high, -found.low)
    one = "one seed: the interval is over questions alone" if seeds == 1 else ""
    if low > claim.margin:
        return ("inconclusive", one) if one else ("supported", "")
    if high < claim.margin:
        if one:
            return "inconclusive", one
        return "contradicted", "some effect, smaller than asked" if low > 0 else "below the margin"
    return "inconclusive", one or "the interval holds both answers"


def estimate(pairs: Mapping[int, Array]) -> Estimate | None:
    """Over seeds and questions; with one seed, over questions alone."""
    if not pairs:
        return None
    table = np.stack([pairs[seed] for seed in sorted(pairs)])
    known = table[:, ~np.isnan(table).any(0)]
    if known.shape[1] < 2:
        return None
    if len(known) > 1:
        return crossed_mean(known)
    mean, error = float(known.mean()), float(known.std(ddof=1) / np.sqrt(known.size))
    return Estimate(mean, mean - 1.96 * error, mean + 1.96 * error, 1)


def matched(claim: StudyClaim, values: Values) -> dict[int, Array]:
    """Seed -> the arm's values minus those of sft_diverse at equal breadth, between two neighbouring temperatures.

    A seed in which the arm's breadth lies outside SFT's from greedy to temperature 1 is left out: nothing is
    extrapolated. The greedy setting plays one rollout, which is what eight equal ones are worth.
    """
    arm, wide = values(*claim.arm, claim.measure), values(*claim.arm, "breadth")
    found = {}
    for seed in sorted(arm):
        curve = []
        for setting in TEMPERATURES:
            em, breadth = (values("sft_diverse", setting, name).get(seed) for name in (claim.measure, "breadth"))
            if em is not None and breadth is not None:
                curve.append((float(np.nanmean(breadth)), em))
        if len(curve) < len(TEMPERATURES):
            continue
        goal = float(np.nanmean(wide[seed]))
        for (low, first), (high, second) in itertools.pairwise(curve):
            if low <= goal <= high and high > low:
                weight = (goal - low) / (high - low)
                found[seed] = arm[seed] - ((1 - weight) * first + weight * second)
                break
    return found
