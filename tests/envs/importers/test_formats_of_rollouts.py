"""Every format gives the same question, query, passage, answer and score, and what is its own."""

from __future__ import annotations

import json
import zipfile
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from berrypick.envs.adapters import compute_score
from berrypick.envs.importers import open_rollouts, register_importer
from berrypick.envs.importers.registry import IMPORTERS
from berrypick.envs.record import EpisodeRecord
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.foreign_rollouts import CALL, CHAT, DOC, GOLD, QUESTION, ROWS, TAGS, TEXTS, chat_of

PASSAGE = "p-" + sha1(b"CharlesBabbageCharlesBabbagewasbornin1791.").hexdigest()[:12]
"""Digest of title and text without white space, as berrypick's adapters log it."""


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def one(path: Path, row: dict[str, Any], **options: Any) -> EpisodeRecord:
    (record,) = open_rollouts(written(path, row), skip_bad=False, **options).records()
    return record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rollouts"


@pytest.mark.parametrize("name", [*ROWS, *TEXTS])
def test_all_formats_agree(path: Path, name: str) -> None:
    if name in TEXTS:
        path.write_text(TEXTS[name] * 2)
    else:
        written(path, ROWS[name], ROWS[name])
    source = open_rollouts(path, skip_bad=False)
    records = list(source.records())
    assert source.format == IMPORTERS[name].title
    assert len(records) == 2 and [record.sample_index for record in records] == [0, 1]
    assert records[0].group_id == records[1].group_id
    for record in records:
        assert record.question.text == QUESTION
        assert record.queries == ["Babbage born"]
        assert [turn.action for turn in record.turns] == ["search", "answer"]
        assert record.answer_raw == "1791" and (record.terminated, record.truncated) == (True, False)
        assert record.shown_ids == ({"http://b"} if name == "longcat" else {PASSAGE})
        assert record.turns[0].observation.strip() and not record.turns[1].observation
        graded = name != "longcat"
        assert record.question.answers == (GOLD if graded else [])
        assert (record.em, record.f1, record.sub_em) == ((1.0, 1.0, 1.0) if graded else (None, None, None))
    assert ("em" in source.absent) == (name == "longcat")
    assert "breadth" in source.absent and "searches" not in source.absent
    assert source.summary().startswith(f"{source.format}: 2 rollouts of 1 question; group from ")


REWARDS = dict.fromkeys(ROWS, 1.0) | {"verifiers": 0.5, "flashrag": None}  # score 1 with weight 0.5; FlashRAG has none
GROUPS = {
    "verl": "uid", "verifiers-results": "example_id", "verifiers": "group.id", "nemo-gym": "_ng_task_index",
    "inspect": "sample id", "rllm": "task id",
}  # fmt: skip
STEPS = {"verl": 40, "trl": 7, "verifiers": 30}
TOKENS = dict.fromkeys(("verifiers", "nemo-gym", "atif", "inspect"), 9)


@pytest.mark.parametrize("name", ROWS)
def test_what_a_format_tells_beside_that(path: Path, name: str) -> None:
    record = one(path, ROWS[name])
    assert record.reward == REWARDS[name]
    assert record.checkpoint_step == STEPS.get(name)
    assert record.policy_tokens == TOKENS.get(name)
    source = open_rollouts(path)
    list(source.records())
    assert source.summary().endswith(f"group from {GROUPS.get(name, 'equal prompts')}")


def test_groups_keep_steps_apart_and_questions_together(path: Path) -> None:
    row = ROWS["verl"]
    other = row | {"input": row["input"].replace("Babbage", "Lovelace"), "uid": "u2"}
    source = open_rollouts(written(path, row, other, row | {"step": 80}, row))
    records = list(source.records())
    assert [record.sample_index for record in records] == [0, 0, 0, 1]
    first, second, later, again = (record.group_id for record in records)
    assert first == again and len({first, second, later}) == 3
    assert records[0].question.id == records[2].question.id != records[1].question.id
    assert source.summary() == "verl dump: 4 rollouts of 2 questions; group from uid"


