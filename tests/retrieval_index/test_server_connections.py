"""Connections that send nothing, half a request, or read nothing: they end, and good clients are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

import psutil
from berrypick.retrieval_index import BuildSettings, Passage, build_index
from berrypick.retrieval_index.server.app import create_app
from berrypick.retrieval_index.server.connections import Connections, Listener, most_connections
from berrypick.retrieval_index.server.protocol import bounded_protocol
from berrypick.retrieval_index.server.running import Server, listen
from berrypick.retrieval_index.server.settings import ServerSettings
from fixtures.machine import patience, until
from fixtures.retrieval_server import Held, connect, head, post

Serve = Callable[..., str]
BODY = json.dumps({"queries": ["q"], "k": 1}).encode()
REQUEST = head(len(BODY)) + BODY
HALF = b"POST /search HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def opened() -> Held:
    held = Held()
    held.open()
    return held


def served(url: str) -> bool:
    return post(url + "/search", {"queries": ["q"], "k": 1}).status == 200


def end_of(connection: socket.socket) -> bytes:
    """What the server sends until it closes the connection."""
    out = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            out += part
    return out


def reply_of(connection: socket.socket) -> bytes:
    """One whole reply, of a connection that stays open."""
    out = b""
    while not (found := re.search(rb"content-length: (\d+)\r\n.*?\r\n\r\n(.*)", out, re.S)) or (
        len(found[2]) < int(found[1])
    ):
        part = connection.recv(1 << 16)
        assert part, out
        out += part
    return out


# -- heads that never end ---------------------------------------------------------------------------------------------


def test_a_connection_without_a_whole_head_is_closed_and_others_are_served(serve: Serve, opened: Held) -> None:
    url = serve(opened, head_timeout_s=patience(0.2))
    with connect(url) as silent, connect(url) as half:
        half.sendall(HALF)
        assert served(url)
        assert end_of(half) == b""
        assert end_of(silent) == b""
        assert served(url)


def test_the_limit_is_for_the_whole_head_and_not_for_the_next_byte(serve: Serve, opened: Held) -> None:
    url = serve(opened, head_timeout_s=patience(0.1))
    with connect(url) as trickle:
        trickle.sendall(HALF)
        trickle.settimeout(0.02)
        sent = 0
        while True:  # the server ends this, or the time limit of the test does
            with contextlib.suppress(TimeoutError):
                try:
                    if not trickle.recv(1 << 16):
                        break
                    continue
                except ConnectionError:
                    break
            with contextlib.suppress(ConnectionError):
                trickle.sendall(b"X-Header: x\r\n"[sent % 13 : sent % 13 + 1])
            sent += 1
    assert served(url)


@pytest.mark.slow
def test_the_second_head_of_a_kept_connection_has_the_same_limit(serve: Serve, opened: Held) -> None:
    url = serve(opened, head_timeout_s=patience(0.3))
    with connect(url) as kept:
        for _ in range(2):
            kept.sendall(REQUEST)
            assert reply_of(kept).startswith(b"HTTP/1.1 200 ")
        kept.sendall(HALF)
        assert end_of(kept) == b""
        assert served(url)


def test_a_request_that_is_searched_for_longer_than_a_head_may_take_is_answered(serve: Serve) -> None:
    held = Held()
    url = serve(held, head_timeout_s=patience(0.2), search_timeout_s=patience(60))
    with connect(url) as good, connect(url) as half:
        good.sendall(REQUEST)
        until(lambda: held.asked)
        half.sendall(HALF)
        assert end_of(half) == b""  # its time is over
        held.open()
        assert reply_of(good).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_does_not_read_its_reply_is_cut_off(serve: Serve, opened: Held) -> None:
    url = serve(opened, stall_timeout_s=patience(0.2), search_timeout_s=patience(60))
    body = json.dumps({"queries": ["long " * 1600] * 60, "k": 100}).encode()
    with connect(url) as stalled:
        stalled.sendall(head(len(body)) + body)
        ours, theirs = stalled.getpeername(), stalled.getsockname()
        assert stalled.recv(10)  # the reply has begun

        def is_open() -> bool:
            ends = ((c.laddr, c.raddr) for c in psutil.Process().net_connections("tcp4"))
            return (ours, theirs) in ends

        until(lambda: not is_open())
        got = end_of(stalled)
        assert b"transfer-encoding: chunked" in got.lower() and not got.endswith(b"0\r\n\r\n")
        assert served(url)


# -- more connections than there may be -------------------------------------------------------------------------------


def test_connections_without_a_request_give_way_to_new_ones_the_oldest_first(serve: Serve) -> None:
    held = Held()
    most = 8
    url = serve(held, max_connections=most, head_timeout_s=patience(60), search_timeout_s=patience(60))
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(connect(url))
        busy.sendall(REQUEST)
        until(lambda: held.asked)
        flood = []
        for _ in range(5 * most):
            flood.append(stack.enter_context(connect(url)))
            with contextlib.suppress(ConnectionError):
                flood[-1].sendall(HALF)
        for connection in flood[: -2 * most]:
            assert end_of(connection) == b""
        held.open()
        assert reply_of(busy).startswith(b"HTTP/1.1 200 ")
        assert served(url)
        flood[-1].setblocking(False)
        with pytest.raises(BlockingIOError):  # the newest still has its time
            flood[-1].recv(1)


def test_if_every_client_waits_for_an_answer_new_ones_are_refused_and_idle_ones_give_way(serve: Serve) -> None:
    held = Held()
    url = serve(held, max_connections=1, search_timeout_s=patience(60))
    with connect(url) as busy:
        busy.sendall(REQUEST)
        until(lambda: held.asked)
        for _ in range(20):
            with connect(url) as refused:
                assert end_of(refused)[:12] in (b"HTTP/1.1 503", b"")
        held.open()
        assert reply_of(busy).startswith(b"HTTP/1.1 200 ")
        assert served(url)
        assert end_of(busy) == b""


def test_a_socket_that_finds_no_handle_refuses_the_client_and_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    connections = Connections(10)
    (bound,) = listen("127.0.0.1", 0)
    if hasattr(socket, "TCP_DEFER_ACCEPT"):  # this client sends nothing
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 0)
    real, calls = socket.socket.accept, []

    def accept(listener: socket.socket) -> Any:
        calls.append(listener)
        if len(calls) % 2:  # the first time there is no handle; then the spare one is free
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(listener)

    with Listener(bound, connections) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # else asyncio would send small replies late
        monkeypatch.setattr(socket.socket, "accept", accept)
        for _ in range(3):
            with socket.create_connection(listener.getsockname(), timeout=patience(20)) as client:
                with pytest.raises(BlockingIOError):
                    listener.accept()
                assert end_of(client).startswith(b"HTTP/1.1 503 ")
    connections.close()
    assert len(calls) == 6 and len(connections) == 0


def test_the_limit_leaves_handles_to_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for handles, wanted, most in (
        (256, None, 192),
        (1024, None, 768),
        (1 << 20, None, 2048),
        (1 << 20, 5000, 5000),
        (1024, 5000, 768),
        (1024, 3, 3),
        (32, None, 1),
        (resource.RLIM_INFINITY, None, 2048),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _, handles=handles: (handles, handles))
        assert most_connections(wanted) == most, handles


@pytest.mark.skipif(shutil.which("bash") is None, reason="limits the handles with bash")
def test_a_server_with_few_handles_serves_under_a_flood_and_its_log_stays_small(tmp_path: Path) -> None:
    build_index([Passage("a", "A", "ripe berries")], "bm25s", tmp_path / "index", settings=BuildSettings())
    command = f"ulimit -n 128; exec '{sys.executable}' -m berrypick serve index --port 0 --head-timeout-s 600"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(["bash", "-c", command], stderr=log, cwd=tmp_path)
    text = (tmp_path / "log").read_text
    try:
        until(lambda: "running on" in text() or process.poll() is not None)
        url = re.findall(r"http://[\d.:]+", text())[0]
        until(lambda: served(url))
        with contextlib.ExitStack() as stack:
            for number in range(300):
                connection = stack.enter_context(connect(url))
                with contextlib.suppress(ConnectionError):
                    connection.sendall(HALF)
                if number % 50 == 49:
                    assert served(url)
        assert served(url)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(patience(30))
    assert len(text().splitlines()) < 20 and "resource" not in text(), text()
    assert all(json.loads(line) for line in text().splitlines())


def test_connections_that_were_closed_without_a_word_are_passed_over() -> None:
    (place,) = listen("127.0.0.1", 0)
    connections = Connections(10)
    with contextlib.closing(Listener(place, connections)) as listener, contextlib.ExitStack() as stack:
        listener.setblocking(False)
        address = listener.getsockname()
        for number in range(100):
            with socket.create_connection(address) as gone:
                if number % 2:  # a reset instead of an orderly end
                    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        good = stack.enter_context(socket.create_connection(address))
        good.sendall(HALF)
        accepted: list[socket.socket] = []

        def is_accepted() -> bool:
            with contextlib.suppress(BlockingIOError):  # so that the event loop can serve others
                accepted.append(stack.enter_context(listener.accept()[0]))
            return bool(accepted)

        until(is_accepted)
        assert accepted[0].getpeername() == good.getsockname()
        assert len(connections) == 1
    connections.close()


def test_a_client_that_connects_first_and_asks_later_is_answered(opened: Held) -> None:
    server = Server(create_app(lambda: opened, ServerSettings()), ServerSettings())
    (place,) = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{place.getsockname()[1]}"
    thread = threading.Thread(target=server.run, args=([place],), daemon=True)
    with connect(url) as early:
        thread.start()
        until(lambda: served(url))
        early.sendall(REQUEST)
        assert reply_of(early).startswith(b"HTTP/1.1 200 ")
    server.should_exit = True
    thread.join(patience(30))
    assert not thread.is_alive()


# ---- a client that sends its request in many small pieces, on a clock that the test turns


class NeverDone:
    def add_done_callback(self, callback: Callable[..., None]) -> None:
        pass


class Clock:
    """An event loop's timers, which end when the test says so; requests are not answered."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []

    def call_later(self, delay: float, callback: Callable[..., None], *arguments: Any) -> Any:
        timer = (delay, callback, arguments)
        self.waiting.append(timer)
        return SimpleNamespace(cancel=lambda: self.waiting.remove(timer) if timer in self.waiting else None)

    def create_task(self, work: Any, **_: Any) -> Any:
        work.close()
        return NeverDone()

    def rests(self) -> list[float]:
        """The delays of rests that have not ended."""
        return [delay for delay, callback, _ in self.waiting if callback.__name__ == "_read_on"]

    def end_rests(self) -> None:
        for timer in [timer for timer in self.waiting if timer[1].__name__ == "_read_on"]:
            self.waiting.remove(timer)
            timer[1](*timer[2])


