"""rollouts.jsonl: what is written comes back, and version 1 stays readable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from berrypick.envs.episode import Draft, Tokens, advance, start
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.envs.record import (
    SCHEMA_VERSION,
    EpisodeRecord,
    NewerSchemaError,
    RecordError,
    parse_line,
    parse_record,
    read_lines,
    read_records,
    record_line,
    write_records,
)
from berrypick.envs.recording import record_of
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.corpus import Passage

GOLDEN = Path(__file__).parent / "golden" / "rollouts_v1.jsonl"
QUESTION = Question(
    "q1", "who?", ("Ada", "A."), ((frozenset(["p2", "p1"]), frozenset(["p3"])),), "test", {"type": None, "hops": 2}
)


def an_episode():
    searcher = Bm25sSearcher.from_passages([Passage(f"p{i}", "", f"word{i} body") for i in (1, 2, 3)])
    episode = start(QUESTION, EpisodeSpec(top_k=1, search_budget=1, max_turns=4))
    tokens = Tokens(
        np.array([5, 6], np.int32), np.array([-0.5, -1e-7], np.float32), np.array([0.25, 1.5], np.float32),
        np.array([0, 9], np.int32),
    )  # fmt: skip
    turns = ["<search> word1 \ud800é </search>", "hm", "<search> word3 </search>", "<answer> ada [1] </answer>"]
    for turn in turns:
        advance([episode], [Draft(turn, tokens)], searcher)
    return episode


def test_a_record_holds_what_happened():
    record = record_of(an_episode(), sample_index=3, seed=7, policy_id="me", env_id="e")
    assert (record.schema_version, record.policy_id, record.sample_index) == (1, "me", 3)
    assert [turn.action for turn in record.turns] == ["search", "invalid", "search", "answer"]
    assert [turn.error for turn in record.turns] == [None, None, "search budget exceeded", None]
    assert record.queries == ["word1 \ufffdé"] and record.shown_ids == {"p1"}
    start_, end = record.turns[0].query_spans[0]
    assert record.turns[0].text[start_:end] == record.queries[0]
    assert (record.em, record.f1, record.sub_em, record.reward) == (1, 1, 1, 1)
    assert (record.answer_raw, record.answer_norm) == ("ada", "ada")
    assert record.evidence_recall == 0.5 and record.hop_hits == [[True, False]]
    assert record.question.evidence == [[["p1", "p2"], ["p3"]]]
    assert record.policy_tokens == 8 and record.turns[0].tokens.log_probs == [-0.5, -1e-7]
    assert (record.terminated, record.truncated) == (True, False)


def test_groups_are_question_and_seed():
    one, two = (record_of(an_episode(), sample_index=i, seed=7) for i in (0, 1))
    assert one.group_id == two.group_id != record_of(an_episode(), sample_index=0, seed=8).group_id


def test_records_come_back_equal_and_the_same_records_give_the_same_bytes(tmp_path):
    records = [record_of(an_episode(), sample_index=i, seed=7) for i in range(3)]
    write_records(tmp_path / "a.jsonl", records)
    write_records(tmp_path / "b.jsonl", records[:1])
    write_records(tmp_path / "b.jsonl", records[1:])
    assert read_records(tmp_path / "a.jsonl") == records
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert records[0].question.metadata["type"] is None


def test_unknown_fields_are_kept_at_every_depth(tmp_path):
    row = json.loads(GOLDEN.read_text().splitlines()[0])
    row["judge"] = {"score": 3, "why": None}
    row["question"]["source"] = "x"
    row["turns"][0]["latency_s"] = 0.5
    row["turns"][0]["hits"][0][0]["rank_dense"] = 9
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    write_records(tmp_path / "out.jsonl", read_records(tmp_path / "in.jsonl"))
    written = json.loads((tmp_path / "out.jsonl").read_text())
    assert len(written.pop("sha256")) == 64 and written == row


def test_version_1_stays_readable():
    records = read_records(GOLDEN)
    assert [record.sample_index for record in records] == [0, 1]
    assert [record.em for record in records] == [1.0, 0.0]
    assert records[0].queries == ["word1 é"] and records[1].truncated
    assert SCHEMA_VERSION == 1, "a new version needs its own golden file beside this one"
    assert [record.model_dump(exclude_none=True, mode="json") for record in records] == [
        json.loads(line) for line in GOLDEN.read_text().splitlines()
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{nope", "not valid JSON"),
        ("[1]", "not a JSON object"),
        ('{"schema_version": 99}', "newer than this berrypick"),
        ('{"group_id": "g"}', "question"),
        ('{"schema_version": "x"}', "rollouts"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, reason):
    path = tmp_path / "r.jsonl"
    path.write_text(GOLDEN.read_text() + line + "\n")
    with pytest.raises(Exception, match=reason) as caught:
        read_records(path)
    assert f"{path}:3" in str(caught.value)


def test_an_episode_that_stands_twice_is_named_with_both_lines(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(GOLDEN.read_text() * 2)
    with pytest.raises(RecordError, match=rf"{path}:3: sample 0 of group \w+ is a duplicate of line 1; .*--strict"):
        read_records(path)
    skipped = []
    assert read_records(path, skipped=skipped) == read_records(GOLDEN)
    assert [line.split(": ")[0] for line in skipped] == [f"{path}:3", f"{path}:4"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("name", ["reward", "em", "f1"])
def test_a_number_that_is_not_finite_is_named(tmp_path, name, value):
    row = json.loads(GOLDEN.read_text().splitlines()[1]) | {"sample_index": 2, name: "VALUE"}
    path = tmp_path / "r.jsonl"
    path.write_text(GOLDEN.read_text() + json.dumps(row).replace('"VALUE"', value) + "\n")
    with pytest.raises(RecordError, match=f"{path}:3: {name} is not a finite number"):
        read_records(path)


def test_bad_lines_are_left_out_and_listed_where_that_is_asked_for(tmp_path):
    path, skipped = tmp_path / "r.jsonl", []
    good = GOLDEN.read_text().splitlines()
    path.write_text("\n".join(["{nope", good[0], '{"group_id": "g"}', good[1], good[1][:50]]))
    assert read_records(path, skipped=skipped) == read_records(GOLDEN)
    assert [line.split(": ")[0] for line in skipped] == [f"{path}:{number}" for number in (1, 3, 5)]
    path.write_text('{"schema_version": 99}')
    with pytest.raises(RecordError, match="newer than this berrypick"):
        read_records(path, skipped=skipped)


def test_an_empty_file_is_no_rollouts(tmp_path):
    (tmp_path / "r.jsonl").write_text("\n")
    with pytest.raises(RecordError, match="no rollouts"):
        read_records(tmp_path / "r.jsonl")
    with pytest.raises(Exception, match="cannot read"):
        read_records(tmp_path / "absent.jsonl")


def test_records_of_others_need_only_question_group_and_turns():
    record = EpisodeRecord.model_validate(
        {"question": {"id": "1", "text": "t", "answers": ["a"]}, "group_id": "g", "sample_index": 0, "turns": []}
    )
    assert record.em is None and record.queries == []


def changed(**changes):
    return json.loads(GOLDEN.read_text().splitlines()[1]) | {"sample_index": 7} | changes


def with_tokens(name, values):
    row = changed()
    row["turns"] = json.loads(GOLDEN.read_text().splitlines()[0])["turns"]
    row["turns"][1]["tokens"][name] = values
    return row


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("sub_em", changed(sub_em=float("nan"))),
        ("evidence_recall", changed(evidence_recall=float("inf"))),
        ("reward_vectors", changed(reward_vectors=[[1.0], [0.5, float("nan")]])),
        ("log_probs", with_tokens("log_probs", [-0.5, float("nan")])),
        ("entropies", with_tokens("entropies", [float("inf"), 0.5])),
    ],
)
@pytest.mark.parametrize("read", ["line", "object"])
def test_every_number_that_a_measure_uses_is_finite(name, row, read):
    parse = {
        "line": lambda: parse_line(Path("x"), 1, json.dumps(row).encode()),
        "object": lambda: parse_record("x:1", row),
    }
    with pytest.raises(RecordError, match=f"x:1: {name} is not a finite number"):
        parse[read]()


def test_a_whole_record_of_a_newer_schema_is_named_and_one_without_a_version_is_read():
    for version in (2, "2"):
        row = changed(schema_version=version)
        with pytest.raises(NewerSchemaError, match="x:1: schema 2 is newer"):
            parse_line(Path("x"), 1, json.dumps(row).encode())
        with pytest.raises(NewerSchemaError, match="x:1: schema 2 is newer"):
            parse_record("x:1", row)
    row = changed()
    del row["schema_version"]
    assert parse_record("x:1", row).schema_version == SCHEMA_VERSION


def test_a_line_has_sorted_keys_plain_letters_and_one_digest():
    record = parse_record("x:1", changed(sha256="old", answer_raw="Ärger"))
    line = record_line(record)
    assert line.endswith('"}\n') and line.count("sha256") == 1 and "Ärger" in line
    assert list(json.loads(line)) == [*sorted(changed(answer_raw="")), "sha256"]
    assert parse_line(Path("x"), 1, line.encode()).answer_raw == "Ärger"


def test_one_sample_of_a_group_at_two_steps_is_two_rollouts(tmp_path):
    rows = [changed(checkpoint_step=step) for step in (None, 0, 40)]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [record.checkpoint_step for record in read_records(path)] == [None, 0, 40]


def test_what_a_file_lacks_is_noted_by_each_of_its_rows():
    lines = [json.dumps(changed()).encode(), record_line(parse_record("x", changed(sample_index=8))).encode(), b"{"]
    noted = []

    class Noting:
        def add(self, record, *, is_sealed):
            noted.append((record.sample_index, is_sealed))

    found = list(read_lines(Path("x"), enumerate(lines, 1), Noting()))
    assert noted == [(7, False), (8, True)]
    assert isinstance(found[2], RecordError) and "x:3" in str(found[2])
