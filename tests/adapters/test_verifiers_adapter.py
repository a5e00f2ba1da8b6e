"""verifiers rolls out our environment with its own harness against a model server."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("verifiers.v1")
pytestmark = pytest.mark.filterwarnings("ignore")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"


@pytest.fixture
def model_server():
    """An OpenAI-compatible endpoint that writes given turns, one a request, and keeps what it was asked."""
    turns, asked = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body["messages"])
            turn = turns[len(asked) - 1]
            head = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": body["model"]}
            deltas = [({"role": "assistant", "content": turn}, None), ({}, "stop")]
            chunks = [head | {"choices": [{"index": 0, "delta": d, "finish_reason": end}]} for d, end in deltas]
            chunks.append(
                head | {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
            )
            assert body["stream"]
            payload = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", turns, asked
    server.shutdown()


@pytest.mark.skipif(shutil.which("uv") is None, reason="the null harness prepares its program with uv")
def test_a_rollout_searches_answers_and_is_paid(model_server, monkeypatch):
    base_url, turns, asked = model_server
    monkeypatch.setenv("MODEL_API_KEY", "none")
    code = re.search(r"```python verifiers\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)
    scope = {"model": "m", "base_url": base_url}
    exec(compile(code, str(DOCS), "exec"), scope)

    import berrypick

    task = list(scope["env"].taskset)[2]
    question = berrypick.make_task("berrypick/World-v0", num_train=8, num_test=4).split("train")[2]
    assert (task.data.question_id, task.data.prompt) == (question.id, question.text)
    assert question.answers[0] not in task.data.model_dump_json()
    world = question.metadata["world"]
    query = f"{world['kinds'][0]} {world['relations'][0]} {world['entities'][0]}"
    turns += ["hm", f"<search> {query} </search>", f"<answer> {question.answers[0]} </answer>"]
    episode = asyncio.run(scope["roll_out"](task))
    assert not episode.errors, episode.errors
    trace = episode.traces[0]
    assert trace.info["berrypick"] == {
        "question_id": question.id, "queries": [query], "passage_ids": [world["passages"][0][0]],
    }  # fmt: skip
    assert trace.reward == 1.0
    assert len(asked) == 3
    texts = [message["content"] for message in asked[-1] if message["role"] == "user"]
    assert question.text in str(texts[0])
    assert "invalid turn" in str(texts[1]) and "[1]" in str(texts[2])


def test_the_taskset_is_loaded_by_its_name():
    from berrypick.envs.adapters.verifiers import TASKSET_ID, BerrypickEnv, BerrypickTasksetConfig
    from verifiers.v1.utils.loaders import environment_class, load_taskset

    taskset = load_taskset(
        BerrypickTasksetConfig(id=TASKSET_ID, arguments={"num_train": 5, "num_test": 2}, num_questions=3)
    )
    assert len(list(taskset)) == 3
    assert environment_class(TASKSET_ID) is BerrypickEnv
