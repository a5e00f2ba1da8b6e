"""How a turn is written: the policy's text to an action, hits to an observation. Text only, knows no tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...retrieval_index.errors import BerrypickError, UnknownNameError
from ...retrieval_index.searcher import Hit
from ..questions import EpisodeSpec, Question
from .actions import Action, Answer, Candidate, Invalid, Search, cut_turn
from .search_r1 import SearchR1Format
from .tags import TagsFormat
from .tool_call import ToolCallFormat

__all__ = [
    "Action",
    "Answer",
    "Candidate",
    "Invalid",
    "Search",
    "TagsFormat",
    "TurnFormat",
    "cut_turn",
    "get_turn_format",
    "turn_format_names",
]


class TurnFormat(Protocol):
    """A way of writing turns; implementations are stateless."""

    @property
    def name(self) -> str:
        """What `EpisodeSpec.turn_format` calls it."""
        ...

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end a turn; generation may stop at the first of them."""
        ...

    @property
    def invalid_hint(self) -> str:
        """The note after a turn that is no action."""
        ...

    @property
    def budget_hint(self) -> str:
        """The note after a search that the budget refuses."""
        ...

    def prompt(self, question: Question, spec: EpisodeSpec) -> list[dict[str, str]]:
        """Chat messages that open the episode."""
        ...

    def cut(self, text: str) -> str:
        """The part of a turn that counts."""
        ...

    def parse(self, text: str) -> Action:
        """The action a turn asks for; never raises."""
        ...

    def render(
        self,
        action: Search | Invalid,
        hits: Sequence[Sequence[Hit]],
        first_number: int,
        note: str | None,
        max_chars: int | None = None,
    ) -> str:
        """The observation that answers an action; `note` carries hints; passages are cut to fit `max_chars`."""
        ...

    def message(self, observation: str) -> dict[str, str]:
        """The observation as a chat message."""
        ...


_ALL: tuple[TurnFormat, ...] = (TagsFormat(), SearchR1Format(), ToolCallFormat())
_FORMATS: dict[str, TurnFormat] = {turn_format.name: turn_format for turn_format in _ALL}


def turn_format_names() -> tuple[str, ...]:
    """The names `get_turn_format` knows."""
    return tuple(_FORMATS)


def get_turn_format(name: str) -> TurnFormat:
    """The format of that name; an unknown one raises `UnknownNameError`."""
    if not isinstance(name, str):
        raise BerrypickError(f"turn_format must be a name such as tags, got {name!r}")
    if name not in _FORMATS:
        raise UnknownNameError("turn format", name, _FORMATS)
    return _FORMATS[name]
