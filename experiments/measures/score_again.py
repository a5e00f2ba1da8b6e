"""Stored turns scored under a language model, for rollouts whose log does not hold token probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from ...envs.episode import Draft, Episode, Turn
from ...envs.formats.turn_format import get_turn_format
from ...envs.questions import EpisodeSpec, Question
from ...envs.record import EpisodeRecord, TokenRecord
from ...retrieval_index.errors import BerrypickError

if TYPE_CHECKING:
    from ...policies.language.model import LanguageModelPolicy

__all__ = ["episode_to_score", "score_again"]

_BATCH = 64
_MAX_TOKENS = 4096


def score_again(records: Iterable[EpisodeRecord], policy: LanguageModelPolicy) -> Iterator[EpisodeRecord]:
    """Yields the records with the token log-probabilities and entropies that this policy gives to their turns.

    Recorded ones are replaced. The text is encoded anew, after the prompt that the record's rules give. Records longer
    than the policy's window come back without tokens. The field `scored_by` names the policy: its tokens were not
    sampled from it, so that measures which need samples of the policy itself leave these records out.

    Args:
        records: of one arm; their rules (`spec`) and observations must be recorded.
        policy: scores the turns.

    Raises:
        BerrypickError: a record has no rules, so that its prompt is unknown.
    """
    from ...policies.language.batches import log_probs_of_rows, used_length
    from ...policies.language.episode_rows import rows_of

    stream = iter(records)
    while batch := list(islice(stream, _BATCH)):
        rows = rows_of(policy, [episode_to_score(record) for record in batch])
        fits = [at for at, mask in enumerate(rows.masks) if used_length(mask) <= policy.window]
        scored = dict(zip(fits, log_probs_of_rows(policy.model, rows.select(fits), _MAX_TOKENS)))
        for at, record in enumerate(batch):
            values = scored.get(at)
            parts = None if values is None else (values[0].tolist(), values[1].tolist())
            yield _with_tokens(record, policy, parts)


def episode_to_score(record: EpisodeRecord) -> Episode:
    """The episode of a record for an encoder; raises `BerrypickError` if the record has no rules."""
    if record.spec is None:
        raise BerrypickError(
            f"question {record.question.id}: this rollout does not hold the rules it was played by (spec), so its "
            "prompt is unknown and --policy cannot score it; omit --policy"
        )
    spec = EpisodeSpec.of_record(record.spec)
    turn_format = get_turn_format(spec.turn_format, runs_files=False)
    question = Question(record.question.id, record.question.text, tuple(record.question.answers))
    turns = [
        Turn(Draft(turn.text), turn_format.parse(turn.text), (), turn.observation, turn.error) for turn in record.turns
    ]
    return Episode(question, replace(spec, turn_format=turn_format.name), turns, terminated=True)


def _with_tokens(
    record: EpisodeRecord, policy: LanguageModelPolicy, scored: tuple[list[float], list[float]] | None
) -> EpisodeRecord:
    turns, done = [], 0
    for turn in record.turns:
        tokens = None
        if scored is not None:
            encoded = policy.tokenizer(
                turn.text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
            )
            ids, end = list(encoded["input_ids"]), done + len(encoded["input_ids"])
            tokens = TokenRecord(
                ids=ids,
                log_probs=scored[0][done:end],
                entropies=scored[1][done:end],
                char_starts=[first for first, _ in encoded["offset_mapping"]],
            )
            done = end
        turns.append(turn.model_copy(update={"tokens": tokens}))
    return record.model_copy(update={"turns": turns, "scored_by": policy.policy_id})
