"""The tabular policy's rollouts as the groups that objectives read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..objectives.groups import Groups
from .training import Batch

__all__ = ["groups_of_table"]


def groups_of_table(batch: Batch) -> Groups:
    """The groups of one step.

    Outcomes are integer codes; two are equal if and only if the passages or queries of the two rollouts are. "answer"
    encodes the right answers found, None if none was; "query" the kinds in the order they were tried. In worlds of
    conflicting answers each kind has its own answer, and every answer found is a candidate with a one-hot vector.
    """
    played, world = batch.decisions, batch.world
    num_kinds = len(world.kinds)
    shape = batch.rewards.shape
    shown, relevant = played.outcome_masks(num_kinds)
    # "query" is a number in base hops * kinds + 1: one digit per turn, 0 for no query.
    base = world.present.shape[1] * num_kinds + 1
    places = np.where(played.live, played.hops * num_kinds + played.kinds + 1, 0)
    order = (places * base ** np.arange(world.budget)).sum(1)
    answers = (played.answers * (1 << np.arange(num_kinds))).sum(1) if world.num_answers > 1 else played.success
    outcomes = {"answer": answers, "evidence": relevant, "retrieval": shown, "query": order}
    return Groups(
        question_ids=tuple(str(question) for question in batch.questions),
        rewards=batch.rewards,
        outcomes={key: _grouped(values.reshape(shape).tolist(), key) for key, values in outcomes.items()},
        queries=_Queries(batch),
        vectors=_vectors(batch) if world.num_answers > 1 else None,
        vector_names=world.kinds if world.num_answers > 1 else (),
        seed=batch.seed,
    )


def _grouped(codes: list[list[int]], key: str) -> list[list[int | None]]:
    """Codes [Q][G]; without any evidence, or without an answer, there is no outcome, None."""
    return [[None if key in ("answer", "evidence") and not code else int(code) for code in row] for row in codes]


def _vectors(batch: Batch) -> Tensor:
    """Reward vectors of candidates: [Q, G, candidates, kinds] in their order, a row of zeros for a wrong one.

    In worlds without `candidates` [Q, G, kinds, kinds]: candidate k is the answer of kind k if it was found.
    """
    played, world = batch.decisions, batch.world
    if world.candidates:
        named = played.live & (played.hops == world.present.shape[1] - 1)
        place = named.cumsum(1) - 1
        episode, turn = np.nonzero(named & played.hit)
        rows = np.zeros((len(played.success), world.candidates, len(world.kinds)))
        rows[episode, place[episode, turn], played.kinds[episode, turn]] = 1.0
        return torch.from_numpy(rows).reshape(*batch.rewards.shape, *rows.shape[1:])
    found = torch.from_numpy(batch.decisions.answers.astype(np.float64))
    return torch.diag_embed(found).reshape(*batch.rewards.shape, *(2 * found.shape[1:]))


class _Queries(Sequence[Sequence[tuple[str, ...]]]):
    """Queries as text, [Q][G]; computed on first use, because most objectives never read them."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return len(self._batch.questions)

    def __getitem__(self, at: Any) -> Any:
        return self._rows[at]

    @cached_property
    def _rows(self) -> list[list[tuple[str, ...]]]:
        played, world = self._batch.decisions, self._batch.world
        size = self._batch.rewards.shape[1]
        facts = (world.facts[question] for question in np.repeat(self._batch.questions, size))
        rows = [
            tuple(f"{world.kinds[kind]} {fact[hop]}" for kind, hop in zip(kinds[live].tolist(), hops[live].tolist()))
            for kinds, hops, live, fact in zip(played.kinds, played.hops, played.live, facts)
        ]
        return [rows[at : at + size] for at in range(0, len(rows), size)]
