"""Artificial Hivemind (Jiang and others, arXiv 2510.22954): how alike are answers within a model and between models?

The paper draws 50 responses of each of many models to 100 open-ended prompts and takes the cosine of their embeddings.
On 79 % of the prompts the mean within a model is above .8; between models it is .71 to .82; between responses to
different prompts .1 to .2. Shared training data is a suspect. A replication on open weights found that tuning alone
adds .08 within a model, and the chat template .36.

This experiment differs from the paper. Tabular policies choose which kind of record to search, under one template, so
that the similarity of two episodes is an exact expectation. It is the cosine of the records that they asked for; that
of the words of their queries stands beside it. Between different questions records have similarity 0, words more: that
is the floor. First, the methods of the other experiments train from one even start, among them controls that learn
nothing, learn from a coin, or go on imitating. Then *panels*: three demonstrators, whose habits are one set of shares
turned round, demonstrate in two worlds with questions and draws of their own, and three methods train from each of the
six starts. So what policies owe to shared demonstrations, a shared world and a shared method can be told apart. How
different the demonstrators are is our choice, and with it how much they can explain: before training they explain all.
*free* has kinds that are equally good, so that no reward draws policies together; in *steep* one kind is far better.
Arms that play in another way, with a table for each question or with several candidates, are left out;
VPO and Multi-RLVR train on sets of answers and are played as the others are. No other experiment has used the worlds,
2101 to 2124; 2100 was played to see how long a cell takes, before the claims were written, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...policies.tabular.preference import dpo_loss
from ...policies.tabular.training import TableConfig
from ..grid.arms import ARMS, Arm
from ..grid.condition import FIRST_WORLD, Condition
from ..grid.panel_cells import PANEL_MEASURES
from ..grid.panel_system import PANEL
from ..grid.report import MEASURES
from ..grid.similarity_measures import SIMILARITY_MEASURES, measure_similarity
from ..grid.system_page import claim_value, counted_verdicts, measured_value
from ..grid.system_parts import Published, SystemTable
from ..report.format import Report, number
from .cautions import CORRECTIONS, LIMITS
from .claims import CONTRASTS, CUE, PANELS, PLACES, RATES, SETS
from .system import Hivemind

__all__ = ["EXPERIMENT", "METHODS"]

FIRST = 1101
"""Replicate of the first world; no other experiment has used it."""

_ARMS: Mapping[str, Arm] = {
    **ARMS,
    "dpo": Arm("DPO in ten rounds", "", "grpo", (0.1,), "β", loss_of=dpo_loss, renew=20, rate=1 / 3),
    PANEL: Arm("three methods from six starts, compared with each other", "grpo", ""),
}
_CORE = ("grpo", "dr_grpo", "darling_power", "batch", "random_reward")
_TRAINED: Mapping[str, tuple[str, ...]] = {
    PLACES["priced"]: (
        *_CORE, "ucb_con", "entropy", "pass_at_k", "max_at_k", "pass_mix", "maxrl", "darling_oracle", "lexical", "dpo",
        "rejection_sampling", "more_sft", "no_learning",
    ),
    PLACES["steep"]: _CORE,
    PLACES["free"]: _CORE,
    CUE: ("grpo",),
    SETS: ("multi_rlvr", "vpo"),
    **dict.fromkeys(RATES, _CORE[:4]),
    **dict.fromkeys(PANELS.values(), (PANEL,)),
}  # fmt: skip
METHODS = ("grpo", "darling_power", "more_sft")
"""Those that train in a panel."""


def _plain(report: Report) -> Sequence[str]:
    """The answer in plain words, from the report's numbers."""

    def pairs(name: str, measure: str) -> str:
        return number(measured_value(report, PANELS[name], PANEL, measure), 2)

    def each(values: Iterable[float | None]) -> str:
        first, second, third = (number(value, 2) for value in values)
        return f"{first}, {second} and {third}"

    gains = each(claim_value(report, f"{name}-grpo") for name in PLACES)
    beyond = each(claim_value(report, f"{name}-coin") for name in PLACES)
    lost = each(claim_value(report, f"{name}-lost") for name in PANELS)
    starts = [report["conditions"].get(PANELS[name], {}).get("start", {}).get("lost") for name in PANELS]
    before = each(row["value"] if row else None for row in starts)
    shares = each(measured_value(report, PANELS[name], PANEL, "variance_demonstrator") for name in PANELS)
    above = [measured_value(report, PLACES["priced"], "darling_power", f"{name}_high") for name in ("words", "records")]
    high = [number(value, 2) for value in above]
    return (
        "Language models answer alike, each to itself and one to another, and shared training data and tuning are "
        "suspects.",
        f"Of {len(CONTRASTS)} registered claims: {counted_verdicts(report)}; in worlds whose kinds of record are worth "
        f"unequal amounts (priced), very unequal ones (steep) or all the same (free), GRPO added {gains} to the "
        f"similarity within a policy, {beyond} of it more than GRPO on a coin for a reward did (in free not certain); "
        f"of the similarity of two methods of one start, {before} was gone before training where demonstrations and "
        f"world were not shared, and {lost} after it; there the demonstrator accounts for {shares} of what policies "
        "differ in.",
        "Tables of three kinds of record are alike even if they share nothing (two that choose evenly "
        f"{pairs('priced', 'even')}, two methods that share nothing {pairs('priced', 'apart')} in priced), and "
        f"DARLING's policy is above .8 on a share of {high[0]} of the questions by words and of {high[1]} by records, "
        "so that the paper's 79 % cannot be decided here.",
    )


