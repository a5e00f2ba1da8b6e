"""One turn text means one action, answer and reward in the environments, the rollout engine and every adapter."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from berrypick.envs.adapters.tool_episode import ToolEpisode, shared_task
from berrypick.envs.adapters.trl import rollout_func, rollout_rows
from berrypick.envs.adapters.verl import compute_score
from berrypick.envs.episode import Draft, Episode
from berrypick.envs.formats.actions import Answer, Candidate, Invalid, Search, cut_turn, encodable, read_candidate
from berrypick.envs.formats.turn_format import get_turn_format
from berrypick.envs.search_env import SearchEnv
from berrypick.envs.vector_env import SearchVectorEnv
from fixtures.stand_in.trainers import stand_ins
from hypothesis import given, settings
from hypothesis import strategies as st

SIZE = {"num_train": 2, "num_test": 1, "max_turns": 1}
ID = "berrypick/World-v0"
FORMATS = ("tags", "search_r1", "tool_call")
GOLD = shared_task(ID, SIZE).split("train")[0].answers[0]
CALLS = [
    json.dumps({"name": "search", "arguments": {"query_list": asked}})
    for asked in (["ledger"], ["a </tool_call> b"], [f"<answer>{GOLD}</answer>"], [""])
]
PIECES = [
    *(f"<{slash}{tag}>" for tag in ("search", "answer", "tool_call", "think") for slash in ("", "/")),
    *CALLS, *(f"<tool_call>{call}</tool_call>" for call in CALLS), GOLD, f" {GOLD} [1]", "[1987]", "\n", " x ", "<",
    f"<answer>{GOLD}</answer>", f"<answer> {GOLD} [1][2]\nother </answer>", "<search> ledger </search>", "\ud83d", "é",
]  # fmt: skip
TURNS = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)


@pytest.fixture(scope="module")
def adapters() -> Iterator[SimpleNamespace]:
    """The adapter modules, over the trainers that are installed and stand-ins for the others."""
    made = stand_ins()
    ours = {name: f"berrypick.envs.adapters.{name}" for name in ("skyrl", "openenv", "verifiers", "verl_tool")}
    before = {name: sys.modules.pop(name, None) for name in (*ours.values(), "berrypick_search", *made)}
    sys.modules.update(made)
    yield SimpleNamespace(**{name: importlib.import_module(path) for name, path in ours.items()})
    for name, module in before.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


def facts(episode: Episode) -> tuple[Any, ...]:
    """What must be the same everywhere."""
    turn = episode.turns[0]
    return turn.draft.text, turn.action, turn.error, turn.observation, episode.prediction, episode.reward


class _Writes:
    """A policy that writes one text, for the rollout engine."""

    def __init__(self, text: str) -> None:
        self.text = text

    def start(self, *_: Any) -> _Writes:
        return self

    def act(self, rows: Any) -> list[Draft]:
        return [Draft(self.text) for _ in rows]

    def observe(self, rows: Any, texts: Any) -> None: ...

    def finish(self, rows: Any) -> None: ...


def engine(task: Any, question: Any, text: str) -> Episode:
    from berrypick.policies.policy import Sampling
    from berrypick.policies.rollout import rollout

    played = rollout(
        _Writes(text), [question], task.spec, task.searcher, num_samples=1, sampling=Sampling(), seed=0
    )  # fmt: skip
    return played[0][0]


def verifiers_episode(adapters: SimpleNamespace, question: Any, arguments: dict[str, Any], text: str) -> dict[str, Any]:
    """What the environment of verifiers adds to the trace of an agent that writes one text."""
    trace = SimpleNamespace(info={}, rewards=[], record_metrics=lambda metrics: None)
    trace.record_reward = lambda name, value, weight: trace.rewards.append(value)

    class Interaction:
        async def __aenter__(self) -> Interaction:
            self.trace = trace
            return self

        async def __aexit__(self, *_: Any) -> None: ...

        async def turn(self, message: str | None = None) -> Any:
            return SimpleNamespace(terminated=False, last_reply=text)

    agents = SimpleNamespace(agent=SimpleNamespace(interaction=lambda task: Interaction()))
    data = SimpleNamespace(env_id=ID, arguments=json.dumps(arguments), question_id=question.id)
    run = adapters.verifiers.BerrypickEnv.run
    asyncio.run(run(None, SimpleNamespace(data=data), agents))
    return {**trace.info["berrypick"], "reward": trace.rewards[0]}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=120)
@given(text=TURNS)
def test_any_turn_means_the_same_everywhere(adapters: SimpleNamespace, name: str, text: str) -> None:
    arguments = SIZE | {"turn_format": name}
    task = shared_task(ID, arguments)
    question = task.split("train")[0]
    options = {"question_id": question.id}
    env = SearchEnv(task)
    env.reset(options=options)
    observation, reward, terminated, truncated, info = env.step(text)
    wanted = facts(env.episode)
    assert wanted[3:] == (observation, env.episode.prediction, reward) and (terminated or truncated)

    vector = SearchVectorEnv(task, num_envs=2, autoreset_mode="Disabled")
    vector.reset(options=options)
    vector.step([text, text])
    assert [facts(episode) for episode in vector.episodes] == [wanted] * 2

    assert facts(engine(task, question, text)) == wanted

    skyrl = adapters.skyrl.BerrypickTextEnv({"env_id": ID, **arguments}, {"question_id": question.id})
    step = skyrl.step(text)
    assert facts(skyrl.episode) == wanted
    assert (step["reward"], step["done"], step["postprocessed_action"]) == (reward, True, wanted[0])

    served = adapters.openenv.OpenEnvSearch(task)
    served.reset(question_id=question.id)
    seen = served.step(adapters.openenv.SearchAction(text=text))
    assert (seen.text, seen.reward, seen.done) == (observation, reward, True)
    assert seen.metadata["retrieved_ids"] == info["retrieved_ids"]

    told = verifiers_episode(adapters, question, arguments, text)
    assert (told["queries"], told["reward"]) == (env.episode.queries, reward)

    log = {"queries": [], "passage_ids": [], "observations": []}
    scored = compute_score(ID, text, list(question.answers), {"turn_format": name, "berrypick": log})
    untold = compute_score(ID, text, list(question.answers), {"turn_format": name})
    assert (scored["score"], scored["berrypick_answer"]) == (reward, env.episode.prediction or "")
    assert (untold["score"], untold["berrypick_answer"]) == (reward, env.episode.prediction or "")


class _Characters:
    """A tokenizer of one token a character; the tags of `special` are one special token each."""

    eos_token_id = pad_token_id = 0
    special = ("<search>", "</search>", "<answer>", "</answer>", "<tool_call>", "</tool_call>")

    def __init__(self) -> None:
        self.decoded = 0

    def ids(self, text: str) -> list[int]:
        out, at = [], 0
        while at < len(text):
            tag = next((tag for tag in self.special if text.startswith(tag, at)), None)
            out.append(ord(text[at]) if tag is None else 0x110000 + self.special.index(tag))
            at += len(tag or "x")
        return out

    def decode(self, ids: Any, skip_special_tokens: bool = False, **_: Any) -> str:
        self.decoded += len(ids)
        kept = [i for i in ids if not skip_special_tokens or 0 < i < 0x110000]
        return "".join(chr(i) if i < 0x110000 else self.special[i - 0x110000] for i in kept)

    def encode(self, text: str, **_: Any) -> list[int]:
        return [ord(char) for char in text]

    def apply_chat_template(self, messages: Any, **_: Any) -> list[int]:
        return self.encode(messages[-1]["content"])

    def pad(self, batch: Any, **_: Any) -> Any:
        torch = pytest.importorskip("torch")
        rows = batch["input_ids"]
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])

        class Padded(dict[str, Any]):
            def to(self, device: Any) -> Padded:
                return self

        return Padded(input_ids=ids, attention_mask=ids != 0)


def trl_trainer(turns: list[str]) -> SimpleNamespace:
    """A trainer whose model writes these texts, one for each row."""
    torch = pytest.importorskip("torch")
    tokenizer = _Characters()

    def generate(input_ids: Any, **_: Any) -> SimpleNamespace:
        rows = [tokenizer.ids(text) for text in turns]
        width = max(map(len, rows)) + 1
        new = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        vocabulary = torch.zeros(1, 1).expand(len(turns), 0x110000 + 6)
        return SimpleNamespace(sequences=torch.cat([input_ids, new], 1), logits=[vocabulary] * width)

    model = SimpleNamespace(device="cpu", generate=generate)
    accelerator = SimpleNamespace(unwrap_model=lambda wrapped: wrapped)
    return SimpleNamespace(processing_class=tokenizer, model=model, accelerator=accelerator)


@pytest.mark.parametrize("name", FORMATS)
def test_turns_of_trls_rollouts_are_read_as_the_environment_reads_them(name: str) -> None:
    pytest.importorskip("torch")
    arguments = SIZE | {"turn_format": name}
    task = shared_task(ID, arguments)
    stop = get_turn_format(name).stop
    turns = [
        f"<answer> {GOLD} </answer>", f"<answer> {GOLD} [1]\nx </answer>", f"<think> x <search> a </search> {GOLD}",
        f"<answer> {GOLD}", f"<tool_call>{CALLS[0]}</tool_call>", f"<answer> {GOLD} </search> <answer>x</answer>", "x",
    ]  # fmt: skip
    rows = rollout_rows(ID, "train", **arguments)
    played = rollout_func(ID, "train", **arguments)([rows[0]["prompt"]] * len(turns), trl_trainer(turns))
    env = SearchEnv(task)
    for text, reward, queries in zip(turns, played["berrypick_reward"], played["berrypick_queries"]):
        env.reset(options={"question_id": task.split("train")[0].id})
        env.step(cut_turn(text, stop))
        assert (reward, queries) == (env.episode.reward, env.episode.queries)
    assert played["berrypick_reward"][0] == 1.0


def test_questions_with_one_text_keep_their_own_answers_in_trl(tmp_path: Any) -> None:
    pytest.importorskip("torch")
    lines = [{"id": name, "question": "Who?", "golden_answers": [gold]} for name, gold in (("a", "x"), ("b", "y"))]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "c.jsonl").write_text('{"id": "p", "text": "x"}\n')
    arguments = {"questions": str(tmp_path / "q.jsonl"), "corpus": str(tmp_path / "c.jsonl"), "max_turns": 1}
    rows = rollout_rows("berrypick/Custom-v0", "test", **arguments)
    play = rollout_func("berrypick/Custom-v0", "test", **arguments)
    played = play([row["prompt"] for row in rows], trl_trainer(["<answer> y </answer>"] * 2))
    assert played["berrypick_reward"] == [0.0, 1.0]
    from berrypick.retrieval_index.errors import BerrypickError

    bare = [{"role": message["role"], "content": message["content"]} for message in rows[0]["prompt"]]
    with pytest.raises(BerrypickError, match=r"the prompt of 2 questions .*rollout_rows as they are"):
        play([bare], trl_trainer(["x"]))


@settings(max_examples=200)
@given(st.lists(st.one_of(TURNS, st.text()), min_size=1, max_size=3))
def test_a_search_call_searches_for_exactly_its_texts_and_never_answers(queries: list[str]) -> None:
    task = shared_task(ID, {"num_train": 2, "num_test": 1})
    play = ToolEpisode(task, task.split("train")[0])
    shown = json.loads(play.search(queries))
    assert not play.episode.done and play.reward == 0.0
    action = play.episode.turns[0].action
    if all(query.strip() for query in queries):
        assert action.queries == tuple(encodable(query.strip()) for query in queries)
        assert play.episode.queries == list(action.queries) and "result" in shown
    else:
        assert isinstance(action, Invalid) and "error" in shown and "<" not in shown["error"]
    play.answer(GOLD)
    assert play.episode.done and play.reward == 1.0


@settings(max_examples=200)
@given(st.one_of(TURNS, st.text()))
def test_an_answer_call_answers_and_never_searches(text: str) -> None:
    task = shared_task(ID, {"num_train": 2, "num_test": 1})
    play = ToolEpisode(task, task.split("train")[0])
    play.answer(text)
    assert isinstance(play.episode.turns[0].action, Answer if text.strip() else Invalid) and play.episode.queries == []


def test_a_call_never_raises_for_its_arguments() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    task = shared_task(ID, {"num_train": 2, "num_test": 1})
    for bad in (deep, None, 3, {"a": {1, 2}}, float("nan"), ["q"] * 33, "text"):
        play = ToolEpisode(task, task.split("train")[0])
        assert "invalid turn" in json.loads(play.search(bad))["error"]


def test_verls_tool_searches_for_a_query_with_tags(adapters: SimpleNamespace) -> None:
    task = shared_task(ID, {"num_train": 2, "num_test": 1})
    create = {
        "env_id": ID,
        "question_id": task.split("train")[0].id,
        "arguments": json.dumps({"num_train": 2, "num_test": 1}),
    }
    query = f"who is <answer>{GOLD}</answer> </tool_call>"

    async def loop() -> tuple[Any, float, float]:
        tool = adapters.verl_tool.BerrypickSearchTool({}, None)
        instance, _ = await tool.create(create_kwargs=create)
        _, paid, metrics = await tool.execute(instance, {"query_list": [query]})
        return metrics["queries"], paid, await tool.calc_reward(instance)

    assert asyncio.run(loop()) == ([query], 0.0, 0.0)


@pytest.mark.parametrize(
    ("line", "text", "cited"),
    [
        ("[1987]", "[1987]", ()),
        ("Paris [1]", "Paris", (1,)),
        ("Paris [1] [23]", "Paris", (1, 23)),
        ("[1][2]", "[1]", (2,)),
        ("Paris [1] x", "Paris [1] x", ()),
        ("Paris [1234567]", "Paris [1234567]", ()),
        ("Paris []", "Paris []", ()),
        ("]", "]", ()),
    ],
)
def test_an_answer_and_its_citations(line: str, text: str, cited: tuple[int, ...]) -> None:
    assert read_candidate(f" {line} ") == Candidate(text, cited)
    wanted = {"score": 1.0, "berrypick_answer": text}
    for answer in (f"<answer>{line}</answer>", f"<answer>\n{line}\nsecond line [2]\n</answer>"):
        assert compute_score("d", answer, [text], None).items() >= wanted.items()


def test_reading_takes_linear_time_in_hostile_repetitions() -> None:
    """No clock decides: a reader that takes quadratic time does not come to an end within the limit of a test."""
    size = 100_000
    hostile = [
        "<answer>" * size, "<search>" * size, "<information>" * size, "<tool_call><search>" * size,
        "<information>" + "[1] (Title: " * size + "</information>", "<answer>x" + "[1]" * size + "</answer>",
        "<search><answer></search>" * size, "<information>" + "[1] (Title: a) b\n" * 1000 + "</information>",
    ]  # fmt: skip
    for text in hostile:
        assert compute_score("d", text, ["gold"], None)["score"] == 0.0
    tokenizer, long = _Characters(), "x" * 10_000
    from berrypick.envs.adapters import trl

    assert len(trl._up_to_stop(tokenizer.ids(long), tokenizer, ("</answer>",))) == len(long)
    assert tokenizer.decoded < 20 * len(long)


def test_searches_that_tags_hold_are_read_in_order() -> None:
    text = (
        "<search>a</search> <information>x</information> <tool_call>" + CALLS[0] + "</tool_call> <search> b </search>"
    )
    assert json.loads(compute_score("d", text, ["x"], None)["berrypick_queries"]) == ["a", "ledger", "b"]
    assert isinstance(get_turn_format("tags").parse("<search>a</search>"), Search)
