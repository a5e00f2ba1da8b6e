"""Question files."""

from __future__ import annotations

import gzip
import json

import pytest
from berrypick.envs.data.questions_file import QuestionError, data_folder, read_questions
from berrypick.retrieval_index.corpus import CorpusError, read_corpus
from berrypick.retrieval_index.errors import BerrypickError

TITLES = {"p1": "One", "p2": "Two", "p3": ""}
GOOD = {
    "id": "q1",
    "question": "who?",
    "golden_answers": ["Ada"],
    "metadata": {"split": "dev", "supporting_ids": ["p2", "p1"], "level": None},
}


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_line_becomes_a_question(tmp_path):
    bare = {"id": "q2", "question": "q?", "golden_answers": ["a", "b"]}
    splits = read_questions(write(tmp_path / "q.jsonl", GOOD, "", bare), TITLES)
    question = splits["dev"][0]
    assert (question.id, question.text, question.answers) == ("q1", "who?", ("Ada",))
    assert question.evidence == ((frozenset(["p2"]), frozenset(["p1"])),)
    assert question.metadata["supporting_titles"] == ["Two", "One"] and question.metadata["level"] is None
    assert (splits["test"][0].answers, splits["test"][0].evidence) == (("a", "b"), ())


def test_other_annotators_paths_are_further_evidence(tmp_path):
    row = GOOD | {"metadata": GOOD["metadata"] | {"supporting_ids_by_annotator": [["p2", "p1"], [], ["p3"]]}}
    question = read_questions(write(tmp_path / "q.jsonl", row), TITLES)["dev"][0]
    assert question.evidence == ((frozenset(["p2"]), frozenset(["p1"])), (frozenset(["p3"]),))


BAD = [
    ("{oops", "not valid JSON"),
    ("[]", "not a JSON object"),
    (GOOD | {"id": ""}, "id must be a text"),
    (GOOD | {"id": 7.5}, "id must be a text"),
    ({k: v for k, v in GOOD.items() if k != "question"}, "question must be a text"),
    (GOOD | {"question": " \t"}, "question must be a text"),
    (GOOD | {"golden_answers": []}, "golden_answers must be a list"),
    (GOOD | {"golden_answers": "Ada"}, "golden_answers must be a list"),
    (GOOD | {"golden_answers": ["Ada", 3]}, "golden_answers must be a text"),
    (GOOD | {"golden_answers": [""]}, "golden_answers must be a text"),
    (GOOD | {"metadata": "x"}, "metadata must be an object"),
    (GOOD | {"metadata": {"split": 1}}, "split must be a text"),
    (GOOD | {"metadata": {"supporting_ids": "p1"}}, "supporting_ids must be a list"),
    (GOOD | {"metadata": {"supporting_ids": [["p1"]]}}, "supporting_ids must be a list"),
    (GOOD | {"metadata": {"supporting_ids": ["p9"]}}, "'p9' is not in the corpus"),
    (GOOD | {"question": "who \ud83d?"}, "lone surrogate"),
    (GOOD | {"golden_answers": ["\udc00"]}, "lone surrogate"),
    (GOOD | {"id": "\udc00"}, "lone surrogate"),
    (GOOD | {"metadata": {"source": ["crawl \ud83d"]}}, "metadata contains a lone surrogate"),
    (GOOD | {"metadata": {"\ud83d": 1}}, "metadata contains a lone surrogate"),
    (GOOD, "duplicate question id"),
]


@pytest.mark.parametrize(("row", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_bad_line_names_file_and_line_or_is_skipped_and_listed(tmp_path, row, reason):
    path = write(tmp_path / "q.jsonl", GOOD, row)
    with pytest.raises((QuestionError, CorpusError), match=reason) as caught:
        read_questions(path, TITLES)
    assert str(caught.value).startswith(f"{path}:2: ")
    skipped = []
    splits = read_questions(path, TITLES, skipped=skipped)
    assert sum(map(len, splits.values())) == 1
    assert len(skipped) == 1 and skipped[0].startswith(f"{path}:2: ")


def test_files_without_questions_and_absent_files_are_named(tmp_path):
    with pytest.raises(QuestionError, match="no questions"):
        read_questions(write(tmp_path / "q.jsonl", ""), TITLES)
    with pytest.raises(CorpusError, match="cannot read"):
        read_questions(tmp_path / "absent.jsonl", TITLES)


@pytest.mark.parametrize("key", [{"id": 7}, {"_id": "7"}, {"id": None, "_id": 7}])
def test_whole_numbers_are_ids(tmp_path, key):
    line = {name: value for name, value in GOOD.items() if name != "id"} | key | {"metadata": {"supporting_ids": [1]}}
    (question,) = read_questions(write(tmp_path / "q.jsonl", line), {"1": "T"})["test"]
    assert question.id == "7" and question.evidence == ((frozenset(["1"]),),)


def test_gzip_reads_the_same(tmp_path):
    plain = write(tmp_path / "q.jsonl", GOOD)
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert read_questions(tmp_path / "q.jsonl.gz", TITLES) == read_questions(plain, TITLES)


def test_the_data_folder_is_named_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("BERRYPICK_DATA", raising=False)
    with pytest.raises(BerrypickError, match="set BERRYPICK_DATA"):
        data_folder("hotpotqa")
    monkeypatch.setenv("BERRYPICK_DATA", str(tmp_path))
    with pytest.raises(BerrypickError, match="no folder"):
        data_folder("hotpotqa")
    (tmp_path / "hotpotqa").mkdir()
    assert data_folder("hotpotqa") == tmp_path / "hotpotqa"


@pytest.mark.parametrize(
    "name", ["hotpotqa", "2wikimultihopqa", "musique", "strategyqa", "bamboogle", "wiki18_singlehop"]
)
def test_the_real_sets_read_whole(shared_data, name):
    corpus = read_corpus(shared_data / name / "corpus.jsonl.gz")
    splits = read_questions(shared_data / name / "questions.jsonl", {p.id: p.title for p in corpus.passages})
    num_lines = sum(1 for line in (shared_data / name / "questions.jsonl").open() if line.strip())
    assert sum(map(len, splits.values())) == num_lines
    if name in ("hotpotqa", "2wikimultihopqa", "musique", "strategyqa"):
        assert all(question.evidence for questions in splits.values() for question in questions)


def test_a_misspelt_key_of_evidence_is_named_once(tmp_path, caplog):
    rows = [
        {"id": f"q{n}", "question": "who?", "golden_answers": ["x"], "metadata": metadata}
        for n, metadata in enumerate(
            [
                {"supporting_titles": ["t"], "supporting_facts": [["t", 0]]},
                {"support_ids": ["p1"]},
                {"support_ids": ["p1"]},
                {"support_ids": ["p1"], "supporting_ids": ["p1"]},
            ]
        )
    ]
    path = write(tmp_path / "questions.jsonl", *rows)
    read_questions(path, {"p1": "t"})
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"{path}:2: metadata.support_ids is not read; evidence is read from metadata.supporting_ids"
