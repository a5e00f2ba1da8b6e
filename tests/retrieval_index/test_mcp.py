"""The official MCP client searches and fetches, over HTTP and over standard input and output, within all limits."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mcp.server.streamable_http_manager")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

import httpx2
import urllib3
from berrypick.__main__ import main
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.passages_by_id import PassagesById, passages_by_id
from berrypick.retrieval_index.searcher import Hit
from berrypick.retrieval_index.server.settings import ServerSettings
from berrypick.retrieval_index.store import build_index, open_searcher
from fixtures.machine import patience, until
from fixtures.retrieval_server import Held, detail, post, until_waiting
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the client

MODES = ("auto", "legacy")  # the protocols of 2026 and of 2025
ACCEPT = {"Accept": "application/json, text/event-stream"}
UNSAFE = Passage("red \x1b[31m", "\x07bell", "an escape\x1b[0m and \u202eevil text")


def call_of(name: str, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, corpus: list[Passage]) -> Path:
    folder = tmp_path_factory.mktemp("mcp") / "index"
    build_index([*corpus, UNSAFE], "bm25s", folder)
    return folder


@pytest.fixture
def address(index: Path, serving: Callable[..., Any]) -> Iterator[Callable[..., str]]:
    """address(searcher=None, **settings): where a server of the index, or of another searcher, offers MCP."""
    with ExitStack() as stack:

        def start(searcher: Any = None, **settings: Any) -> str:
            limits = ServerSettings(**{"search_timeout_s": patience(5), "body_timeout_s": patience(5), **settings})
            find = passages_by_id(index).find
            load = (lambda: searcher) if searcher is not None else (lambda: open_searcher(index))
            return stack.enter_context(serving(load, limits, find=find)) + "/mcp"

        yield start


def talk(server: Any, say: Callable[[Client], Awaitable[Any]], mode: str = "auto") -> Any:
    async def conversation() -> Any:
        async with Client(server, mode=mode, read_timeout_seconds=patience(20)) as client:
            return await say(client)

    return asyncio.run(conversation())


def called(server: Any, name: str, arguments: dict[str, Any], mode: str = "auto") -> tuple[bool, Any]:
    """Whether a call failed, and what it returned: the object, or the text of the error."""
    result = talk(server, lambda client: client.call_tool(name, arguments), mode)
    (content,) = result.content
    if result.is_error:
        return True, content.text
    assert json.loads(content.text) == result.structured_content  # for clients that read only text
    return False, result.structured_content


def same_as_the_index(server: Any, index: Path, mode: str) -> None:
    searcher = open_searcher(index)
    expected = searcher.search(["ripe berries hill"], 4)[0]
    searcher.close()
    failed, found = called(server, "search", {"query": "ripe berries hill", "k": 4}, mode)
    assert not failed and len(expected) == 4
    assert [Hit(**hit) for hit in found["results"]] == expected
    failed, passage = called(server, "fetch", {"id": expected[0].id}, mode)
    assert not failed and passage == {name: getattr(expected[0], name) for name in ("id", "title", "text")}


@pytest.mark.parametrize("mode", MODES)
def test_the_client_finds_over_http_what_the_index_finds(address: Callable[..., str], index: Path, mode: str) -> None:
    same_as_the_index(address(), index, mode)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_the_client_finds_over_standard_input_what_the_index_finds(index: Path, mode: str) -> None:
    command = ["-m", "berrypick", "serve", str(index), "--mcp", "stdio"]
    server = StdioServerParameters(command=sys.executable, args=command, env={"PATH": os.environ["PATH"]})
    same_as_the_index(server, index, mode)
    failed, reason = called(server, "search", {"query": "q", "k": 1000}, mode)
    assert failed and reason == "at most 100 hits per query"


def test_the_tools_say_what_they_take_and_that_they_change_nothing(address: Callable[..., str]) -> None:
    listed = talk(address(max_k=7, default_k=2), lambda client: client.list_tools())
    search, fetch = listed.tools
    assert (search.name, fetch.name) == ("search", "fetch")
    assert (
        search.input_schema["properties"]["k"] | {"maximum": 7, "default": 2} == search.input_schema["properties"]["k"]
    )
    assert search.input_schema["required"] == ["query"] and fetch.input_schema["required"] == ["id"]
    assert all(tool.annotations.read_only_hint and not tool.annotations.open_world_hint for tool in listed.tools)


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("search", {}, "query: Field required"),
        ("search", {"query": 5}, "query: Input should be a valid string"),
        ("search", {"query": "q", "k": 0}, "k: Input should be greater than or equal to 1"),
        ("search", {"query": "q", "k": True}, "k: Input should be a valid integer"),
        ("search", {"query": "q", "more": 1}, "more: Extra inputs are not permitted"),
        ("search", {"query": "q", "k": 101}, "at most 100 hits per query"),
        ("search", {"query": "q" * 41}, "a query may have at most 40 characters"),
        ("fetch", {"id": "q" * 41}, "an id may have at most 40 characters"),
        ("fetch", {"id": "\x1b[31m"}, "there is no passage '\\\\u001b[31m'; use an id that search returned"),
        ("delete", {}, "unknown tool 'delete'; there are search and fetch"),
    ],
)
def test_a_bad_call_is_an_error_that_a_model_can_read(
    address: Callable[..., str], name: str, arguments: dict[str, Any], reason: str
) -> None:
    assert called(address(max_query_chars=40), name, arguments) == (True, reason)


def test_text_for_terminals_is_safe_and_a_shown_id_can_be_fetched(address: Callable[..., str]) -> None:
    url = address()
    _, found = called(url, "search", {"query": "escape evil", "k": 1})
    (hit,) = found["results"]
    assert hit["id"] == "red \\u001b[31m" and hit["title"] == "\\u0007bell"
    assert hit["text"] == "an escape\\u001b[0m and \\u202eevil text"
    for key in (hit["id"], UNSAFE.id):
        assert called(url, "fetch", {"id": key}) == (False, {name: hit[name] for name in ("id", "title", "text")})


def test_a_search_that_fails_says_so_without_its_details(address: Callable[..., str]) -> None:
    held = Held()
    held.open()
    failed, reason = called(address(held), "search", {"query": "poison"})
    assert failed and reason == "the search failed; see the server's log"


def test_without_a_token_only_this_machine_and_no_foreign_page_may_ask(address: Callable[..., str]) -> None:
    held = Held()
    held.open()
    url = address(held)
    body = call_of("search", query="q")
    assert post(url, body, **ACCEPT).status == 200
    for origin in ("http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"):
        assert post(url, body, Origin=origin, **ACCEPT).status == 200, origin
    held.asked.clear()
    assert post(url, body, Host="evil.example", **ACCEPT).status == 421
    assert post(url, body, **ACCEPT | {"Content-Type": "text/plain"}).status == 415
    for origin in ("https://evil.example", "http://localhost.evil.example", "null", "http://[", "file://"):
        reply = post(url, body, Origin=origin, **ACCEPT)
        assert (reply.status, "BERRYPICK_TOKEN" in detail(reply)) == (403, True), origin
    assert not held.asked


def test_with_a_token_every_request_needs_it(address: Callable[..., str]) -> None:
    held = Held()
    held.open()
    url = address(held, token="secret")
    for sent in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}):
        reply = post(url, call_of("search", query="q"), **ACCEPT, **sent)
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
    with pytest.raises(Exception):  # noqa: B017  (the client's own groups of errors)
        called(url, "search", {"query": "q"})
    assert not held.asked

    async def with_token() -> Any:
        async with (
            httpx2.AsyncClient(headers={"Authorization": "Bearer secret"}) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return await client.call_tool("search", {"query": "q", "k": 1})

    assert asyncio.run(with_token()).structured_content["results"][0]["id"] == "q0"
    assert called(url + "?token=secret", "search", {"query": "q", "k": 1})[0] is False
    assert len(held.asked) == 2


def test_size_and_method_are_limited(address: Callable[..., str]) -> None:
    url = address(max_body_bytes=2_000)
    assert post(url, call_of("search", query="q" * 3_000), **ACCEPT).status == 413
    assert post(url, b"{" * 1_000, **ACCEPT).status == 400
    assert post(url, [call_of("search", query="q")] * 2, **ACCEPT).status == 400
    for method in ("GET", "DELETE", "PUT"):
        assert urllib3.request(method, url, retries=False, timeout=patience(20)).status == 405, method


def test_too_many_waiting_searches_are_refused_and_one_that_takes_too_long_ends(address: Callable[..., str]) -> None:
    held = Held()
    url = address(held, max_pending=1, search_timeout_s=patience(0.2))

    async def both() -> list[Any]:
        async with Client(url, read_timeout_seconds=patience(20)) as client:
            searching = [asyncio.create_task(client.call_tool("search", {"query": "first"}))]
            await asyncio.to_thread(until, lambda: held.asked)
            searching += [asyncio.create_task(client.call_tool("search", {"query": "second"}))]
            await asyncio.to_thread(until_waiting, url.removesuffix("/mcp"), 1)
            searching += [asyncio.create_task(client.call_tool("search", {"query": "third"}))]
            return await asyncio.gather(*searching)

    reasons = [result.content[0].text for result in asyncio.run(both()) if result.is_error]
    held.open()
    assert reasons == ["the search took too long"] * 2 + ["too many queries are waiting"]


def test_what_mcp_asks_is_counted_and_other_pages_are_as_before(address: Callable[..., str]) -> None:
    url = address()
    assert post(url, call_of("search", query="berries"), **ACCEPT).status == 200
    base = url.removesuffix("/mcp")
    text = urllib3.request("GET", base + "/metrics").data.decode()
    assert 'berrypick_requests_total{path="/mcp",status="200"} 1.0' in text
    assert post(base + "/retrieve", {"queries": ["berries"], "topk": 1}).json()["result"][0]


def test_a_server_without_the_flag_offers_no_mcp(serve: Callable[..., str]) -> None:
    held = Held()
    held.open()
    assert post(serve(held) + "/mcp", call_of("search", query="q"), **ACCEPT).status == 404


@pytest.mark.slow
def test_the_command_serves_mcp_beside_its_other_protocols(index: Path) -> None:
    command = [sys.executable, "-m", "berrypick", "serve", str(index), "--port", "0", "--mcp", "http"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = next(
                found[1] for line in process.stderr if (found := re.search(r"running on (http://[^ \"]+)", line))
            )
            until(lambda: urllib3.request("GET", url + "/health").status == 200)
            assert called(url + "/mcp", "fetch", {"id": "stop"})[1]["text"] == "the of and to"
        finally:
            process.terminate()
            process.communicate(timeout=patience(20))
    assert process.returncode in (0, -15)  # uvicorn ends by the signal that stopped it


def test_stdio_says_what_is_wrong_with_the_index_before_it_speaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(tmp_path), "--mcp", "stdio"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1


def test_an_old_or_absent_mcp_is_named_with_the_extra(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from berrypick.retrieval_index.server import command

    monkeypatch.setattr(command, "version", lambda name: "1.26.0")
    assert main(["serve", str(index), "--mcp", "http"]) == 2
    assert 'needs the "mcp" extra (mcp 1.26.0 is too old)' in capsys.readouterr().err
    installed = command.find_spec
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "mcp" else installed(name))
    assert main(["serve", str(index), "--mcp", "stdio"]) == 2
    assert "berrypick serve --mcp stdio needs" in capsys.readouterr().err


def test_each_passage_is_found_by_its_id_whatever_the_order_of_the_rows(corpus: list[Passage]) -> None:
    ordered = sorted(corpus, key=lambda passage: passage.id)
    rows = np.random.default_rng(0).permutation(len(ordered))
    shuffled = [ordered[row] for row in rows]
    for finder in (PassagesById(ordered), PassagesById(shuffled, np.argsort(rows))):
        assert [finder.find(passage.id) for passage in corpus] == corpus
        assert [finder.find(key) for key in ("", "0", "b ", "zz", "\U0001f354")] == [None] * 5
    assert PassagesById([]).find("a") is None


def test_what_is_no_call_of_a_tool_is_an_error_of_the_protocol(address: Callable[..., str]) -> None:
    async def read(client: Client) -> None:
        with pytest.raises(MCPError, match="Method not found"):
            await client.read_resource("file:///etc/passwd")

    for mode in MODES:
        talk(address(), read, mode)
