"""Hostile clients of a retrieval server, in one process that holds itself to a share of a core.

`main` gets PORT SHARE QUESTIONS KIND ... as the arguments of its process. It prints "ready", and for each
line with a number of seconds that it reads it attacks for so long and prints a line of JSON: the share of a core that
it used, and how many requests or connections of each kind it began. Its large requests consist of words of QUESTIONS.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import json
import random
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...retrieval_index.corpus import read_jsonl

__all__ = ["KINDS", "attack", "large_body", "main"]

Attacker = Iterator[float]  # each step ends with how many seconds the attacker waits before its next one
_SLOW_CLIENTS, _FLOODS, _LARGE_CLIENTS = 200, 4, 4
_HELD = 300  # connections that one flood keeps open
_BUSY = (errno.EINPROGRESS, errno.EAGAIN)
_PAUSE_S = 0.005


@dataclass(frozen=True, slots=True)
class Target:
    """What is attacked.

    Attributes:
        port: of the server on this machine.
        large: body of the most expensive request.
        abandoned: body of the largest request with a short reply, for clients that do not wait for it.
    """

    port: int
    large: bytes
    abandoned: bytes


def _slow_headers(target: Target, began: Callable[[], None]) -> Attacker:
    """Sends a line of its header each second, and never the last one."""
    while True:
        with suppress(OSError), _connection(target.port) as connection:
            began()
            yield _PAUSE_S
            connection.send(b"POST /search HTTP/1.1\r\nHost: localhost\r\n")
            while True:
                yield 1.0
                connection.send(b"X-More: 1\r\n")
        yield _PAUSE_S


def _slow_bodies(target: Target, began: Callable[[], None]) -> Attacker:
    """Sends a byte of its body each second."""
    while True:
        with suppress(OSError), _connection(target.port) as connection:
            began()
            yield _PAUSE_S
            connection.send(_head(1_000))
            while True:
                yield 1.0
                connection.send(b" ")
        yield _PAUSE_S


def _connections(target: Target, began: Callable[[], None]) -> Attacker:
    """Opens connections as fast as it may, keeps hundreds of them open, and sends nothing."""
    held: deque[socket.socket] = deque()
    while True:
        with suppress(OSError):
            held.append(_connection(target.port))
            began()
        if len(held) > _HELD:
            held.popleft().close()
        yield 0.0


def _large(target: Target, began: Callable[[], None]) -> Attacker:
    """Sends the largest legal request over and over, and reads the reply."""
    while True:
        with suppress(OSError), _connection(target.port) as connection:
            began()
            yield from _send(connection, _head(len(target.large)) + target.large)
            while True:
                try:
                    if not connection.recv(1 << 20):
                        break
                    yield 0.0
                except BlockingIOError:
                    yield _PAUSE_S
        yield _PAUSE_S


def _hung_up(target: Target, began: Callable[[], None]) -> Attacker:
    """Sends the largest legal request and hangs up."""
    while True:
        with suppress(OSError), _connection(target.port) as connection:
            began()
            yield from _send(connection, _head(len(target.abandoned)) + target.abandoned)
            yield 0.05
        yield _PAUSE_S


KINDS: Mapping[str, tuple[Callable[[Target, Callable[[], None]], Attacker], int]] = {
    "slow-headers": (_slow_headers, _SLOW_CLIENTS),
    "slow-bodies": (_slow_bodies, _SLOW_CLIENTS),
    "connections": (_connections, _FLOODS),
    "large": (_large, _LARGE_CLIENTS),
    "hung-up": (_hung_up, _LARGE_CLIENTS),
}
"""Name of an attack -> its attacker, and how many of them there are."""


def large_body(words: Sequence[str], hits: int, queries: int = 505, chars: int = 7_300) -> bytes:
    """A request of 3.7 MB that every limit of a server admits, made of words that an index knows."""
    draw = random.Random(0)
    texts = (" ".join(draw.choices(words, k=chars // 2))[:chars] for _ in range(queries))
    return json.dumps({"queries": list(texts), "k": hits}, ensure_ascii=False).encode()


def attack(target: Target, share: float, kinds: Sequence[str], seconds: float) -> dict[str, object]:
    """Attacks for some seconds, with at most a share of a core.

    Whoever is due takes a step, once the time of a core that this process has used, in the kernel too, is again below
    its share.

    Returns:
        "cpu_share", and "began": kind -> number of requests or connections.
    """
    counts: Counter[str] = Counter()
    order = itertools.count()
    waiting: list[tuple[float, int, Attacker]] = []
    cpu_s, start = time.process_time(), time.monotonic()
    for kind in kinds:
        attacker, number = KINDS[kind]
        for _ in range(number):
            heapq.heappush(waiting, (start, next(order), attacker(target, partial(counts.update, [kind]))))
    while (now := time.monotonic()) < start + seconds:
        early = max(waiting[0][0] - now, (time.process_time() - cpu_s) / share - (now - start))
        if early > 0:
            time.sleep(min(early, max(0.0, start + seconds - now)))
            continue
        _, _, attacker_of = heapq.heappop(waiting)
        heapq.heappush(waiting, (time.monotonic() + next(attacker_of), next(order), attacker_of))
    used = (time.process_time() - cpu_s) / (time.monotonic() - start)
    waiting.clear()  # closes the connections
    return {"cpu_share": used, "began": dict(sorted(counts.items()))}


def main() -> None:
    """Attacks whenever a number of seconds comes in; ends at the end of the input."""
    port, share, questions, *kinds = sys.argv[1:]
    _many_handles()
    words = [word for _, line in read_jsonl(Path(questions)) for word in str(line.get("question", "")).split()]
    target = Target(int(port), large_body(words, hits=100), large_body(words, hits=1))
    _say("ready")
    for line in sys.stdin:
        _say(json.dumps(attack(target, float(share), kinds, float(line))))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _connection(port: int) -> socket.socket:
    """A connection that may still be opening."""
    place = socket.socket()
    place.setblocking(False)
    if (problem := place.connect_ex(("127.0.0.1", port))) and problem not in _BUSY:
        place.close()
        raise OSError(problem, "no connection")
    return place


def _head(length: int) -> bytes:
    return (
        b"POST /search HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % length
    )


def _send(connection: socket.socket, data: bytes) -> Attacker:
    left = memoryview(data)
    while left:
        try:
            left = left[connection.send(left[: 1 << 18]) :]
            yield 0.0
        except BlockingIOError:
            yield _PAUSE_S


def _many_handles() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
