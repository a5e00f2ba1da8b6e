"""The request and reply formats of the clients in use.

Search-R1 and verl post {"queries": [...], "topk", "return_scores"} to /retrieve, SkyRL-Gym {"query": "..."}; both read
{"result": [[{"document": {"id", "contents"}, "score"}, ...], ...]}. Without `return_scores` Search-R1's server returns
bare documents, and so does this one. berrypick's own clients use /search.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ..searcher import Hit

__all__ = ["Retrieve", "Search", "retrieve_reply", "search_reply"]

Query = Annotated[str, StringConstraints(strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]


class Retrieve(BaseModel):
    """A request to /retrieve."""

    model_config = ConfigDict(extra="ignore")  # clients send additional fields

    queries: list[Query] | None = None
    query: Query | list[Query] | None = None
    topk: Count | None = None
    return_scores: bool = False

    @model_validator(mode="after")
    def _one_of(self) -> Retrieve:
        if (self.queries is None) == (self.query is None):
            raise ValueError('send either "queries", a list of strings, or "query", a string')
        return self

    @property
    def texts(self) -> list[str]:
        """The queries of either field."""
        if self.queries is not None:
            return self.queries
        return [self.query] if isinstance(self.query, str) else list(self.query or ())

    @property
    def k(self) -> int | None:
        """Hits per query; None for the server's default."""
        return self.topk


class Search(BaseModel):
    """A request to /search."""

    model_config = ConfigDict(extra="forbid")

    queries: list[Query]
    k: Count | None = None

    @property
    def texts(self) -> list[str]:
        """The queries."""
        return self.queries


def retrieve_reply(hits: Sequence[Sequence[Hit]], return_scores: bool) -> Iterator[bytes]:
    """The reply of /retrieve, in parts."""
    yield b'{"result":['
    yield from _rows(hits, _scored if return_scores else _document)
    yield b"]}"


def search_reply(hits: Sequence[Sequence[Hit]], index_id: str) -> Iterator[bytes]:
    """The reply of /search, in parts."""
    yield b'{"index_id":' + _json(index_id) + b',"hits":['
    yield from _rows(hits, lambda hit: {"id": hit.id, "title": hit.title, "text": hit.text, "score": hit.score})
    yield b"]}"


def _rows(hits: Sequence[Sequence[Hit]], as_object: Callable[[Hit], dict[str, Any]]) -> Iterator[bytes]:
    for number, row in enumerate(hits):
        yield (b"," if number else b"") + _json([as_object(hit) for hit in row])


def _scored(hit: Hit) -> dict[str, Any]:
    return {"document": _document(hit), "score": hit.score}


def _document(hit: Hit) -> dict[str, Any]:
    """A document. Clients read the first line of `contents` as the title, so it is there even if the title is empty."""
    return {"id": hit.id, "contents": f'"{hit.title}"\n{hit.text}'}


def _json(value: Any) -> bytes:
    try:
        return pydantic_core.to_json(value)
    except pydantic_core.PydanticSerializationError:  # a lone surrogate in a passage
        return json.dumps(value).encode()
