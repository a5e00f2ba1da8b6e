"""Shown passages: from the text or JSON that answered a query to hits with ids.

Real ids are used where there are some: `id`, `docid`, `url` and the like. Other passages get a digest of title and
text, the same that berrypick's own adapters write, so that equal passages have equal ids in every file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...retrieval_index.corpus import split_contents
from ...retrieval_index.json_text import parse_json
from ..data.upstream_records import passage_from_text
from ..record import HitRecord
from .fields import number

__all__ = ["rankings_of", "rankings_of_value"]

_IDS = ("id", "docid", "doc_id", "_id", "passage_id", "pid", "document_id", "url", "link", "source_url")
_TITLES = ("title", "name", "heading")
_TEXTS = ("text", "contents", "content", "snippet", "passage", "body", "page_content", "summary", "abstract")
_LISTS = (
    "result", "results", "search_results", "search_result", "documents", "docs", "passages", "hits", "items", "organic",
    "organic_results", "organic_web_results", "webpages", "data", "value", "output", "response", "context", "contexts",
)  # fmt: skip
_NUMBERED = re.compile(r"^[ \t]*(?:Doc (\d+)|\[(\d+)\])[ :]?", re.MULTILINE)
_DEPTH = 6


def rankings_of(text: str, num_queries: int = 1) -> list[list[HitRecord]]:
    """The passages in the answer to a search, one ranking per query where the answer tells them apart.

    Args:
        text: the observation: JSON, numbered passages ("Doc 1(Title: T) text", "[1] (Title: T) text"), or plain text,
            which is one passage.
        num_queries: number of queries of the turn.
    """
    found = _of_text(text, _DEPTH)
    rankings = [ranking for ranking in found if ranking] if num_queries == 1 else found
    if num_queries == 1 and len(rankings) > 1:
        return [[hit for ranking in rankings for hit in ranking]]
    return rankings


def rankings_of_value(value: Any) -> list[list[HitRecord]]:
    """The passages in a JSON value: a list of passages, a list of such lists, or an object around them."""
    return [ranking for ranking in _of_json(value, _DEPTH) if ranking]


def _of_text(text: str, depth: int) -> list[list[HitRecord]]:
    body = text.strip()
    for candidate in (body, body.partition("\n")[2].strip()):  # some tools write their name on the first line
        if candidate[:1] in ("{", "[") and candidate[-1:] in ("}", "]"):
            try:
                return _of_json(parse_json(candidate), depth - 1)
            except (ValueError, RecursionError):
                pass
    hits = _numbered(body) or ([_hit("", "", body, None)] if body else [])
    return [hits] if hits else []


def _numbered(text: str) -> list[HitRecord]:
    """The passages of "Doc 1(Title: T) text" or "[1] (Title: T) text"; numbers inside a passage do not end it."""
    starts: list[tuple[int, int]] = []
    expected: int | None = None
    for match in _NUMBERED.finditer(text):
        place = int((match[1] or match[2])[-9:])
        if expected is None or place in (expected, 1):
            starts.append((match.start(), match.end()))
            expected = place + 1
    if not starts:
        return []
    ends = [start for start, _ in starts[1:]] + [len(text)]
    hits = []
    for (_, begin), end in zip(starts, ends, strict=True):
        body = text[begin:end].strip()
        title = ""
        if body.startswith("(Title: "):
            quoted = body.startswith('(Title: "')
            close = body.find('") ' if quoted else ") ")
            if close >= 0:
                title, body = body[8:close].strip('"'), body[close + (3 if quoted else 2) :]
        if body.strip() or title:
            hits.append(_hit("", title, body, None))
    return hits


def _of_json(value: Any, depth: int) -> list[list[HitRecord]]:
    """Rankings of a JSON value of any shape: lists of passages, lists of such lists, or objects around them."""
    if depth < 0:
        return []
    if isinstance(value, str):
        return _of_text(value, depth)
    if isinstance(value, list):
        if value and all(isinstance(item, list) for item in value):
            return [_flat(_of_json(item, depth - 1)) for item in value]
        if value and all(isinstance(item, Mapping) and "query" in item and _inner(item) for item in value):
            return [_flat(_of_json(item[_inner(item)], depth - 1)) for item in value]
        hits = [hit for item in value for hit in _item(item)]
        return [hits] if hits else []
    if isinstance(value, Mapping):
        inner = _inner(value)
        if inner and _id(value) is None:
            return _of_json(value[inner], depth - 1)
        if any(isinstance(value.get(name), str) for name in _TEXTS):
            return [_item(value)]
    return []


def _inner(value: Mapping[str, Any]) -> str:
    """Name of the field that holds the passages; empty if there is none."""
    return next((name for name in _LISTS if isinstance(value.get(name), list | dict | str) and value[name]), "")


def _flat(rankings: list[list[HitRecord]]) -> list[HitRecord]:
    return [hit for ranking in rankings for hit in ranking]


def _item(item: Any) -> list[HitRecord]:
    """The hit of one element of a list of passages."""
    if isinstance(item, str):
        return [_hit("", "", item, None)] if item.strip() else []
    if not isinstance(item, Mapping):
        return []
    score = next((found for name in ("score", "_score", "similarity") if (found := number(item.get(name))) is not None),
                 None)  # fmt: skip
    document = item.get("document")
    if isinstance(document, Mapping):
        item = document
    elif isinstance(document, str):
        item = {"text": document, **{key: item[key] for key in _IDS if key in item}}
    title = next((item[name] for name in _TITLES if isinstance(item.get(name), str)), "")
    text = next((item[name] for name in _TEXTS if isinstance(item.get(name), str)), "")
    if not title and isinstance(item.get("contents"), str):
        title, text = split_contents(item["contents"])
    if not title and not text and _id(item) is None:
        text = json.dumps(item, sort_keys=True, ensure_ascii=False)
    return [_hit(_id(item) or "", title, text, score)]


def _id(item: Mapping[str, Any]) -> str | None:
    """The real id of a passage, if it has one."""
    for name in _IDS:
        value = item.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def _hit(key: str, title: str, text: str, score: float | None) -> HitRecord:
    return HitRecord(id=key or passage_from_text(title, text).id, score=score)
