"""verifiers rolls out our environment with its own harness against a model server."""

from __future__ import annotations

import asyncio
import itertools
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("verifiers.v1")

from fixtures.chat_stream import streaming

pytestmark = pytest.mark.filterwarnings("ignore")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"


@pytest.fixture
def model_server():
    """An OpenAI-compatible endpoint that writes given turns, one a request, and keeps what it was asked."""
    turns, number = [], itertools.count()
    with streaming(lambda messages: turns[next(number)]) as (base_url, asked):
        yield base_url, turns, asked


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
