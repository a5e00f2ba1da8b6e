"""The rollouts of one question, and the values that are computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...envs.answers import normalize
from ...envs.metrics.collapse import EffectiveDiversity, effective_diversity
from ...envs.metrics.entropy import discrete_entropy
from ...envs.metrics.queries import mean_similarity, query_clusters, word_similarity
from ...envs.questions import passages_of
from .rollout import Played, QueryTokens, Rollout, rollouts_of

__all__ = ["Group", "mean"]


def mean(values: Sequence[float | None]) -> float | None:
    """Averages the values that are not None; None if all are."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


class Group(list[Rollout]):
    """The rollouts of one question. Do not change a group after measuring it: some values are cached.

    Args:
        played: records, or rollouts made from them.
    """

    def __init__(self, played: Iterable[Played] = ()) -> None:
        super().__init__(rollouts_of(played))

    @cached_property
    def queries_by_rollout(self) -> list[list[str]]:
        """[rollout][query], normalized as answers are."""
        return [[normalize(query) for query in rollout.queries] for rollout in self]

    @property
    def queries(self) -> list[str]:
        """All queries, normalized as answers are."""
        return [query for queries in self.queries_by_rollout for query in queries]

    @cached_property
    def words(self) -> list[list[frozenset[str]]]:
        """[rollout][query] -> the distinct words of the normalized query."""
        return [[frozenset(query.split()) for query in queries] for queries in self.queries_by_rollout]

    @cached_property
    def similarity(self) -> NDArray[np.float64]:
        """Similarity of words of all queries of the group, float64 [queries, queries]."""
        queries = [words for rollout in self.words for words in rollout]
        return word_similarity(queries, queries)

    def query_clusters(self) -> float:
        """Number of clusters of near-equal queries."""
        return float(query_clusters(self.similarity))

    def query_similarity(self) -> float | None:
        """Mean similarity of queries of different rollouts."""
        return mean_similarity(self.similarity, [at for at, rollout in enumerate(self.words) for _ in rollout])

    @property
    def knows_queries(self) -> bool:
        """Whether the log told the queries of every rollout."""
        return all(rollout.knows_queries for rollout in self)

    @property
    def knows_passages(self) -> bool:
        """Whether every rollout lists the passages that it was shown."""
        return all(rollout.hits_recorded for rollout in self)

    @cached_property
    def shown(self) -> list[frozenset[str]]:
        """For each rollout, the ids of all passages that it was shown; see `knows_passages`."""
        return [rollout.shown_ids for rollout in self]

    @property
    def shown_by_query(self) -> list[frozenset[str]]:
        """For each query of each rollout, the ids of the passages that it retrieved; see `knows_passages`."""
        return [frozenset(ranking) for rollout in self for ranking in rollout.rankings]

    @cached_property
    def query_tokens(self) -> list[QueryTokens]:
        """The tokens of every query whose tokens were recorded."""
        return [query for rollout in self for query in rollout.query_tokens]

    def token_entropy(self, *, first_turn: bool = False) -> float | None:
        """Entropy per token over all query tokens of the group."""
        found = self._tokens_of(first_turn)
        tokens = sum(query.num_tokens for query in found)
        return sum(query.entropy for query in found) / tokens if tokens else None

    def query_entropy(self) -> float | None:
        """Entropy per query: the sum over its tokens, averaged over queries."""
        return mean([query.entropy for query in self.query_tokens])

    def sequence_entropy(self, *, first_turn: bool = False) -> float | None:
        """Mean of -log p of whole queries; None unless all were sampled at temperature 1 without top-p.

        Recorded log-probabilities are those at temperature 1. Their mean over samples of another distribution
        estimates no entropy.
        """
        if not all(rollout.sampled_plainly for rollout in self):
            return None
        return mean([-query.log_prob for query in self._tokens_of(first_turn)])

    def semantic_entropy(self) -> float | None:
        """Entropy of first queries, where queries that retrieved the same set of passages are one outcome."""
        first = [frozenset(rollout.rankings[0]) for rollout in self if rollout.rankings]
        return discrete_entropy(first, miller_madow=True) if len(first) > 1 and self.knows_passages else None

    def path_entropy(self) -> float | None:
        """Entropy of rollouts, where rollouts that were shown the same set of passages are one outcome."""
        return discrete_entropy(self.shown, miller_madow=True) if len(self) > 1 and self.knows_passages else None

    def effective(self, name: str) -> float | None:
        """A field of the group's `EffectiveDiversity`; None if it is undefined."""
        found = self._effective_diversity
        value = math.nan if found is None else float(getattr(found, name))
        return None if math.isnan(value) else value

    def _tokens_of(self, first_turn: bool) -> list[QueryTokens]:
        return [query for query in self.query_tokens if query.turn == 0 or not first_turn]

    @cached_property
    def _effective_diversity(self) -> EffectiveDiversity | None:
        """A valid rollout is an exact match; its meaning is the set of relevant passages that it was shown."""
        evidence = self[0].evidence_sets
        if not evidence or not self.knows_passages or any(rollout.em is None for rollout in self):
            return None
        relevant = passages_of(evidence)
        return effective_diversity([r.em == 1 for r in self], [shown & relevant for shown in self.shown])
