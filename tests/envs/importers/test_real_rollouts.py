"""Files that other systems wrote, and the cases that were reported. All counts were made by reading the files."""

from __future__ import annotations

from pathlib import Path

import pytest
from berrypick.envs.importers import open_rollouts
from berrypick.envs.record import EpisodeRecord, RecordError

CASES = "cases/14-report-of-others-rollouts"


def read(path: Path) -> list[EpisodeRecord]:
    source = open_rollouts(path, skip_bad=False)
    return list(source.records())


def searches(records: list[EpisodeRecord]) -> list[int]:
    return [len(record.queries) for record in records]


def test_the_search_r1_log(shared_data: Path) -> None:
    records = read(shared_data / "trajectories" / "searchr1_upstream_case.txt")
    # two "<|im_start|>system" blocks, each with one "Question:" and one <answer> after the prompt
    assert [record.question.text for record in records] == [
        "paul walkers cars in fast and furious list?",
        "the heart muscle is stimulated to contract by electrical impulses which are generated where?",
    ]
    assert [record.answer_raw for record in records] == ["Charger", "sinoatrial (SA) node"]
    # <search> blocks outside the prompt: two and one, each answered by Doc 1 to Doc 3; both of the first bring the same
    assert searches(records) == [2, 1]
    assert records[0].queries[1] == "list of cars paul walker drove in Fast and Furious"
    assert [len(record.shown_ids) for record in records] == [3, 3]
    assert [[turn.action for turn in record.turns] for record in records] == [
        ["search", "search", "answer"],
        ["search", "answer"],
    ]
    # the log prints no golden answers
    assert [(record.em, record.reward, record.question.answers) for record in records] == [(None, None, [])] * 2


def test_the_longcat_log(shared_data: Path) -> None:
    (record,) = read(shared_data / "trajectories" / "longcat_search_tool_trajectory.txt")
    assert record.question.text.startswith("What is the main civilian airport of the capital city of China's only")
    assert record.answer_raw == "Haikou Meilan International Airport"
    # three <longcat_tool_call>search, each with a list of one query; every answer has ten results with a url.
    # https://en.wikipedia.org/wiki/Hainan is in the first and in the second
    assert record.queries == [
        "China only tropical province",
        "capital city of Hainan province",
        "main civilian airport Haikou",
    ]
    assert [[len(ranking) for ranking in turn.hits] for turn in record.turns] == [[10], [10], [10], []]
    assert len(record.shown_ids) == 29 and "https://en.wikipedia.org/wiki/Hainan" in record.shown_ids
    assert record.turns[3].text.endswith("</final_summary>") and record.turns[0].text.startswith("<longcat_think>")


def test_nemo_gyms_google_search(shared_data: Path) -> None:
    records = read(shared_data / "trajectories" / "nemo_gym_google_search_rollouts.jsonl")
    # "function_call" items by line: none, search browse, none, search browse, search
    assert searches(records) == [0, 1, 0, 1, 1]
    assert [len(record.turns) for record in records] == [1, 3, 1, 3, 2]
    # the letters in \boxed{} of the last messages, and the rewards of the lines
    assert [record.answer_raw for record in records] == ["A", "C", "B", "B", "B"]
    assert [record.reward for record in records] == [0, 1, 0, 1, 0]
    # a page of Google's search has "count": 10; the file holds no right answers
    assert [len(record.shown_ids) for record in records] == [0, 10, 0, 10, 10]
    assert {record.em for record in records} == {None}
    assert [record.policy_tokens for record in records] == [528, 115, 572, 319, 850]  # usage.output_tokens


def test_nemo_gyms_filing_search(shared_data: Path) -> None:
    records = read(shared_data / "trajectories" / "nemo_gym_finance_sec_search_rollouts.jsonl")
    assert len({record.question.id for record in records}) == 5
    # "function_call" items by line: 4, 5, 6, 10, 10; those named sec_filing_search: 1, 1, 1, 1, 2; the last is always
    # submit_final_result, whose argument is the answer
    assert [len(record.turns) for record in records] == [4, 5, 6, 10, 10]
    assert searches(records) == [1, 1, 1, 1, 2]
    assert all(record.turns[-1].action == "answer" for record in records)
    assert [record.question.answers for record in records] == [
        ["164,000"],
        ["$115.9 billion"],
        ["51%"],
        ["7,433,166,379"],
        ["24.3 billion"],
    ]
    # all were judged right; the answers are reports that contain the value, except $115.9 billion: "$115.88 billion"
    assert [record.reward for record in records] == [1.0] * 5
    assert [record.em for record in records] == [0.0] * 5
    assert [record.sub_em for record in records] == [1.0, 0.0, 1.0, 1.0, 1.0]
    assert records[0].queries == [
        '{"end_date": "2022-12-31", "form_types": ["10-K"], "start_date": "2022-01-01", "ticker": "AAPL"}'
    ]


def test_a_corpus_is_no_rollouts(shared_data: Path) -> None:
    with pytest.raises(RecordError, match=r"unknown format \(jsonl with the fields id, contents\).*--map question="):
        open_rollouts(shared_data / "trajectories" / "searchr1_upstream_corpus_example.jsonl")


@pytest.mark.parametrize(
    ("name", "format", "em", "queries"),
    [
        ("verl.jsonl", "verl dump", [1.0, 0.0], [["Babbage born"], []]),
        ("search_r1_dump.jsonl", "Search-R1 evaluation dump", [1.0], [["Babbage born"]]),
        ("nemo_gym.jsonl", "NeMo-Gym rollouts", [1.0], [["Babbage born"]]),
        ("chat.jsonl", "chat log with tool calls", [None], [["Babbage born"]]),
    ],
)
def test_the_reported_cases(
    shared_data: Path, name: str, format: str, em: list[float | None], queries: list[list[str]]
) -> None:
    path = shared_data.parent / CASES / name
    if not path.is_file():
        pytest.skip(f"no case at {path}")
    source = open_rollouts(path, skip_bad=False)
    records = list(source.records())
    assert source.format == format
    assert [record.em for record in records] == em
    assert [record.queries for record in records] == queries
    assert {record.question.text for record in records} == {"When was Babbage born?"}
    assert len({record.group_id for record in records}) == 1
    assert [record.sample_index for record in records] == list(range(len(em)))
