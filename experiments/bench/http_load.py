"""A load generator on raw asyncio streams with keep-alive, so that the client needs little CPU."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Load", "run_load"]

_AFTER_CUT_S = 0.01


@dataclass(slots=True)
class Load:
    """The replies to a load.

    Attributes:
        latencies_s: latencies of the replies with status 200, sorted.
        statuses: status -> number of replies.
        wrong: number of replies that `check` rejected.
        cut_off: number of requests without a reply, because the connection was closed.
        wall_s: duration of the load.
    """

    latencies_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: int = 0
    cut_off: int = 0
    wall_s: float = 0.0

    @property
    def requests_per_s(self) -> float:
        """Replies with status 200 per second."""
        return len(self.latencies_s) / self.wall_s

    def percentile_ms(self, share: float) -> float:
        """A percentile of the latencies; NaN if there were no replies with status 200."""
        if not self.latencies_s:
            return float("nan")
        return 1000 * self.latencies_s[min(len(self.latencies_s) - 1, int(share * len(self.latencies_s)))]


def run_load(
    url: str,
    bodies: Sequence[bytes],
    clients: int,
    seconds: float,
    check: Any = None,
    *,
    bad: Sequence[int] = (),
    pause_s: float = 0.0,
) -> Load:
    """Keeps `clients` connections busy; each posts the next body after it has its reply.

    Args:
        url: address to post to.
        bodies: request bodies, sent in turn.
        clients: number of connections.
        seconds: duration.
        check: (index of the body, reply) -> whether the reply is correct.
        bad: indices of bodies that are malformed on purpose; their replies are only counted.
        pause_s: how long a client waits between a reply and its next request.
    """
    return asyncio.run(_load(url, bodies, clients, seconds, check, frozenset(bad), pause_s))


async def _load(
    url: str,
    bodies: Sequence[bytes],
    clients: int,
    seconds: float,
    check: Any,
    bad: frozenset[int],
    pause_s: float,
) -> Load:
    load = Load()
    counter = iter(range(1 << 62))
    began = time.monotonic()
    end = began + seconds
    await asyncio.gather(*(_client(url, bodies, counter, end, load, check, bad, pause_s) for _ in range(clients)))
    load.wall_s = time.monotonic() - began
    load.latencies_s.sort()
    return load


async def _client(
    url: str,
    bodies: Sequence[bytes],
    counter: Any,
    end: float,
    load: Load,
    check: Any,
    bad: frozenset[int],
    pause_s: float,
) -> None:
    parts = urlsplit(url)
    reader = writer = None
    while time.monotonic() < end:
        number = next(counter) % len(bodies)
        body = bodies[number]
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.monotonic()
        try:
            if writer is None or reader is None:
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(head.encode() + body)
            status, reply, keep = await _answer(reader)
        except (OSError, EOFError):  # asyncio's IncompleteReadError is an EOFError
            load.cut_off += 1
            reader = writer = None
            await asyncio.sleep(_AFTER_CUT_S)
            continue
        load.statuses[status] = load.statuses.get(status, 0) + 1
        if status == 200:
            load.latencies_s.append(time.monotonic() - began)
            if check is not None and number not in bad and not check(number, json.loads(reply)):
                load.wrong += 1
        if status == 503:
            await asyncio.sleep(0.2)
        if not keep:
            writer.close()
            reader = writer = None
        if pause_s:
            await asyncio.sleep(pause_s)
    if writer is not None:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length), b"connection: close" not in head
