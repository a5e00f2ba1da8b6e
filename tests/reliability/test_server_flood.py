"""A server under attack: slow heads, slow bodies, idle connections, clients that hang up, requests of every size.

One good client asks all the while, and each of its answers must be right. Nothing here depends on how long things take.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

import psutil
import urllib3
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.remote import RemoteSearcher
from berrypick.retrieval_index.store import build_index, open_searcher
from fixtures.machine import patience, until
from fixtures.retrieval_server import connect, head

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("bash") is None, reason="limits the handles with bash")]

ROUNDS = 40
HANDLES = 256
MOST_GROWTH = 96 << 20
"""Bytes that the server may grow by under the attack."""

WORDS = ("ripe", "berries", "hill", "lake", "deep", "water", "amber", "kiln", "film", "writer", "town", "road")


def passages() -> list[Passage]:
    draw = random.Random(0)
    return [Passage(f"p{at:03d}", f"Title {at}", " ".join(draw.choices(WORDS, k=30))) for at in range(300)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, psutil.Process, Path]]:
    """A server with few handles in a process of its own: its address, its process, its log."""
    build_index(passages(), "bm25s", tmp_path / "index")
    command = f"ulimit -n {HANDLES}; exec '{sys.executable}' -m berrypick serve index --port 0 --max-pending 64"
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(["bash", "-c", command], stderr=file, cwd=tmp_path)
    try:
        until(lambda: "running on" in log.read_text() or process.poll() is not None)
        url = re.findall(r"http://[\d.:]+", log.read_text())[0]
        until(lambda: urllib3.request("GET", url + "/health", retries=False).status == 200)
        yield url, psutil.Process(process.pid), log
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(patience(60)) in (0, -signal.SIGTERM)  # uvicorn ends by the signal it got


class Attackers:
    """Clients that misbehave. Each `round` adds some of every kind and lets the older ones go on.

    Attributes:
        cut: connections that the server has ended.
    """

    def __init__(self, url: str) -> None:
        self._url, self._draw = url, random.Random(1)
        self.cut = 0
        self._open: deque[tuple[socket.socket, bytes]] = deque()  # a connection, and what it still sends

    def round(self) -> None:
        """One round: a flood of connections, and a byte more from each of the slow ones."""
        query = json.dumps({"queries": ["ripe berries on the hill"] * 40, "k": 50}).encode()
        whole = head(len(query)) + query
        for _ in range(6):
            self._connect(b"", b"")  # says nothing
            self._connect(b"POST /search HTTP/1.1\r\nHost: localhost\r\n", b"X-Slow: " + b"a" * 5000)
            self._connect(head(1000), b"[" * 1000)  # a slow body
            self._connect(whole[: len(whole) // 2], whole[len(whole) // 2 :][:100])
        for _ in range(3):
            self._connect(whole, None)  # hangs up without reading
            self._connect(head(3_900_000) + b" " * 200_000, None)  # hangs up within a huge body
            self._connect(self._draw.randbytes(400) + b"\r\n\r\n", None)
        for _ in range(len(self._open)):
            connection, left = self._open.popleft()
            try:
                connection.send(left[:1])
            except OSError:  # the server has cut it off
                self.cut += 1
                connection.close()
                continue
            self._open.append((connection, left[1:]))
        while len(self._open) > 400:
            self._open.popleft()[0].close()

    def _connect(self, first: bytes, rest: bytes | None) -> None:
        """Opens a connection and sends something; `rest` follows byte by byte, None hangs up."""
        try:
            connection = connect(self._url)
        except OSError:
            return
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            connection.send(first)
        if rest is None:
            connection.close()
        else:
            self._open.append((connection, rest))

    def close(self) -> None:
        """All hang up."""
        for connection, _ in self._open:
            connection.close()


@pytest.mark.timeout(900)
def test_every_answer_under_attack_is_right_and_memory_and_log_stay_small(
    server: tuple[str, psutil.Process, Path], tmp_path: Path
) -> None:
    url, process, log = server
    here = open_searcher(tmp_path / "index")
    good = RemoteSearcher(url, patience_s=patience(60), timeout_s=patience(20))
    draw = random.Random(2)

    def ask() -> None:
        queries = [" ".join(draw.choices(WORDS, k=draw.randint(1, 5))) for _ in range(draw.choice((1, 1, 8)))]
        k = draw.randint(1, 10)
        wanted = [[hit.id for hit in ranking] for ranking in here.search(queries, k)]
        assert [[hit.id for hit in ranking] for ranking in good.search(queries, k)] == wanted

    attackers = Attackers(url)
    try:
        for _ in range(3):
            attackers.round()
            ask()
        before = process.memory_info().rss
        for _ in range(ROUNDS):
            attackers.round()
            for _ in range(3):
                ask()
            assert process.num_fds() <= HANDLES
        grown = process.memory_info().rss - before
    finally:
        attackers.close()
    for _ in range(20):
        ask()
    good.close()
    assert attackers.cut > 100, "the attack was no flood"
    assert grown < MOST_GROWTH, f"{grown >> 20} MiB more"
    said = log.read_text()
    assert len(said) < 200_000 and "Traceback" not in said, said[-3000:]
    assert all(json.loads(line) for line in said.splitlines())
    metrics = urllib3.request("GET", url + "/metrics").data.decode()
    assert 'status="500"' not in metrics
