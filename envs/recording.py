"""Turns an ended episode into its record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from .answers import exact_match, f1, normalize, sub_exact_match
from .episode import Episode, Turn
from .formats.turn_format import Answer, Search
from .questions import rules_of
from .record import EpisodeRecord, HitRecord, QuestionRecord, TokenRecord, TurnRecord, UsageRecord
from .reward_vectors import candidate_vectors, vector_names
from .rewards import evidence_recall, hop_hits

__all__ = ["record_of"]


def record_of(episode: Episode, *, sample_index: int, seed: int, **run_facts: Any) -> EpisodeRecord:
    """The record of an ended episode.

    Args:
        episode: an ended episode.
        sample_index: number of the rollout within its group, from 0.
        seed: seed of the rollouts; the group id is a digest of question and seed.
        run_facts: run_id, policy_id, checkpoint_step, template_hash, index_id, lexical, env_id, temperature.
    """
    question = episode.question
    prediction = episode.prediction
    shown = episode.shown_ids
    group = hashlib.sha256(f"{question.id}|{seed}".encode()).hexdigest()[:16]
    names, vectors = None, None
    if episode.spec.num_answers > 1:
        names, vectors = list(vector_names(question)), candidate_vectors(episode)
    return EpisodeRecord(
        question=QuestionRecord(
            id=question.id,
            text=question.text,
            answers=list(question.answers),
            evidence=[[sorted(hop) for hop in path] for path in question.evidence],
            split=question.split,
            metadata=dict(question.metadata),
        ),
        spec=rules_of(episode.spec),
        group_id=group,
        sample_index=sample_index,
        seed=seed,
        turns=[_turn(turn) for turn in episode.turns],
        answer_raw=prediction,
        answer_norm=None if prediction is None else normalize(prediction, episode.spec.scoring),
        em=_graded(exact_match, episode),
        sub_em=_graded(sub_exact_match, episode),
        f1=_graded(f1, episode),
        evidence_recall=evidence_recall(question.evidence, shown) if question.evidence else None,
        hop_hits=hop_hits(question.evidence, shown),
        reward=episode.reward,
        reward_vectors=vectors,
        reward_names=names,
        policy_tokens=_policy_tokens(episode),
        observation_limit=_observation_limit(episode),
        terminated=episode.terminated,
        truncated=episode.truncated,
        **run_facts,
    )


def _graded(grade: Callable[[str, Sequence[str], str], float], episode: Episode) -> float | None:
    """The grade of an answer: 0 if there is none, None if no right answer is known."""
    said, answers = episode.prediction, episode.question.answers
    if not answers:
        return None
    return 0.0 if said is None else grade(said, answers, episode.spec.scoring)


def _policy_tokens(episode: Episode) -> int | None:
    """Tokens that the policy wrote: sampled ones, or as the endpoint counted them; None if a turn was not counted."""
    drafts = [turn.draft for turn in episode.turns]
    if any(draft.usage is not None for draft in drafts):
        counts = [draft.usage.completion_tokens for draft in drafts if draft.usage is not None]
        return sum(counts) if len(counts) == len(drafts) else None
    tokens = [part for _, part in episode.token_turns]
    return sum(len(part.ids) for part in tokens) if tokens else None


def _observation_limit(episode: Episode) -> str:
    """The limit that applied to observations: "500 tokens" of the policy's tokenizer, or "2000 characters"."""
    spec, unit = episode.spec, episode.observation_unit
    return f"{spec.max_observation_tokens if unit == 'tokens' else spec.max_observation_chars} {unit}"


def _turn(turn: Turn) -> TurnRecord:
    action, tokens = turn.action, turn.draft.tokens
    is_search = isinstance(action, Search)
    return TurnRecord(
        text=turn.draft.text,
        action="search" if is_search else "answer" if isinstance(action, Answer) else "invalid",
        queries=list(action.queries) if isinstance(action, Search) else [],
        query_spans=list(action.spans) if isinstance(action, Search) else [],
        hits=[[HitRecord(id=hit.id, score=round(hit.score, 6)) for hit in ranking] for ranking in turn.hits],
        observation=turn.observation,
        error=turn.error,
        stopped_by=turn.draft.stopped_by,
        usage=None if turn.draft.usage is None else UsageRecord(**asdict(turn.draft.usage)),
        tokens=None
        if tokens is None
        else TokenRecord(
            ids=tokens.ids.tolist(),
            log_probs=[float(f"{value:.6g}") for value in tokens.log_probs.tolist()],
            entropies=[float(f"{value:.6g}") for value in tokens.entropies.tolist()],
            char_starts=tokens.char_starts.tolist(),
        ),
    )
