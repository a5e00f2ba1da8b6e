"""The server over real HTTP: dialects, limits, micro-batches, back-pressure, metrics, stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

import urllib3
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.searcher import Hit
from berrypick.retrieval_index.server.settings import ServerSettings, is_loopback
from fixtures.machine import patience, until
from fixtures.retrieval_server import Held, connect, detail, head, post, until_waiting

Serve = Callable[..., str]
LOCAL = "http://localhost"


@pytest.fixture
def bm25s(corpus: list[Passage]) -> Bm25sSearcher:
    return Bm25sSearcher.from_passages(corpus)


# -- dialects ---------------------------------------------------------------------------------------------------------


def test_search_r1_with_scores_gets_documents_with_contents_and_scores(serve: Serve, bm25s: Bm25sSearcher) -> None:
    url = serve(bm25s)
    queries = ["ripe berries", "word3 text", ""]
    reply = post(url + "/retrieve", {"queries": queries, "topk": 2, "return_scores": True})
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/json"
    expected = bm25s.search(queries, 2)
    result = reply.json()["result"]
    assert [len(ranking) for ranking in result] == [2, 2, 0]
    for ranking, hits in zip(result, expected):
        for row, hit in zip(ranking, hits):
            assert set(row) == {"document", "score"} and row["score"] == pytest.approx(hit.score)
            assert row["document"]["id"] == hit.id
            title, text = row["document"]["contents"].split("\n", 1)  # what its client does
            assert (title, text) == (f'"{hit.title}"', hit.text)


def test_search_r1_without_scores_gets_bare_documents_and_null_topk_the_servers_number(
    serve: Serve, bm25s: Bm25sSearcher
) -> None:
    url = serve(bm25s, default_k=2)
    for body in ({"queries": ["ripe berries"], "topk": None}, {"queries": ["ripe berries"]}):
        (ranking,) = post(url + "/retrieve", body).json()["result"]
        assert [document["id"] for document in ranking] == ["a", "b"]
        assert ranking[0]["contents"].startswith('"Berries"\n') and "score" not in ranking[0]


def test_skyrl_sends_one_query_and_reads_a_nested_result(serve: Serve, bm25s: Bm25sSearcher) -> None:
    url = serve(bm25s)
    reply = post(url + "/retrieve", {"query": "ripe berries", "topk": 3, "return_scores": True})
    rows = reply.json()["result"][0]
    assert [row["document"]["id"] for row in rows] == ["a", "b", "\uff41"]
    assert all(isinstance(row["document"]["contents"], str) for row in rows)


def test_the_native_form_gives_titles_texts_scores_and_the_index_id(serve: Serve, bm25s: Bm25sSearcher) -> None:
    url = serve(bm25s)
    reply = post(url + "/search", {"queries": ["café Zürich"], "k": 1}).json()
    (hit,) = bm25s.search(["café Zürich"], 1)[0]
    assert reply["index_id"] == bm25s.index_id
    assert reply["hits"] == [[{"id": "café", "title": "Café", "text": hit.text, "score": pytest.approx(hit.score)}]]
    assert post(url + "/search", {"queries": []}).json()["hits"] == []


def test_a_passage_without_title_still_has_a_title_line(serve: Serve, bm25s: Bm25sSearcher) -> None:
    class Untitled(Held):
        def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
            return [[Hit("1", "", "the text", 1.0)] for _ in queries]

    (ranking,) = post(serve(Untitled()) + "/retrieve", {"queries": ["q"]}).json()["result"]
    assert ranking[0]["contents"] == '""\nthe text'


# -- bad requests -----------------------------------------------------------------------------------------------------

BAD = {
    "no JSON": (b"{", 422, "JSON"),
    "not UTF-8": (b'{"queries": ["\xff"]}', 422, "JSON"),
    "an array": (b"[]", 422, "object"),
    "nothing": (b"", 422, "JSON"),
    "neither field": ({"topk": 3}, 422, 'either "queries"'),
    "both fields": ({"query": "a", "queries": ["b"]}, 422, 'either "queries"'),
    "a number as query": ({"queries": [3]}, 422, "queries.0"),
    "null as query": ({"queries": [None]}, 422, "queries.0"),
    "text for a list": ({"queries": "a"}, 422, "queries"),
    "k of zero": ({"queries": ["a"], "topk": 0}, 422, "topk"),
    "k as text": ({"queries": ["a"], "topk": "many"}, 422, "topk"),
    "huge k": ({"queries": ["a"], "topk": 10**6}, 422, "at most 100 hits"),
    "many queries": ({"queries": ["a"] * 513}, 413, "at most 512 queries"),
    "a long query": ({"queries": ["a" * 9000]}, 413, "8192 characters"),
    "a huge body": (b" " * (5 << 20), 413, "bytes"),
    "nested too deep": (b'{"queries": ' + b"[" * 100_000, 422, ""),
}


def test_every_bad_request_gets_its_status_and_reason_and_the_next_one_is_served(
    serve: Serve, bm25s: Bm25sSearcher
) -> None:
    url = serve(bm25s)
    for kind, (body, status, reason) in BAD.items():
        reply = post(url + "/retrieve", body)
        assert (reply.status, reason in detail(reply)) == (status, True), (kind, reply.status, reply.data[:200])
        assert len(detail(reply)) < 400, f"{kind}: the reason repeats the input"
        assert post(url + "/retrieve", {"queries": ["berries"]}).status == 200, kind
    assert post(url + "/search", {"queries": ["a"], "topk": 3}).status == 422  # an unknown field of ours is a typo
    assert post(url + "/nowhere", {}).status == 404
    assert urllib3.request("GET", url + "/retrieve").status == 405


def test_a_body_far_beyond_every_buffer_gets_its_refusal_and_not_a_reset_connection(
    serve: Serve, bm25s: Bm25sSearcher
) -> None:
    url = serve(bm25s, max_body_bytes=4 << 20, token="s3cret")
    for _ in range(5):
        reply = post(url + "/retrieve", b" " * (12 << 20), Authorization="Bearer s3cret")
        assert (reply.status, detail(reply)) == (413, f"the body may have at most {4 << 20} bytes")
        assert post(url + "/retrieve", b" " * (12 << 20)).status == 401


def test_lone_surrogates_and_control_characters_are_legal_queries(serve: Serve, bm25s: Bm25sSearcher) -> None:
    url = serve(bm25s)
    body = b'{"queries": ["berries \\u0000 \\u202e"], "topk": 1}'
    assert post(url + "/retrieve", body).status == 200
    assert post(url + "/retrieve", b'{"queries": ["\\ud800"]}').status in (200, 422)


def test_a_slow_body_is_cut_off_and_others_are_served_meanwhile(serve: Serve, bm25s: Bm25sSearcher) -> None:
    url = serve(bm25s, body_timeout_s=patience(0.2))
    with connect(url) as slow:
        slow.sendall(head(100) + b"{")
        assert post(url + "/retrieve", {"queries": ["berries"]}).status == 200
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_a_chunked_body_beyond_the_limit_is_refused(serve: Serve, bm25s: Bm25sSearcher) -> None:
    url = serve(bm25s, max_body_bytes=1000)
    kind = {"Content-Type": "application/json"}
    reply = urllib3.request("POST", url + "/retrieve", body=iter([b" " * 600] * 3), headers=kind, retries=False)
    assert (reply.status, "1000 bytes" in detail(reply)) == (413, True)


# -- batches and back-pressure ----------------------------------------------------------------------------------------


def test_requests_that_wait_share_one_search_and_each_gets_its_own_k(serve: Serve) -> None:
    held = Held()
    url = serve(held)
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(post, url + "/search", {"queries": ["first"], "k": 1})
        until(lambda: held.asked)
        others = [threads.submit(post, url + "/search", {"queries": [f"q{k}"], "k": k}) for k in range(1, 9)]
        until_waiting(url, 8)
        held.open()
        assert first.result().status == 200
        for k, other in enumerate(others, 1):
            (ranking,) = other.result().json()["hits"]
            assert [hit["id"] for hit in ranking] == [f"q{k}{i}" for i in range(k)]
    assert len(held.asked) == 2
    queries, k = held.asked[1]
    assert (sorted(queries), k) == ([f"q{i}" for i in range(1, 9)], 8)


def test_a_search_that_fails_costs_only_its_own_request(serve: Serve) -> None:
    held = Held()
    url = serve(held)
    with ThreadPoolExecutor(3) as threads:
        replies = [threads.submit(post, url + "/search", {"queries": ["first"]})]
        until(lambda: held.asked)
        replies += [threads.submit(post, url + "/search", {"queries": [name]}) for name in ("poison", "good")]
        until_waiting(url, 2)
        held.open()
        assert [reply.result().status for reply in replies] == [200, 503, 200]
    assert replies[1].result().headers["Retry-After"] == "1"
    assert "poison" not in detail(replies[1].result())


def test_too_many_waiting_queries_get_503_with_retry_after_and_none_is_lost(serve: Serve) -> None:
    held = Held()
    url = serve(held, max_pending=4)
    with ThreadPoolExecutor(12) as threads:
        replies = [threads.submit(post, url + "/search", {"queries": ["running"]})]
        until(lambda: held.asked)
        replies += [threads.submit(post, url + "/search", {"queries": [f"q{i}"]}) for i in range(10)]
        until(lambda: sum(reply.done() for reply in replies) == 6)  # those that were refused
        until_waiting(url, 4)
        held.open()
        found = [reply.result() for reply in replies]
    statuses = sorted(reply.status for reply in found)
    assert statuses == [200] * 5 + [503] * 6
    assert all(reply.headers["Retry-After"] == "1" for reply in found if reply.status == 503)


def test_a_request_of_more_queries_than_may_wait_is_refused_for_good(serve: Serve) -> None:
    """A 503 would send its client into retries that cannot end well."""
    held = Held()
    held.open()
    url = serve(held, max_pending=4)
    assert urllib3.request("GET", url + "/health").json()["limits"]["max_queries"] == 4
    assert post(url + "/search", {"queries": ["q"] * 4}).status == 200
    reply = post(url + "/search", {"queries": ["q"] * 5})
    assert (reply.status, detail(reply)) == (413, "at most 4 queries per request")


def test_a_search_that_takes_too_long_gets_503(serve: Serve) -> None:
    held = Held()
    url = serve(held, search_timeout_s=0.2)
    reply = post(url + "/search", {"queries": ["q"]})
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    held.open()
    until(lambda: post(url + "/search", {"queries": ["q"]}).status == 200)  # the search that took too long ends first


# -- health, metrics, tokens, stop ------------------------------------------------------------------------------------


def test_health_says_loading_then_ready(corpus: list[Passage]) -> None:
    from berrypick.retrieval_index.server.app import create_app
    from starlette.testclient import TestClient

    gate = threading.Event()

    def load() -> Bm25sSearcher:
        gate.wait(patience(20))
        return Bm25sSearcher.from_passages(corpus)

    with TestClient(create_app(load, ServerSettings(), {"backend": "bm25s"}), LOCAL) as client:
        reply = client.get("/health")
        assert (reply.status_code, reply.json(), reply.headers["retry-after"]) == (503, {"status": "loading"}, "1")
        early = client.post("/retrieve", json={"queries": ["q"]})
        assert (early.status_code, early.headers["retry-after"]) == (503, "1")
        gate.set()
        until(lambda: client.get("/health").status_code == 200)
        ready = client.get("/health").json()
        assert ready["status"] == "ready" and ready["backend"] == "bm25s" and len(ready["index_id"]) == 64
        schema = client.get("/openapi.json").json()
        assert set(schema["paths"]) == {"/retrieve", "/search", "/health", "/metrics"}
        body = schema["paths"]["/retrieve"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert set(body["properties"]) == {"queries", "query", "topk", "return_scores"}


def test_a_load_that_fails_is_reported(corpus: list[Passage]) -> None:
    from berrypick.retrieval_index.server.app import create_app
    from starlette.testclient import TestClient

    failures: list[BaseException] = []

    def load() -> Bm25sSearcher:
        raise BerrypickError("no index; build one")

    with TestClient(create_app(load, ServerSettings(), None, failures.append), LOCAL) as client:
        until(lambda: failures)
        assert client.get("/health").status_code == 503
    assert str(failures[0]) == "no index; build one"


def test_metrics_count_requests_queries_and_batches(serve: Serve, bm25s: Bm25sSearcher) -> None:
    url = serve(bm25s)
    post(url + "/retrieve", {"queries": ["a", "b"]})
    post(url + "/retrieve", {"queries": 3})
    text = urllib3.request("GET", url + "/metrics").data.decode()
    for line in (
        'berrypick_requests_total{path="/retrieve",status="200"} 1.0',
        'berrypick_requests_total{path="/retrieve",status="422"} 1.0',
        "berrypick_queries_total 2.0",
        "berrypick_batch_queries_sum 2.0",
        "berrypick_waiting_queries 0.0",
        'berrypick_request_seconds_count{path="/retrieve"} 2.0',
    ):
        assert line in text, line


def test_a_token_is_asked_for_everywhere_but_at_health(serve: Serve, bm25s: Bm25sSearcher) -> None:
    url = serve(bm25s, token="s3cret")
    body = {"queries": ["berries"]}
    for reply in (
        post(url + "/retrieve", body),
        post(url + "/search", body, Authorization="Bearer wrong"),
        post(url + "/search", body, Authorization="Basic s3cret"),
        post(url + "/retrieve?token=no", body),
        urllib3.request("GET", url + "/metrics"),
    ):
        assert (reply.status, "token" in detail(reply)) == (401, True)
    assert urllib3.request("GET", url + "/health").status == 200
    assert post(url + "/search", body, Authorization="Bearer s3cret").status == 200
    assert post(url + "/retrieve?token=s3cret", body).status == 200  # clients that take an address and nothing else


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.9.9.9", True)]
)
def test_loopback_needs_no_token(host: str, own: bool) -> None:
    assert is_loopback(host) is own
    ServerSettings().check_host(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.org", ""])
def test_other_addresses_do(host: str) -> None:
    with pytest.raises(BerrypickError, match="BERRYPICK_TOKEN"):
        ServerSettings().check_host(host)
    ServerSettings(token="x").check_host(host)


def test_a_stopped_server_answers_what_it_has_accepted(serving: Any) -> None:
    held = Held()
    with ThreadPoolExecutor(1) as threads:
        with serving(lambda: held, ServerSettings()) as url:
            reply = threads.submit(post, url + "/search", {"queries": ["q"]})
            until(lambda: held.asked)
            threading.Timer(0.3, held.open).start()
        assert reply.result().status == 200