def test_verls_newer_uids_name_group_rollout_and_output(path: Path) -> None:
    records = open_rollouts(written(path, *(ROWS["verl"] | {"uid": f"q_7_{n}_0"} for n in (0, 1)))).records()
    assert len({record.group_id for record in records}) == 1


def test_verl_with_our_columns_has_the_logged_ids_and_agrees_with_the_text(path: Path) -> None:
    response = TAGS.replace("<answer>", f"<search> again </search>\n<information>{DOC}\n{DOC[:3]} 2(Title: T) u"
                            "</information>\n<answer>")  # fmt: skip
    log = compute_score("nq", response, GOLD, {"split": "test", "index": 3})
    row = {"input": f"Question: {QUESTION}", "output": response, "gts": GOLD, "score": 1.0, "step": 1}
    without, with_columns = one(path, row), one(path, row | log)
    assert with_columns.queries == without.queries == json.loads(log["berrypick_queries"]) == ["Babbage born", "again"]
    shown = [hit.id for turn in with_columns.turns for ranking in turn.hits for hit in ranking]
    assert shown == json.loads(log["berrypick_passages"]) and shown[0] == shown[1] == PASSAGE
    assert with_columns.shown_ids == without.shown_ids
    assert with_columns.em == log["em"] == 1.0
    real = one(path, row | log | {"berrypick_passages": '["wiki-1", "wiki-1", "wiki-2"]'})
    assert [[hit.id for hit in turn.hits[0]] for turn in real.turns[:2]] == [["wiki-1"], ["wiki-1", "wiki-2"]]


def test_text_without_tags_is_an_answer_unless_the_prompt_asks_for_tags(path: Path) -> None:
    row = {"input": f"Question: {QUESTION}", "output": "It is \\boxed{1791}.", "gts": GOLD, "score": 1.0, "step": 1}
    assert one(path, row).em == 1.0
    asked = one(path, row | {"input": f"Write <answer>. Question: {QUESTION}"})
    assert (asked.em, asked.answer_raw, asked.terminated, asked.truncated) == (0.0, None, False, True)
    assert [turn.action for turn in asked.turns] == ["invalid"]


@pytest.mark.parametrize(
    "call",
    [
        CALL,
        {"id": "c1", "function": "search", "arguments": {"query": "Babbage born"}},
        {"id": "c1", "name": "retrieve", "arguments": {"query_list": ["Babbage born"]}},
        {"tool_call_id": "c1", "function_name": "web_search", "arguments": '{"q": "Babbage born", "k": null}'},
        json.dumps(CALL),
    ],
)
def test_spellings_of_a_tool_call(path: Path, call: Any) -> None:
    record = one(path, {"messages": chat_of(call, tool_call_id="c1")})
    assert record.queries == ["Babbage born"] and record.shown_ids == {PASSAGE}


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "search", "arguments": {"query_list": ["Babbage born"]}}',
        "<function=search>\n<parameter=query>\nBabbage born\n</parameter>\n</function>",
        "search\n<arg_key>query</arg_key>\n<arg_value>Babbage born</arg_value>",
    ],
)
def test_spellings_of_a_tool_call_in_text(path: Path, body: str) -> None:
    output = f"<tool_call>{body}</tool_call><tool_response>{DOC}</tool_response>\nassistant\n1791"
    row = ROWS["verl"] | {"input": f"user\n{QUESTION}\nassistant\n", "output": output}
    record = one(path, row)
    assert record.queries == ["Babbage born"] and record.em == 1.0 and record.shown_ids == {PASSAGE}


def test_several_calls_of_one_message_get_their_own_answers(path: Path) -> None:
    calls = [{"id": key, "name": "search", "arguments": {"query": key}} for key in ("a", "b")]
    messages = [
        CHAT[0],
        {"role": "assistant", "content": "both", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "b", "content": '[{"id": "pb"}]'},
        {"role": "tool", "tool_call_id": "a", "content": '{"result": [[{"document": {"id": "pa"}, "score": 2.5}]]}'},
        CHAT[-1],
    ]
    record = one(path, {"messages": messages})
    assert [(turn.queries, [[hit.id for hit in hits] for hits in turn.hits]) for turn in record.turns] == [
        (["a"], [["pa"]]),
        (["b"], [["pb"]]),
        ([], []),
    ]
    assert record.turns[0].hits[0][0].score == 2.5
    assert record.turns[0].text.startswith("both\n<tool_call>") and record.turns[1].text.startswith("<tool_call>")


