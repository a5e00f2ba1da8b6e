"""`berrypick index audit` on a corpus whose every number is known by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick import make_task
from berrypick.__main__ import main
from berrypick.envs.audit import Coverage, answer_coverage, audited_questions
from berrypick.retrieval_index.corpus import Passage

LONG = "the river flows past the old mill and the new bridge and the market and the church and into the sea"
CORPUS = [
    {"id": "ada", "title": "Ada Lovelace", "text": "Ada Lovelace programmed the engine of Charles Babbage."},
    {"id": "bab", "title": "Charles Babbage", "text": "Charles Babbage was born in London, in 1791."},
    {"id": "bab2", "title": "Charles Babbage", "text": "CHARLES BABBAGE was born in London in 1791!"},
    {"id": "river", "title": "", "text": LONG},
    {"id": "river2", "title": "", "text": LONG + " again"},
    {"id": "quiz", "title": "Quiz", "text": "Who wrote the first published program? Ada did."},
]
QUESTIONS = [
    ("q1", "train", "When was the maker of the engine born?", ["1791"], ["ada", "bab"], {}),
    ("q2", "test", "Who wrote the first published program?", ["Ada Lovelace", "Ada"], ["ada"], {}),
    ("q3", "test", "Was Babbage born in London?", ["yes"], ["bab"], {}),
    ("q4", "test", "Where did Grace Hopper study?", ["Yale"], ["gone"], {"supporting_titles": ["Grace Hopper"]}),
    ("q5", "test", "Where was the maker born?", ["London"], ["x9"], {"supporting_titles": ["Charles  Babbage"]}),
    ("q6", "dev", "When was the maker of an engine born ?", ["1791"], [], {}),
]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    corpus, questions = tmp_path / "corpus.jsonl", tmp_path / "questions.jsonl"
    corpus.write_text("".join(json.dumps(line) + "\n" for line in CORPUS))
    rows = [
        {
            "id": key,
            "question": text,
            "golden_answers": answers,
            "metadata": {"split": split, "supporting_ids": ids, **m},
        }
        for key, split, text, answers, ids, m in QUESTIONS
    ]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(corpus), str(questions)


EXPECTED = {
    "passages": 6,
    "answers": {"questions": 6, "open": 5, "found": 4, "absent": ["q4"], "bound": 1 - 1 / 6},
    "support": {
        "questions": 5,
        "by_id": 3,
        "by_title": 1,
        "open": 3,  # q1, q2 and q5: q3 asks yes or no, q4 has no support
        "answered": 3,
        "missing": [{"question": "q4", "passage": "gone", "title": "Grace Hopper"}],
    },
    "duplicates": {"exact": [["bab", "bab2"]], "near": [["river", "river2", 0.929]], "whole": True},
    "leaks": {
        "between_splits": [{"kind": "same question", "first": ["train", "q1"], "second": ["dev", "q6"]}],
        "into_corpus": [["q2", "quiz"]],
    },
}
"""LONG has 15 words without its articles, so 13 runs of three; the longer text has one more: 13 of 14."""


def audit(*words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(["index", "audit", *words, "--json"]) == 1
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_every_number_is_that_of_the_hand(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, questions = files
    assert audit("--corpus", corpus, "--questions", questions, capsys=capsys) == EXPECTED
    index = str(tmp_path / "index")
    assert main(["index", "build", "--corpus", corpus, "--backend", "bm25s", "--out", index]) == 0
    capsys.readouterr()
    assert audit(index, "--questions", questions, capsys=capsys) == EXPECTED


def test_the_terminal_names_what_to_fix_in_100_columns(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, questions = files
    assert main(["index", "audit", "--corpus", corpus, "--questions", questions]) == 1
    out = capsys.readouterr().out
    lines = {line[:36].strip(): line[36:].split() for line in out.splitlines() if line[:1].strip()}
    assert lines["answer in some passage"] == ["4", "of", "5", "80.0%"]
    assert lines["support in the corpus, by id"] == ["3", "of", "5", "60.0%"]
    assert lines["answer in the supporting passages"] == ["3", "of", "3", "100.0%"]
    assert "question (passage): q4 (Grace Hopper)" in out and "bab = bab2" in out and "q2 in quiz" in out
    assert "Coverage bounds accuracy at 0.833: the answer of 1 of 6 questions is in no passage" in out
    assert "2605.27881" in out
    assert max(len(line) for line in out.splitlines()) <= 100
    assert main(["index", "audit", "--corpus", corpus, "--questions", questions, "--examples", "0"]) == 1
    assert "bab2" not in capsys.readouterr().out


def test_questions_that_carry_their_passages_need_no_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {
        "_id": "h1", "question": "Where was Babbage born?", "answer": "London", "type": "bridge", "level": "easy",
        "supporting_facts": [["Charles Babbage", 0], ["Grace Hopper", 0]],
        "context": [["Charles Babbage", ["Born in London."]], ["Ada", ["A friend."]]],
    }  # fmt: skip
    file = tmp_path / "hotpot.json"
    file.write_text(json.dumps([record]))
    found = audit("--questions", str(file), capsys=capsys)
    assert found["answers"]["found"] == 1 and found["passages"] == 2  # type: ignore[index]
    assert found["support"]["missing"] == [  # type: ignore[index]
        {"question": "h1", "passage": "title: Grace Hopper", "title": "Grace Hopper"}
    ]


def test_a_world_covers_the_answers_that_its_records_hold(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--env", "berrypick/World-v0", "--env-arg", "num_train=8", "num_validation=0", "num_test=8", "--json"]
    main(["index", "audit", *words])
    found = json.loads(capsys.readouterr().out)
    task = make_task("berrypick/World-v0", num_train=8, num_validation=0, num_test=8)
    held = {word for passage in task.passages for word in passage.text.replace(".", "").split()}
    asked = [question for questions in task.questions.values() for question in questions]
    covered = sum(question.answers[0] in held for question in asked)
    assert (found["answers"]["found"], found["answers"]["open"]) == (covered, 16) and 0 < covered < 16
    assert found["leaks"]["into_corpus"] == [] and found["support"]["questions"] == 16


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs --questions FILE with an index folder"),
        (["--env", "berrypick/World-v0", "--questions", "q"], "leave out the other files"),
        (["i", "--corpus", "c", "--questions", "q"], "not both"),
        (["--questions", "q"], "cannot read q"),
        (["--scoring", "englsh", "--env", "berrypick/World-v0"], "did you mean english"),
    ],
)
def test_what_cannot_be_audited_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "audit", *words]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.splitlines()) == 1


def test_bad_lines_are_named_or_skipped(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    corpus, questions = files
    with Path(corpus).open("a") as file:
        file.write("{broken\n")
    assert main(["index", "audit", "--corpus", corpus, "--questions", questions]) == 2
    assert f"{corpus}:7: not valid JSON" in capsys.readouterr().err
    assert audit("--corpus", corpus, "--questions", questions, "--skip-bad", capsys=capsys) == EXPECTED


def test_the_coverage_of_some_questions_is_what_a_report_needs(files: tuple[str, str]) -> None:
    questions = audited_questions(Path(files[1])).all
    passages = [Passage(line["id"], line["title"], line["text"]) for line in CORPUS]
    assert answer_coverage(questions, passages) == Coverage(6, 5, 4, ("q4",))
    assert answer_coverage([], passages).bound == 1.0
