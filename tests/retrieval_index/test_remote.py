"""The client: retries, clear refusals, foreign servers, and an episode that outlives a restart."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

from berrypick.__main__ import main
from berrypick.envs.tasks.registry import make_task
from berrypick.retrieval_index import remote as remote_module
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.corpus import Passage, corpus_sha256, passage_from_text
from berrypick.retrieval_index.errors import BerrypickError, SearchUnavailableError
from berrypick.retrieval_index.remote import RemoteSearcher
from berrypick.retrieval_index.server.settings import ServerSettings
from fixtures.machine import patience

Answer = tuple[int, dict[str, str], Any]


@pytest.fixture
def scripted() -> Iterator[Callable[..., tuple[str, list[dict[str, Any]]]]]:
    """scripted(answer, ...) -> (address, requests): a server that gives these answers in turn, the last for ever."""
    servers: list[ThreadingHTTPServer] = []

    def start(*answers: Answer) -> tuple[str, list[dict[str, Any]]]:
        seen: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                seen.append({"path": self.path, "body": json.loads(body or b"{}"), "headers": dict(self.headers)})
                status, headers, value = answers[min(len(seen), len(answers)) - 1]
                payload = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in {**headers, "Content-Length": str(len(payload))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", seen

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


READY: Answer = (200, {}, {"status": "ready", "index_id": "i" * 64})
HITS: Answer = (200, {}, {"hits": [[{"id": "a", "title": "T", "text": "x", "score": 1.5}]]})


def test_it_finds_what_the_searcher_behind_the_server_finds(serve: Any, corpus: list[Passage]) -> None:
    bm25s = Bm25sSearcher.from_passages(corpus)
    for path in ("", "/", "/retrieve"):
        remote = RemoteSearcher(serve(bm25s) + path, patience_s=patience(5))
        queries = [f"word{i} text" for i in range(300)] + ["ripe berries", ""]  # more than one request's worth
        ours, theirs = bm25s.search(queries, 4), remote.search(queries, 4)
        assert [[hit.id for hit in r] for r in theirs] == [[hit.id for hit in r] for r in ours]
        assert [hit.score for hit in theirs[0]] == pytest.approx([hit.score for hit in ours[0]])
        assert (remote.index_id == bm25s.index_id) is not path.endswith("retrieve")
        remote.close()


def test_busy_answers_are_tried_again_after_their_retry_after(scripted: Any) -> None:
    busy: Answer = (503, {"Retry-After": "0.2"}, {"detail": "busy"})
    url, seen = scripted(READY, busy, (429, {}, {}), (502, {}, b"<html>bad gateway"), HITS)
    remote = RemoteSearcher(url, patience_s=patience(20))
    began = time.monotonic()
    assert remote.search(["q"], 1)[0][0].id == "a"
    assert time.monotonic() - began >= 0.15
    assert [request["path"] for request in seen] == ["/health"] + ["/search"] * 4
    assert seen[-1]["body"] == {"queries": ["q"], "k": 1}


def test_a_server_that_stays_away_is_given_up_with_the_cure(free_port: int) -> None:
    with pytest.raises(SearchUnavailableError, match=rf"127\.0\.0\.1:{free_port} for 0\.3 s .*berrypick serve"):
        RemoteSearcher(f"http://127.0.0.1:{free_port}", patience_s=0.3)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.mark.parametrize("path", ["", "/retrieve"])
def test_at_the_start_a_server_that_nobody_reaches_is_given_up_within_seconds(
    path: str, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(remote_module, "time", clock)
    index = f"http://127.0.0.1:{free_port}{path}"
    with pytest.raises(SearchUnavailableError, match=rf"127\.0\.0\.1:{free_port} for 5 s .*berrypick serve"):
        make_task("berrypick/World-v0", index=index, num_train=1, num_validation=0, num_test=0)
    assert 1 < clock.now_s <= 5


def test_what_is_no_address_is_refused_at_once() -> None:
    for url in ("http://127.0.0.1:99999", "http://[::1/retrieve"):
        with pytest.raises(BerrypickError, match="is not an address; use one such as"):
            RemoteSearcher(url)


def test_at_the_start_a_server_that_loads_is_waited_for(scripted: Any, caplog: pytest.LogCaptureFixture) -> None:
    url, seen = scripted((503, {"Retry-After": "0.3"}, {}), (503, {"Retry-After": "0.3"}, {}), READY)
    RemoteSearcher(url, patience_s=patience(20), start_patience_s=0.1)
    assert len(seen) == 3
    assert [f"trying again for {patience(20):g} s at most" in record.message for record in caplog.records] == [True]


def test_refusals_are_not_tried_again_and_carry_the_reason(scripted: Any) -> None:
    for answer, message in (
        ((422, {}, {"detail": "at most 100 hits a query"}), r"\(422\): at most 100 hits"),
        ((401, {}, {}), "BERRYPICK_TOKEN"),
        ((404, {}, {}), "does not answer like a retrieval server"),
        ((200, {}, b"<html>hello"), "does not answer like a retrieval server"),
        ((200, {}, {"hits": []}), "does not answer like a retrieval server"),
        ((200, {}, {"hits": [[{"id": "a"}]]}), "does not answer like a retrieval server"),
    ):
        url, seen = scripted(READY, answer)
        with pytest.raises(BerrypickError, match=message):
            RemoteSearcher(url, patience_s=patience(5)).search(["q"], 1)
        assert len(seen) == 2


def test_the_token_travels_as_bearer(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERRYPICK_TOKEN", "s3cret")
    url, seen = scripted(READY, HITS)
    RemoteSearcher(url).search(["q"], 1)
    assert [request["headers"]["Authorization"] for request in seen] == ["Bearer s3cret"] * 2


def test_a_search_r1_server_is_read_as_its_own_client_reads_it(scripted: Any) -> None:
    row = {"document": {"id": 7, "contents": '"Big Apple"\nline one\nline two'}, "score": 0.5}
    low = {"document": {"id": 3, "contents": "no title"}, "score": 0.75}
    url, seen = scripted((200, {}, {"result": [[row, low]]}))
    remote = RemoteSearcher(url + "/retrieve")
    found = remote.search(["q", ""], 2)
    assert [(h.id, h.title, h.text, h.score) for h in found[0]] == [
        ("3", "", "no title", 0.75),
        ("7", "Big Apple", "line one\nline two", 0.5),
    ]
    assert found[1] == []
    assert seen[0]["body"] == {"queries": ["q"], "topk": 2, "return_scores": True}
    assert len(remote.index_id) == 64


BABBAGE, ADA = "Charles Babbage was born in 1791.", "Ada Lovelace wrote a program."
BOTH = [("Charles Babbage", BABBAGE), ("Ada Lovelace", ADA)]


def contents(title: str, text: str) -> str:
    return f'"{title}"\n{text}'


@pytest.mark.parametrize(
    ("rows", "ids", "scores"),
    [  # what Search-R1's BM25 server over stored documents sends, its Google and SerpAPI servers, and others' variants
        (
            [
                {"document": {"title": t, "text": x, "contents": contents(t, x)}, "score": s}
                for (t, x), s in zip(BOTH, (11.2, 7.2))
            ],
            None,
            [11.2, 7.2],
        ),
        ([{"document": {"contents": contents(t, x)}} for t, x in BOTH], None, [1.0, 0.5]),
        ([{"contents": contents(t, x)} for t, x in BOTH], None, [1.0, 0.5]),
        ([{"document": {"title": t, "text": x}, "score": None} for t, x in BOTH], None, [1.0, 0.5]),
        (
            [{"document": {"id": None, "contents": contents(t, x)}, "score": s} for (t, x), s in zip(BOTH, (0.9, 0.8))],
            None,
            [0.9, 0.8],
        ),
        (
            [{"document": {"id": "7", "contents": contents(t, x)}, "score": s} for (t, x), s in zip(BOTH, (0.9, 0.8))],
            ["7", passage_from_text(*BOTH[1]).id],
            [0.9, 0.8],
        ),
        (
            [{"document": {"id": 7, "contents": contents(*BOTH[0])}, "score": s} for s in (0.9, 0.8)],
            ["7"],
            [0.9],
        ),
    ],
)
def test_contents_are_enough_and_no_ids_merge_passages(
    scripted: Any, rows: Any, ids: list[str] | None, scores: list[float]
) -> None:
    url, _ = scripted((200, {}, {"result": [rows]}))
    (found,) = RemoteSearcher(url + "/retrieve").search(["q"], 3)
    assert [(hit.title, hit.text) for hit in found] == BOTH[: len(scores)]
    assert [hit.score for hit in found] == scores
    assert [hit.id for hit in found] == (ids or [passage_from_text(*one).id for one in BOTH])


def test_half_a_character_from_a_server_is_replaced_and_the_record_is_written(scripted: Any, tmp_path: Path) -> None:
    document = {"id": "7\ud83d", "contents": '"T\udc00"\nborn in 1791 \ud83d'}
    url, _ = scripted((200, {}, {"result": [[{"document": document, "score": 1.0}]]}))
    (found,) = RemoteSearcher(url + "/retrieve").search(["q"], 1)
    assert (found[0].id, found[0].title, found[0].text) == ("7\ufffd", "T\ufffd", "born in 1791 \ufffd")
    (tmp_path / "q.jsonl").write_text('{"id": "q1", "question": "When?", "golden_answers": ["1791"]}\n')
    code = main(
        ["eval", "--env", "berrypick/Custom-v0", "--env-arg", f"questions={tmp_path / 'q.jsonl'}",
         f"index={url}/retrieve", "--policy", "question", "--samples", "2", "--out", str(tmp_path / "out")]
    )  # fmt: skip
    assert code == 0
    assert "\ufffd" in (tmp_path / "out" / "rollouts.jsonl").read_text(encoding="utf-8")


def test_a_server_with_another_corpus_is_refused(serve: Any, corpus: list[Passage]) -> None:
    url = serve(Bm25sSearcher.from_passages(corpus), {"corpus_sha256": corpus_sha256(corpus)})
    RemoteSearcher(url, expected_corpus_sha256=corpus_sha256(corpus))
    with pytest.raises(BerrypickError, match="another corpus"):
        RemoteSearcher(url, expected_corpus_sha256="0" * 64)


def test_an_environment_over_a_remote_index_plays_as_over_a_local_one(serving: Any) -> None:
    arguments = {"num_train": 4, "num_validation": 2, "num_test": 4}
    local = make_task("berrypick/World-v0", **arguments)
    query = local.split("train")[0].text
    with serving(lambda: local.searcher, ServerSettings()) as url:
        remote = make_task("berrypick/World-v0", index=url, **arguments)
        assert remote.searcher.search([query], 3) == local.searcher.search([query], 3)
        assert remote.searcher.index_id == local.searcher.index_id


def test_an_episode_outlives_a_restart_of_the_server(serving: Any, corpus: list[Passage], free_port: int) -> None:
    bm25s = Bm25sSearcher.from_passages(corpus)
    with serving(lambda: bm25s, ServerSettings(), port=free_port) as url:
        remote = RemoteSearcher(url, patience_s=patience(30))
        before = remote.search(["ripe berries"], 2)
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(remote.search(["ripe berries"], 2)))
    asking.start()  # nobody listens now
    time.sleep(0.3)
    assert not found
    with serving(lambda: bm25s, ServerSettings(), port=free_port):
        asking.join(patience(30))
    assert found == [before]
