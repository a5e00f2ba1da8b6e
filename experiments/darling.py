"""DARLING (Li and others, arXiv 2509.02534): reward times distance from the rollouts that found the same.

The paper multiplies a reward by the share of the group outside the rollout's own cluster, at least .1, and subtracts
the mean only. It reports more pass@1 and more pass@128 than GRPO and than a control that pays for rare 4-grams.

This experiment differs from the paper. A search agent answers questions about a planted world, where a cluster is known
exactly: rollouts that were shown the same passages. The diversity is squared, because the strength must bite: at the
published power 1 floors of .03 to .3 give the same pass@1 to .001. The control is the same estimate without the factor,
Dr. GRPO. First a tabular policy chooses which kind of record to search; a table has no words, so it says only what
clusters by path do, with exact values. Then the tiny language model, in a World whose demonstrations use three query
formats in equal shares and whose entities have two names each, so that words can vary where paths do not: there a
lexical control can keep words and lose paths. It has the same floor and the same power. A learned classifier sees
queries alone and is trained on pairs of rollouts of the World's own SFT policy; an oracle clusters by evidence found.

What DARLING costs and buys at power 1 is in [findings.md](findings.md), that random clusters have its pass@1 at equal
pass@8 in [findings_details.md](findings_details.md); neither is claimed here. That experiment also ran the squared form
and its random clusters in worlds 1000 to 1023; its figures were known when these claims were written: in worlds 1100 to
1123 the tabular claims say only whether a size repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..policies.tabular.training import TableConfig
from .grid.arms import ARMS, Arm
from .grid.condition import FIRST_WORLD, Condition
from .grid.contrasts import contrast
from .grid.language_cells import LanguageGrid
from .grid.language_classifier import CLASSIFIER
from .grid.system import SystemExperiment
from .grid.system_page import claim_value, counted_verdicts, measured_value
from .grid.system_parts import ROOM_CORRECTION, Panel, Published, SystemTable
from .report.format import Report, number

__all__ = ["EXPERIMENT"]

_PAPER = "2509.02534"
_T5 = f"{_PAPER} (T5)"

PRICED, STEEP = "priced/diverse", "steep/diverse"
_RATES = tuple(f"{place}/rate={rate:g}" for place in (PRICED, STEEP) for rate in (0.3, 1.0))
_FIRST = 100  # replicate of the first world, see the header

_KNOWN = "the size was known from other worlds, see the header"
_SLOW = "random factors and shorter updates slow the control down, which alone keeps breadth"
_COARSE = "the control's way is known at three steps, and straight lines between them understate its pass@1"
_PASS_1 = "pass@1 26.91 against GRPO's 23.40, 4B, maths (unverified)"
_PASS_MANY = "pass@128 61.04 against GRPO's 53.42, 4B, maths (unverified)"
_LEXICAL = "pass@1 26.91 against the 4-gram control's 22.49, 4B, maths (unverified)"

_language = partial(contrast, policy="language model", min_worlds=8, doubt="8 worlds of a tiny model, 80 steps")

CONTRASTS = (
    *(
        one
        for where, name, gain, more in ((PRICED, "priced", 0.02, 0.01), (STEEP, "steep", 0.01, 0.003))
        for one in (
            contrast(
                f"{name}-pass8", f"in {name}, DARLING has more pass@8 than Dr. GRPO", _PAPER, where, "darling",
                "pass@8", "increase", gain, published=_PASS_MANY, doubt=_KNOWN,
            ),
            contrast(
                f"{name}-pass1", f"in {name}, DARLING costs at most .02 of pass@1", _PAPER, where, "dr_grpo",
                "pass@1", "at most", 0.02, against="darling", published=_PASS_1, doubt=_KNOWN,
            ),
            contrast(
                f"{name}-matched", f"in {name}, at equal pass@8 DARLING has the pass@1 of Dr. GRPO stopped early",
                "design", where, "darling", "pass@1", "equivalent", 0.01, against="matched",
                doubt="a control stopped early is a strong one: the paper compares ends of training",
            ),
            contrast(
                f"{name}-oracle", f"in {name}, clusters by evidence do as clusters by retrieval", "design", where,
                "darling_oracle", "pass@8", "equivalent", 0.01, against="darling",
            ),
            contrast(
                f"{name}-clusters", f"in {name}, DARLING has more pass@8 than random clusters of updates as long",
                _T5, where, "darling", "pass@8", "increase", more, against="darling_random", doubt=_KNOWN,
            ),
            contrast(
                f"{name}-random-pass8", f"in {name}, random clusters do nothing to pass@8", f"{_T5}, control", where,
                "darling_random", "pass@8", "equivalent", 0.01, doubt=_SLOW,
            ),
            contrast(
                f"{name}-random-pass1", f"in {name}, random clusters do nothing to pass@1", f"{_T5}, control", where,
                "darling_random", "pass@1", "equivalent", 0.01, doubt=_SLOW,
            ),
            contrast(
                f"{name}-random-matched", f"in {name}, at equal pass@8 random clusters have the pass@1 of Dr. GRPO "
                "stopped early", "control", where, "darling_random", "pass@1", "equivalent", 0.01, against="matched",
            ),
        )
    ),
    _language(
        "lm-paths", "DARLING keeps more breadth of paths than the lexical control", _T5, PRICED, "darling",
        "breadth_population", "increase", 0.02, against="lexical", published="meaning keeps diversity (no figure)",
    ),
    _language(
        "lm-queries", "the lexical control has at least DARLING's share of distinct queries, minus .02", _T5, PRICED,
        "darling", "unique_query_ratio", "at most", 0.02, against="lexical",
    ),
    _language(
        "lm-wordings", "the lexical control says the same path in more wordings than DARLING", _T5, PRICED,
        "lexical", "wordings_per_path", "increase", 0.05, against="darling", relative=True,
    ),
    _language(
        "lm-pass1", "DARLING has at least the lexical control's pass@1, minus .02", _T5, PRICED, "lexical",
        "pass@1_population", "at most", 0.02, against="darling", published=_LEXICAL,
    ),
    _language(
        "lm-learned", "clusters by a learned classifier keep as much breadth as clusters by retrieval", _T5, PRICED,
        "darling_learned", "breadth_population", "equivalent", 0.02, against="darling",
    ),
    _language(
        "lm-oracle", "clusters by evidence keep as much breadth as clusters by retrieval", "design", PRICED,
        "darling_oracle", "breadth_population", "equivalent", 0.02, against="darling",
    ),
    _language(
        "lm-random", "random clusters of updates as long do nothing to pass@8", f"{_T5}, control", PRICED,
        "darling_random", "pass@8_population", "equivalent", 0.02,
    ),
    _language(
        "lm-matched", "at equal pass@8 DARLING has the pass@1 of Dr. GRPO stopped early", "design", PRICED, "darling",
        "pass@1_population", "equivalent", 0.02, against="matched", doubt=_COARSE,
    ),
)  # fmt: skip
"""Registered after the pilot on worlds kept apart and before the first cell of the grid or of a language model."""


def _of_language(summary: str) -> Arm:
    return Arm(f"{summary} (language model)", "", "dr_grpo")


_ARMS: Mapping[str, Arm] = {
    "dr_grpo": ARMS["dr_grpo"],
    "darling": replace(ARMS["darling_power"], summary="DARLING, clusters by what was retrieved, to a power"),
    "darling_oracle": replace(
        ARMS["darling_power"], summary="clusters by evidence: trains on the metric", objective="darling_oracle:power={}"
    ),
    "darling_random": ARMS["darling_random_equal"],
    "darling_learned": _of_language("clusters by a classifier that sees queries alone"),
    "lexical": _of_language("control: reward times the share of 4-grams that no sibling wrote"),
}
_TABULAR = ("dr_grpo", "darling", "darling_oracle", "darling_random")
_PLACES: Mapping[str, tuple[str, ...]] = {
    PRICED: _TABULAR,
    STEEP: _TABULAR,
    **dict.fromkeys(_RATES, ("dr_grpo", "darling")),
}

_LANGUAGE_ARMS: Mapping[str, str] = {
    "dr_grpo": "dr_grpo",
    "darling": "darling:power=2",
    "darling_learned": f"darling:classifier={CLASSIFIER},power=2",
    "darling_oracle": "darling_oracle:power=2",
    "lexical": "lexical:floor=0.1,power=2",
    "darling_random": "darling_random:norm=equal,power=2",
}


def _plain(report: Report) -> Sequence[str]:
    """The answer in plain words, from the report's numbers."""
    gains = [number(claim_value(report, f"{name}-pass8"), 3) for name in ("priced", "steep")]
    ends = [
        [number(measured_value(report, where, arm, "pass@1"), 3) for arm in ("darling", "dr_grpo")]
        for where in (PRICED, STEEP)
    ]
    matched = [number(claim_value(report, f"{name}-matched"), 3) for name in ("priced", "steep")]
    cells = report["cells"]
    return (
        "DARLING pays a right answer more if few of its siblings found it in the same way, so that reinforcement "
        "learning keeps several ways to an answer; the paper reports gains of pass@1 and of pass@128 at once.",
        f"Of {len(CONTRASTS)} registered claims: {counted_verdicts(report)}; a table of choices that was trained with "
        f"the squared form gained pass@8 ({gains[0]} in priced, {gains[1]} in steep) and paid for it in pass@1 "
        f"({ends[0][0]} against {ends[0][1]}, {ends[1][0]} against {ends[1][1]}), and its control, stopped early at "
        f"that pass@8, had almost as much pass@1 ({matched[0]} and {matched[1]} less).",
        "Here some kinds of record are worse than others, so that variety has a price which maths questions need not "
        f"have; language models paid for rare meanings differ by {number(claim_value(report, 'lm-queries'), 3)} in the "
        f"share of distinct queries from those paid for rare words ({cells['language_model_done']} cells).",
    )


