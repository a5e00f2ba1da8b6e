"""Recall of evidence, by hand; and every bad question line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.retrieval_index.controls import OracleSearcher
from berrypick.retrieval_index.corpus import CorpusError, Passage
from berrypick.retrieval_index.evaluation import all_support, evaluate_index, recall


def test_recall_and_all_support_by_hand() -> None:
    ranked = ["a", "x", "b", "y", "c"]
    assert [recall(ranked, ["a", "b", "d"], k) for k in (1, 2, 3, 5, 9)] == [1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3]
    assert recall(["a", "a"], ["a", "a"], 2) == 1.0
    assert [all_support(ranked, ["a", "b"], k) for k in (1, 2, 3)] == [0.0, 0.0, 1.0]


def test_an_evaluation_averages_over_annotated_questions(tmp_path: Path) -> None:
    a, b, c = (Passage(key, "", key) for key in "abc")
    rows = [("one", ["a", "c"]), ("two", ["b"]), ("three", []), ("four", None)]
    lines = [{"question": q, "metadata": {"supporting_ids": ids}} for q, ids in rows] + [{"question": "five"}]
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    searcher = OracleSearcher({"one": [a, b, c], "two": [a]})
    assert evaluate_index(searcher, path, (1, 3)) == {
        "num_questions": 2,
        "num_without_support": 3,
        "recall@1": (0.5 + 0) / 2,
        "recall@3": (1.0 + 0) / 2,
        "all_support@1": 0.0,
        "all_support@3": 0.5,
    }


@pytest.mark.parametrize(
    "line",
    [
        {"metadata": {"supporting_ids": ["a"]}},
        {"question": 3, "metadata": {}},
        {"question": "q", "metadata": ["a"]},
        {"question": "q", "metadata": {"supporting_ids": "a"}},
        {"question": "q", "metadata": {"supporting_ids": [["a"]]}},
        {"question": "q", "metadata": {"supporting_ids": ["not in the corpus"]}},
    ],
)
def test_a_bad_question_line_is_named(line: object, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": "x", "metadata": {"supporting_ids": ["a"]}}) + "\n" + json.dumps(line))
    with pytest.raises(CorpusError, match=r"q\.jsonl:2: .*; (fix the line|use the index)"):
        evaluate_index(OracleSearcher({}), path, (1,), {"a"})


def test_questions_without_any_support_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "x"}\n')
    with pytest.raises(CorpusError, match="use annotated questions"):
        evaluate_index(OracleSearcher({}), path, (1,))
