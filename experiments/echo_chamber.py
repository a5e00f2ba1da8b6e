"""Echo Chamber (Zhao and others, arXiv 2504.07912): RL lets one output format take over; which one, and is it the best?

The paper pretrains models of 150 M and 1 B on mixtures of code and natural language for maths, then runs PPO, GRPO and
expert iteration: within the first epoch one format has nearly all outputs, usually the most accurate one, and not the
same at both sizes; pass@1 rises while pass@64 flattens or falls; a KL term keeps minority formats alive.

This experiment differs from the paper (test T8 in verdicts.md). A search agent asks a planted World in three query
formats of equal length, with shares 60, 25 and 15 % at the start. Formats change the wording only: where none fails,
the choice of a format has no expected gradient, and shares can only drift. A tabular policy chooses a format once an
episode, beside the kinds of records, from one softmax that all questions share. It is trained on sampled groups by
GRPO, without KL and with weights .001, .01 and .1 (k3 in the loss, as in the paper, whose largest is .01). In each
World 32 runs are trained side by side, each is valued exactly, and the World's value is their mean. Two controls say
what drift is: GRPO with the rewards of each group dealt to its rollouts at random, and a simulation, without any World,
of groups that win as often as those of GRPO. In four more Worlds a format fails on a share of the records, which read
as void to it: the first on .5, or on .13 or .03, which cost it ten or two points of pass@1 at the start; or the second
on .5. How far shares drift depends on the learning rate: the tables have three. Language models of .8 M parameters,
and without KL of .2 M and 3 M, do the same, one run a World. Demonstrations have the shares; every format has one stop
word and ends in the kind, so that all have as many tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from ..policies.tabular.training import TableConfig
from .grid.arms import Arm
from .grid.condition import FIRST_WORLD, Condition
from .grid.contrasts import Contrast, contrast
from .grid.format_cells import FORMAT_MEASURES, run_format_cell
from .grid.format_language import FORMAT_LANGUAGE_MEASURES, FormatArm, FormatLanguage
from .grid.system import SystemExperiment
from .grid.system_page import counted_verdicts, language_value, measured_value
from .grid.system_parts import Panel, SystemTable
from .report.format import Report, number

__all__ = ["CONTRASTS", "EXPERIMENT"]

_PAPER, _T8 = "2504.07912", "2504.07912 (T8)"
EQUAL, FAILS, WEAKER, SLIGHTLY, MINOR = (
    f"formats{world}/diverse" for world in ("", "_first_fails", "_first_weaker", "_first_slightly", "_second_fails")
)  # fmt: skip
_RATED = {EQUAL: ("rl", "no_reward", "drift"), **dict.fromkeys((FAILS, WEAKER, SLIGHTLY), ("rl", "no_reward"))}
_FIRST = 600  # replicate of the first world; no other experiment has used it

_OVER = "share above .8 within the first epoch (unverified)"
_KEEPS = "higher KL keeps minority formats alive (no figure)"
_BEST = "usually, not always, the most accurate (no figure)"
_RATE = "drift grows with the square of the learning rate"
_from_start = partial(contrast, against="start")
_language = partial(contrast, policy="language model", min_worlds=8, doubt="8 worlds of a tiny model, one run in each")


def _ordered(stronger: str, weaker: str, beta: str) -> Contrast:
    return contrast(
        f"equal-{stronger.replace('_', '-')}", f"with equal formats, KL {beta} keeps more entropy of formats", _T8,
        EQUAL, stronger, "format_entropy", "increase", 0.03, against=weaker, published=_KEEPS,
    )  # fmt: skip


CONTRASTS = (
    # formats that are equal
    _from_start("equal-takeover", "with equal formats, one has more than .8 in three of ten runs", _T8, EQUAL, "rl",
                "takeover", "increase", 0.3, published=_OVER, doubt=_RATE),
    _from_start("equal-largest", "with equal formats, the largest share grows", _T8, EQUAL, "rl", "largest_share",
                "increase", 0.1, published=_OVER, doubt=_RATE),
    _from_start("equal-grows", "with equal formats, the share of the start's majority format grows", _PAPER, EQUAL,
                "rl", "share_0", "increase", 0.05, published="the dominant format is amplified (no figure)"),
    _from_start("equal-stays", "with equal formats, the mean share of the start's majority format stays", "design",
                EQUAL, "rl", "share_0", "equivalent", 0.05,
                doubt="logits have no expected gradient; shares, a curved function of them, may have one"),
    _from_start("equal-loses", "with equal formats, another than the majority ends largest in a tenth of runs", _PAPER,
                EQUAL, "rl", "wins_0", "decrease", 0.1, published="the winner differs between sizes (no figure)"),
    contrast("equal-no-reward", "with equal formats, rewards dealt at random give the same largest share", "control",
             EQUAL, "no_reward", "largest_share", "equivalent", 0.05,
             doubt="RL learns kinds and has fewer mixed groups for it, which alone slows drift"),
    contrast("equal-drift", "with equal formats, the largest share is that of neutral drift", "control", EQUAL,
             "drift", "largest_share", "equivalent", 0.05),
    contrast("equal-drift-share", "with equal formats, the majority format's share is that of neutral drift",
             "control", EQUAL, "drift", "share_0", "equivalent", 0.05),
    _ordered("kl_1e-3", "rl", ".001"),
    _ordered("kl_1e-2", "kl_1e-3", ".01"),
    _ordered("kl_1e-1", "kl_1e-2", ".1"),
    _from_start("equal-pass1", "with equal formats, RL raises pass@1", _PAPER, EQUAL, "rl", "pass@1", "increase", 0.03,
                published="pass@1 rises (no figure)"),
    _from_start("equal-pass8", "with equal formats, RL does not raise pass@8", _PAPER, EQUAL, "rl", "pass@8",
                "at most", 0.005, published="pass@64 flattens or falls (no figure)"),
    # the majority format fails on half of the records
    _from_start("fails-leaves", "where the majority format fails on half of the records, RL leaves it", _T8, FAILS,
                "rl", "share_0", "decrease", 0.15, published=_BEST),
    _from_start("fails-loses", "where it fails, another format ends largest in three of ten runs or more", _T8, FAILS,
                "rl", "wins_0", "decrease", 0.3, published=_BEST),
    _from_start("fails-takeover", "where it fails, one format has more than .8 in three of ten runs", _T8, FAILS,
                "rl", "takeover", "increase", 0.3, published=_OVER),
    _from_start("fails-lead", "where it fails, the larger of the two sound formats gains on the smaller", "design",
                FAILS, "rl", "lead", "increase", 0.1),
    _from_start("fails-no-reward-lead", "with rewards dealt at random, it does not", "control", FAILS, "no_reward",
                "lead", "equivalent", 0.05),
    _from_start("fails-no-reward", "with rewards dealt at random, the failing majority format keeps its share",
                "control", FAILS, "no_reward", "share_0", "equivalent", 0.05),
    contrast("fails-kl", "where it fails, KL .1 keeps more of it", _PAPER, FAILS, "kl_1e-1", "share_0", "increase",
             0.03, published=_KEEPS),
    _from_start("fails-kl-loses", "where it fails, RL leaves it under KL .1 too", "design", FAILS, "kl_1e-1", "wins_0",
                "decrease", 0.3),
    contrast("fails-kl-pass1", "where it fails, KL .1 costs pass@1", "design", FAILS, "kl_1e-1", "pass@1", "decrease",
             0.02),
    # the majority format is ten points worse
    _from_start("weaker-leaves", "where the majority format is ten points worse, RL leaves it", _T8, WEAKER, "rl",
                "share_0", "decrease", 0.15, published=_BEST),
    contrast("weaker-no-reward", "with rewards dealt at random, it ends largest more often", "control", WEAKER,
             "no_reward", "wins_0", "increase", 0.3),
    # the majority format is two points worse
    _from_start("slightly-loses", "where it is two points worse, another ends largest in three of ten runs", _T8,
                SLIGHTLY, "rl", "wins_0", "decrease", 0.3, published="the takeover may still pick it (T8)"),
    contrast("slightly-kl", "where it is two points worse, KL .1 keeps it the largest in more runs", "design", SLIGHTLY,
             "kl_1e-1", "wins_0", "increase", 0.3),
    # the second format fails
    _from_start("minor-grows", "where the second format fails, the majority format grows", _T8, MINOR, "rl", "share_0",
                "increase", 0.1, published=_BEST),
    _from_start("minor-third", "where the second fails, the third, which is sound, loses share all the same",
                "design", MINOR, "rl", "share_2", "decrease", 0.03),
    # language models
    _language("lm-largest", "with equal formats, the largest share grows", _T8, EQUAL, "rl", "largest_share",
              "increase", 0.1, against="start", published=_OVER),
    _language("lm-no-reward", "with equal formats, rewards dealt at random give the same largest share", "control",
              EQUAL, "no_reward", "largest_share", "equivalent", 0.1),
    _language("lm-kl", "with equal formats, KL .1 keeps more entropy of formats", _T8, EQUAL, "kl_1e-1",
              "format_entropy", "increase", 0.05, published=_KEEPS),
    _language("lm-pass1", "with equal formats, RL raises pass@1", _PAPER, EQUAL, "rl", "pass@1", "increase", 0.02,
              against="start", published="pass@1 rises (no figure)"),
    _language("lm-fails", "where the majority format fails on half of the records, RL leaves it", _T8, FAILS, "rl",
              "share_0", "decrease", 0.1, against="start", published=_BEST),
    _language("lm-fails-kl", "where it fails, KL .1 keeps more of it", _PAPER, FAILS, "kl_1e-1", "share_0", "increase",
              0.05, published=_KEEPS),
    _language("lm-size", "with equal formats, 3 M parameters leave the majority format further than .2 M", _PAPER,
              EQUAL, "large", "share_0", "decrease", 0.1, against="small", published="150 M code, 1 B language"),
)  # fmt: skip
"""Registered after the pilot on worlds kept apart and before the first cell of the grid or of a language model."""

_ARMS: Mapping[str, Arm] = {
    "rl": Arm("GRPO without KL", "grpo", ""),
    "kl_1e-3": Arm("GRPO with KL .001", "kl:beta=0.001", "rl"),
    "kl_1e-2": Arm("GRPO with KL .01", "kl:beta=0.01", "rl"),
    "kl_1e-1": Arm("GRPO with KL .1", "kl:beta=0.1", "rl"),
    "no_reward": Arm("control: the rewards of a group dealt at random", "grpo_shuffled", "rl"),
    "drift": Arm("control: neutral drift of formats that win as often as GRPO's", "", "rl"),
    "small": Arm("GRPO without KL, .2 M parameters (language model)", "grpo", "rl"),
    "large": Arm("GRPO without KL, 3 M parameters (language model)", "grpo", "rl"),
}
_TRAINED = ("rl", "kl_1e-3", "kl_1e-2", "kl_1e-1", "no_reward")
_PLACES: Mapping[str, tuple[str, ...]] = {
    EQUAL: (*_TRAINED, "drift"),
    **dict.fromkeys((FAILS, WEAKER, SLIGHTLY, MINOR), _TRAINED),
    **{f"{place}/rate={rate:g}": arms for place, arms in _RATED.items() for rate in (0.3, 1.0)},
}
_LANGUAGE = FormatLanguage(
    places={
        Condition.of(EQUAL): (*_TRAINED, "small", "large"),
        Condition.of(FAILS): ("rl", "kl_1e-1"),
    },
    arms={
        **{name: FormatArm(_ARMS[name].objective) for name in _TRAINED},
        "small": FormatArm("grpo", "tiny_small"),
        "large": FormatArm("grpo", "tiny_large", last=True),
    },
    checkpoints=(0, 1, 2, 5, 10, 20, 50, 100),
    sft_steps=700,  # after 520 steps 5.2 % of the searches of a World apart were wrong
    questions_per_step=4,
    first_world=FIRST_WORLD + _FIRST,
)


def _plain(report: Report) -> Sequence[str]:
    """The answer in plain words, from the report's numbers."""

    def said(place: str, measure: str, arm: str = "rl") -> str:
        return number(measured_value(report, place, arm, measure), 2)

    largest, dealt = (number(language_value(report, EQUAL, arm, "largest_share"), 2) for arm in ("rl", "no_reward"))
    return (
        "Reinforcement learning is said to turn a model into an echo chamber, in which one way of writing takes over "
        "nearly all outputs, and the question is whether it does so because it is better.",
        f"Of {len(CONTRASTS)} registered claims: {counted_verdicts(report)} (the design alone decides some, see "
        "Corrections); a table of choices left a first format that was worse, even by two points of pass@1 (its share "
        f"went from 0.60 to {said(SLIGHTLY, 'share_0')}, and to {said(SLIGHTLY, 'share_0', 'kl_1e-1')} under KL .1), "
        "and among three that were equally good it drifted: the largest share went from 0.60 to "
        f"{said(EQUAL, 'largest_share')}, to {said(EQUAL, 'largest_share', 'drift')} in a simulation where formats "
        f"mean nothing, and to {said(EQUAL, 'largest_share', 'no_reward')} with rewards dealt at random.",
        "In a table only reward and chance move shares; a language model shares weights between formats and content, "
        "so that what is easier to write can win: of three formats that never fail, of which it answered best in the "
        f"first, the largest share ended at {largest}, and with rewards dealt at random at {dealt} (neither certain).",
    )


