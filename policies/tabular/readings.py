"""Kind probabilities of a language model at single decisions, pooled over questions into a table of states."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...retrieval_index.errors import BerrypickError
from .histories import State, StateTable

__all__ = [
    "KindReading",
    "decode_questions",
    "decode_states",
    "encode_questions",
    "encode_states",
    "outside_share",
    "pool",
    "state_information",
]

Array = NDArray[np.float64]

_DIGITS, _QUESTION_DIGITS = 6, 4


@dataclass(frozen=True, slots=True)
class KindReading:
    """One decision of one episode.

    Attributes:
        question: id of the question.
        state: what the policy had seen.
        masses: float64 [K], probability that the model gave to each kind word at the kind's place in the query, which
            is its first word where the World has one query format.
        kind: the kind that was sampled; None if that word was no kind, or the query names several.
    """

    question: str
    state: State
    masses: Array
    kind: int | None

    @property
    def untried(self) -> NDArray[np.bool_]:
        """Kinds not yet tried at this hop, bool [K]."""
        out = np.ones(len(self.masses), np.bool_)
        out[list(self.state.tried)] = False
        return out

    @property
    def outside(self) -> float:
        """Probability of all words but the untried kinds."""
        return float(1 - self.masses[self.untried].sum())

    @property
    def chances(self) -> Array:
        """The masses renormalised over untried kinds, float64 [K]; uniform if all of these are 0."""
        kept = np.where(self.untried, self.masses, 0.0)
        out: Array = kept / kept.sum() if kept.sum() > 0 else self.untried / self.untried.sum()
        return out


def pool(readings: Sequence[KindReading]) -> StateTable:
    """The mean of the renormalised probabilities over all decisions at a state: a policy blind to the question's name.

    Raises:
        BerrypickError: there are no readings.
    """
    if not readings:
        raise BerrypickError("no kind choice was read: no episode begins with a search; train SFT for longer")
    by_state: dict[State, list[Array]] = defaultdict(list)
    for reading in readings:
        by_state[reading.state].append(reading.chances)
    return StateTable(
        len(readings[0].masses),
        {state: np.mean(chances, 0) for state, chances in by_state.items()},
        {state: len(chances) for state, chances in by_state.items()},
    )


def state_information(readings: Sequence[KindReading]) -> float:
    """I(kind; question | state) in nats: H(pooled over questions) - mean H(of each question), weighted by visits.

    It is 0 for a policy that chooses alike for all questions, and at most ln K. A question's own probabilities are read
    and not estimated from draws, so there is no bias of small samples beyond that of the number of questions.
    """
    by_state: dict[State, dict[str, list[Array]]] = defaultdict(lambda: defaultdict(list))
    for reading in readings:
        by_state[reading.state][reading.question].append(reading.chances)
    total = 0.0
    for of_question in by_state.values():
        visits = np.array([len(chances) for chances in of_question.values()], np.float64)
        means = np.array([np.mean(chances, 0) for chances in of_question.values()])  # [questions, kinds]
        pooled = visits @ means / visits.sum()
        total += visits.sum() * _entropy(pooled) - float(visits @ [_entropy(mean) for mean in means])
    return max(0.0, total / len(readings)) if readings else 0.0


def outside_share(readings: Sequence[KindReading]) -> float:
    """Mean probability that the word at the kind's place is not an untried kind."""
    return float(np.mean([reading.outside for reading in readings])) if readings else 0.0


def _entropy(chances: Array) -> float:
    known = chances[chances > 0]
    return float(-(known * np.log(known)).sum())


def encode_states(table: StateTable) -> dict[str, list[float]]:
    """A table as JSON: name of the state -> [visits, probability of each kind], rounded to 6 digits."""
    return {
        state.name: [table.visits[state], *(round(float(p), _DIGITS) for p in table.probabilities[state])]
        for state in sorted(table.probabilities, key=lambda state: (len(state.history), state.name))
    }


def decode_states(rows: Mapping[str, Sequence[float]]) -> StateTable:
    """Inverse of `encode_states`; probabilities are renormalised after the rounding."""
    named = {State.of(name): np.array(values, np.float64) for name, values in rows.items()}
    if not named:
        raise BerrypickError("an empty table has no states; read a policy that searches")
    return StateTable(
        len(next(iter(named.values()))) - 1,
        {state: values[1:] / values[1:].sum() for state, values in named.items()},
        {state: float(values[0]) for state, values in named.items()},
    )


def encode_questions(readings: Iterable[KindReading]) -> str:
    """The tables of each question as text: base64 of zlib of JSON, question -> state -> [visits, 1e4 p, ...]."""
    by_question: dict[str, dict[str, list[Array]]] = defaultdict(lambda: defaultdict(list))
    for reading in readings:
        by_question[reading.question][reading.state.name].append(reading.chances)
    rows = {
        question: {
            state: [len(chances), *(round(float(p) * 10**_QUESTION_DIGITS) for p in np.mean(chances, 0))]
            for state, chances in sorted(states.items())
        }
        for question, states in sorted(by_question.items())
    }
    return base64.b64encode(zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 9)).decode()


def decode_questions(text: str) -> dict[str, StateTable]:
    """Inverse of `encode_questions`: question id -> its table, with probabilities of 4 digits.

    Raises:
        BerrypickError: the text was not written by `encode_questions`.
    """
    try:
        rows = json.loads(zlib.decompress(base64.b64decode(text)))
    except (binascii.Error, zlib.error, ValueError) as error:
        raise BerrypickError(f"these are no tables of questions ({error}); give a cell's question_tables") from error
    return {question: decode_states(states) for question, states in rows.items()}
