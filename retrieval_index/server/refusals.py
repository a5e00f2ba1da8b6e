"""Replies of the server: JSON, and refusals that state the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Response

from ..plain_text import one_line

__all__ = ["Refused", "json_response"]


class Refused(Exception):
    """A request that is answered with an error status and a reason."""

    def __init__(self, status: int, reason: str, retry_after_s: int | None = None) -> None:
        reason = one_line(reason)  # it may name fields of the request
        super().__init__(reason)
        self.status, self.reason, self.retry_after_s = status, reason, retry_after_s

    def response(self) -> Response:
        """The reply; closes the connection if the body was not read to its end."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        if self.status in (408, 413):
            headers["Connection"] = "close"
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return json_response({"detail": self.reason}, self.status, headers)


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A reply with a JSON body."""
    return Response(json.dumps(value), status, dict(headers or {}), media_type="application/json")
