"""Large requests beside small ones, and clients that hang up, over real HTTP."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

import urllib3
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.server.fair_queue import FairQueue, Waiting, cost
from fixtures.machine import patience, until
from fixtures.retrieval_server import Held, connect, head, post, until_waiting
from hypothesis import given
from hypothesis import strategies as st

Serve = Callable[..., str]


def names(count: int) -> list[str]:
    return [f"q{i}" for i in range(count)]


def test_a_small_request_waits_for_one_small_search_and_not_for_the_large_ones(serve: Serve) -> None:
    held = Held()
    url = serve(held, max_batch=4, search_timeout_s=patience(60))
    with ThreadPoolExecutor(4) as threads:
        large = [threads.submit(post, url + "/search", {"queries": names(20), "k": 1})]
        until(lambda: held.asked)
        large += [threads.submit(post, url + "/search", {"queries": [f"other {i}"] * 20, "k": 1}) for i in range(2)]
        until_waiting(url, 16 + 40)
        small = threads.submit(post, url + "/search", {"queries": ["small"], "k": 3})
        until_waiting(url, 57)
        held.let_go()  # the search that ran when it came
        until(lambda: len(held.asked) == 2)
        assert "small" in held.asked[1][0] and len(held.asked[1][0]) <= 3  # with half a search of a large one at most
        held.let_go()
        assert [hit["id"] for hit in small.result().json()["hits"][0]] == ["small0", "small1", "small2"]
        assert not any(request.done() for request in large)
        held.open()
        assert [request.result().status for request in large] == [200] * 3
    assert large[0].result().json()["hits"][19][0]["id"] == "q190"
    assert max(len(queries) for queries, _ in held.asked) == 4


def test_large_requests_take_turns(serve: Serve) -> None:
    held = Held()
    url = serve(held, max_batch=2, search_timeout_s=patience(60))
    with ThreadPoolExecutor(2) as threads:
        requests = [threads.submit(post, url + "/search", {"queries": ["a"] * 6, "k": 1})]
        until(lambda: held.asked)
        requests.append(threads.submit(post, url + "/search", {"queries": ["b"] * 6, "k": 1}))
        until_waiting(url, 4 + 6)
        held.open()
        assert [request.result().status for request in requests] == [200, 200]
    assert [queries[0] for queries, _ in held.asked] == ["a", "a", "b", "a", "b", "b"]


@pytest.mark.parametrize("limits", [{"max_batch": 3}, {"max_cost": 60}, {"max_batch": 1, "max_cost": 1}, {}])
def test_a_request_in_pieces_gets_the_hits_of_one_search(
    serve: Serve, corpus: list[Passage], limits: dict[str, int]
) -> None:
    bm25s = Bm25sSearcher.from_passages(corpus)
    url = serve(bm25s, search_timeout_s=patience(60), **limits)
    queries = [*(f"word{i} common text number {i % 7} berries" for i in range(25)), "", "ripe " * 300]
    bodies = [{"queries": queries[at:], "k": 1 + at} for at in range(8)]
    with ThreadPoolExecutor(8) as threads:
        for body, reply in zip(bodies, threads.map(lambda body: post(url + "/search", body), bodies)):
            expected = bm25s.search(body["queries"], body["k"])
            assert [[(h["id"], h["score"]) for h in row] for row in reply.json()["hits"]] == [
                [(hit.id, pytest.approx(hit.score)) for hit in row] for row in expected
            ]


def test_large_requests_can_be_left_out_of_a_search() -> None:
    loop = asyncio.new_event_loop()
    try:
        queue = FairQueue(100, 2_000)
        large, small = (Waiting([text] * 10, 1, 7.0, loop.create_future()) for text in ("x" * 784, "small"))
        queue.add(large, 100)
        assert queue.take(large=False) == [] and queue.num_queries == 10 and queue.small_at < 7.0
        queue.add(small, 100)
        assert queue.small_at == 7.0 and large.is_large and not small.is_large
        assert [piece.request for piece in queue.take(large=False)] == [small]
        assert [piece.request for piece in queue.take()] == [large]
    finally:
        loop.close()


def test_a_request_for_many_hits_makes_no_other_request_search_for_as_many(serve: Serve) -> None:
    held = Held()
    url = serve(held, search_timeout_s=patience(60))
    with ThreadPoolExecutor(5) as threads:
        ask = [threads.submit(post, url + "/search", {"queries": ["first"]})]
        until(lambda: held.asked)
        for k in (100, 3, 90, 10):
            ask.append(threads.submit(post, url + "/search", {"queries": [f"for {k}"], "k": k}))
            until_waiting(url, len(ask) - 1)
        held.open()
        assert [len(reply.result().json()["hits"][0]) for reply in ask] == [3, 100, 3, 90, 10]
    assert held.asked[1:] == [(["for 3", "for 10"], 10), (["for 90", "for 100"], 100)]


def test_large_requests_leave_half_of_the_places_to_small_ones(serve: Serve) -> None:
    held = Held()
    url = serve(held, max_batch=4, max_pending=20, search_timeout_s=patience(60))
    with ThreadPoolExecutor(16) as threads:
        ask = [threads.submit(post, url + "/search", {"queries": names(20), "k": 1})]  # alone it may fill all
        until(lambda: held.asked)
        assert post(url + "/search", {"queries": names(3), "k": 1}).status == 503
        for _ in range(3):
            held.let_go()
        until_waiting(url, 4)
        ask.append(threads.submit(post, url + "/search", {"queries": names(6), "k": 1}))
        until_waiting(url, 10)
        assert post(url + "/search", {"queries": names(3), "k": 1}).status == 503
        ask += [threads.submit(post, url + "/search", {"queries": ["small"], "k": 1}) for _ in range(10)]
        until_waiting(url, 20)
        assert post(url + "/search", {"queries": ["small"], "k": 1}).status == 503
        held.open()
        assert {request.result().status for request in ask} == {200}


def test_a_query_that_fails_ends_its_own_large_request_and_no_other(serve: Serve) -> None:
    held = Held()
    url = serve(held, max_batch=4, search_timeout_s=patience(60))
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(post, url + "/search", {"queries": ["first"]})
        until(lambda: held.asked)
        bad = threads.submit(post, url + "/search", {"queries": ["bad", "poison", *["later"] * 6]})
        good = threads.submit(post, url + "/search", {"queries": ["good"]})
        until_waiting(url, 9)
        held.open()
        assert [reply.result().status for reply in (first, bad, good)] == [200, 503, 200]
    until_waiting(url, 0)
    assert not any("later" in queries for queries, _ in held.asked)


def test_a_large_request_that_takes_too_long_leaves_the_queue(serve: Serve) -> None:
    held = Held()
    url = serve(held, max_batch=4, search_timeout_s=0.2)
    assert post(url + "/search", {"queries": names(20)}).status == 503
    until_waiting(url, 0)
    held.open()
    until(lambda: post(url + "/search", {"queries": ["next"]}).status == 200)
    searched = [query for queries, _ in held.asked for query in queries if query != "next"]
    assert searched == names(4)


def test_what_clients_asked_that_hung_up_is_not_searched(serve: Serve) -> None:
    held = Held()
    url = serve(held, max_batch=4, search_timeout_s=patience(60))
    body = json.dumps({"queries": names(20)}).encode()
    small = json.dumps({"queries": ["gone"]}).encode()
    with ThreadPoolExecutor(1) as threads:
        running = connect(url)
        running.sendall(head(len(body)) + body)
        until(lambda: held.asked)
        waiting = [connect(url) for _ in range(5)]
        for connection, sent in zip(waiting, [body, body, small, small, body]):
            connection.sendall(head(len(sent)) + sent)
        stays = threads.submit(post, url + "/search", {"queries": ["stays"]})
        until_waiting(url, 16 + 20 + 20 + 1 + 1 + 20 + 1)
        for connection in (running, *waiting):
            connection.close()
        until_waiting(url, 1)
        held.open()
        assert stays.result().status == 200
    assert held.asked == [(names(4), 3), (["stays"], 3)]
    hung_up = 'berrypick_requests_total{path="/search",status="499"} 6.0'
    assert hung_up in urllib3.request("GET", url + "/metrics").data.decode()


def test_a_client_that_hangs_up_within_its_body_is_not_an_error_of_the_server(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()
    held.open()
    url = serve(held)
    with connect(url) as connection:
        connection.sendall(head(100) + b'{"queries"')
    hung_up = 'berrypick_requests_total{path="/search",status="499"} 1.0'
    until(lambda: hung_up in urllib3.request("GET", url + "/metrics").data.decode())
    assert not held.asked and "search failed" not in caplog.text


REQUESTS = st.lists(st.tuples(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(1, 4)), max_size=12)


@given(REQUESTS, st.integers(1, 8), st.integers(1, 200), st.dictionaries(st.integers(0, 20), st.integers(0, 11)))
def test_the_queue_takes_every_query_once_in_order_and_within_the_limits(
    requests: list[tuple[list[int], int]], max_queries: int, max_cost: int, hang_up: dict[int, int]
) -> None:
    loop = asyncio.new_event_loop()
    try:
        queue = FairQueue(max_queries, max_cost)
        waiting = [Waiting(["x" * n for n in lengths], k, 0.0, loop.create_future()) for lengths, k in requests]
        for request in waiting:
            assert queue.add(request, 10**6)
        taken: dict[Waiting, list[str]] = {request: [] for request in waiting}
        waits = sum(len(request.queries) for request in waiting)
        gone = set()
        for step in itertools.count():
            if hang_up.get(step, len(waiting)) < len(waiting):  # search number -> the client that hangs up before it
                request = waiting[hang_up[step]]
                queue.discard(request)
                if request not in gone:
                    waits -= len(request.queries) - len(taken[request])
                gone.add(request)
            assert queue.num_queries == waits
            if not queue:
                break
            pieces = queue.take()
            count = sum(len(piece.queries) for piece in pieces)
            price = sum(cost(query, piece.request.k) for piece in pieces for query in piece.queries)
            assert pieces and all(piece.queries for piece in pieces)
            alone = count <= 1 or (len(pieces) == 2 and len(pieces[0].queries) == 1)  # a query may cost more
            assert (count <= max_queries and price <= max_cost) or alone
            for piece in pieces:
                taken[piece.request] += piece.queries
            waits -= count
        assert waits == 0
        for request in waiting:
            assert taken[request] == list(request.queries)[: len(taken[request])]
            assert len(taken[request]) == len(request.queries) or request in gone
        assert queue.add(Waiting(["x"] * 9, 1, 0.0, loop.create_future()), 9)  # all places are free again
    finally:
        loop.close()
