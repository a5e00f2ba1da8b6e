"""A tabular policy on the World that chooses record kinds, small enough to be evaluated exactly.

It reads perfectly, never gives up and never repeats a kind. Only the order in which it tries kinds is left to learn,
which is where diversity has its price. A state is (table, hop, kinds tried at the hop, queries left); the policy is a
softmax over untried kinds. With one table per cue the policy cannot tell questions apart, like the frontier of
`envs/world`, so it does the same on test questions as on training questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...envs.questions import Question
from ...envs.world.facts import WorldFacts
from ...retrieval_index.errors import BerrypickError
from .choices import choice_probabilities, draw_choices

__all__ = ["Decisions", "KindWorld", "kind_bits", "kind_probabilities", "open_choices", "play", "untried"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KindWorld:
    """The World's questions, reduced to which kinds of record contain which fact.

    Attributes:
        present: bool [questions, hops, kinds], whether the record of that kind contains the hop's fact.
        table: int [questions], index of the table that each question uses.
        budget: most queries of an episode.
        num_tables: one per cue (one without cues), or one per question.
        kinds: their names.
        facts: [questions][hops] "relation entity", for the text of queries.
        num_answers: 1, or as many as kinds; then answers conflict and each kind has its own at the last hop.
        candidates: 0 ends an episode at the first fact of the last hop. Otherwise it ends with this many candidates:
            each query of the last hop is one, right or not, and may name a kind that an earlier one has named.
    """

    present: NDArray[np.bool_]
    table: NDArray[np.int64]
    budget: int
    num_tables: int
    kinds: tuple[str, ...]
    facts: tuple[tuple[str, ...], ...]
    num_answers: int = 1
    candidates: int = 0

    @classmethod
    def of(cls, questions: Sequence[Question], tables: str = "shared") -> KindWorld:
        """Reads World questions of one configuration.

        Args:
            questions: of one World.
            tables: "shared" is one table per cue, "question" one per question.

        Raises:
            BerrypickError: the questions are not of a World, or have an unsupported number of answers.
        """
        if tables not in ("shared", "question"):
            raise BerrypickError(f'tables must be "shared" or "question", got {tables!r}')
        worlds = [facts for question in questions if (facts := WorldFacts.of(question)) is not None]
        if not questions or len(worlds) < len(questions):
            raise BerrypickError("the tabular policy plays World questions; give a split of berrypick/World-v0")
        kinds = worlds[0].kinds
        present = np.zeros((len(worlds), worlds[0].hops, len(kinds)), np.bool_)
        for row, world in zip(present, worlds):
            for hop, present_kinds in enumerate(world.present):
                row[hop, list(present_kinds)] = True
        cues = [world.cue for world in worlds]
        num_answers = worlds[0].num_answers
        if num_answers not in (1, len(kinds)):
            raise BerrypickError(
                f"the tabular policy needs 1 or {len(kinds)} answers, got {num_answers}; choose another World"
            )
        per_question = tables == "question"
        return cls(
            present=present,
            table=np.arange(len(worlds)) if per_question else np.array([cue or 0 for cue in cues], np.int64),
            budget=worlds[0].budget,
            num_tables=len(worlds) if per_question else 1 if None in cues else len(kinds),
            kinds=kinds,
            facts=tuple(
                tuple(f"{relation} {entity}" for relation, entity in zip(w.relations, w.entities)) for w in worlds
            ),
            num_answers=num_answers,
        )

    @property
    def table_shape(self) -> tuple[int, int, int, int, int]:
        """Shape of a policy's logits: [tables, hops, sets of tried kinds, queries left, kinds]."""
        _, hops, kinds = self.present.shape
        return self.num_tables, hops, 2**kinds, self.budget + 1, kinds