_SHARES = {
    "first": "share_0", "second": "share_1", "third": "share_2", "largest": "largest_share", "above .8": "takeover",
    "first wins": "wins_0", "second wins": "wins_1", "third wins": "wins_2", "lead": "lead",
    "entropy": "format_entropy", "pass@1": "pass@1", "pass@8": "pass@8", "pass@1 in first": "pass@1_0",
    "in second": "pass@1_1", "in third": "pass@1_2",
}  # fmt: skip
_WHAT = (
    "After 200 steps. first, second, third: shares of the formats, in the order of their shares at the start; largest: "
    "of whichever is largest; above .8: part of the runs in which that is more than .8; wins: part in which the format "
    "is the largest; lead: the second's part of what second and third have together; entropy: of formats, nats."
)

EXPERIMENT = SystemExperiment(
    name="echo_chamber",
    summary="Echo Chamber (2504.07912): does RL let one query format take over, and is it the best one?",
    conditions=tuple(map(Condition.of, _PLACES)), contrasts=CONTRASTS, arms=_ARMS,
    arms_of={Condition.of(name): arms for name, arms in _PLACES.items()},
    smoke_conditions=(Condition.of(EQUAL), Condition.of(FAILS)), first_replicate=_FIRST,
    table=TableConfig(learning_rate=3.0, checkpoints=(0, 1, 2, 4, 7, 12, 20, 40, 80, 120, 200)),
    procedure=partial(run_format_cell, arms=_ARMS), measures=FORMAT_MEASURES, language=_LANGUAGE,
    language_measures=FORMAT_LANGUAGE_MEASURES, about=" ".join(__doc__.split("\n\n", 1)[1].split()), plain=_plain,
    tables=(
        SystemTable("Shares of formats", _WHAT, _SHARES, (EQUAL, FAILS, WEAKER, SLIGHTLY, MINOR)),
        SystemTable("Other learning rates", "The same at rates .3 and 1 instead of 3.", _SHARES, tuple(_PLACES)[5:]),
    ),
    panels=(
        Panel("largest share, formats equal", EQUAL, "largest_share", (*_TRAINED, "drift")),
        Panel("share of the first format,\nwhich fails on half", FAILS, "share_0", _TRAINED),
        Panel("share of the first format,\nten points worse", WEAKER, "share_0", _TRAINED),
        Panel("pass@8, formats equal", EQUAL, "pass@8", _TRAINED),
    ),
    limits=(
        "In a table, what is easier to write, or where pretraining saw a format, plays no part.",
        "A softmax moves in proportion to its shares: of two sound formats the larger is expected to gain.",
        "Drift depends on learning rate, batch and length; the paper's optimiser, batches and epochs are others.",
        "Of the .071 of pass@1 that KL .1 costs where the first format fails, .040 is its hold on kinds, as elsewhere.",
        "Accuracies differ here by failing retrieval; the paper's formats differ by how well a model reasons in them.",
        "The paper's takeover threshold, its shares under KL and its cases of a less accurate winner were not at hand.",
        "Formats keep their order in all worlds, and a language model succeeds unequally in them at its start "
        "(pass@1 in each): where none fails they are equal for a table and not for it; share and ease mix.",
        "All sizes are tiny. Language models' shares are counted in sampled queries (standard error .01 at the end).",
    ),
    corrections=(
        "The claim that RL does not raise pass@8 could not fail: pass@8 starts at .768, no table can exceed .769, and "
        "rises of up to .005 were allowed. The room shown is that of a fall. The verdict stands, but is no evidence.",
        "Where formats are equal the majority's mean share is not expected to grow: logits have no expected move, and "
        "the curve of a softmax lowers the mean of a share of .6. How far the largest grows, the learning rate sets "
        "(.07 at 3, nothing at 1). Neither contradiction speaks of the paper, whose formats differ in accuracy.",
        "Where formats are equal a table is neutral drift by construction: claims held against the simulation compare "
        "two programs. The majority's wins begin at 1 and can only fall. Kinds learn as they would without formats, so "
        "that pass@1 and pass@8 repeat what the headline experiment says of GRPO.",
        "Room of entropy was that of any shares. KL .1 can add .062 to KL .01 at most, two margins; it added .049.",
    ),
    reproduced=f"tabular/{Condition.of(EQUAL).slug}/rl-0/world-{FIRST_WORLD + _FIRST}",
)  # fmt: skip
"""What `berrypick run echo_chamber` runs."""
