"""Splits of your own: held-out questions, a choice of training questions, shares of several sets.

Every choice is the front of one order, sorted by a digest of seed and question id. So a larger choice contains a
smaller one, and a question keeps its place when others are added.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ...retrieval_index.errors import BerrypickError
from ..answers import normalize
from ..questions import Question
from .leaks import evidence_and_answer

__all__ = ["HOLDOUT", "held_out", "near_duplicates", "seeded_order", "some_questions", "with_shares"]

HOLDOUT = "holdout"
"""Name of the split of held-out questions."""

SAME_WORDS = 0.75
"""Two questions are near duplicates if they share this part of all their content words (Jaccard index)."""

_COMMON_WORDS = (
    "a also an and are as at be been both by did do does for from had has have he her his how in into is it its of on "
    "or s same that the their this to was were what when where which who whom whose why with"
)
_COMMON = frozenset(_COMMON_WORDS.split())

_log = logging.getLogger(__name__)

Splits = Mapping[str, tuple[Question, ...]]


def seeded_order(questions: Iterable[Question], seed: int) -> list[Question]:
    """The questions in a random order that depends on the seed and, for each two of them, only on their ids."""
    return sorted(questions, key=lambda question: hashlib.sha256(f"{seed}|{question.id}".encode()).digest())


def some_questions(questions: Sequence[Question], count: int, seed: int) -> tuple[Question, ...]:
    """A random choice of so many questions, in the order of `questions`; all of them if there are no more."""
    chosen = {question.id for question in seeded_order(questions, seed)[:count]}
    return tuple(question for question in questions if question.id in chosen)


def held_out(splits: Splits, count: int, seed: int) -> dict[str, tuple[Question, ...]]:
    """Holds out questions and trains on the rest.

    The held-out questions come from "dev" or "validation", else from "test", else from all splits. What is left of that
    split joins "train", without near duplicates of held-out questions. Other splits stay as they are.

    Args:
        splits: split -> questions.
        count: questions of the split "holdout"; 0 changes nothing.
        seed: chooses them.

    Raises:
        BerrypickError: the split has too few questions.
    """
    if count == 0:
        return dict(splits)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise BerrypickError(f"holdout must be a whole number of questions, 0 for none, got {count!r}")
    source = next((name for name in ("dev", "validation", "test") if splits.get(name)), "train")
    pool = splits.get(source, ()) or tuple(question for questions in splits.values() for question in questions)
    if len(pool) <= count:
        raise BerrypickError(
            f"holdout={count} needs more than {count} questions, but the split {source!r} has {len(pool)}; "
            "hold out fewer"
        )
    chosen = some_questions(pool, count, seed)
    ids = {question.id for question in chosen}
    earlier = () if source == "train" else splits.get("train", ())
    rest = [question for question in (*earlier, *pool) if question.id not in ids]
    train = without_near_duplicates(rest, chosen)
    _log.info(
        "%d of %d %s questions held out, %d to train on (%d near duplicates left out)",
        count,
        len(pool),
        source,
        len(train),
        len(rest) - len(train),
    )
    others = {name: questions for name, questions in splits.items() if name not in ("train", source)}
    return {
        "train": tuple(replace(question, split="train") for question in train),
        HOLDOUT: tuple(replace(question, split=HOLDOUT) for question in chosen),
        **others,
    }


def without_near_duplicates(questions: Sequence[Question], held: Sequence[Question]) -> list[Question]:
    """The questions that are no near duplicates of any held-out one."""
    doubles = near_duplicates(questions, held)
    return [question for question in questions if question.id not in doubles]


def near_duplicates(questions: Sequence[Question], held: Sequence[Question]) -> set[str]:
    """Ids of the questions that ask what a held-out question asks.

    They have the same id, three quarters of the content words in common, or the same evidence and answer,
    unless that is yes or no.
    """
    ids = {question.id for question in held}
    facts = {fact for question in held if (fact := _fact(question)) is not None}
    words = [_words(question) for question in held]
    holders: dict[str, list[int]] = {}
    for at, own in enumerate(words):
        for word in own:
            holders.setdefault(word, []).append(at)
    found = set[str]()
    for question in questions:
        if question.id in ids or _fact(question) in facts:
            found.add(question.id)
            continue
        own = _words(question)
        shared = Counter(at for word in own for at in holders.get(word, ()))
        if any(count >= SAME_WORDS * (len(own) + len(words[at]) - count) for at, count in shared.items()):
            found.add(question.id)
    return found


def with_shares(sets: Sequence[Sequence[Question]], shares: Sequence[float], seed: int) -> list[Question]:
    """Questions of several sets in these shares: as many as there are without asking one twice.

    Args:
        sets: the questions of each set.
        shares: a weight above 0 for each set.
        seed: chooses the questions of a set that is not needed whole.
    """
    unit = min(len(questions) / share for questions, share in zip(sets, shares, strict=True))
    counts = [max(1, int(unit * share + 1e-9)) for share in shares]
    return [
        question
        for questions, count in zip(sets, counts, strict=True)
        for question in some_questions(questions, count, seed)
    ]


def _words(question: Question) -> frozenset[str]:
    words = normalize(question.text).split()
    return frozenset(word for word in words if word not in _COMMON) or frozenset(words)


def _fact(question: Question) -> tuple[frozenset[str], str] | None:
    fact = evidence_and_answer(question)
    return None if fact is None or fact[1] in ("yes", "no") else fact
