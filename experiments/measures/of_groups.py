"""The measures that are computed from the rollouts of one question, and what each of them needs."""

from __future__ import annotations

from collections.abc import Callable

from ...envs.metrics.breadth import path_coverage, rarefied_union, redundancy, union_coverage, unique_ratio
from ...envs.metrics.queries import NEAR_EQUAL
from ...envs.metrics.turn_text import COMPRESSION
from .group import Group, mean
from .measure import Measure, OfGroup
from .needs import (
    BOTH,
    BOTH_SEQUENCES,
    GRADES,
    PLAIN,
    QUERIES,
    REWARDS_OR_GRADES,
    SCORED,
    SHOWN,
    TEXT,
    TOKENS,
    TURNS,
)
from .rollout import Rollout

__all__ = ["OF_GROUPS", "RAREFIED_QUERIES"]

RAREFIED_QUERIES = 8
"""Number of queries at which groups with different numbers of queries are compared."""


def _all_hops(rollout: Rollout) -> float | None:
    paths = [path for path in rollout.evidence_sets if path]
    return float(any(all(hop & rollout.shown_ids for hop in path) for path in paths)) if paths else None


def _of_shown(of_group: OfGroup) -> OfGroup:
    """The measure where every rollout lists its passages; otherwise there is no value."""
    return lambda group: of_group(group) if group.knows_passages else None


def _of_queries(of_group: OfGroup) -> OfGroup:
    """The measure where every rollout lists its queries; otherwise there is no value."""
    return lambda group: of_group(group) if group.knows_queries else None


def _share(part: Callable[[Rollout], int], of: Callable[[Rollout], int]) -> OfGroup:
    """The share of a rollout's turns that count, averaged over the rollouts that have such turns."""
    return lambda group: mean([part(rollout) / total if (total := of(rollout)) else None for rollout in group])


def _own_unique_queries(group: Group) -> float | None:
    return mean([unique_ratio(queries) for queries in group.queries_by_rollout])


def _wordings_per_path(group: Group) -> float | None:
    """Rollouts that did not search have neither wording nor path; None without one that did."""
    wordings = {tuple(queries) for queries in group.queries_by_rollout if queries}
    paths = {tuple(map(frozenset, rollout.rankings)) for rollout in group if rollout.queries}
    return len(wordings) / len(paths) if paths else None


def _equal_rewards(group: Group) -> float | None:
    """1 if all rewards of a group are equal, so that it has no gradient; exact matches where no reward is recorded."""
    rewards = [rollout.em if rollout.reward is None else rollout.reward for rollout in group]
    return None if len(group) < 2 or None in rewards else float(len(set(rewards)) == 1)


def _policy_tokens(group: Group) -> float | None:
    return mean([None if rollout.policy_tokens is None else float(rollout.policy_tokens) for rollout in group])


