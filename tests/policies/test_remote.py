"""Remote policies, against a server on paper and the real `transformers serve`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from berrypick.__main__ import main
from berrypick.envs.recording import record_of
from berrypick.envs.tasks.registry import Task
from berrypick.policies.chat import ChatPolicy
from berrypick.policies.language.tiny import tiny_model
from berrypick.policies.policy import Sampling
from berrypick.policies.remote import RemotePolicy, open_remote
from berrypick.policies.rollout import rollout
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.machine import patience


def text_of(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Searches once, then answers; the stop string is cut off, as servers do."""
    asked = "</search>" in body["prompt"]
    text = "<think> x </think> <answer> kizunba " if asked else "<search> ledger founder kizunba "
    return 200, {"choices": [{"text": text, "finish_reason": "stop"}]}


def play(policy: RemotePolicy, world: Task, samples: int = 1) -> list[Any]:
    groups = rollout(
        policy,
        world.split("train")[:2],
        world.spec,
        world.searcher,
        num_samples=samples,
        sampling=Sampling(temperature=0.7, top_p=0.9, max_new_tokens=9),
        seed=0,
    )
    return [episode for group in groups for episode in group]


def test_an_episode_is_played_turn_by_turn_over_http(serve, world: Task) -> None:
    url, got = serve(text_of)
    episodes = play(RemotePolicy(url, "m", key="secret"), world)
    assert [episode.prediction for episode in episodes] == ["kizunba"] * 2
    assert all(episode.queries == ["ledger founder kizunba"] for episode in episodes)
    assert all(turn.draft.tokens is None for episode in episodes for turn in episode.turns)
    assert len(got) == 4
    for request in got:
        assert request["path"] == "/v1/completions"
        assert request["authorization"] == "Bearer secret"
        assert (request["temperature"], request["top_p"], request["max_tokens"]) == (0.7, 0.9, 9)
        assert request["stop"] == ["</search>", "</answer>"]
    second = [request["prompt"] for request in got if "</search>" in request["prompt"]]
    assert all("<information>" in prompt for prompt in second)
    assert len({request["seed"] for request in got}) == 4


