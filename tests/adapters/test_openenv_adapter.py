"""OpenEnv's own client plays several sessions at once on our server."""

from __future__ import annotations

import re
import socket
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("openenv")
pytestmark = pytest.mark.filterwarnings("ignore")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"


@pytest.fixture(scope="module")
def url():
    code = re.search(r"```python openenv\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scope = {"port": port}
    exec(compile(code, str(DOCS), "exec"), scope)
    thread = threading.Thread(target=scope["server"].run, daemon=True)
    thread.start()
    for _ in range(200):
        if scope["server"].started:
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    scope["server"].should_exit = True
    thread.join(10)


def test_a_group_plays_in_concurrent_sessions(url):
    import berrypick
    from openenv.core.generic_client import GenericEnvClient

    task = berrypick.make_task("berrypick/World-v0", num_train=8, num_test=4)
    question = task.split("train")[3]
    world = question.metadata["world"]
    clients = [GenericEnvClient(base_url=url).sync() for _ in range(4)]
    try:
        first = [client.reset(question_id=question.id) for client in clients]
        assert {result.observation["text"] for result in first} == {question.text}
        kinds = [*world["kinds"], "nothing"]
        for client, kind in zip(clients, kinds):
            action = {"text": f"<search> {kind} {world['relations'][0]} {world['entities'][0]} </search>"}
            result = client.step(action)
            assert not result.done and "[1]" in result.observation["text"]
            if kind in world["kinds"]:
                assert kind in result.observation["text"]
        rewards = [
            client.step({"text": f"<answer> {text} </answer>"}).reward
            for client, text in zip(clients, [question.answers[0], "x", question.answers[0], "y"])
        ]
        assert rewards == [1.0, 0.0, 1.0, 0.0]
        late = clients[0].step({"text": "hm"})
        assert late.done and "reset first" in late.observation["text"]
        assert clients[0].state()["question_id"] == question.id
    finally:
        for client in clients:
            client.close()


def test_a_repeated_seed_repeats_the_question_and_truncation_is_in_the_metadata(url):
    from openenv.core.generic_client import GenericEnvClient

    client = GenericEnvClient(base_url=url).sync()
    try:
        texts = [client.reset(seed=seed).observation["text"] for seed in (5, 5, 6, 7, 8)]
        assert texts[0] == texts[1] and len(set(texts)) > 1
        client.reset(seed=1)
        results = [client.step({"text": "hm"}) for _ in range(6)]
        assert [result.done for result in results] == [False] * 5 + [True]
    finally:
        client.close()