OF_GROUPS = (
    Measure("em", "EM", "share", "exact match of the answer, averaged over rollouts; equals pass@1",
            of_group=lambda g: mean([r.em for r in g]), needs=GRADES),
    Measure("f1", "F1", "share", "token F1 of the answer", of_group=lambda g: mean([r.f1 for r in g]), needs=GRADES),
    Measure("sub_em", "substring match", "share", "share of rollouts whose answer contains an accepted answer",
            "contains", lambda g: mean([r.sub_em for r in g]), GRADES),
    Measure("reward", "recorded reward", "reward",
            "mean of the rewards that the rollouts carry, whoever gave them and on whatever scale", "rec. reward",
            lambda g: mean([r.reward for r in g]), "no rewards are recorded"),
    Measure("evidence_recall", "evidence recall", "share",
            "share of hops for which a rollout was shown a relevant passage", "evid. recall",
            lambda g: mean([r.evidence_recall for r in g]), BOTH),
    Measure("all_hops", "all hops", "share", "share of rollouts that were shown a relevant passage for every hop",
            of_group=_of_shown(lambda g: mean([_all_hops(r) for r in g])), needs=BOTH),
    Measure("breadth", "breadth", "share", "share of the relevant passages that some rollout of the group was shown",
            of_group=_of_shown(lambda g: union_coverage(g[0].evidence_sets, g.shown)), needs=BOTH),
    Measure("path_coverage", "path coverage", "share",
            "share of the evidence paths that some rollout walked to the end",
            of_group=_of_shown(lambda g: path_coverage(g[0].evidence_sets, g.shown)), needs=BOTH),
    Measure("redundancy", "redundancy", "share", "1 - distinct passages / passages, over the rollouts of the group",
            of_group=_of_shown(lambda g: redundancy(g.shown)), needs=SHOWN),
    Measure("unique_query_ratio", "distinct queries", "share", "distinct queries / queries, in a group",
            "dist. query", _of_queries(lambda g: unique_ratio(g.queries)), QUERIES),
    Measure("unique_query_ratio_episode", "distinct queries per episode", "share",
            "distinct queries / queries, in an episode", of_group=_of_queries(_own_unique_queries), needs=QUERIES),
    Measure("wordings_per_path", "wordings per path", "count",
            "distinct sequences of queries / distinct sequences of result sets, in a group; 1: words are paths",
            "wordings", _of_shown(_of_queries(_wordings_per_path)), BOTH_SEQUENCES),
    Measure("query_clusters", "query clusters", "count",
            f"clusters of queries of a group that are linked by a Jaccard similarity of words of at least {NEAR_EQUAL}",
            "clusters", _of_queries(Group.query_clusters), QUERIES),
    Measure("query_similarity", "query similarity", "share",
            "mean Jaccard similarity of words over pairs of queries of different rollouts of a group", "query sim.",
            _of_queries(Group.query_similarity), QUERIES),
    Measure("retrieval_clusters", "retrieval clusters", "count",
            "distinct result sets of a group's queries; queries with equal results count as one", "result sets",
            _of_shown(lambda g: float(len(set(g.shown_by_query)))), SHOWN),
    Measure("distinct_passages", "distinct passages", "count", "distinct passages that the group was shown",
            "passages", _of_shown(lambda g: float(len(frozenset().union(*g.shown)))), SHOWN),
    Measure("distinct_passages_rarefied", "rarefied distinct passages", "count",
            f"distinct passages expected from {RAREFIED_QUERIES} queries of the group",
            of_group=_of_shown(lambda g: rarefied_union(g.shown_by_query, RAREFIED_QUERIES)),
            needs=f"no group lists the passages of {RAREFIED_QUERIES} queries"),
    Measure("searches", "searches", "count per episode", "searches per episode",
            of_group=_of_queries(lambda g: mean([float(len(r.queries)) for r in g])), needs=QUERIES),
    Measure("zero_variance", "equal rewards", "share", "share of groups whose rollouts all have the same reward",
            "equal", _equal_rewards, REWARDS_OR_GRADES),
    Measure("turns", "turns", "count per episode", "turns per episode",
            of_group=lambda g: mean([float(r.num_turns) if r.num_turns else None for r in g]), needs=TURNS),
    Measure("valid_actions", "valid turns", "share", "share of turns that were valid actions",
            of_group=_share(lambda r: r.num_valid, lambda r: r.num_turns), needs=TURNS),
    Measure("search_errors", "failed searches", "share",
            "share of searches that failed, because of the searcher and not of the budget", "failed",
            _share(lambda r: r.num_failed, lambda r: r.num_searches), "no rollout searched"),
    Measure("degenerate_text", "degenerate text", "share",
            "share of turns whose last 1,000 characters end in a phrase said three times or compress by more than "
            f"{COMPRESSION}", "degenerate",
            _share(lambda r: r.num_degenerate, lambda r: r.num_texts), TEXT),
    Measure("finished", "finished", "share", "share of episodes that ended with an answer",
            of_group=lambda g: mean([float(r.terminated) for r in g])),
    Measure("query_token_entropy", "token entropy", "nats per token",
            "entropy of the policy's next token, averaged over the tokens of queries", of_group=Group.token_entropy,
            needs=TOKENS),
    Measure("query_entropy", "query entropy", "nats per query", "token entropy summed over the tokens of a query",
            of_group=Group.query_entropy, needs=TOKENS),
    Measure("query_sequence_entropy", "sequence entropy", "nats per query",
            "mean -log p of sampled queries with their closing tag", "sequence", Group.sequence_entropy, PLAIN),
    Measure("query_token_entropy_first_turn", "first-turn token entropy", "nats per token",
            "token entropy in the first turn, whose history all policies share",
            of_group=lambda g: g.token_entropy(first_turn=True), needs=TOKENS),
    Measure("query_sequence_entropy_first_turn", "first-turn sequence entropy", "nats per query",
            "sequence entropy in the first turn, whose history all policies share",
            of_group=lambda g: g.sequence_entropy(first_turn=True), needs=PLAIN),
    Measure("semantic_query_entropy", "semantic entropy", "nats",
            "entropy of first queries; queries with equal results count as one (Miller-Madow)",
            "semantic", Group.semantic_entropy, SHOWN),
    Measure("path_entropy", "path entropy", "nats",
            "entropy of rollouts; rollouts shown the same passages count as one (Miller-Madow)",
            of_group=Group.path_entropy, needs=SHOWN),
    Measure("query_information", "query information", "nats",
            "mutual information of the question and the first turn, which searches; a lower bound, at most log N for N "
            "questions (report --policy)", "information",
            of_group=lambda g: mean([r.query_information for r in g]), needs=SCORED),
    Measure("question_identified", "question identified", "share",
            "share of first turns that are likelier after their own question than after any of N - 1 others "
            "(report --policy); chance: 1 / N", "identified",
            of_group=lambda g: mean([r.question_identified for r in g]), needs=SCORED),
    Measure("effective_diversity", "effective diversity", "share",
            "distinct sets of evidence among right rollouts / all rollouts",
            of_group=lambda g: g.effective("fixed_budget"), needs=BOTH),
    Measure("effective_diversity_pairwise", "pairwise effective diversity", "share",
            "share of pairs of rollouts that are both right by different evidence",
            of_group=lambda g: g.effective("pairwise"), needs=BOTH),
    Measure("diversity_given_quality", "diversity given quality", "share",
            "distinct sets of evidence among right rollouts / right rollouts",
            of_group=lambda g: g.effective("given_quality"), needs=BOTH),
    Measure("policy_tokens", "policy tokens", "count per episode", "tokens that the policy wrote per episode",
            of_group=_policy_tokens, needs="the number of tokens is not recorded"),
)  # fmt: skip
"""Measures that are computed from the rollouts of one question."""
