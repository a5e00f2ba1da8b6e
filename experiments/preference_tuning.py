"""Preference tuning and effective diversity (Shypula and others, arXiv 2504.12522): is less said that is new?

The paper counts distinct meanings among valid outputs over all outputs, and reports that models tuned by DPO, PPO or
GRPO have less variety than their SFT or base models if validity is ignored, and more if it is counted, because more of
their outputs are valid. Its tables were not at hand: directions are published here, and no figure.

This experiment differs from the paper. A tabular policy chooses which kind of record to search, so that every quantity
is exact. An output is an episode of queries, valid if it finds the answer. In a convergent domain, a World with one
answer, two valid episodes mean the same if they found the same evidence; in an open one, with three conflicting
answers, if they ended in the same answer. Lexical variety is the expectation-adjusted number of distinct queries. The
start draws kinds in proportions 1:3:6, mostly the worst, so that training makes many more episodes valid and variety
can rise as well as fall; an even start, as varied as can be, is the second. DPO is trained on pairs of a success and a
failure of the same question, one a question, in ten rounds: the policy that played a round is its reference. It plays
as many episodes as RL. Of learning rates .1, .3, 1 and 3 it has the one, 1, at which its validity came closest to
GRPO's (rate 3) on worlds kept apart. With a new reference at every step and all pairs of a group, its gradient is a
multiple of Dr. GRPO's by arithmetic (a unit test): what differs is the reference, the pairs and the saturation.

Effective diversity depends on k: at k = 1 it is validity itself, and at large k it counts what can be found at all.
Claims are read at k = 8, the groups of all experiments here, and at k = 2, far from what a World holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..policies.tabular.preference import dpo_loss
from ..policies.tabular.training import TableConfig
from .grid.arms import ARMS, Arm
from .grid.condition import Condition
from .grid.contrasts import contrast
from .grid.report import MEASURES
from .grid.system import SystemExperiment
from .grid.system_page import claim_value, counted_verdicts, measured_value, percent
from .grid.system_parts import Panel, SystemTable
from .grid.validity_measures import ANSWERS, VALIDITY_MEASURES, measure_validity
from .report.format import Report, number

__all__ = ["EXPERIMENT"]

_PAPER = "2504.12522"
_T12 = f"{_PAPER} (T12)"

EVEN, SKEWED, OPEN = "steep/diverse", "steep/shares-10-30-60", "steep-answers/shares-10-30-60"
OPEN_EVEN = "steep-answers/diverse"
_RATES = tuple(f"{place}/rate={rate:g}" for place in (EVEN, SKEWED, OPEN) for rate in (0.3, 1.0))
_DOMAINS = ((SKEWED, "skewed", "one answer", ""), (OPEN, "open", "several answers", ANSWERS))
_FIRST = 500  # replicate of the first world; no other experiment has used it
_GAP = {"valid_gain": 0.2}
_FEW = "a World holds a handful of meanings, where open-ended tasks hold any number"
_FALLS = "falls by arithmetic when more episodes are valid; spread does not"
_EVEN_ONLY = "the start tries all kinds evenly, so that variety without validity can only fall"
_from_start = partial(contrast, against="start", relative=True, needs=_GAP)

_up = partial(_from_start, expected="increase", effect=0.05, published="higher (no figure)", doubt=_FEW)

CONTRASTS = (
    *(
        one
        for place, name, world, suffix in (*_DOMAINS, (EVEN, "even", "one answer, an even start", ""))
        for arm, method in (("dpo", "DPO"), ("grpo", "GRPO"))
        for one in (
            _up(
                f"{name}-{arm}-pair", f"with {world}, {method} has more distinct valid meanings in two episodes", _T12,
                place, arm, f"effective@2{suffix}",
            ),
            _up(
                f"{name}-{arm}-effective", f"with {world}, {method} has more distinct valid meanings in eight "
                "episodes", _T12, place, arm, f"effective{suffix}",
            ),
            _up(
                f"{name}-{arm}-pairwise", f"with {world}, after {method} two episodes are more often both valid and "
                "different", _T12, place, arm, f"pairwise{suffix}",
            ),
            _from_start(
                f"{name}-{arm}-lexical", f"with {world}, {method} has less lexical variety", _T12, place, arm,
                "lexical", "decrease", 0.05, published="lower (no figure)", doubt="a query is one of six words here",
                undecidable=_EVEN_ONLY if place == EVEN else "",
            ),
            _from_start(
                f"{name}-{arm}-among", f"with {world}, {method} has no more distinct meanings per valid episode", _T12,
                place, arm, f"among{suffix}", "at most", 0.05, doubt=_FALLS,
            ),
        )
    ),
    *(
        one
        for place, name, world, suffix in _DOMAINS
        for one in (
            contrast(
                f"{name}-spread", f"with {world}, two valid episodes differ as often after DPO as before",
                f"{_PAPER}, first version", place, "dpo", f"spread{suffix}", "equivalent", 0.05, against="start",
                published="semantic diversity is preserved (no figure; dropped in the second version)",
            ),
            contrast(
                f"{name}-matched", f"with {world}, at equal validity Dr. GRPO has the effective diversity of DPO "
                "stopped early", "design", place, "dr_grpo", f"effective{suffix}", "equivalent", 0.01,
                against="matched", at="valid", doubt="one learning rate each",
            ),
            contrast(
                f"{name}-rounds", f"with {world}, one round of DPO has the effective diversity of ten", "design",
                place, "dpo_offline", f"effective{suffix}", "equivalent", 0.05, relative=True,
                doubt="one round has a lower validity, which alone changes effective diversity",
            ),
        )
    ),
    contrast(
        "even-sft", "as many demonstrations as rollouts change no effective diversity", "control", EVEN, "more_sft",
        "effective", "equivalent", 0.05, against="start", relative=True,
        doubt="the demonstrator is the one that the start imitated",
    ),
)  # fmt: skip
"""Registered after the pilot on worlds kept apart and before the first cell of the grid."""


def _dpo(summary: str, renew: int, control: str = "dpo", strengths: tuple[float, ...] = (0.1,)) -> Arm:
    return Arm(summary, "", control, strengths, "β", loss_of=dpo_loss, renew=renew, rate=1 / 3)


_ARMS: Mapping[str, Arm] = {
    "dpo": _dpo("DPO in ten rounds of 20 steps, one pair a question", 20, "", (0.01, 0.1, 1.0)),
    "dpo_offline": _dpo("DPO in one round: all pairs are the start's", 200),
    "dpo_online": _dpo("DPO with a new reference at every step", 1),
    "grpo": replace(ARMS["grpo"], control="dpo"),
    "dr_grpo": replace(ARMS["dr_grpo"], control="dpo"),
    "rejection_sampling": replace(ARMS["rejection_sampling"], control="dpo"),
    "more_sft": replace(ARMS["more_sft"], control="dpo"),
}
"""What the paper compares with is the start, after SFT; `control` is whose way the others are matched with."""

_SHARES = tuple(name for name in _ARMS if name != "more_sft")  # nobody demonstrates a start in proportions
_PLACES: Mapping[str, tuple[str, ...]] = {
    EVEN: tuple(_ARMS),
    SKEWED: _SHARES,
    OPEN: _SHARES,
    OPEN_EVEN: tuple(_ARMS),
    **dict.fromkeys(_RATES, ("dpo", "grpo")),
}


def _plain(report: Report) -> Sequence[str]:
    """The answer in plain words, from the report's numbers."""
    begin = {place: report["conditions"].get(place, {}).get("start", {}) for place in (SKEWED, OPEN)}

    def change(place: str, measure: str) -> str:
        """Of DPO from the start, in per cent; also where no claim is decided on it."""
        before, after = (begin[place].get(measure) or {}).get("value"), measured_value(report, place, "dpo", measure)
        return percent(after / before - 1 if before and after else None)

    pair, eight = ([change(SKEWED, name), change(OPEN, f"{name}{ANSWERS}")] for name in ("effective@2", "effective"))
    first = (begin[SKEWED].get("valid") or {}).get("value")
    valid = [number(value, 2) for value in (first, measured_value(report, SKEWED, "dpo", "valid"))]
    return (
        "Preference tuning is said to make a model's outputs less varied, and the paper answers that what counts are "
        "the different outputs that are right, of which a tuned model has more because more of its outputs are right.",
        f"Of {len(CONTRASTS)} registered claims: {counted_verdicts(report)}; DPO raised the share of right episodes "
        f"of a table of choices from {valid[0]} to {valid[1]} in a World with one answer, which changed the different "
        f"right ones by {pair[0]} in two episodes and by {eight[0]} in eight (of the other sign at a tenth of the "
        f"rate: inconclusive), and with several answers by {pair[1]} and {eight[1]}.",
        "A World has at most nine different right episodes, where the paper's tasks have any number, so that the sign "
        "here depends on how many are drawn and how far one trains, and of two right ones the chance to differ fell by "
        f"{number(-(claim_value(report, 'skewed-spread') or 0), 2)} in the World with one answer.",
    )


