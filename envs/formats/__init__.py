"""Turn formats: how a policy writes searches and answers, and how passages are shown to it."""

from __future__ import annotations

from .actions import Action, Answer, Candidate, Invalid, Search, cut_turn, first_block, read_answer, read_query
from .control_text import break_control_text
from .prompt_words import opening, passage_lines
from .search_r1 import SearchR1Format
from .tags import TagsFormat
from .tool_call import SEARCH_TOOL, ToolCallFormat
from .turn_format import TURN_FORMATS, TurnFormat, get_turn_format, register_turn_format, turn_format_names

__all__ = [
    "SEARCH_TOOL",
    "TURN_FORMATS",
    "Action",
    "Answer",
    "Candidate",
    "Invalid",
    "Search",
    "SearchR1Format",
    "TagsFormat",
    "ToolCallFormat",
    "TurnFormat",
    "break_control_text",
    "cut_turn",
    "first_block",
    "get_turn_format",
    "opening",
    "passage_lines",
    "read_answer",
    "read_query",
    "register_turn_format",
    "turn_format_names",
]
