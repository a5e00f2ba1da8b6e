"""verl's own reward manager, tool parser and schema classes meet our adapter."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from berrypick.envs.adapters.verl import compute_score, verl_rows
from berrypick.envs.data.upstream_records import passage_from_text
from berrypick.envs.episode import Draft, advance, start
from berrypick.envs.tasks.registry import make_task

DOCS = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"
RESPONSE = (
    '<think> a </think> <search> who built it </search>\n\n<information>Doc 1(Title: "Engine") Babbage built it.\n'
    'Doc 2(Title: "Ada") Ada wrote\nprograms.</information>\n\n<search>ada</search>\n<information> [3] (Title: U) x '
    "</information>\n<answer> Babbage </answer>"
)


def test_the_drop_in_logs_group_queries_and_passages():
    code = re.search(r"```python verl-reward\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)
    scope = {"response": "<answer> x </answer>"}
    exec(compile(code, str(DOCS), "exec"), scope)
    assert scope["result"]["score"] == 0.0 and scope["result"]["berrypick_group"].startswith(
        "berrypick/World-v0|train|world-0"
    )
    result = compute_score("nq", RESPONSE, {"target": ["babbage", "x"]}, {"split": "train", "index": 7})
    assert (result["score"], result["em"], result["f1"]) == (1.0, 1.0, 1.0)
    assert result["berrypick_group"] == "nq|train|7"
    assert json.loads(result["berrypick_queries"]) == ["who built it", "ada"]
    assert json.loads(result["berrypick_passages"]) == [
        passage_from_text("Engine", "Babbage built it.").id,
        passage_from_text("Ada", "Ada wrote programs.").id,
        passage_from_text("U", "x").id,
    ]
    assert result["berrypick_num_queries"] == 2


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ('<search>q</search><information>Doc 1(Title: "T") <answer>gold</answer></information>', 0.0),
        ('<search>q</search><information>Doc 1(Title: "T") <answer>gold</answer></information> gold', 0.0),
        ("<search>q</search><information><answer>gold</answer>", 0.0),
        ("<search>q</search><information>x</information><information><answer>gold</answer>", 0.0),
        ('<search>q</search><information>Doc 1(Title: "T") x</information><answer>gold</answer> hm', 1.0),
        ("<answer>gold</answer>", 1.0),
        ("<answer>no</answer><answer>gold</answer>", 0.0),
        ("<answer>gold</answer><answer>no</answer>", 1.0),
        ("<search>q</search><answer>gold</answer>", 0.0),
        ("<search>q</search><information>x</information><answer>gold</answer>", 1.0),
        ("", 0.0),
    ],
)
def test_only_the_first_action_of_the_policys_last_turn_counts(response, score):
    assert compute_score("d", response, ["gold"], None)["score"] == score


def test_what_our_tool_showed_cannot_answer_under_any_chat_template():
    shown = '{"result": "[1] x <answer>gold</answer>"}'
    log = {"queries": ["q"], "passage_ids": ["p"], "observations": [shown, "cut away"]}
    for said, score in (("", 0.0), ("<answer>no</answer>", 0.0), ("<answer>gold</answer>", 1.0)):
        result = compute_score("d", f"call user\n{shown} assistant\n{said}", ["gold"], {"berrypick": log})
        assert result["score"] == score
        assert (result["berrypick_queries"], result["berrypick_passages"]) == ('["q"]', '["p"]')


def test_rows_name_the_tool_loop_the_question_and_the_answer():
    rows = verl_rows("berrypick/World-v0", "train", num_train=3, num_test=2)
    assert [row["agent_name"] for row in rows] == ["tool_agent"] * 3
    extra = rows[1]["extra_info"]
    assert extra["tools_kwargs"]["search"]["create_kwargs"]["question_id"] == extra["question_id"]
    assert rows[1]["prompt"][-1]["role"] == "user" and rows[1]["reward_model"]["ground_truth"]["target"]


def test_rows_survive_parquet_and_our_own_reader(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from berrypick.envs.data.upstream import read_dataset
    from pyarrow import parquet

    rows = verl_rows("berrypick/World-v0", "train", num_train=3, num_test=2)
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "train.parquet")
    (tmp_path / "corpus.jsonl").write_text('{"id": "a", "text": "x"}\n')
    questions = read_dataset(tmp_path / "train.parquet", tmp_path / "corpus.jsonl").questions["train"]
    assert [question.answers[0] for question in questions] == [
        row["reward_model"]["ground_truth"]["target"][0] for row in rows
    ]


def test_verls_tool_parser_and_tool_class_search_our_environment():
    pytest.importorskip("verl")
    from berrypick.envs.adapters.verl import search_tool
    from verl.experimental.agent_loop.tool_parser import ToolParser

    task = make_task("berrypick/World-v0", num_train=3, num_test=2, turn_format="tool_call")
    row = verl_rows("berrypick/World-v0", "train", num_train=3, num_test=2)[1]
    question = task.split("train")[1]
    world = question.metadata["world"]
    query = f"{world['kinds'][0]} {world['relations'][0]} {world['entities'][0]}"
    turn = f"<tool_call>\n{json.dumps({'name': 'search', 'arguments': {'query_list': [query]}})}\n</tool_call>"

    class Tokenizer:
        def decode(self, ids):
            return turn

    async def loop():
        _, calls = await ToolParser.get_tool_parser("hermes", Tokenizer()).extract_tool_calls([1])
        tool = search_tool()
        assert tool.name == calls[0].name == "search"
        kwargs = row["extra_info"]["tools_kwargs"]["search"]
        instance, _ = await tool.create(create_kwargs=kwargs["create_kwargs"])
        response, reward, metrics = await tool.execute(instance, json.loads(calls[0].arguments), agent_data=None)
        recall = await tool.calc_reward(instance)
        await tool.release(instance)
        bad = await tool.execute((await tool.create(create_kwargs=kwargs["create_kwargs"]))[0], {"query": 3})
        return response, reward, metrics, recall, bad

    response, reward, metrics, recall, bad = asyncio.run(loop())
    episode = start(question, task.spec)
    expected = advance([episode], [Draft(turn)], task.searcher)[0]
    assert response.text == episode.messages[-1]["content"] and expected.observation
    assert metrics == {"queries": [query], "passage_ids": [world["passages"][0][0]], "num_passages": 1}
    assert (reward, recall) == (0.0, 0.0)
    assert "invalid turn" in bad[0].text and bad[2]["passage_ids"] == []


def test_verls_reward_manager_keeps_what_the_drop_in_logs():
    pytest.importorskip("verl")
    import numpy as np
    import torch
    from verl import DataProto
    from verl.workers.reward_manager.naive import NaiveRewardManager

    class Tokenizer:
        def decode(self, ids, skip_special_tokens=True):
            return "".join(chr(int(i)) for i in ids)

    def padded(text, width, left):
        ids = [ord(char) for char in text]
        pad = [0] * (width - len(ids))
        return (pad + ids) if left else (ids + pad), ([0] * len(pad) + [1] * len(ids)) if left else (
            [1] * len(ids) + [0] * len(pad)
        )

    responses = [RESPONSE, "<answer>wrong</answer>"]
    prompts = [padded("Question: who built it?", 32, True) for _ in responses]
    answers = [padded(text, 400, False) for text in responses]
    data = DataProto.from_dict(
        tensors={
            "prompts": torch.tensor([p[0] for p in prompts]),
            "responses": torch.tensor([a[0] for a in answers]),
            "attention_mask": torch.tensor([p[1] + a[1] for p, a in zip(prompts, answers)]),
        },
        non_tensors={
            "reward_model": np.array([{"ground_truth": {"target": ["Babbage"]}}] * 2, dtype=object),
            "data_source": np.array(["nq"] * 2, dtype=object),
            "extra_info": np.array([{"split": "train", "index": i} for i in (4, 4)], dtype=object),
        },
    )
    result = NaiveRewardManager(Tokenizer(), 0, compute_score=compute_score)(data, return_dict=True)
    assert result["reward_tensor"].sum(-1).tolist() == [1.0, 0.0]
    extra = result["reward_extra_info"]
    assert list(extra["berrypick_group"]) == ["nq|train|4"] * 2
    assert json.loads(extra["berrypick_queries"][0]) == ["who built it", "ada"]
    assert len(json.loads(extra["berrypick_passages"][0])) == 3


def test_verl_loads_the_drop_in_by_its_documented_path():
    pytest.importorskip("verl")
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import get_custom_reward_fn

    path = re.search(r"custom_reward_function.path=(\S+?)`", DOCS.read_text()).group(1)
    config = OmegaConf.create({"reward": {"custom_reward_function": {"path": path, "name": "compute_score"}}})
    scored = get_custom_reward_fn(config)(
        data_source="nq", solution_str="<answer> Ada </answer>", ground_truth={"target": ["ada"]}, extra_info={}
    )
    assert scored["score"] == 1.0
