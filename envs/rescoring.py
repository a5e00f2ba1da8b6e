"""Scores a stored episode again: with another reward, other accepted answers or other evidence. No model is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .answers import check_scoring, exact_match, f1, normalize, sub_exact_match
from .episode_state import OVER_BUDGET
from .formats.turn_format import Answer, get_turn_format
from .questions import answers_by_path
from .record import EpisodeRecord, QuestionRecord
from .rewards import EpisodeFacts, RewardSpec, evidence_recall, hop_hits

__all__ = ["AnswerKey", "NotScoredError", "facts_of_record", "rescore", "with_answer_key"]

_OF_EVIDENCE = frozenset({"evidence_recall", "all_hops"})
"""Reward terms that compare the passages shown with the evidence."""


class NotScoredError(ValueError):
    """A stored episode lacks what the reward needs; the message says what. Such a reward is absent, never 0."""


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What replaces the answers of a question.

    Attributes:
        answers: accepted forms of the answer.
        evidence: [path][hop] -> passage ids; None keeps the recorded evidence.
        answers_by_path: accepted forms of each of several conflicting answers; () where there is one answer.
    """

    answers: tuple[str, ...]
    evidence: tuple[tuple[tuple[str, ...], ...], ...] | None = None
    answers_by_path: tuple[tuple[str, ...], ...] = ()


def with_answer_key(question: QuestionRecord, key: AnswerKey) -> QuestionRecord:
    """The question with other answers, and with other evidence if the key has any."""
    metadata = {name: value for name, value in question.metadata.items() if name != "answers_by_path"}
    if key.answers_by_path:
        metadata["answers_by_path"] = [list(aliases) for aliases in key.answers_by_path]
    changed: dict[str, object] = {"answers": list(key.answers), "metadata": metadata}
    if key.evidence is not None:
        changed["evidence"] = [[sorted(hop) for hop in path] for path in key.evidence]
    return question.model_copy(update=changed)


def facts_of_record(record: EpisodeRecord) -> EpisodeFacts:
    """Everything a reward may depend on, as `Episode.facts` had it when the episode was played.

    Several candidates are read again from the text of the last turn. A record without `spec` has one candidate.
    """
    return EpisodeFacts(
        prediction=record.answer_raw,
        answers=tuple(record.question.answers),
        evidence=record.evidence_sets,
        shown_ids=record.shown_ids,
        num_queries=len(record.queries),
        num_invalid=sum(turn.action == "invalid" or turn.error == OVER_BUDGET for turn in record.turns),
        num_turns=len(record.turns),
        candidates=_candidates(record),
        answers_by_path=answers_by_path(record.question.metadata),
        scoring=check_scoring((record.spec or {}).get("scoring", "english")),
    )


def _candidates(record: EpisodeRecord) -> tuple[str, ...]:
    if record.answer_raw is None:
        return ()
    spec: Mapping[str, object] = record.spec or {}
    count = spec.get("num_answers", 1)
    if record.turns and isinstance(count, int) and count > 1:
        action = get_turn_format(str(spec.get("turn_format", "tags")), runs_files=False).parse(record.turns[-1].text)
        if isinstance(action, Answer):
            return tuple(candidate.text for candidate in action.candidates[:count])
    return (record.answer_raw,)


def rescore(record: EpisodeRecord, reward: RewardSpec, spec: str, key: AnswerKey | None = None) -> EpisodeRecord:
    """A copy of the record with answer scores, evidence recall and reward computed again.

    A score whose data the record lacks is absent: answer scores without a right answer, evidence recall without known
    evidence or recorded passages. Reward vectors of other answers are dropped.

    Args:
        record: a stored episode, of berrypick or of another system.
        reward: the parsed reward.
        spec: its text, which the record's rules then hold.
        key: other answers; None keeps the recorded ones.

    Raises:
        NotScoredError: the reward needs what the record lacks.
    """
    question = record.question if key is None else with_answer_key(record.question, key)
    asked = record.model_copy(update={"question": question})
    facts = facts_of_record(asked)
    missing = _missing(asked, facts, [name for name, weight in reward.weights if weight])
    if missing:
        raise NotScoredError(missing)
    said, known = record.answer_raw, bool(facts.answers)
    judged = bool(facts.evidence) and asked.hits_recorded
    update: dict[str, object] = {
        "answer_norm": None if said is None else normalize(said, facts.scoring),
        "em": _score(known, said, facts, exact_match),
        "sub_em": _score(known, said, facts, sub_exact_match),
        "f1": _score(known, said, facts, f1),
        "evidence_recall": evidence_recall(facts.evidence, facts.shown_ids) if judged else None,
        "hop_hits": hop_hits(facts.evidence, facts.shown_ids) if judged else [],
        "reward": float(reward(facts)),
    }
    if record.spec is not None:
        update["spec"] = {**record.spec, "reward": spec}
    if key is not None and record.reward_vectors is not None:
        update |= {"reward_vectors": None, "reward_names": None}
    return asked.model_copy(update=update)


def _score(
    known: bool, said: str | None, facts: EpisodeFacts, score: Callable[[str, Iterable[str], str], float]
) -> float | None:
    if not known:
        return None
    return 0.0 if said is None else score(said, facts.answers, facts.scoring)


def _missing(record: EpisodeRecord, facts: EpisodeFacts, terms: Sequence[str]) -> str:
    """What the reward needs and the record lacks; "" if nothing."""
    for name in terms:
        if name in ("em", "f1", "sub_em", "answer_recall") and not (facts.answers or facts.answers_by_path):
            return f"{name} needs right answers, which are not recorded; give them with --questions"
        if name in _OF_EVIDENCE and not facts.evidence:
            return f"{name} needs evidence, which is not recorded; give it with --questions"
        if name in _OF_EVIDENCE and not record.hits_recorded:
            return f"{name} needs the passages shown, which are not recorded"
    return ""
