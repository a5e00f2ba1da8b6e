"""What /openapi.json says of bodies and refusals."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

__all__ = ["body_schema", "refusals"]

_REFUSALS = {
    401: "The token is missing or wrong.",
    408: "The body did not arrive in time.",
    413: "The request is above a limit.",
    415: "The body is not sent as JSON.",
    421: "The request names another host.",
    422: "The body is no request.",
    503: "The index loads, too many queries wait, or the search failed; repeat the request after Retry-After.",
}


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """What the schema says of a body that the route reads by itself."""
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}},
    }


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the schema says of the replies that refuse a request: of these statuses, or of all."""
    schema = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
    content = {"application/json": {"schema": schema}}
    return {status: {"description": _REFUSALS[status], "content": content} for status in statuses or _REFUSALS}
