"""How a turn is written: the policy's text to an action, hits to an observation. Text only, knows no tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..retrieval_index.searcher import Hit
from .questions import EpisodeSpec, Question

__all__ = ["Action", "Answer", "Candidate", "Invalid", "Search", "TurnFormat"]


@dataclass(frozen=True, slots=True)
class Search:
    """A call to the searcher; `spans` are the queries' [start, end) character offsets in the policy's own turn."""

    queries: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer with the passages it cites: [n] is the n-th passage shown in this episode."""

    text: str
    cited: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The final answer block; its first candidate is the one pass@1 scores."""

    candidates: tuple[Candidate, ...]
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Invalid:
    """A turn that is neither a search nor an answer."""

    reason: str


Action = Search | Answer | Invalid


class TurnFormat(Protocol):
    """A way of writing turns; implementations are stateless."""

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end a turn; what follows the first of them is cut."""
        ...

    def prompt(self, question: Question, spec: EpisodeSpec) -> list[dict[str, str]]:
        """Chat messages that open the episode."""
        ...

    def parse(self, text: str) -> Action:
        """The action a turn asks for; never raises."""
        ...

    def render(
        self, action: Search | Invalid, hits: Sequence[Sequence[Hit]], first_number: int, note: str | None
    ) -> str:
        """The observation that answers an action; `note` carries hints and the budget left."""
        ...
