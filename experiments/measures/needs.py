"""Why measures are absent: what the rollouts lack, in one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .rollout import Rollout

__all__ = [
    "BOTH",
    "BOTH_SEQUENCES",
    "GRADES",
    "PLAIN",
    "QUERIES",
    "REWARDS_OR_GRADES",
    "SCORED",
    "SHOWN",
    "TEXT",
    "TOKENS",
    "TURNS",
    "absent_reason",
]

GRADES = "the rollouts are not graded; berrypick rescore --questions FILE grades them"
SHOWN = "the rollouts do not list the passages shown; berrypick report --index FOLDER searches again"
BOTH = "evidence or the passages shown are not recorded"
QUERIES = "the rollouts hold no queries"
BOTH_SEQUENCES = "the rollouts hold no queries or do not list the passages shown"
TOKENS = "no token probabilities are recorded; berrypick report --policy POLICY computes them"
PLAIN = "no token probabilities are recorded, or they are not of tokens sampled at temperature 1 without top-p"
SCORED = "no model scored first queries of two or more questions; berrypick report --policy POLICY does"
TEXT = "the text of turns is not recorded"
TURNS = "the turns are not recorded"
REWARDS_OR_GRADES = "no rewards and no grades are recorded"

_EVIDENCE = "no evidence is known; berrypick rescore --questions FILE adds it"
_NO_SEARCH = "no rollout searched"
_TWO = "no question has two rollouts to compare"

Rollouts = Sequence[Rollout]
Condition = tuple[Callable[[Rollouts], bool], str]
"""What the rollouts of a question must have, and the reason if no question has it."""


def _searched(rollouts: Rollouts, times: int = 1) -> bool:
    """Whether so many rollouts searched; a log that does not tell the queries may hold searches."""
    return sum(bool(rollout.queries) or not rollout.knows_queries for rollout in rollouts) >= times


_shown: Condition = (lambda rollouts: all(rollout.hits_recorded for rollout in rollouts), SHOWN)
_queries: Condition = (lambda rollouts: all(rollout.knows_queries for rollout in rollouts), QUERIES)
_any_search: Condition = (_searched, _NO_SEARCH)
_two_searches: Condition = (lambda rollouts: _searched(rollouts, 2), _TWO)
_several: Condition = (lambda rollouts: len(rollouts) > 1, _TWO)
_evidence: Condition = (lambda rollouts: bool(rollouts[0].question.evidence), _EVIDENCE)
_every_hop: Condition = (
    lambda rollouts: any(path and all(path) for path in rollouts[0].question.evidence),
    "no question has evidence for every hop",
)
_graded: Condition = (lambda rollouts: all(rollout.em is not None for rollout in rollouts), GRADES)
_right: Condition = (lambda rollouts: any(rollout.em == 1 for rollout in rollouts), "no rollout is an exact match")
_rewarded: Condition = (
    lambda rollouts: all(rollout.reward is not None or rollout.em is not None for rollout in rollouts),
    REWARDS_OR_GRADES,
)
_tokens: Condition = (lambda rollouts: any(rollout.query_tokens for rollout in rollouts), TOKENS)

_CONDITIONS: Mapping[str, Sequence[Condition]] = {
    "evidence_recall": (_evidence, _shown),
    "all_hops": (_evidence, _shown),
    "breadth": (_evidence, _shown, _every_hop),
    "path_coverage": (_evidence, _shown, _every_hop),
    "redundancy": (_shown, (lambda rollouts: any(rollout.rankings for rollout in rollouts), "no passage was shown")),
    "unique_query_ratio": (_queries, _any_search),
    "unique_query_ratio_episode": (_queries, _any_search),
    "wordings_per_path": (_queries, _shown, _any_search),
    "query_similarity": (_queries, _any_search, _two_searches),
    "zero_variance": (_rewarded, _several),
    "query_token_entropy": (_any_search, _tokens),
    "query_entropy": (_any_search, _tokens),
    "query_sequence_entropy": (_any_search,),
    "query_token_entropy_first_turn": (_any_search, _tokens),
    "query_sequence_entropy_first_turn": (_any_search,),
    "semantic_query_entropy": (_shown, _any_search, _two_searches),
    "path_entropy": (_shown, _several),
    "effective_diversity": (_evidence, _shown, _graded),
    "effective_diversity_pairwise": (_evidence, _shown, _graded, _several),
    "diversity_given_quality": (_evidence, _shown, _graded, _right),
}
"""Key of a measure -> what a question needs for a value, in the order in which a reader can do something about it."""


def absent_reason(key: str, needs: str, groups: Sequence[Rollouts]) -> str:
    """Why no question has a value of a measure: the first thing that it needs and no question still has.

    Args:
        key: of the measure.
        needs: the reason of its registration, for a measure whose conditions are not listed here.
        groups: the rollouts of each question.
    """
    left = groups
    for holds, reason in _CONDITIONS.get(key, ()):
        left = [rollouts for rollouts in left if holds(rollouts)]
        if not left:
            single = reason == _TWO and max(map(len, groups)) == 1
            return "samples per question: 1" if single else reason
    return needs or "the rollouts lack the data"
