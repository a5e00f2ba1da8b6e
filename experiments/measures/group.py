"""The rollouts of one question, and the values that are computed from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...envs.answers import normalize
from ...envs.metrics.collapse import EffectiveDiversity, effective_diversity
from ...envs.metrics.entropy import discrete_entropy, query_sequence_spans, query_token_mask
from ...envs.record import EpisodeRecord

__all__ = ["Group", "QueryTokens", "mean"]


@dataclass(frozen=True, slots=True)
class QueryTokens:
    """The sampled tokens of one query.

    Attributes:
        turn: number of its turn in the episode, from 0.
        entropy: sum over its tokens, in nats.
        num_tokens: number of its tokens, without the closing tag.
        log_prob: log-probability of its tokens and of the closing tag.
    """

    turn: int
    entropy: float
    num_tokens: int
    log_prob: float


def mean(values: Sequence[float | None]) -> float | None:
    """Averages the values that are not None; None if all are."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


class Group(list[EpisodeRecord]):
    """The rollouts of one question. Do not change a group after measuring it: some values are cached."""

    def knows(self, part: str) -> bool:
        """Whether every rollout's source tells a part of the episode, see `EpisodeRecord.knows`."""
        return all(record.knows(part) for record in self)

    @property
    def queries(self) -> list[str]:
        """All queries, normalized as answers are."""
        return [normalize(query) for record in self for query in record.queries]

    @property
    def shown(self) -> list[frozenset[str]]:
        """For each rollout, the ids of all passages that it was shown."""
        return [record.shown_ids for record in self]

    @property
    def shown_by_query(self) -> list[frozenset[str]]:
        """For each query of each rollout, the ids of the passages that it retrieved."""
        return [
            frozenset(hit.id for hit in ranking) for record in self for turn in record.turns for ranking in turn.hits
        ]

    @cached_property
    def query_tokens(self) -> list[QueryTokens]:
        """The tokens of every query whose tokens were recorded."""
        return [query for record in self for query in _query_tokens(record)]

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
        if any(record.temperature != 1 or (record.model_extra or {}).get("top_p", 1) != 1 for record in self):
            return None
        return mean([-query.log_prob for query in self._tokens_of(first_turn)])

    def semantic_entropy(self) -> float | None:
        """Entropy of first queries, where queries that retrieved the same set of passages are one outcome."""
        first = [
            frozenset(hit.id for hit in turn.hits[0])
            for record in self
            for turn in [t for t in record.turns if t.action == "search" and t.error is None and t.hits][:1]
        ]
        return discrete_entropy(first, miller_madow=True) if first else None

    def path_entropy(self) -> float | None:
        """Entropy of rollouts, where rollouts that were shown the same set of passages are one outcome."""
        if not self.knows("passages"):
            return None
        return discrete_entropy(self.shown, miller_madow=True)

    def effective(self, name: str) -> float | None:
        """A field of the group's `EffectiveDiversity`; None if it is undefined."""
        found = self._effective_diversity()
        value = math.nan if found is None else float(getattr(found, name))
        return None if math.isnan(value) else value

    def _tokens_of(self, first_turn: bool) -> list[QueryTokens]:
        return [query for query in self.query_tokens if query.turn == 0 or not first_turn]

    def _effective_diversity(self) -> EffectiveDiversity | None:
        """A valid rollout is an exact match; its meaning is the set of relevant passages that it was shown."""
        if any(record.em is None for record in self) or not self[0].question.evidence:
            return None
        relevant = frozenset(passage for path in self[0].evidence_sets for hop in path for passage in hop)
        return effective_diversity([r.em == 1 for r in self], [r.shown_ids & relevant for r in self])


def _query_tokens(record: EpisodeRecord) -> list[QueryTokens]:
    out = []
    for number, turn in enumerate(record.turns):
        if turn.tokens is None or turn.action != "search":
            continue
        entropies, log_probs = np.array(turn.tokens.entropies), np.array(turn.tokens.log_probs)
        for span, whole in zip(turn.query_spans, query_sequence_spans(turn.text, turn.query_spans)):
            # bool [tokens of the turn]: by characters, because a token may hold the end of a tag and the first word
            inside = query_token_mask(turn.tokens.char_starts, turn.text, [span])
            closed = query_token_mask(turn.tokens.char_starts, turn.text, [whole])
            entropy, log_prob = float(entropies[inside].sum()), float(log_probs[closed].sum())
            out.append(QueryTokens(number, entropy, int(inside.sum()), log_prob))
    return out
