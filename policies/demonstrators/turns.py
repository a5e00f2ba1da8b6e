"""The turns of a demonstrator in the turn format of an episode."""

from __future__ import annotations

import json

from ...envs.formats.turn_format import Answer, Search, get_turn_format
from ...envs.questions import EpisodeSpec
from ...retrieval_index.errors import BerrypickError

__all__ = ["budget_of", "check_format", "written"]


def budget_of(spec: EpisodeSpec) -> int:
    """Searches that leave a turn for the answer."""
    turns = spec.max_turns - 1
    return turns if spec.search_budget is None else min(spec.search_budget, turns)


def written(turn_format: str, kind: str, body: str) -> str:
    """A "search" or an "answer" in a turn format."""
    if kind == "search" and turn_format == "tool_call":
        call = json.dumps({"name": "search", "arguments": {"query_list": [body]}}, ensure_ascii=False)
        return f"<tool_call>{call}</tool_call>"
    return f"<{kind}> {body} </{kind}>"


def check_format(name: str) -> None:
    """Refuses a turn format that does not read what this policy writes."""
    turn_format = get_turn_format(name)
    search, answer = (turn_format.parse(written(name, kind, "x")) for kind in ("search", "answer"))
    if not isinstance(search, Search) or not isinstance(answer, Answer):
        raise BerrypickError(f"demonstrations need the turn format tags, search_r1 or tool_call, not {name}")
