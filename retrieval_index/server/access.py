"""Who may ask: clients with the token or, without one, programs of this machine that are no web page."""

from __future__ import annotations

import hmac
import re

from fastapi import Request

from .refusals import Refused
from .settings import ServerSettings

__all__ = ["LOCAL", "check_access", "host_name"]

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@/]*))(?::\d*)?")
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine."""


def check_access(request: Request, settings: ServerSettings) -> None:
    """Raises `Refused` unless the client may ask.

    With a token, the token decides. Without one, only this machine can connect, but so can the pages in its browser.
    A page whose own name was made to lead here (DNS rebinding) sends that name as Host. A page of another site can
    post without asking first, but only as text, as a form, or without a content type; browsers add its Origin.
    """
    if settings.token is not None:
        if not hmac.compare_digest(_token(request), settings.token.strip().encode()):
            raise Refused(401, "send the server's token as Authorization: Bearer TOKEN")
        return
    name = host_name(request.headers.get("host", ""))
    if name not in LOCAL and name != settings.host.lower():
        raise Refused(
            421,
            "this server answers to localhost, 127.0.0.1, [::1] and the host it was given; use one of these, or start "
            "it with BERRYPICK_TOKEN",
        )
    if request.method == "POST" and not _is_json(request):
        raise Refused(415, "send the header Content-Type: application/json")


def host_name(header: str) -> str:
    """The host of a Host header, in lower case, without its port and brackets; "" if it is none."""
    found = _HOST.fullmatch(header.strip().lower())
    return (found[1] or found[2]) if found else ""


def _is_json(request: Request) -> bool:
    """Whether the body is sent as JSON, or as nothing by a program that is no browser."""
    kind = request.headers.get("content-type")
    if kind is None:
        return "origin" not in request.headers and "sec-fetch-site" not in request.headers
    return kind.partition(";")[0].strip().lower() == "application/json"


def _token(request: Request) -> bytes:
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        sent = request.query_params.get("token", "")  # for clients that can only be configured with an address
    return sent.strip().encode()
