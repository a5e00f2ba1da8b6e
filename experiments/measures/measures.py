"""The registry of measures: the key, the label, the unit and the meaning of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from ...envs.answers import normalize
from ...envs.metrics.breadth import path_coverage, rarefied_union, redundancy, union_coverage, unique_ratio
from ...envs.record import EpisodeRecord
from ...retrieval_index.plugins import Registry
from .group import Group, mean

__all__ = [
    "DERIVED",
    "FAMILIES",
    "MEASURES",
    "OF_GROUPS",
    "RAREFIED_QUERIES",
    "Group",
    "Measure",
    "load_measures",
    "mean",
    "measure_of",
    "register_measure",
]

OfGroup = Callable[[Group], float | None]

RAREFIED_QUERIES = 8
"""Number of queries at which groups with different numbers of queries are compared."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a measure is called and what it says.

    Attributes:
        key: its name in JSON and CSV.
        label: its name in tables, figures and pages.
        unit: "share", "nats", "count", ...
        meaning: one line.
        short: the label of narrow columns; the label itself where it is empty.
        of_group: computes the value of one question from its rollouts, None where there is none. Measures that are
            computed in another way have no such function.
    """

    key: str
    label: str
    unit: str
    meaning: str
    short: str = ""
    of_group: OfGroup | None = None


def _all_hops(record: EpisodeRecord) -> float | None:
    paths = [path for path in record.evidence_sets if path]
    return float(any(all(hop & record.shown_ids for hop in path) for path in paths)) if paths else None


def _valid_share(group: Group) -> float | None:
    shares = [sum(t.action != "invalid" and t.error is None for t in r.turns) / len(r.turns) for r in group if r.turns]
    return mean(shares)


def _own_unique_queries(group: Group) -> float | None:
    return mean([unique_ratio([normalize(query) for query in record.queries]) for record in group])


def _policy_tokens(group: Group) -> float | None:
    return mean([None if record.policy_tokens is None else float(record.policy_tokens) for record in group])


OF_GROUPS = (
    Measure("em", "EM", "share", "exact match of the answer, averaged over rollouts; equals pass@1",
            of_group=lambda g: mean([r.em for r in g])),
    Measure("f1", "F1", "share", "token F1 of the answer", of_group=lambda g: mean([r.f1 for r in g])),
    Measure("sub_em", "substring match", "share", "share of rollouts whose answer contains an accepted answer",
            "contains", lambda g: mean([r.sub_em for r in g])),
    Measure("evidence_recall", "evidence recall", "share",
            "share of hops for which a rollout was shown a relevant passage", "evid. recall",
            lambda g: mean([r.evidence_recall for r in g])),
    Measure("all_hops", "all hops", "share", "share of rollouts that were shown a relevant passage for every hop",
            of_group=lambda g: mean([_all_hops(r) for r in g])),
    Measure("breadth", "breadth", "share", "share of the relevant passages that some rollout of the group was shown",
            of_group=lambda g: union_coverage(g[0].evidence_sets, g.shown)),
    Measure("path_coverage", "path coverage", "share",
            "share of the evidence paths that some rollout walked to the end",
            of_group=lambda g: path_coverage(g[0].evidence_sets, g.shown)),
    Measure("redundancy", "redundancy", "share", "1 - distinct passages / passages, over the rollouts of the group",
            of_group=lambda g: redundancy(g.shown)),
    Measure("unique_query_ratio", "distinct queries", "share", "distinct queries / queries, in a group",
            "dist. query", lambda g: unique_ratio(g.queries)),
    Measure("unique_query_ratio_episode", "distinct queries per episode", "share",
            "distinct queries / queries, in an episode", of_group=_own_unique_queries),
    Measure("distinct_passages", "distinct passages", "count", "distinct passages that the group was shown",
            "passages", lambda g: float(len(frozenset().union(*g.shown)))),
    Measure("distinct_passages_rarefied", "rarefied distinct passages", "count",
            f"distinct passages expected from {RAREFIED_QUERIES} queries of the group",
            of_group=lambda g: rarefied_union(g.shown_by_query, RAREFIED_QUERIES)),
    Measure("searches", "searches", "count per episode", "searches per episode",
            of_group=lambda g: mean([float(len(r.queries)) for r in g])),
    Measure("valid_actions", "valid turns", "share", "share of turns that were valid actions", of_group=_valid_share),
    Measure("finished", "finished", "share", "share of episodes that ended with an answer",
            of_group=lambda g: mean([float(r.terminated) for r in g])),
    Measure("query_token_entropy", "token entropy", "nats per token",
            "entropy of the policy's next token, averaged over the tokens of queries", of_group=Group.token_entropy),
    Measure("query_entropy", "query entropy", "nats per query", "token entropy summed over the tokens of a query",
            of_group=Group.query_entropy),
    Measure("query_sequence_entropy", "sequence entropy", "nats per query",
            "mean -log p of sampled queries with their closing tag", "sequence", Group.sequence_entropy),
    Measure("query_token_entropy_first_turn", "first-turn token entropy", "nats per token",
            "token entropy in the first turn, whose history all policies share",
            of_group=lambda g: g.token_entropy(first_turn=True)),
    Measure("query_sequence_entropy_first_turn", "first-turn sequence entropy", "nats per query",
            "sequence entropy in the first turn, whose history all policies share",
            of_group=lambda g: g.sequence_entropy(first_turn=True)),
    Measure("semantic_query_entropy", "semantic entropy", "nats",
            "entropy of first queries; queries with equal results count as one (Miller-Madow)",
            "semantic", Group.semantic_entropy),
    Measure("path_entropy", "path entropy", "nats",
            "entropy of rollouts; rollouts shown the same passages count as one (Miller-Madow)",
            of_group=Group.path_entropy),
    Measure("effective_diversity", "effective diversity", "share",
            "distinct sets of evidence among right rollouts / all rollouts",
            of_group=lambda g: g.effective("fixed_budget")),
    Measure("effective_diversity_pairwise", "pairwise effective diversity", "share",
            "share of pairs of rollouts that are both right by different evidence",
            of_group=lambda g: g.effective("pairwise")),
    Measure("diversity_given_quality", "diversity given quality", "share",
            "distinct sets of evidence among right rollouts / right rollouts",
            of_group=lambda g: g.effective("given_quality")),
    Measure("policy_tokens", "policy tokens", "count per episode", "tokens that the policy wrote per episode",
            of_group=_policy_tokens),
)  # fmt: skip
"""Measures that are computed from the rollouts of one question."""

_PLANNED = "pass@{k} of a perfect reader that replays the choices of record kind and uses the whole budget (World)"

DERIVED = (
    Measure("pass@1", "pass@1", "share", "share of rollouts whose answer is an exact match"),
    Measure("pass@1_plan", "planned pass@1", "share", _PLANNED.replace("{k}", "1"), "planned"),
    Measure("give_up_loss", "give-up loss", "share",
            "planned pass@1 - pass@1 of a perfect reader with only the searches that were made (World)"),
    Measure("execution_loss", "execution loss", "share",
            "pass@1 of a perfect reader with only the searches that were made - pass@1 (World)"),
    Measure("gave_up", "gave up", "share", "share of rollouts that answered while a search could still help (World)"),
    Measure("executed_right", "right searches", "share",
            "share of searches whose top passage is about the wanted fact (World)", "right search"),
    Measure("new_kind_after_miss", "new kind after miss", "share",
            "share of searches after a miss that try a new record kind (World)", "new kind"),
    Measure("kind_entropy", "kind entropy", "nats",
            "entropy of the record kind that is tried first at a hop, given the question (World, Miller-Madow)"),
    Measure("kind_information", "kind information", "nats",
            "mutual information of question and first record kind, given the hop (World, Miller-Madow)"),
    Measure("frontier_distance", "distance to frontier", "share",
            "best planned pass@k at this planned pass@1 - planned pass@k (World)", "to frontier"),
    Measure("price", "price", "share",
            "most pass@1 possible at this pass@k - the same at the control's pass@k; on the exact frontier of the "
            "population (World)"),
    Measure("waste", "waste", "share",
            "most pass@1 possible at this pass@k, on the exact frontier of the population - pass@1 (World)"),
    Measure("choice@24_searches", "choice@24 searches", "share",
            "choice@k of as many rollouts as make 24 searches (World, conflicting answers)"),
    Measure("training_reward", "training reward", "reward", "mean reward on the training questions", "reward"),
)  # fmt: skip
"""Measures that are computed from replayed searches, from other measures or from exact values."""

MEASURES: Registry[Measure] = Registry("measure", "berrypick.metrics", "my_measures.py:NAME")
"""Measures by key, those of users among them; `measure_of` also knows keys with a number, such as pass@8."""

for _measure in (*OF_GROUPS, *DERIVED):
    MEASURES.register(_measure.key, _measure, __name__)


def register_measure(key: str, label: str, unit: str = "", meaning: str = "") -> Callable[[OfGroup], OfGroup]:
    """Decorator that makes a function of a `Group`, the rollouts of one question, a measure of all reports.

    Args:
        key: its name in JSON and CSV.
        label: its name in tables, figures and pages.
        unit: see `Measure`.
        meaning: one line.

    Raises:
        BerrypickError: another module has registered this key.
    """

    def register(of_group: OfGroup) -> OfGroup:
        MEASURES.register(key, Measure(key, label, unit, meaning, of_group=of_group), of_group.__module__)
        return of_group

    return register


@cache
def load_measures() -> None:
    """Loads the measures of installed packages (entry-point group `berrypick.metrics`), once per process."""
    MEASURES.load_installed()


FAMILIES = (
    Measure("pass@{k}_plan", "planned pass@{k}", "share", _PLANNED),
    Measure("pass@{k}", "pass@{k}", "share", "chance that at least one of {k} rollouts is an exact match (unbiased)"),
    Measure("answers_distinct@{k}", "distinct answers@{k}", "count", "distinct answers among {k} rollouts"),
    Measure("answers@{k}", "answers@{k}", "count",
            "distinct true answers found by {k} rollouts (World, conflicting answers)"),
    Measure("choice@{k}", "choice@{k}", "share",
            "best answer of {k} rollouts for a reader with random preferences (World, conflicting answers)"),
)  # fmt: skip
"""Measures of k rollouts; {k} is the number in the key."""


def measure_of(key: str) -> Measure:
    """Looks up a measure; an unknown key becomes its own label."""
    if key in MEASURES:
        return MEASURES[key]
    for family in FAMILIES:
        found = re.fullmatch(re.escape(family.key).replace(r"\{k\}", r"(\d+)"), key)
        if found:
            k = found[1]
            label, meaning = (text.replace("{k}", k) for text in (family.label, family.meaning))
            return replace(family, key=key, label=label, meaning=meaning)
    return Measure(key, key, "", "")