def test_a_busy_server_is_asked_again(serve, world: Task) -> None:
    calls: list[int] = []

    def busy_first(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        calls.append(1)
        return (503, {}) if len(calls) == 1 else text_of(body)

    url, _ = serve(busy_first)
    assert all(episode.prediction == "kizunba" for episode in play(RemotePolicy(url, "m"), world))


def test_an_answer_that_is_no_completion_is_said(serve, world: Task) -> None:
    url, _ = serve(lambda body: (404, {"error": "no such model"}))
    with pytest.raises(BerrypickError, match=r"answered 404 without a completion .*no such model.* check the model"):
        play(RemotePolicy(url, "m"), world)
    with pytest.raises(BerrypickError, match=r"no answer from .* start its server"):
        play(RemotePolicy("http://127.0.0.1:9/v1", "m", retries=0), world)


def test_as_many_connections_are_kept_as_there_are_workers(
    serve, world: Task, caplog: pytest.LogCaptureFixture
) -> None:
    url, got = serve(text_of)
    play(RemotePolicy(url, "m", workers=4), world, samples=8)
    assert len(got) == 32
    assert [record.message for record in caplog.records if record.name.startswith("urllib3")] == []


@pytest.mark.slow
def test_a_server_that_nobody_reaches_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    words = ["eval", "--env", "berrypick/World-v0", "--env-arg", "num_train=0", "num_validation=0", "num_test=4"]
    assert main([*words, "--policy", "http://127.0.0.1:9/v1#m", "--samples", "1", "--out", str(tmp_path / "x")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("berrypick: no answer from http://127.0.0.1:9/v1") and err.count("\n") == 1
    assert not caplog.records


def test_a_cut_reply_is_no_complete_search_and_text_after_the_stop_string_is_dropped(serve, world: Task) -> None:
    texts = [("<search> ledger foun", "length"), ("<answer> vufinka </answer> <information> made up", "stop")]

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        text, reason = texts[min(len(got) - 1, 1)]
        usage = {"prompt_tokens": 20, "completion_tokens": 3}
        return 200, {"choices": [{"text": text, "finish_reason": reason}], "usage": usage}

    url, got = serve(answer)
    (episode,) = play(RemotePolicy(url, "m", workers=1), world)[:1]
    assert [turn.draft.text for turn in episode.turns] == ["<search> ledger foun", "<answer> vufinka </answer>"]
    assert [turn.draft.stopped_by for turn in episode.turns] == ["length", "tag"]
    assert not episode.queries and episode.prediction == "vufinka"
    assert record_of(episode, sample_index=0, seed=0).policy_tokens == 6


def test_a_key_is_neither_shown_nor_taken_from_an_address(serve, world: Task) -> None:
    assert "secret" not in repr(RemotePolicy("http://h/v1", "m", key="secret"))
    url, _ = serve(lambda body: (401, {"error": "wrong key: secret"}))
    with pytest.raises(BerrypickError, match=r"answered 401 \(.*wrong key: \*\*\*.*BERRYPICK_API_KEY"):
        play(RemotePolicy(url, "m", key="secret"), world)
    for name in ("http://me:secret@h/v1#m", "http://h/v1?key=secret#m"):
        with pytest.raises(BerrypickError, match="no user name, password") as error:
            open_remote(name)
        assert "secret" not in str(error.value)


def test_the_key_of_openai_goes_to_no_other_server(serve, world: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BERRYPICK_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "theirs")
    url, got = serve(text_of)
    play(RemotePolicy(url, "m"), world)
    assert {request["authorization"] for request in got} == {None}
    sent = {}
    for address in (
        "https://api.openai.com/v1",
        "http://api.openai.com/v1",
        "https://api.openai.com.evil.example/v1",
        "https://evil.example/api.openai.com/v1",
    ):
        reply = SimpleNamespace(status=200, data=b"{}")
        pool = SimpleNamespace(request=lambda *_, headers, reply=reply, address=address, **more: (
            sent.update({address: headers.get("Authorization")}) or reply
        ))  # fmt: skip
        RemotePolicy(address, "m").post(pool, "/completions", {})
    assert sent.pop("https://api.openai.com/v1") == "Bearer theirs"
    assert set(sent.values()) == {None} and len(sent) == 3


def test_a_name_is_an_address_and_a_model() -> None:
    assert open_remote("http://h:1/v1#org/model") == RemotePolicy("http://h:1/v1", "org/model")
    with pytest.raises(BerrypickError, match="URL#MODEL"):
        open_remote("http://h:1/v1")


@pytest.mark.slow
def test_transformers_serve_is_such_a_server(tmp_path: Path, tokenizer, world: Task) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("openai")
    folder = tmp_path / "tiny"
    tiny_model(len(tokenizer), 0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}\n{% endfor %}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder), "--host", "127.0.0.1"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log, env=environment)
    try:
        pool, limit = urllib3.PoolManager(retries=False), time.monotonic() + patience(90)
        while True:
            try:
                pool.request("GET", f"http://127.0.0.1:{port}/health", timeout=patience(2))
                break
            except urllib3.exceptions.HTTPError:
                assert server.poll() is None, (tmp_path / "log").read_text()[-2000:]
                assert time.monotonic() < limit
                time.sleep(0.3)
        policy = RemotePolicy(f"http://127.0.0.1:{port}/v1", str(folder), workers=2)
        episodes = play(policy, world)
        chatted = play(ChatPolicy(policy.url, policy.model, workers=2), world)
    finally:
        server.terminate()
        server.wait(patience(20))
    assert all(episode.done for episode in episodes)
    assert any(turn.draft.text for episode in episodes for turn in episode.turns)
    assert all(turn.draft.usage is not None for episode in chatted for turn in episode.turns)
