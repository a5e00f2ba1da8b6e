"""A model behind an endpoint and the same model in this process: the same tokens are the same turn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from berrypick.envs.formats.turn_format import get_turn_format
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.envs.tasks.registry import Task
from berrypick.policies.chat_turns import tag_turn
from berrypick.policies.language.turn_writer import TurnEnds, TurnWriter
from berrypick.policies.policy import Sampling
from berrypick.policies.remote import RemotePolicy
from berrypick.policies.rollout import rollout
from fixtures.endpoint import Serve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders
from tokenizers.models import WordLevel

FORMATS = ("tags", "search_r1", "tool_call")
END = "<|end|>"
CALL = '{"name": "search", "arguments": {"query_list": ["a"]}}'
PIECES = [
    END, *(f"<{slash}{tag}>" for tag in ("search", "answer", "tool_call", "think") for slash in ("", "/")),
    "<", "</", "search", "answer>", ">", "</sea", "</answer> x", " 1791", "a", "\n", CALL, "<tool_call>" + CALL,
]  # fmt: skip
TOKENIZER = Tokenizer(WordLevel({piece: number for number, piece in enumerate(PIECES)}, unk_token=END))
TOKENIZER.decoder = decoders.Fuse()
QUESTION = Question("q", "When was Babbage born?", ("1791",))
SERVERS = ("vllm", "vllm with stop strings", "sglang", "knows no stop strings", "names no stop string")


def in_process(tokens: list[int], stop: tuple[str, ...]) -> TurnWriter:
    """The turn of these tokens as the engine in this process writes it; the end of the list is the token limit."""
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=0))
    ends = TurnEnds(model, SimpleNamespace(eos_token_id=0, backend_tokenizer=TOKENIZER), stop)  # type: ignore[arg-type]
    writer = TurnWriter(ends)
    for token in tokens:
        if not writer.add(token, 0.0, 0.0):
            break
    return writer


def completion(server: str, tokens: list[int], stop: tuple[str, ...]) -> dict[str, Any]:
    """The choice that a server returns for these tokens."""
    text, end, tag = "", "length", None
    for token in tokens:
        if token == 0:
            end = "stop"
            break
        text += PIECES[token]
        found = [(text.find(tag), tag) for tag in stop if tag in text]
        if found and server != "knows no stop strings":
            at, tag = min(found)
            text, end = text[:at], "stop"
            if server == "vllm with stop strings":
                text += tag
            break
    told: dict[str, Any] = {}
    if server.startswith("vllm"):
        told = {"stop_reason": tag}
    if server == "sglang":
        told = {"matched_stop": tag or (0 if end == "stop" else None)}
    return {"text": text, "finish_reason": end, **told}


def can_be_told(server: str, turn: TurnWriter, stop: tuple[str, ...]) -> bool:
    """Whether a turn follows from a reply that does not say which stop string ended it, if any did."""
    opened = {tag: turn.text.rfind(f"<{tag[2:]}") for tag in stop}
    closing = next((tag for tag in stop if tag in turn.text), None)
    if server not in ("knows no stop strings", "names no stop string"):
        return True
    if closing is None:
        return turn.stopped_by != "eos" or max(opened.values()) < 0
    return server == "knows no stop strings" or opened[closing] == max(opened.values()) >= 0


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tokens=st.lists(st.integers(0, len(PIECES) - 1), max_size=12), limit=st.integers(1, 12))
def test_a_turn_cut_anywhere_reads_alike(serve: Serve, name: str, tokens: list[int], limit: int) -> None:
    turn_format = get_turn_format(name)
    sampled = [*tokens, 0][:limit]  # the model draws an end token, or is cut at the limit
    ours = in_process(sampled, turn_format.stop)
    wanted = turn_format.cut(ours.text)
    telling = [server for server in SERVERS if can_be_told(server, ours, turn_format.stop)]
    choices = {server: completion(server, sampled, turn_format.stop) for server in telling}
    replies = iter(choices.values())
    url, _ = serve(lambda body: (200, {"choices": [next(replies)]}))
    session = RemotePolicy(url, "m").start([QUESTION], EpisodeSpec(turn_format=name), [0], Sampling())
    for server, choice in choices.items():
        (draft,) = session.act([0])
        assert (draft.text, draft.stopped_by) == (wanted, ours.stopped_by), server
        chat = tag_turn({**choice, "message": {"content": choice["text"]}}, turn_format)
        assert (chat.text, chat.stopped_by) == (wanted, ours.stopped_by), server


@pytest.mark.parametrize(
    ("choice", "text", "stopped_by"),
    [
        ({"text": "<answer> 1791", "finish_reason": "length"}, "<answer> 1791", "length"),
        ({"text": "<search> when was Babb", "finish_reason": "length"}, "<search> when was Babb", "length"),
        ({"text": "<answer> 17", "finish_reason": "content_filter"}, "<answer> 17", "eos"),
        ({"text": "<answer> 1791", "finish_reason": "stop"}, "<answer> 1791</answer>", "tag"),
        ({"text": "<answer> 1791"}, "<answer> 1791</answer>", "tag"),
        ({"text": "<answer> 1791", "finish_reason": "stop", "stop_reason": None}, "<answer> 1791", "eos"),
        ({"text": "<answer> 1791", "finish_reason": "stop", "matched_stop": 151645}, "<answer> 1791", "eos"),
        ({"text": "<search> a <answer> b", "finish_reason": "stop"}, "<search> a <answer> b</answer>", "tag"),
        (
            {"text": "<search> a <answer> b", "finish_reason": "stop", "stop_reason": "</search>"},
            "<search> a <answer> b</search>",
            "tag",
        ),
        ({"text": "<answer> x </search> <answer> y"}, "<answer> x </search>", "tag"),
    ],
)
def test_the_right_tag_is_put_back_or_none(serve: Serve, choice: dict[str, Any], text: str, stopped_by: str) -> None:
    url, _ = serve(lambda body: (200, {"choices": [choice]}))
    (draft,) = RemotePolicy(url, "m").start([QUESTION], EpisodeSpec(), [0], Sampling()).act([0])
    assert (draft.text, draft.stopped_by) == (text, stopped_by)


@pytest.mark.parametrize("text", ["<answer> GOLD", "<search> ledger founder"])
def test_a_cut_turn_neither_answers_nor_searches(serve: Serve, world: Task, text: str) -> None:
    question = world.split("train")[0]
    text = text.replace("GOLD", question.answers[0])
    url, _ = serve(lambda body: (200, {"choices": [{"text": text, "finish_reason": "length"}]}))
    sampling = Sampling(max_new_tokens=8)
    ((episode,),) = rollout(
        RemotePolicy(url, "m"), [question], world.spec, world.searcher, num_samples=1, sampling=sampling, seed=0
    )
    assert (episode.queries, episode.prediction, episode.reward) == ([], None, 0.0)
    assert {turn.draft.stopped_by for turn in episode.turns} == {"length"}
