"""Turn formats: how the policy's text becomes an action, and hits become an observation. Text only, no tokens.

A name may start with a file of yours that registers a format: "my_formats.py:brackets".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plugins import Registry
from ...retrieval_index.searcher import Hit
from ..questions import EpisodeSpec, Question
from .actions import Action, Answer, Candidate, Invalid, Search, cut_turn
from .search_r1 import SearchR1Format
from .tags import TagsFormat
from .tool_call import ToolCallFormat

__all__ = [
    "TURN_FORMATS",
    "Action",
    "Answer",
    "Candidate",
    "Invalid",
    "Search",
    "TagsFormat",
    "TurnFormat",
    "cut_turn",
    "get_turn_format",
    "register_turn_format",
    "turn_format_names",
]


class TurnFormat(Protocol):
    """A way of writing turns. Implementations have no state: all episodes share one object."""

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
        """The note after a turn that is not an action."""
        ...

    @property
    def budget_hint(self) -> str:
        """The note after a search that would exceed the budget."""
        ...

    def prompt(self, question: Question, spec: EpisodeSpec) -> list[dict[str, str]]:
        """Chat messages that open the episode."""
        ...

    def cut(self, text: str) -> str:
        """The part of a turn that counts, usually up to the first stop string."""
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
        """The observation that answers an action.

        Args:
            action: what the turn asked for.
            hits: [query][rank]; empty for an invalid or refused turn.
            first_number: number of the first passage; numbers run over the whole episode.
            note: a hint for the policy, or None.
            max_chars: passages are cut so that the observation fits; None does not cut.
        """
        ...

    def message(self, observation: str) -> dict[str, str]:
        """The observation as a chat message."""
        ...


TURN_FORMATS: Registry[TurnFormat] = Registry("turn format", "berrypick.turn_formats", "my_formats.py:brackets")
"""Name -> turn format."""


def register_turn_format(turn_format: TurnFormat) -> TurnFormat:
    """Makes a turn format available under its `name`, for `EpisodeSpec.turn_format` and `turn_format=NAME`.

    Raises:
        BerrypickError: the name contains a colon or space, or another module has registered it.
    """
    if not turn_format.name or set(turn_format.name) & set(": "):
        raise BerrypickError(f"{turn_format.name!r} cannot name a turn format; use letters, digits and underscores")
    TURN_FORMATS.register(turn_format.name, turn_format, type(turn_format).__module__)
    return turn_format


for _turn_format in (TagsFormat(), SearchR1Format(), ToolCallFormat()):
    register_turn_format(_turn_format)


def turn_format_names() -> tuple[str, ...]:
    """The names of all registered turn formats."""
    return tuple(TURN_FORMATS)


def get_turn_format(name: str, *, runs_files: bool = True) -> TurnFormat:
    """The turn format of a name, or of "FILE.py:NAME".

    Args:
        name: the name.
        runs_files: whether FILE.py is run. For names that were read from a file of somebody else it must not be; the
            format is then found if FILE.py has been run before.

    Raises:
        UnknownNameError: no such format; the message offers the nearest ones.
        BerrypickError: the file cannot be loaded, or the name is not a text.
    """
    if not isinstance(name, str):
        raise BerrypickError(f"turn_format must be a name such as tags, got {name!r}")
    if name in TURN_FORMATS:
        return TURN_FORMATS[name]
    return TURN_FORMATS.find(TURN_FORMATS.load_files(name) if runs_files else name.rpartition(".py:")[2])
