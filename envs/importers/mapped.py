"""JSONL, JSON or Parquet of no known format, whose fields the user names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...retrieval_index.errors import BerrypickError, UnknownNameError
from ..record import HitRecord, TurnRecord
from .fields import number, parsed, text_of, texts, whole
from .files import Row
from .messages import read_chat
from .registry import NO_EVIDENCE, NO_TOKENS, Importer
from .rollout import Rollout
from .transcript import TAGGED, answer_of, answer_turn, question_in, turns_of_text

__all__ = ["MAPPED", "mapped_importer"]

MAPPED: Mapping[str, str] = {
    "question": "text of the question or of the whole prompt; required unless `messages` is given",
    "answer": "what the policy answered",
    "gold": "right answer, or a list of accepted ones; without it nothing is graded",
    "output": "the response as one text; its turns are found by their tags",
    "messages": "the chat, prompt included",
    "queries": "the queries, a text or a list",
    "passages": "ids of the passages shown, a list, or a list of lists with one per query",
    "reward": "the reward",
    "group": "id of the group; equal questions are a group without it",
    "step": "training step of the checkpoint",
    "policy": "name of the model",
}
"""Our field -> its meaning, for `--map OURS=THEIRS`."""

_MISSING = object()


def mapped_importer(mapping: Mapping[str, str]) -> Importer:
    """The importer of a mapping.

    Args:
        mapping: our field -> their field; dots lead into objects and lists, as in "output.pred" or "turns.0.text".

    Raises:
        UnknownNameError: a field of ours that there is not.
        BerrypickError: neither the question nor the messages are mapped.
    """
    for name in mapping:
        if name not in MAPPED:
            raise UnknownNameError("field of --map", name, MAPPED)
    if "question" not in mapping and "messages" not in mapping:
        raise BerrypickError("a mapping needs the question: --map question=FIELD (or messages=FIELD)")
    lacks = {
        **NO_TOKENS,
        **NO_EVIDENCE,
        "token counts": "a mapping has no field for token counts",
        "right answers": "no right answers are mapped; add --map gold=FIELD",
        "queries": "no queries are mapped; add --map queries=FIELD, output=FIELD or messages=FIELD",
        "passages": "no passages are mapped; add --map passages=FIELD, output=FIELD or messages=FIELD",
    }
    return Importer("map", "mapped fields", lambda row: _read(row, mapping), lambda row: True, lacks=lacks)


def _read(row: Row, mapping: Mapping[str, str]) -> Rollout:
    values = {name: _at(row, path) for name, path in mapping.items()}
    missing = [mapping[name] for name in ("question", "messages") if values.get(name, 0) is _MISSING]
    if missing:
        raise ValueError(f"there is no field {missing[0]!r} (it has {', '.join(map(str, list(row)[:8]))})")
    known = {name: None if value is _MISSING else value for name, value in values.items()}
    turns: list[TurnRecord] = []
    asked, prompt = text_of(known["question"]) if "question" in known else "", None
    if known.get("messages") is not None:
        chat = read_chat(parsed(known["messages"]))
        turns, asked, prompt = chat.turns, asked or chat.question, chat.prompt
    elif isinstance(output := known.get("output"), str):
        turns = turns_of_text(output, tagged=bool(TAGGED.search(asked) or TAGGED.search(output)))
    told = bool(known.get("messages") is not None or isinstance(known.get("output"), str))
    unknown = [] if told else [part for part in ("queries", "passages") if known.get(part) is None] + ["turns"]
    if not told and (known.get("queries") is not None or known.get("passages") is not None):
        turns = [_searched(parsed(known.get("queries")), parsed(known.get("passages")))]
    said = known.get("answer")
    if said is not None and str(said).strip():
        turns = [*turns, answer_turn(str(said), str(said).strip())]
    return Rollout(
        question=question_in(asked) or asked,
        answers=texts(known.get("gold")),
        turns=turns,
        answer=answer_of(turns),
        reward=number(known.get("reward")),
        prompt=asked or prompt,
        group=None if known.get("group") is None else str(known["group"]),
        group_from=mapping.get("group", ""),
        step=whole(known.get("step")),
        policy=str(known.get("policy") or ""),
        unknown=unknown,
    )


def _searched(queries: Any, passages: Any) -> TurnRecord:
    """One turn with all queries and passages, as a mapping does not tell the turns."""
    words = [queries] if isinstance(queries, str) else list(queries or [])
    keys = passages if isinstance(passages, list) else [] if passages is None else [passages]
    rankings = keys if keys and all(isinstance(ranking, list) for ranking in keys) else [keys] if keys else []
    hits = [[HitRecord(id=_key(passage)) for passage in ranking] for ranking in rankings]
    return TurnRecord(text="", action="search", queries=[str(query) for query in words], hits=hits)


def _key(passage: Any) -> str:
    if isinstance(passage, Mapping):
        return str(next((passage[name] for name in ("id", "doc_id", "docid", "url") if name in passage), passage))
    return str(passage)


def _at(row: Any, path: str) -> Any:
    """The value at a path; `_MISSING` if there is none. A name with dots in it goes first."""
    if isinstance(row, Mapping) and path in row:
        return row[path]
    value = row
    for part in path.split("."):
        if isinstance(value, str):
            value = parsed(value)
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part[:9]) < len(value):
            value = value[int(part[:9])]
        else:
            return _MISSING
    return value
