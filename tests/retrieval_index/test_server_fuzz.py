"""Requests of any shape: the right hits, or a refusal that says why; never a 500, never a failed search."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.server.app import create_app
from berrypick.retrieval_index.server.settings import ServerSettings
from fixtures.asgi import Answer, ask
from fixtures.fuzzing.mutations import ODD, as_json, damaged
from fixtures.retrieval_server import connect, head, post
from hypothesis import given, settings
from hypothesis import strategies as st

Serve = Callable[..., str]
PATHS = ("/retrieve", "/search", "/health", "/metrics", "/docs", "/openapi.json")
BODIES = (
    b'{"queries": ["ripe berries", "word3 text", ""], "topk": 2, "return_scores": true}',
    b'{"query": "ripe berries", "topk": null}',
    b'{"queries": ["ripe berries", "word1 common"], "k": 3}',
    b'{"queries": []}',
)
LIMITS = ServerSettings(max_k=20, max_queries=8, max_query_chars=500, max_body_bytes=20_000)


class Asked:
    """The application over the trap corpus, for as long as its event loop runs."""

    def __init__(self, corpus: Sequence[Passage], settings: ServerSettings = LIMITS) -> None:
        self.bm25s = Bm25sSearcher.from_passages(corpus)
        self.app = create_app(lambda: self.bm25s, settings)
        self.runner = asyncio.Runner()
        self._lifespan: Any = None

    def __enter__(self) -> Asked:
        self.runner.run(self._start())
        return self

    def __exit__(self, *error: object) -> None:
        self.runner.run(self._lifespan.__aexit__(None, None, None))
        self.runner.close()

    async def _start(self) -> None:
        self._lifespan = self.app.router.lifespan_context(self.app)
        await self._lifespan.__aenter__()
        while (await ask(self.app, "GET", "/health")).status != 200:
            await asyncio.sleep(0.01)

    def __call__(self, *args: Any, **named: Any) -> Answer:
        return self.runner.run(ask(self.app, *args, **named))


@pytest.fixture(scope="module")
def asked(corpus: list[Passage]) -> Iterator[Asked]:
    with Asked(corpus) as running:
        yield running


@pytest.fixture(scope="module")
def documented(asked: Asked) -> dict[tuple[str, str], set[int]]:
    """(path, method) -> statuses, as /openapi.json has them."""
    schema = json.loads(asked("GET", "/openapi.json").body)
    return {
        (path, method.upper()): set(map(int, operation["responses"]))
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }


def check(asked: Asked, documented: dict[tuple[str, str], set[int]], method: str, path: str, **request: Any) -> Answer:
    """Sends a request and checks that the reply is one that the schema names; hits must be right."""
    answer = asked(method, path, **request)
    known = documented.get((path, method))
    assert answer.status < 500, answer
    assert known is None or answer.status in known, (answer.status, known)
    if answer.status >= 400 and method != "HEAD":
        detail = json.loads(answer.body)["detail"]
        assert isinstance(detail, str) and 0 < len(detail) < 600 and detail.isprintable(), detail
    if answer.status == 200 and path in ("/retrieve", "/search"):
        check_hits(asked, path, b"".join(request.get("parts", ())), answer.body)
    return answer


def check_hits(asked: Asked, path: str, body: bytes, reply: bytes) -> None:
    """The hits are those that the searcher itself gives."""
    sent, got = json.loads(body), json.loads(reply)
    found = sent.get("queries")
    queries = found if isinstance(found, list) else [sent["query"]] if isinstance(sent["query"], str) else sent["query"]
    k = sent.get("topk" if path == "/retrieve" else "k") or LIMITS.default_k
    wanted = [[hit.id for hit in ranking] for ranking in asked.bm25s.search(queries, k)]
    if path == "/search":
        assert [[hit["id"] for hit in ranking] for ranking in got["hits"]] == wanted
    else:
        assert [[row.get("document", row)["id"] for row in ranking] for ranking in got["result"]] == wanted


JSON = {"content-type": b"application/json"}
values = st.sampled_from([value for value in ODD if not (isinstance(value, str) and value.startswith("@@"))])
queries = st.one_of(st.text(max_size=40), st.sampled_from(["ripe berries", "word3 text", "", "x" * 501]))
fields = {
    "queries": st.one_of(st.lists(queries, max_size=9), st.lists(values, max_size=3), values),
    "query": st.one_of(queries, st.lists(queries, max_size=3), values),
    "topk": st.one_of(st.integers(0, 25), values),
    "k": st.one_of(st.integers(0, 25), values),
    "return_scores": st.one_of(st.booleans(), values),
    "extra": values,
}
objects = st.fixed_dictionaries({}, optional=fields)


@settings(max_examples=150)
@given(st.sampled_from(["/retrieve", "/search"]), objects)
def test_objects_with_the_fields_of_a_request(
    asked: Asked, documented: dict[tuple[str, str], set[int]], path: str, sent: dict[str, Any]
) -> None:
    body = as_json(sent).encode("utf-8", "surrogatepass")
    check(asked, documented, "POST", path, parts=[body], headers=JSON)


@settings(max_examples=150)
@given(st.sampled_from(["/retrieve", "/search"]), st.randoms(use_true_random=False))
def test_damaged_requests(
    asked: Asked, documented: dict[tuple[str, str], set[int]], path: str, draw: random.Random
) -> None:
    body = damaged(draw.choice(BODIES), draw, BODIES)
    at = draw.randint(0, len(body))
    check(asked, documented, "POST", path, parts=[body[:at], body[at:]], headers=JSON)


METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "BREW")
headers = st.dictionaries(
    st.sampled_from(
        ["content-type", "content-length", "authorization", "host", "origin", "transfer-encoding", "accept", "expect"]
    ),
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"application/json", b"9" * 5000, b"-1", b"5", b"1e3", b"Bearer ", b"[::1", b"localhost:x", b"\xff\xfe"]
        ),
    ),
)


@settings(max_examples=200)
@given(
    st.sampled_from(METHODS),
    st.one_of(st.sampled_from(PATHS), st.text(max_size=20).map(lambda text: f"/{text}")),
    headers,
    st.one_of(st.binary(max_size=30), st.just(b"token=%ff&token=a")),
    st.one_of(st.binary(max_size=60), st.sampled_from(BODIES)),
)
def test_any_method_path_header_and_query(
    asked: Asked,
    documented: dict[tuple[str, str], set[int]],
    method: str,
    path: str,
    headers: dict[str, bytes],
    query: bytes,
    body: bytes,
) -> None:
    check(asked, documented, method, path, parts=[body], headers=headers, query=query)


@pytest.fixture(scope="module", params=["s\u00e9cret", "secret"])
def guarded(request: pytest.FixtureRequest, corpus: list[Passage]) -> Iterator[tuple[Asked, str]]:
    """The application with a token."""
    with Asked(corpus, ServerSettings(token=request.param)) as running:
        yield running, request.param


@settings(max_examples=60)
@given(st.sampled_from(PATHS), headers, st.one_of(st.binary(max_size=30), st.just(b"token=%ff&token=secre")))
def test_nobody_gets_in_without_the_token(
    guarded: tuple[Asked, str], path: str, headers: dict[str, bytes], query: bytes
) -> None:
    asked, _ = guarded
    method = "POST" if path in ("/retrieve", "/search") else "GET"
    answer = asked(method, path, parts=[BODIES[0]], headers=headers, query=query)
    assert answer.status == (200 if path == "/health" else 401)


def test_the_token_in_the_address(guarded: tuple[Asked, str]) -> None:
    asked, token = guarded
    for query in (f"token={token}", f"a=\x80&token={token}"):
        assert asked("GET", "/metrics", query=query.encode("utf-8")).status == 200


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_damaged_requests(asked: Asked, documented: dict[tuple[str, str], set[int]]) -> None:
    """`BERRYPICK_FUZZ=100000` tries a tenth of so many."""
    count = int(os.environ.get("BERRYPICK_FUZZ", "5000")) // 10
    draw = random.Random(int(os.environ.get("BERRYPICK_FUZZ_SEED", "0")))
    for _ in range(count):
        body = damaged(draw.choice(BODIES), draw, BODIES)
        check(asked, documented, "POST", draw.choice(PATHS[:2]), parts=[body], headers=JSON)


def test_bytes_that_are_no_http_harm_nobody(serve: Serve, corpus: list[Passage]) -> None:
    bm25s = Bm25sSearcher.from_passages(corpus)
    url = serve(bm25s)
    draw = random.Random(0)
    wanted = [hit.id for hit in bm25s.search(["ripe berries"], 2)[0]]
    body = json.dumps({"queries": ["ripe berries"], "k": 2}).encode()
    request = head(len(body)) + body
    for number in range(150):
        with connect(url) as stranger:
            try:
                stranger.sendall(damaged(request, draw, [draw.randbytes(200)]))
                stranger.shutdown(1)
                reply = b"".join(iter(lambda: stranger.recv(1 << 16), b""))
            except OSError:
                reply = b""
            assert b" 500 " not in reply[:20] and b"Traceback" not in reply, reply[:300]
        if number % 10 == 9:
            got = post(url + "/search", {"queries": ["ripe berries"], "k": 2}).json()
            assert [hit["id"] for hit in got["hits"][0]] == wanted