_WITHIN = {
    "records": "records", "drawn": "records_sampled", "words": "words", "words' floor": "words_floor",
    "above floor": "words_above_floor", "orders": "orders", "above .8, records": "records_high",
    "above .8, words": "words_high", "with start": "records_with_start", "pass@1": "pass@1", "pass@8": "pass@8",
}  # fmt: skip
_HEAT = {
    **{f"T {t:g}": f"records_t{t:g}" for t in (0.5, 0.7)}, "T 1": "records", "T 1.4": "records_t1.4",
    "T 2": "records_t2", "top-p .9": "records_top_p", "min-p .1, T 2": "records_min_p",
    "above .8 by words, top-p": "words_high_top_p", "the same, min-p": "words_high_min_p",
}  # fmt: skip
_PAIRED = {
    "self": "self", "same start": "same_start", "same demonstrator": "same_demonstrator",
    "other demonstrator": "other_demonstrator", "apart": "apart", "apart, one method": "method_apart", "even": "even",
    "gone": "lost", "pass@1": "pass@1", "pass@8": "pass@8",
}  # fmt: skip
_BY_WORDS = {head: f"{name}_words" for head, name in _PAIRED.items() if name not in ("even", "pass@1", "pass@8")} | {
    "other question": "mismatched_words"
}
_VARIANCE = {
    "demonstrator": "variance_demonstrator", "world and draws": "variance_world", "method": "variance_method",
    "mixed with method": "variance_mixed",
}  # fmt: skip
_ALL_PANELS = tuple(PANELS.values())

EXPERIMENT = Hivemind(
    name="hivemind",
    summary="Artificial Hivemind (2510.22954): do policies resemble each other because they share a start?",
    conditions=tuple(map(Condition.of, _TRAINED)),
    contrasts=CONTRASTS,
    arms=_ARMS,
    arms_of={Condition.of(name): arms for name, arms in _TRAINED.items()},
    swept=(),
    smoke_conditions=(Condition.of(PLACES["free"]), Condition.of(PANELS["priced"])),
    first_replicate=FIRST,
    pilot_replicates=tuple(range(1190, 1194)),
    table=TableConfig(learning_rate=3.0),
    beside=measure_similarity,
    measures=(*MEASURES, *SIMILARITY_MEASURES, *PANEL_MEASURES),
    about=" ".join(__doc__.split("\n\n", 1)[1].split()),
    plain=_plain,
    panel={name: _ARMS[name] for name in METHODS},
    shown={where: name for name, where in PANELS.items()},
    published=Published(
        "Share of prompts on which the mean similarity within a model is above .8, over 25 models, by "
        "text-embedding-3-small, beside the share of questions of a table that GRPO trained, by the words of "
        "its queries. The paper's encoder and ours differ, so the two columns cannot be compared. An untrained table "
        "that draws all kinds alike has 0.995 and 0.999.",
        PLACES["priced"],
        {"top-p .9": "words_high_top_p", "min-p": "words_high_min_p"},
        {"grpo": ("25 models; ours: GRPO", (0.79, 0.612))},
        "grpo",
    ),
    tables=(
        SystemTable(
            "Pairs of policies, by records",
            "Mean similarity of an episode of each on the same question; but for self and the last pair, the methods "
            "differ. Same demonstrator: in the other world, with other random draws; other demonstrator: in the same "
            "world, with the same draws; apart: neither is shared. Row start: before training, where all methods of a "
            "start are one policy. Even: within a policy that draws all kinds alike, which is what chance makes alike. "
            "Gone: the share of same start that is gone where policies are apart.",
            _PAIRED,
            _ALL_PANELS,
        ),
        SystemTable(
            "Pairs of policies, by words",
            "The same by the words of queries. Other question: same start, other method, two questions: the floor. "
            "Gone: the share above the floor.",
            _BY_WORDS,
            _ALL_PANELS,
        ),
        SystemTable(
            "What trained policies differ in",
            "Shares of the variance of their mean vectors of records that go with each factor; they add up to 1. "
            "Mixed: what a method changes depends on the start.",
            _VARIANCE,
            _ALL_PANELS,
        ),
        SystemTable(
            "Within a policy",
            "Similarity of two episodes of one question, exact: by the records asked for, by the words of the queries, "
            "by whether the order of kinds is the same. Drawn: by records, from 50 episodes of 100 questions each, as "
            "in the paper. Words' floor: of two questions; above floor: the difference. Above .8: share of questions. "
            "With start: of an episode of the policy and one of its start.",
            _WITHIN,
            (*PLACES.values(), CUE, SETS),
        ),
        SystemTable(
            "Temperature and truncated sampling",
            "Similarity within a policy by records, at temperatures T and under truncated sampling: top-p .9 keeps the "
            "likeliest kinds that have .9 of the probability between them, min-p .1 those with a tenth of the "
            "likeliest one's. The last two columns are shares of questions.",
            _HEAT,
            (PLACES["priced"], PLACES["steep"]),
        ),
        SystemTable("Other learning rates", "At rates .3 and 1 instead of 3.", _WITHIN, RATES),
    ),
    limits=LIMITS,
    corrections=CORRECTIONS,
    reproduced=f"tabular/{Condition.of(PLACES['priced']).slug}/grpo-0/world-{FIRST_WORLD + FIRST}",
)
"""What `berrypick run hivemind` runs."""