def test_several_calls_in_text_answered_by_several_blocks(path: Path) -> None:
    calls = "".join(f'<tool_call>{{"name": "search", "arguments": {{"query": "{q}"}}}}</tool_call>' for q in "ab")
    shown = "".join(f'<tool_response>[{{"id": "p{q}"}}]</tool_response>' for q in "ab")
    replies = [{"role": "assistant", "content": calls}, {"role": "user", "content": shown}, CHAT[-1]]
    in_chat = one(path, {"messages": [CHAT[0], *replies]})
    in_text = one(path, ROWS["verl"] | {"input": f"user\n{QUESTION}\nassistant\n",
                                        "output": f"{calls}\nuser\n{shown}\nassistant\n1791"})  # fmt: skip
    for record in (in_chat, in_text):
        assert [(turn.queries, turn.observation) for turn in record.turns] == [
            (["a"], '[{"id": "pa"}]'),
            (["b"], '[{"id": "pb"}]'),
            ([], ""),
        ]
        assert record.answer_raw == "1791"


def test_other_tools_are_turns_without_queries_and_answers_may_be_calls(path: Path) -> None:
    browse = {"id": "c1", "name": "browse", "arguments": {"url": "http://b"}}
    final = {"id": "c2", "name": "submit_final_result", "arguments": {"final_result": "1791"}}
    messages = [
        CHAT[0],
        {"role": "assistant", "tool_calls": [browse]},
        {"role": "tool", "tool_call_id": "c1", "content": "a page"},
        {"role": "assistant", "tool_calls": [final]},
    ]
    record = one(path, {"messages": messages, "ground_truth": "1791"})
    assert [turn.action for turn in record.turns] == ["search", "answer"] and record.turns[0].tool == "browse"
    assert record.queries == [] and record.shown_ids == frozenset() and record.em == 1.0


def test_trl_texts_and_parquet(path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    plain = {"step": 1, "prompt": f"Question: {QUESTION}", "completion": TAGS, "em_reward": 1.0, "advantage": 0.0}
    assert one(path, plain).em is None, "no column holds the right answer"
    parquet.write_table(pyarrow.Table.from_pylist([plain | {"solution": "1791"}] * 3), path)
    assert [record.em for record in open_rollouts(path).records()] == [1.0] * 3
    parquet.write_table(pyarrow.Table.from_pylist([ROWS["trl"]] * 2), path)
    source = open_rollouts(path)
    assert [record.queries for record in source.records()] == [["Babbage born"]] * 2
    assert source.format == "TRL completions"


def test_parquet_without_pyarrow_names_the_extra(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    path.write_bytes(b"PAR1....PAR1")
    with pytest.raises(BerrypickError, match=r'reading Parquet needs the "data" extra'):
        open_rollouts(path)


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 93])
def test_inspects_archives(path: Path, packed: int) -> None:
    samples = {f"samples/q1_epoch_{n}.json": ROWS["inspect"] | {"epoch": n} for n in (1, 2)}
    long = json.loads(json.dumps(samples).replace(json.dumps(DOC)[1:-1], "attachment://a"))
    members: dict[str, Any] = {"header.json": {"eval": {"model": "m", "task": "t"}}}
    members |= {name: sample | {"attachments": {"a": DOC}} for name, sample in long.items()}
    members["samples/q1_epoch_3.json"] = ROWS["inspect"] | {"error": {"message": "no connection"}, "scores": {}}
    write_archive(path, members, packed)
    source = open_rollouts(path)
    records = list(source.records())
    assert [(r.em, r.shown_ids, r.policy_id, r.env_id) for r in records] == [(1.0, {PASSAGE}, "m", "t")] * 2
    assert source.num_skipped == 1 and "the sample failed: no connection" in source.skipped[0]


