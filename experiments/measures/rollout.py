"""What measures need of one episode. A hundred thousand of them fit into memory, because no text is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...envs.episode_state import OVER_BUDGET
from ...envs.metrics.entropy import query_sequence_spans, query_token_mask
from ...envs.metrics.turn_text import is_degenerate, markup
from ...envs.record import EpisodeRecord, QuestionRecord

__all__ = ["Played", "QueryTokens", "Rollout", "SharedFacts", "rollout_of", "rollouts_of"]


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


@dataclass(slots=True, eq=False)
class Rollout:
    """One episode without its text. Attributes of the same name mean what they mean in `EpisodeRecord`.

    Any other attribute is read from `record`, so that measures of users see whole episodes.

    Attributes:
        rankings: ids of the passages that each query brought, best first.
        knows_queries: whether the log told the queries.
        hits_recorded: whether every answered search lists its passages.
        num_turns: turns taken.
        num_valid: turns that were a valid action.
        num_searches: turns that searched, answered or not.
        num_failed: searches that failed for another reason than the budget.
        num_texts: turns with recorded text.
        num_degenerate: turns whose text repeats itself.
        format: names of the tags that it wrote; None without recorded text.
        query_tokens: of each query whose tokens were recorded.
        sampled_plainly: at temperature 1 without top-p, by the policy whose probabilities are recorded.
        record: the whole episode; None if it was not kept.
        query_information: what its first search turn tells of its question, in nats; None if no model scored it.
        question_identified: whether that turn is likeliest after its own question; see `QuestionInformation`.
    """

    question: QuestionRecord
    sample_index: int
    policy_id: str
    checkpoint_step: int | None
    index_id: str
    lexical: bool | None
    spec: dict[str, Any] | None
    em: float | None
    f1: float | None
    sub_em: float | None
    evidence_recall: float | None
    reward: float | None
    answer_norm: str | None
    policy_tokens: int | None
    terminated: bool
    queries: tuple[str, ...]
    rankings: tuple[tuple[str, ...], ...]
    knows_queries: bool
    hits_recorded: bool
    num_turns: int
    num_valid: int
    num_searches: int
    num_failed: int
    num_texts: int
    num_degenerate: int
    format: str | None
    query_tokens: tuple[QueryTokens, ...]
    sampled_plainly: bool
    record: EpisodeRecord | None = None
    query_information: float | None = None
    question_identified: float | None = None

    @property
    def shown_ids(self) -> frozenset[str]:
        """Ids of all passages shown."""
        return frozenset(name for ranking in self.rankings for name in ranking)

    @property
    def evidence_sets(self) -> tuple[tuple[frozenset[str], ...], ...]:
        """[path][hop] -> ids that satisfy the hop."""
        return tuple(tuple(frozenset(hop) for hop in path) for path in self.question.evidence)

    def __getattr__(self, name: str) -> Any:
        """An attribute of the whole episode, if that was kept."""
        if name.startswith("_") or self.record is None:
            raise AttributeError(f"a rollout without its episode has no {name!r}; keep the episode")
        return getattr(self.record, name)


Played: TypeAlias = EpisodeRecord | Rollout
"""An episode as it is stored, or what measures need of it."""


class SharedFacts:
    """Keeps one object of what many rollouts have in common: their question and their rules."""

    def __init__(self) -> None:
        self._questions: dict[str, QuestionRecord] = {}
        self._specs: list[dict[str, Any]] = []

    def question(self, question: QuestionRecord) -> QuestionRecord:
        """An equal question seen before, or this one."""
        known = self._questions.setdefault(question.id, question)
        return known if known is question or known == question else question

    def spec(self, spec: dict[str, Any] | None) -> dict[str, Any] | None:
        """Equal rules seen before, or these."""
        if spec is None:
            return None
        for known in self._specs:
            if known == spec:
                return known
        if len(self._specs) < 16:  # more kinds of rules in one file are unusual, and the search is linear
            self._specs.append(spec)
        return spec


def rollout_of(record: EpisodeRecord, shared: SharedFacts | None = None, *, keep: bool = True) -> Rollout:
    """The rollout of a record.

    Args:
        record: an ended episode.
        shared: replaces equal questions and rules by one object.
        keep: keep the record in the rollout.
    """
    same: Callable[[QuestionRecord], QuestionRecord] = shared.question if shared else lambda question: question
    turns, intern, extra = record.turns, sys.intern, record.model_extra or {}
    searches = [turn for turn in turns if turn.action == "search"]
    texts = [turn.text for turn in turns if turn.text]
    return Rollout(
        question=same(record.question),
        sample_index=record.sample_index,
        policy_id=intern(record.policy_id),
        checkpoint_step=record.checkpoint_step,
        index_id=intern(record.index_id),
        lexical=record.lexical,
        spec=shared.spec(record.spec) if shared else record.spec,
        em=record.em,
        f1=record.f1,
        sub_em=record.sub_em,
        evidence_recall=record.evidence_recall,
        reward=record.reward,
        answer_norm=record.answer_norm,
        policy_tokens=record.policy_tokens,
        terminated=record.terminated,
        queries=tuple(query for turn in searches if turn.error is None for query in turn.queries),
        rankings=tuple(tuple(intern(hit.id) for hit in ranking) for turn in turns for ranking in turn.hits),
        knows_queries=record.knows("queries"),
        hits_recorded=record.hits_recorded,
        num_turns=len(turns) if record.knows("turns") else 0,
        num_valid=sum(turn.action != "invalid" and turn.error is None for turn in turns),
        num_searches=len(searches),
        num_failed=sum(turn.error is not None and turn.error != OVER_BUDGET for turn in searches),
        num_texts=len(texts),
        num_degenerate=sum(map(is_degenerate, texts)),
        format=intern(markup(texts)) if texts else None,
        query_tokens=tuple(_query_tokens(record)),
        sampled_plainly=record.temperature == 1 and extra.get("top_p", 1) == 1 and "scored_by" not in extra,
        record=record if keep else None,
    )


def rollouts_of(played: Iterable[Played]) -> list[Rollout]:
    """The rollouts of records; rollouts stay as they are."""
    return [one if isinstance(one, Rollout) else rollout_of(one) for one in played]


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