@dataclass(frozen=True, slots=True)
class Decisions:
    """Episodes of the tabular policy; the second axis is the turn.

    Attributes:
        states: int [episodes, budget], flat index into the logits without their last axis; 0 after the episode ended.
        kinds: int [episodes, budget], the kind tried.
        live: bool [episodes, budget], whether a query was made.
        hops: int [episodes, budget], the hop that the query was for.
        hit: bool [episodes, budget], whether the query found the fact.
        success: bool [episodes], whether the last hop's fact was found.
        answers: bool [episodes, kinds], kinds whose record at the last hop was found.
    """

    states: NDArray[np.int64]
    kinds: NDArray[np.int64]
    live: NDArray[np.bool_]
    hops: NDArray[np.int64]
    hit: NDArray[np.bool_]
    success: NDArray[np.bool_]
    answers: NDArray[np.bool_]

    def outcome_masks(self, num_kinds: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(All records shown, relevant records shown) as bit sets over hop x kind, two int [episodes]."""
        bits = np.where(self.live, 1 << (self.hops * num_kinds + self.kinds), 0)
        return np.bitwise_or.reduce(bits, 1), np.bitwise_or.reduce(np.where(self.hit, bits, 0), 1)


def kind_probabilities(logits: Array, temperature: float = 1.0, *, repeats: bool = False) -> Array:
    """Softmax over untried kinds, same shape as the logits; zeros where all kinds were tried.

    Args:
        logits: [tables, hops, sets, left, kinds].
        temperature: 0 is greedy; ties go to the first kind.
        repeats: whether a kind may be named again at the last hop, as in worlds with `KindWorld.candidates`.
    """
    open_kinds = open_choices(logits.shape[1], logits.shape[-1], repeats=repeats)[:, :, None, :]
    if temperature == 0:
        first = np.where(open_kinds, logits, -np.inf).argmax(-1)[..., None] == np.arange(logits.shape[-1])
        return np.where(open_kinds, first, False).astype(np.float64)
    return choice_probabilities(logits, open_kinds, temperature)


def kind_bits(num_kinds: int) -> NDArray[np.bool_]:
    """Which kinds a bit set holds (bit k: it holds kind k), bool [2^kinds, kinds]."""
    out: NDArray[np.bool_] = (np.arange(2**num_kinds)[:, None] >> np.arange(num_kinds) & 1) == 1
    return out


def untried(num_kinds: int) -> NDArray[np.bool_]:
    """Which kinds are untried in each set of tried kinds, bool [2^kinds, kinds]."""
    return ~kind_bits(num_kinds)


def open_choices(hops: int, num_kinds: int, *, repeats: bool = False) -> NDArray[np.bool_]:
    """Which kinds can be named at each hop after each set of tried kinds, bool [hops, 2^kinds, kinds]."""
    out: NDArray[np.bool_] = np.tile(untried(num_kinds), (hops, 1, 1))
    if repeats:
        out[-1] = True
    return out


def play(
    world: KindWorld, probabilities: Array, questions: NDArray[np.int64], draws: Array, *, sets: bool = False
) -> Decisions:
    """Plays episodes, one per row.

    Args:
        world: the questions.
        probabilities: [tables, hops, sets, left, kinds].
        questions: int [episodes], index of each row's question.
        draws: float64 [episodes, budget] in [0, 1), one per query.
        sets: whether an episode that found the last hop continues to search for further answers within its budget;
            worlds with `candidates` do so in their own way.
    """
    _, hops, num_kinds = world.present.shape
    rows = np.arange(len(questions))
    hop, tried, given = (np.zeros(len(rows), np.int64) for _ in range(3))
    shape = (len(rows), world.budget)
    states, kinds, at_hop = (np.zeros(shape, np.int64) for _ in range(3))
    live, hits = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    cumulative = probabilities.cumsum(-1)
    for turn in range(world.budget):
        now, left = np.minimum(hop, hops - 1), np.full(len(rows), world.budget - turn)
        going = (hop < hops) & (tried < 2**num_kinds - 1)
        if world.candidates:  # at the last hop, what is left is the candidates that are still to come
            ends = now == hops - 1
            going = np.where(ends, given < world.candidates, going)
            left = np.where(ends, np.minimum(left, world.candidates - given), left)
            given = given + (going & ends)
        where = (world.table[questions], now, tried, left)
        kind = draw_choices(cumulative[where], draws[:, turn])
        hit = going & world.present[questions, now, kind]
        states[:, turn] = np.where(going, np.ravel_multi_index(where, probabilities.shape[:-1]), 0)
        kinds[:, turn], at_hop[:, turn], live[:, turn], hits[:, turn] = kind, now, going, hit
        leaves = hit & ~((sets or world.candidates > 0) & (hop == hops - 1))
        tried = np.where(leaves, 0, np.where(going, tried | (1 << kind), tried))
        hop = hop + leaves
    last = hits & (at_hop == hops - 1)
    answers = (last[:, :, None] & (kinds[:, :, None] == np.arange(num_kinds))).any(1)
    return Decisions(states, kinds, live, at_hop, hits, answers.any(1), answers)