_PRINT = {
    "valid": "valid", "distinct/valid": "among", "distinct valid/all": "effective", "pairwise": "pairwise",
    "valid pairs that differ": "spread", "lexical": "lexical", "sequences": "sequences",
}  # fmt: skip
_BUDGETS = {
    **{f"of {k}": f"effective@{k}" for k in (2, 4, 8, 16, 32)},
    "of 8, validity alone": "effective_if_valid",
}
_BLIND = ("valid", "lexical", "sequences")


def _answers(columns: Mapping[str, str]) -> dict[str, str]:
    return {head: name if name in _BLIND else f"{name}{ANSWERS}" for head, name in columns.items()}


_SHOWN = ("dpo", "dpo_offline", "grpo", "rejection_sampling")
_CHECKPOINTS = (0, 5, 10, 20, 30, 40, 60, 80, 120, 160, 200)

EXPERIMENT = SystemExperiment(
    name="preference_tuning",
    summary="preference tuning (2504.12522): does it make more different right answers, or fewer?",
    conditions=tuple(map(Condition.of, _PLACES)),
    contrasts=CONTRASTS,
    arms=_ARMS,
    arms_of={Condition.of(name): arms for name, arms in _PLACES.items()},
    swept=tuple(map(Condition.of, (EVEN, SKEWED, OPEN))),
    smoke_conditions=(Condition.of(EVEN), Condition.of(OPEN)),
    first_replicate=_FIRST,
    table=TableConfig(learning_rate=3.0, checkpoints=_CHECKPOINTS),
    control_steps=(*range(20), *range(20, 40, 2), *range(40, 80, 5), *range(80, 201, 10)),
    beside=measure_validity,
    measures=(*MEASURES, *VALIDITY_MEASURES),
    about=" ".join(__doc__.split("\n\n", 1)[1].split()),
    plain=_plain,
    tables=(
        SystemTable(
            "Four quantities, by path",
            "After 200 steps, of 8 episodes, exact in the population. Two valid episodes mean the same if they found "
            "the same evidence. DPO's strength is β; claims are read at .1.",
            _PRINT,
            (SKEWED, EVEN, OPEN, OPEN_EVEN),
        ),
        SystemTable(
            "Four quantities, by answer",
            "The same where answers conflict: two valid episodes mean the same if they ended in the same answer. "
            "From the even start validity has less than .2 to gain, so that no claim is read there.",
            _answers(_PRINT),
            (OPEN, OPEN_EVEN),
        ),
        SystemTable(
            "Distinct valid meanings over all, by number of episodes",
            "Of 1 episode it is validity. The last column is of a policy as often valid on each question whose valid "
            "episodes are spread as the start's: its difference from the start is what validity alone does.",
            _BUDGETS,
            (SKEWED, EVEN),
            strengths=False,
        ),
        SystemTable("The same by answer", "Where answers conflict.", _answers(_BUDGETS), (OPEN, OPEN_EVEN), False),
        SystemTable("Other learning rates", "A tenth and a third of the rates, by path.", _PRINT, _RATES),
    ),
    panels=(
        Panel(
            "distinct valid paths over 8 episodes,\none answer, skewed start", SKEWED, "effective", _SHOWN,
            ("validity alone (DPO)", "effective_if_valid"),
        ),
        Panel("lexical variety of 8 episodes,\none answer, skewed start", SKEWED, "lexical", _SHOWN),
        Panel(
            "distinct valid answers over 8 episodes,\nseveral answers, skewed start", OPEN, f"effective{ANSWERS}",
            _SHOWN, ("validity alone (DPO)", f"effective_if_valid{ANSWERS}"),
        ),
    ),
    limits=(
        "Nine paths and three answers can be right: eight episodes nearly exhaust them, not so with programs.",
        "All arms begin at one policy; the paper's SFT and preference-tuned models partly have different bases.",
        "Meaning and validity are exact here, and the same ones that training rewards; preferences in the paper's "
        "models come from people and from judges.",
        "A table has no words: its lexical variety is that of six queries, and no language model was trained.",
        "Spread does not depend on validity on a question; its mean weighs questions by their valid pairs.",
        "Room is that of a policy which knew the records of each question; a table that does not has less.",
    ),
    corrections=("The first cells lacked what claims 'at equal validity' read. They were computed again.",),
    reproduced=f"tabular/{Condition.of(SKEWED).slug}/dpo-0.1/world-{1000 + _FIRST}",
)  # fmt: skip
"""What `berrypick run preference_tuning` runs."""