def write_archive(path: Path, members: dict[str, Any], packed: int) -> None:
    """A zip; Python writes no Zstandard before 3.14, so members of that kind are packed first and relabelled."""
    bodies = {name: json.dumps(member).encode() for name, member in members.items()}
    if packed == 93:
        pyarrow = pytest.importorskip("pyarrow")
        bodies = {name: pyarrow.compress(body, codec="zstd", asbytes=True) for name, body in bodies.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if packed == 93 else packed) as archive:
        for name, body in bodies.items():
            archive.writestr(name, body)
        if packed == 93:
            for info in archive.infolist():
                info.compress_type = 93  # in the directory at the end, which readers go by


def test_an_inspect_log_as_json_on_one_line_or_many(path: Path) -> None:
    log = {"version": 2, "status": "success", "eval": {"model": "m", "task": "t"}, "samples": [ROWS["inspect"]] * 3}
    for indent in (None, 2):
        path.write_text(json.dumps(log, indent=indent))
        assert [(r.em, r.policy_id) for r in open_rollouts(path).records()] == [(1.0, "m")] * 3


def test_flashrag_as_its_list_and_without_queries(path: Path) -> None:
    passage = {"id": "77", "contents": '"Charles Babbage"\nBorn in 1791.', "score": 3.0}
    item = ROWS["flashrag"] | {"output": {"retrieval_result": [passage, passage], "pred": "in 1791"}}
    path.write_text(json.dumps([item, ROWS["flashrag"] | {"output": {"pred": "1791"}}], indent=4))
    source = open_rollouts(path)
    records = list(source.records())
    assert [record.unknown for record in records] == [["queries", "turns"], ["queries", "passages", "turns"]]
    assert records[0].shown_ids == {"77"} and (records[0].em, records[0].sub_em, records[1].em) == (0.0, 1.0, 1.0)
    assert source.absent["searches"] == "FlashRAG logs retrieved passages without the queries"
    assert "distinct_passages" not in source.absent


def test_a_mapping_reads_any_rows(path: Path) -> None:
    row = {"in": {"q": f"Question: {QUESTION}"}, "out": ["1791"], "label": "1791", "docs": [{"id": 5}], "asked": "a b"}
    mapping = {"question": "in.q", "answer": "out.0", "gold": "label", "passages": "docs", "queries": "asked"}
    record = one(path, row, mapping=mapping)
    assert (record.question.text, record.em, record.queries, record.shown_ids) == (QUESTION, 1.0, ["a b"], {"5"})
    bare = one(path, row, mapping={"question": "in.q", "answer": "out.0"})
    assert (bare.em, bare.unknown) == (None, ["queries", "passages", "turns"])
    with pytest.raises(BerrypickError, match="unknown field of --map 'anwser'; did you mean answer"):
        open_rollouts(path, mapping={"question": "in.q", "anwser": "x"})
    with pytest.raises(BerrypickError, match="needs the question"):
        open_rollouts(path, mapping={"answer": "x"})
    with pytest.raises(BerrypickError, match=r"there is no field 'q' \(it has in, out"):
        one(path, row, mapping={"question": "q"})


def test_a_format_of_a_user_is_tried_by_content(path: Path) -> None:
    from berrypick.envs.importers import Rollout

    @register_importer("mine", recognise=lambda row: "mine" in row, lacks={})
    def read(row: dict[str, Any]) -> Rollout:
        return Rollout(row["mine"], answer=row["a"])

    try:
        assert one(path, {"mine": QUESTION, "a": "x"}).answer_raw == "x"
        source = open_rollouts(written(path, {"mine": QUESTION, "a": "x"}, {"mine": QUESTION}))
        assert len(list(source.records())) == 1
        assert source.skipped == [f"{path}:2: not a line of mine (there is no field 'a'); fix it or leave it out"]
    finally:
        del IMPORTERS["mine"]