class Wire(asyncio.Transport):
    """A transport that only notes whether its client is being read."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.closing = True, False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: Any) -> None:
        pass

    def close(self) -> None:
        self.closing = True

    def get_write_buffer_size(self) -> int:
        return 0


@pytest.fixture
def dripping() -> Any:
    from uvicorn import Config
    from uvicorn.server import ServerState

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it is never run")

    clock, wire = Clock(), Wire()
    config = Config(app, http=bounded_protocol(Connections(8), 10.0, 10.0), lifespan="off", log_config=None)
    config.load()
    protocol = config.http_protocol_class(config=config, server_state=ServerState(), app_state={}, _loop=clock)
    protocol.connection_made(wire)
    return SimpleNamespace(
        clock=clock, wire=wire, lost=lambda: protocol.connection_lost(None), flow=lambda: protocol.flow,
        send=lambda *pieces: [(protocol.data_received(piece), wire.reading)[1] for piece in pieces],
    )  # fmt: skip


PIECES = [bytes([byte]) for byte in HALF]


def test_the_third_small_piece_of_a_head_and_each_after_it_is_followed_by_a_rest(dripping: Any) -> None:
    assert dripping.send(*PIECES[:2]) == [True, True] and dripping.clock.rests() == []
    for piece in PIECES[2:6]:
        assert dripping.send(piece) == [False]
        (delay,) = dripping.clock.rests()
        assert 0.1 <= delay <= 1.0
        dripping.clock.end_rests()
        assert dripping.wire.reading


def test_a_large_piece_and_a_whole_request_begin_the_count_anew(dripping: Any) -> None:
    field = b"X: " + b"y" * 251 + b"\r\n"
    assert len(field) == 256
    assert dripping.send(HALF[:10], HALF[10:], field, *PIECES[:2]) == [True] * 5
    assert dripping.send(b"\n") == [False]
    dripping.clock.end_rests()
    assert dripping.send(field[:-3] + b"\r\n") == [False], "255 bytes are a small piece"


def test_the_head_that_is_complete_counts_as_no_piece_and_the_body_s_pieces_are_counted(dripping: Any) -> None:
    whole = head(6)
    assert dripping.send(whole[:5], whole[5:9], whole[9:]) == [True] * 3
    assert dripping.send(b"{", b'"') == [True, True]
    assert dripping.send(b"a") == [False]
    dripping.clock.end_rests()
    assert dripping.send(b'":1') == [True], "the last piece of a body ends the request"


def test_a_client_that_has_gone_or_that_others_hold_back_is_not_read_on(dripping: Any) -> None:
    dripping.send(*PIECES[:3])
    dripping.flow().read_paused = True
    dripping.clock.end_rests()
    assert not dripping.wire.reading, "uvicorn itself does not read it now"
    dripping.flow().read_paused = False
    dripping.send(PIECES[3])
    dripping.wire.closing = True
    dripping.clock.end_rests()
    assert not dripping.wire.reading
    dripping.send(PIECES[4])
    assert dripping.clock.rests() == [], "a connection that closes does not rest"
    dripping.wire.closing = False
    dripping.send(PIECES[5])
    assert len(dripping.clock.rests()) == 1
    dripping.lost()
    assert dripping.clock.rests() == []