_LANGUAGE_MEASURES = (
    "pass@1_population", "pass@8_population", "breadth_population", "unique_query_ratio", "wordings_per_path",
    "kind_entropy_population", "pass@1", "pass@8", "give_up_loss", "execution_loss", "outside_kind_words",
    "classifier_accuracy",
)  # fmt: skip
_MEASURES = {"pass@1": "pass@1", "pass@8": "pass@8", "breadth of paths": "breadth", "entropy of kinds": "kind_entropy"}

EXPERIMENT = SystemExperiment(
    name="darling",
    summary="DARLING (2509.02534): does paying for rare paths beat paying for rare words?",
    conditions=tuple(map(Condition.of, _PLACES)),
    contrasts=CONTRASTS,
    arms=_ARMS,
    arms_of={Condition.of(name): arms for name, arms in _PLACES.items()},
    swept=(Condition.of(PRICED), Condition.of(STEEP)),
    first_replicate=_FIRST,
    table=TableConfig(learning_rate=3.0),
    control_steps=(*range(10), *range(10, 20, 2), *range(20, 40, 5), *range(40, 80, 10), *range(80, 201, 20)),
    language=LanguageGrid(
        places={Condition.of(PRICED): dict.fromkeys(_LANGUAGE_ARMS, 8)},
        arms=_LANGUAGE_ARMS,
        checkpoints=(0, 40, 80),
        sft_steps=1040,  # aliases lengthen names: after 520 steps 15 % of the searches of a World apart were wrong
        first_world=FIRST_WORLD + _FIRST,
        temperatures=(),
        mixes=(),
        world_args={"query_formats": "0.34,0.33,0.33", "aliases": True},
    ),
    language_measures=_LANGUAGE_MEASURES,
    about=" ".join(__doc__.split("\n\n", 1)[1].split()),
    plain=_plain,
    published=Published(
        "4B model on maths questions, pass@1 and pass@128 as carried over from an earlier reading and not re-checked "
        "against the paper's tables, beside pass@1 and pass@8 of the tabular policy.",
        PRICED,
        {"pass@1": "pass@1", "pass@128 (ours: pass@8)": "pass@8"},
        {"dr_grpo": ("GRPO (ours: without division)", (0.2340, 0.5342)), "darling": ("DARLING", (0.2691, 0.6104))},
        "dr_grpo",
    ),
    tables=(
        SystemTable(
            "What clusters by path do",
            "The tabular policy after 200 steps, exact in the population. Strength is the exponent of the diversity; "
            "claims are read at 2.",
            _MEASURES,
            (PRICED, STEEP),
        ),
        SystemTable("Other learning rates", "The same at rates .3 and 1 instead of 3.", _MEASURES, _RATES),
    ),
    panels=(
        Panel("pass@8 along training, priced", PRICED, "pass@8", _TABULAR),
        Panel("pass@1 along training, priced", PRICED, "pass@1", _TABULAR),
    ),
    limits=(
        "A table has no words: only the language model can tell meaning from wording.",
        "Equal pass@8 is not equal pass@1: the claims about the oracle read pass@8 alone, the tables have both.",
        "Clusters are exact or come from a logistic head over hashed words; the paper's from a fine-tuned 4B model.",
        "A query format is drawn once an episode by the demonstrator; mixed episodes come from RL alone.",
        "pass@128 has no counterpart: eight rollouts of the start nearly reach the ceiling of these Worlds.",
        "Claims about language models had no pilot of their room; a World apart gave only the number of SFT steps.",
        "Whether the right answers of maths questions have ways of unequal worth, as kinds have here, is not known.",
    ),
    corrections=(f"{ROOM_CORRECTION}; no verdict on this page changed.",),
    reproduced=f"tabular/{Condition.of(PRICED).slug}/darling-2/world-{FIRST_WORLD + _FIRST}",
)
"""What `berrypick run darling` runs."""
