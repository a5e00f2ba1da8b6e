"""Limits of a request's queries, the same for all protocols."""

from __future__ import annotations

from collections.abc import Sequence

from .refusals import Refused
from .settings import ServerSettings

__all__ = ["check_queries"]


def check_queries(queries: Sequence[str], k: int | None, settings: ServerSettings) -> int:
    """The hits per query that a request asks for; None is the server's default.

    Raises:
        Refused: too many hits, too many queries, or one that is too long.
    """
    hits = settings.default_k if k is None else k
    if hits > settings.max_k:
        raise Refused(422, f"at most {settings.max_k} hits per query")
    if len(queries) > settings.most_queries:
        raise Refused(413, f"at most {settings.most_queries} queries per request")
    if any(len(text) > settings.max_query_chars for text in queries):
        raise Refused(413, f"a query may have at most {settings.max_query_chars} characters")
    return hits
