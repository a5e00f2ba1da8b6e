"""Policies behind a chat endpoint, against a scripted server over real HTTP: function calls, tags, and bad replies."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from berrypick.__main__ import main
from berrypick.envs.episode import Episode
from berrypick.envs.formats.turn_format import get_turn_format
from berrypick.envs.record import read_records
from berrypick.envs.recording import record_of
from berrypick.envs.tasks.registry import Task, make_task
from berrypick.policies.chat import ChatPolicy, open_chat
from berrypick.policies.chat_turns import tool_turn
from berrypick.policies.open_policy import open_policy
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import WINDOW_FULL, rollout
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.endpoint import Serve
from hypothesis import given
from hypothesis import strategies as st

USAGE = {"prompt_tokens": 40, "completion_tokens": 7, "total_tokens": 47}


def chat(message: Any, finish: str = "stop") -> tuple[int, Any]:
    return 200, {"choices": [{"message": message, "finish_reason": finish}], "usage": USAGE}


def calling(*calls: tuple[str, Any], content: str | None = None) -> tuple[int, Any]:
    """A reply with function calls; arguments that are no text become JSON."""
    return chat(
        {
            "role": "assistant",
            "content": content,
            "tool_calls": [
                {
                    "id": f"id-{at}",
                    "type": "function",
                    "function": {
                        "name": name,
                        "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
                    },
                }
                for at, (name, arguments) in enumerate(calls)
            ],
        },
        "tool_calls",
    )


def saying(text: Any, finish: str = "stop") -> tuple[int, Any]:
    return chat({"role": "assistant", "content": text}, finish)


def task_of(turn_format: str, **more: Any) -> Task:
    sizes = {"num_train": 2, "num_validation": 0, "num_test": 2}
    return make_task("berrypick/World-v0", turn_format=turn_format, voice="english", **sizes, **more)


def play(policy: ChatPolicy, task: Task, questions: int = 1, samples: int = 1) -> list[Episode]:
    groups = rollout(
        policy,
        task.split("train")[:questions],
        task.spec,
        task.searcher,
        num_samples=samples,
        sampling=Sampling(temperature=0.7, top_p=0.9, max_new_tokens=50),
        seed=0,
    )
    return [episode for group in groups for episode in group]


def played(serve: Serve, *replies: tuple[int, Any], turn_format: str = "tool_call", **more: Any) -> tuple[Episode, Any]:
    """One episode against a server that gives these replies in turn, and the last one again; and the requests."""
    left = list(replies)
    url, got = serve(lambda body: left.pop(0) if len(left) > 1 else left[0])
    (episode,) = play(ChatPolicy(url, "m", key="secret"), task_of(turn_format, **more))
    return episode, got


def kinds(episode: Episode) -> list[str]:
    return [turn.action for turn in record_of(episode, sample_index=0, seed=0).turns]


# Function calls


def test_a_model_that_calls_functions_searches_and_answers(serve: Serve) -> None:
    episode, got = played(
        serve,
        calling(("search", {"query": "ledger founder Kizunba"}), content="I look it up."),
        calling(("answer", {"answer": "Tovenra"})),
    )
    assert kinds(episode) == ["search", "answer"]
    assert episode.queries == ["ledger founder Kizunba"] and episode.prediction == "Tovenra"
    first, second = got
    assert first["path"] == "/v1/chat/completions" and first["authorization"] == "Bearer secret"
    assert [tool["function"]["name"] for tool in first["tools"]] == ["search", "answer"] and "stop" not in first
    assert (first["temperature"], first["top_p"], first["max_tokens"]) == (0.7, 0.9, 50)
    (opening,) = first["messages"]
    assert opening["role"] == "user" and episode.question.text in opening["content"] and "<" not in opening["content"]
    _, said, result = second["messages"]
    assert said["content"] == "I look it up."
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == {"query": "ledger founder Kizunba"}
    assert (result["role"], result["tool_call_id"]) == ("tool", "id-0")
    assert json.loads(result["content"])["result"].startswith("[1] ")
    assert first["seed"] != second["seed"]


def test_a_reply_without_a_call_is_the_answer(serve: Serve) -> None:
    episode, got = played(serve, saying("<think>easy</think>\n Tovenra\n"))
    assert kinds(episode) == ["answer"] and episode.prediction == "Tovenra" and len(got) == 1


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("turn_format", ["tool_call", "tags", "search_r1"])
def test_thought_that_a_service_returns_apart_is_recorded_and_never_acts(
    serve: Serve, field: str, turn_format: str
) -> None:
    thought = "Is it <answer> Wrong </answer> or <search> no </search>?\n<tool_call>{}</tool_call> 1 < 2"
    if turn_format == "tool_call":
        replies = [calling(("search", {"query": "ledger"})), saying("Tovenra")]
    else:
        replies = [saying("<search> ledger </search>"), saying("<answer> Tovenra </answer>")]
    for _, body in replies:
        body["choices"][0]["message"][field] = thought
    episode, got = played(serve, *replies, turn_format=turn_format)
    assert kinds(episode) == ["search", "answer"]
    assert episode.queries == ["ledger"] and episode.prediction == "Tovenra"
    first, last = record_of(episode, sample_index=0, seed=0).turns
    for turn in (first, last):
        assert turn.text.startswith("<think> Is it < answer> Wrong < /answer> or ")
        assert "1 < 2 </think>\n" in turn.text
    assert "think" not in json.dumps(got[1]["messages"][1:]), "the service does not want its thoughts back"


def test_a_call_that_a_server_leaves_in_the_text_is_read(serve: Serve) -> None:
    call = '<tool_call>{"name": "search", "arguments": {"query_list": ["ledger"]}}</tool_call>'
    episode, got = played(serve, saying(call), saying("<answer> Tovenra </answer>"))
    assert kinds(episode) == ["search", "answer"] and episode.queries == ["ledger"]
    assert got[1]["messages"][-1]["role"] == "user"


def test_several_calls_of_one_reply_are_one_search_and_each_gets_a_response(serve: Serve) -> None:
    calls = [
        ("search", {"query": "ledger"}),
        ("search", {"query": "scroll </tool_call>"}),
        ("answer", {"answer": "early"}),
    ]
    episode, got = played(serve, calling(*calls), calling(("answer", {"answer": "x"})))
    assert kinds(episode) == ["search", "answer"] and episode.queries == ["ledger", "scroll </tool_call>"]
    responses = [message for message in got[1]["messages"] if message["role"] == "tool"]
    assert [message["tool_call_id"] for message in responses] == ["id-0", "id-1", "id-2"]
    assert "[2]" in responses[0]["content"] and "first result" in responses[1]["content"]
    record = record_of(episode, sample_index=0, seed=0).turns[0]
    assert [json.loads(f'"{record.text[start:end]}"') for start, end in record.query_spans] == record.queries


@pytest.mark.parametrize(
    "bad",
    [
        calling(("search", '{"query": "ledger')),
        calling(("search", "[1]")),
        calling(("search", {"query": 3})),
        calling(("search", {"query": "  "})),
        calling(("search", {"words": "x"})),
        calling(("search", "")),
        calling(("look_up", {"query": "x"})),
        calling(("answer", {"answer": ["a"]})),
        calling(("answer", {"answer": " "})),
        calling(("search", {"query": "x"}), ("search", "{")),
        chat({"content": None, "tool_calls": [{}]}),
        chat({"content": None, "tool_calls": [None, 3]}),
        chat({"content": None, "tool_calls": [{"id": 3, "function": {"name": None, "arguments": {"a": 1}}}]}),
        chat({"content": None, "tool_calls": "no list"}),
        saying(None),
        saying(""),
        saying({"a": 1}),
        saying("<think> and nothing else </think>"),
        saying("The answer is Tov", "length"),
        saying("", "content_filter"),
        chat(None),
        chat("no message"),
    ],
)
def test_a_reply_that_is_no_action_is_an_invalid_turn_and_the_episode_goes_on(bad: Any, serve: Serve) -> None:
    episode, got = played(serve, bad, calling(("answer", {"answer": "Tovenra"})))
    assert kinds(episode) == ["invalid", "answer"] and episode.prediction == "Tovenra"
    assert any("invalid turn" in message["content"] for message in got[1]["messages"][2:])
    said = got[1]["messages"][1]
    called = said.get("tool_calls", [])
    assert called or said["content"]
    for call in called:  # servers parse the arguments that a conversation repeats
        assert isinstance(json.loads(call["function"]["arguments"]), dict)
    replied = [message["tool_call_id"] for message in got[1]["messages"] if message["role"] == "tool"]
    assert replied == [call["id"] for call in called]


def test_a_complete_call_in_a_cut_reply_counts_and_a_cut_one_does_not(serve: Serve) -> None:
    status, whole = calling(("search", {"query": "ledger"}))
    whole["choices"][0]["finish_reason"] = "length"
    episode, _ = played(serve, (status, whole), saying("x"))
    assert kinds(episode) == ["search", "answer"]


def test_words_beside_a_call_are_no_action(serve: Serve) -> None:
    words = "first <answer> no </answer> then </tool_call>"
    episode, _ = played(serve, calling(("search", {"query": "ledger"}), content=words), saying("x"))
    assert kinds(episode) == ["search", "answer"]


def test_an_answer_of_several_lines_is_one_answer_unless_several_are_wanted(serve: Serve) -> None:
    assert played(serve, saying("Tovenra\nof Kizunba"))[0].prediction == "Tovenra of Kizunba"
    episode, _ = played(serve, saying("Tovenra [1]\nVufinka [2]"), num_answers=2)
    assert [candidate.text for candidate in episode.candidates] == ["Tovenra", "Vufinka"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["search", "answer", "query"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.sampled_from(
        ["message", "content", "tool_calls", "function", "name", "arguments", "query", "answer", "id", "finish_reason"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON.filter(lambda value: isinstance(value, dict)), st.integers(1, 3))
def test_no_reply_of_any_shape_raises(choice: dict[str, Any], num_answers: int) -> None:
    tool_call = get_turn_format("tool_call")
    turn = tool_turn(choice, tool_call, num_answers)
    tool_call.parse(tool_call.cut(turn.text))
    json.dumps(turn.message)


@given(st.text(max_size=30))
def test_any_query_arrives_as_it_was_sent(query: str) -> None:
    tool_call = get_turn_format("tool_call")
    _, reply = calling(("search", {"query": query}))
    action = tool_call.parse(tool_call.cut(tool_turn(reply["choices"][0], tool_call, 1).text))
    assert getattr(action, "queries", ()) == ((query.strip(),) if query.strip() else ())


# Tags


def test_a_model_that_writes_tags_searches_and_answers(serve: Serve) -> None:
    episode, got = played(
        serve, saying("<search> ledger founder Kizunba "), saying("<answer> Tovenra "), turn_format="tags"
    )
    assert kinds(episode) == ["search", "answer"] and episode.prediction == "Tovenra"
    assert got[0]["stop"] == ["</search>", "</answer>"] and "tools" not in got[0]
    asked, said, result = got[1]["messages"]
    assert "<search> query </search>" in asked["content"]
    assert said == {"role": "assistant", "content": "<search> ledger founder Kizunba </search>"}
    assert result["role"] == "user" and "<information> [1]" in result["content"]


def test_a_cut_tag_is_no_action_and_text_after_the_first_action_is_dropped(serve: Serve) -> None:
    episode, _ = played(
        serve,
        saying("<search> ledger foun", "length"),
        saying("<answer> Tovenra </answer><information> made up"),
        turn_format="tags",
    )
    assert kinds(episode) == ["invalid", "answer"]
    assert [turn.draft.stopped_by for turn in episode.turns] == ["length", "tag"]
    assert episode.turns[1].draft.text == "<answer> Tovenra </answer>"


@pytest.mark.parametrize("content", [None, "", 3, [{"type": "text", "text": "hm"}, {"image": 1}, None]])
def test_tags_without_a_text_are_an_invalid_turn(content: Any, serve: Serve) -> None:
    episode, got = played(serve, saying(content), saying("<answer> x </answer>"), turn_format="tags")
    assert kinds(episode) == ["invalid", "answer"] and got[1]["messages"][1]["content"]


# Usage


def test_the_tokens_that_the_endpoint_counts_are_recorded(serve: Serve) -> None:
    episode, _ = played(serve, calling(("search", {"query": "ledger"})), saying("x"))
    record = record_of(episode, sample_index=0, seed=0)
    assert record.policy_tokens == 14
    assert [turn.usage.prompt_tokens for turn in record.turns if turn.usage] == [40, 40]


@pytest.mark.parametrize("usage", [None, 3, {}, {"prompt_tokens": "4", "completion_tokens": 3}, {"prompt_tokens": -1}])
def test_without_a_usable_count_none_is_recorded(usage: Any, serve: Serve) -> None:
    reply = {"choices": [{"message": {"content": "x"}}], "usage": usage}
    record = record_of(played(serve, (200, reply))[0], sample_index=0, seed=0)
    assert record.policy_tokens is None and record.turns[0].usage is None


# The server


def test_a_server_that_fails_twice_is_asked_again(serve: Serve) -> None:
    episode, got = played(serve, (503, {}), (429, b"slow down"), saying("Tovenra"))
    assert episode.prediction == "Tovenra" and len(got) == 3


def test_a_server_that_stays_busy_is_one_line(serve: Serve) -> None:
    url, got = serve(lambda body: (429, {"error": {"message": "limit of secret reached"}}))
    with pytest.raises(BerrypickError, match=r"still answered 429 after 1 repetitions .*limit of \*\*\* reached"):
        play(ChatPolicy(url, "m", key="secret", retries=1), task_of("tags"))
    assert len(got) == 2


@pytest.mark.parametrize("nonsense", [b"<html>hello</html>", b"\xff\xfe", b"", b"[]", b'{"choices": []}', b"null",
                                      b'{"choices": [3]}', b'{"choices": {"0": 1}}', b"[" * 5000])  # fmt: skip
def test_nonsense_is_one_line(nonsense: bytes, serve: Serve) -> None:
    url, _ = serve(lambda body: (200, nonsense))
    with pytest.raises(BerrypickError, match="answered 200 without a chat completion") as error:
        play(ChatPolicy(url, "m"), task_of("tags"))
    assert "\n" not in str(error.value)


def test_a_parameter_that_the_service_refuses_is_replaced(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def picky(body: dict[str, Any]) -> tuple[int, Any]:
        for name in ("max_tokens", "stop"):
            if name in body:
                return 400, {"error": {"message": f"Unsupported parameter: '{name}' is not supported with this model."}}
        return saying("<answer> x </answer>")

    url, got = serve(picky)
    (episode,) = play(ChatPolicy(url, "m"), task_of("tags"))
    assert episode.prediction == "x" and len(got) == 3
    assert got[-1]["max_completion_tokens"] == 50 and "stop" not in got[-1]
    assert len(caplog.records) == 2


def test_another_bad_request_is_one_line(serve: Serve) -> None:
    url, _ = serve(lambda body: (400, {"error": {"message": "max_tokens is too large: 50"}}))
    with pytest.raises(BerrypickError, match=r"answered 400 without a chat completion .*too large"):
        play(ChatPolicy(url, "m"), task_of("tags"))


def test_a_full_context_window_ends_the_episode_alone(serve: Serve) -> None:
    def small(body: dict[str, Any]) -> tuple[int, Any]:
        if len(body["messages"]) > 2:
            return 400, {"error": {"code": "context_length_exceeded", "message": "maximum context length is 99"}}
        return saying("<search> ledger </search>")

    url, _ = serve(small)
    (episode,) = play(ChatPolicy(url, "m"), task_of("tags"))
    assert episode.truncated and episode.turns[-1].error == WINDOW_FULL and episode.queries == ["ledger"]


def test_requests_run_at_a_time_but_no_more_than_the_workers(serve: Serve) -> None:
    meeting = threading.Barrier(3, timeout=60)
    running, most, lock = [0], [0], threading.Lock()

    def slow(body: dict[str, Any]) -> tuple[int, Any]:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        meeting.wait()  # passes only if three requests are here together
        with lock:
            running[0] -= 1
        return saying("<answer> x </answer>")

    url, got = serve(slow)
    play(ChatPolicy(url, "m", workers=3), task_of("tags"), questions=2, samples=3)
    assert len(got) == 6 and most[0] == 3


def test_a_name_is_an_address_a_model_and_options() -> None:
    assert open_policy("chat:http://h:1/v1#org/model") == ChatPolicy("http://h:1/v1", "org/model")
    assert open_policy("chat,workers=2,timeout_s=9,retries=0:http://h:1/v1#m") == ChatPolicy(
        "http://h:1/v1", "m", workers=2, timeout_s=9.0, retries=0
    )
    for name, message in (
        ("chat:h:1/v1#m", "URL#MODEL"),
        ("chat:http://h:1/v1", "URL#MODEL"),
        ("chat,worker=2:http://h#m", "did you mean workers"),
        ("chat,workers=0:http://h#m", "workers=0 is not a value"),
        ("chat,retries=-1:http://h#m", "retries=-1 is not a value"),
        ("chat,timeout_s=soon:http://h#m", "timeout_s=soon is not a value"),
        ("chat:http://u:p@h/v1#m", "no user name, password"),
    ):
        with pytest.raises(BerrypickError, match=message):
            open_chat(name)


# The command


EVAL = ["eval", "--env", "berrypick/World-v0", "--samples", "2", "--env-arg", "num_train=0", "num_test=4"]


def test_eval_plays_a_chat_model_in_english_and_says_so(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BERRYPICK_API_KEY", "sk-very-secret")
    caplog.set_level("INFO", "berrypick")
    url, got = serve(lambda body: saying("<answer> the key is sk-very-secret </answer>"))
    out = tmp_path / "run"
    assert main([*EVAL, "num_validation=0", "--policy", f"chat,workers=2:{url}#m", "--out", str(out)]) == 0
    assert "voice=english" in caplog.text and "--env-arg voice=closed changes it" in caplog.text
    assert {request["authorization"] for request in got} == {"Bearer sk-very-secret"}
    assert got[0]["messages"][0]["content"].startswith("Answer the question.")
    assert got[0]["max_tokens"] == 512
    config = json.loads((out / "config.json").read_text())
    assert config["policy"] == f"chat:{url}#m" and config["env_args"]["voice"] == "english"
    assert len(read_records(out / "rollouts.jsonl")) == 8
    for file in out.rglob("*"):
        assert file.is_dir() or b"sk-very-secret" not in file.read_bytes(), file


def test_a_chosen_voice_is_kept(serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "berrypick")
    url, got = serve(lambda body: saying("<answer> x </answer>"))
    assert main([*EVAL, "voice=closed", "--policy", f"chat:{url}#m", "--out", str(tmp_path / "run")]) == 0
    assert "voice" not in caplog.text and not got[0]["messages"][0]["content"].startswith("Answer")


def test_an_interrupted_evaluation_asks_only_for_what_is_missing(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = True

    def fails_later(body: dict[str, Any]) -> tuple[int, Any]:
        return (404, b"gone") if broken and len(got) > 4 else saying("<answer> x </answer>")

    url, got = serve(fails_later)
    command = [*EVAL, "--max-rows", "2", "--out", str(tmp_path / "run")]
    assert main([*command, "--policy", f"chat,workers=1:{url}#m"]) == 2
    assert "answered 404" in capsys.readouterr().err
    before, broken = len(got), False
    assert main([*command, "--resume", "--policy", f"chat,workers=2,timeout_s=9:{url}#m"]) == 0
    assert len(got) == before + 4  # two of four questions, two samples each, were saved
    assert len(read_records(tmp_path / "run" / "rollouts.jsonl")) == 8
