"""Own splits: what is held out, what is too similar to train on, and shares of several sets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from berrypick.envs.data.splits import held_out, near_duplicates, some_questions, with_shares
from berrypick.envs.questions import Question
from berrypick.envs.tasks.registry import make_task
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.films import films_folder, question_line
from hypothesis import given
from hypothesis import strategies as st

WORDS = ["amber", "basalt", "copper", "dolomite", "emerald", "flint", "gneiss", "halite", "iron", "jasper"]


def questions(number: int, prefix: str = "q", split: str = "dev") -> tuple[Question, ...]:
    """Questions with few words in common."""
    texts = [f"Who found {WORDS[n % 10]} near {WORDS[n // 10 % 10]} in {n}?" for n in range(number)]
    return tuple(Question(f"{prefix}{n}", text, (str(n),), split=split) for n, text in enumerate(texts))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 3))
def test_a_larger_holdout_contains_a_smaller_one_and_nobody_trains_on_it(few: int, more: int, seed: int) -> None:
    splits = {"train": questions(5, "t", "train"), "dev": questions(30)}
    small, large = (held_out(splits, count, seed) for count in sorted((few, more)))
    ids = [{question.id for question in own["holdout"]} for own in (small, large)]
    assert ids[0] <= ids[1]
    for own in (small, large):
        assert not {question.id for question in own["train"]} & {question.id for question in own["holdout"]}
        assert set(own) == {"train", "holdout"}
        assert {question.split for question in own["train"]} <= {"train"}
        assert not near_duplicates(own["train"], own["holdout"])


def test_a_choice_does_not_depend_on_what_else_there_is() -> None:
    pool = questions(30)
    chosen = some_questions(pool, 10, 0)
    assert [q.id for q in chosen] == [q.id for q in pool if q in chosen]  # in the order of the file
    with_new = some_questions((*questions(30, "new"), *pool), 60, 0)
    assert [q for q in with_new if q in chosen] == list(chosen)
    assert some_questions(pool, 10, 1) != chosen


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("who  abolished the dual system of government in Bengal", True),
        ("When was the company that abolished the dual system of government in Bengal founded?", False),
        ("By whom was the dual system of government in Bengal abolished?", True),
        ("Who abolished the dual monarchy of Austria?", False),
    ],
)
def test_questions_with_three_quarters_of_their_words_in_common_are_near_duplicates(text: str, same: bool) -> None:
    held = [Question("h", "Who abolished the dual system of government in Bengal?", ("x",))]
    assert bool(near_duplicates([Question("t", text, ("y",))], held)) == same


def test_the_same_evidence_and_answer_are_a_near_duplicate_whatever_the_words() -> None:
    evidence = ((frozenset(["p1"]), frozenset(["p2"])),)
    held = [Question("h", "Who built it?", ("Babbage",), evidence)]
    other = Question("t", "Name the engineer of the engine", ("babbage",), evidence)
    assert near_duplicates([other, replace(other, id="u", answers=("Ada",))], held) == {"t"}


@pytest.mark.parametrize("count", [-1, 30, 31, True, "ten"])
def test_a_holdout_that_cannot_be_is_one_line(count: object) -> None:
    with pytest.raises(BerrypickError, match="holdout"):
        held_out({"dev": questions(30)}, count, 0)  # type: ignore[arg-type]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(1, 4))
def test_shares_use_one_set_whole_and_ask_nothing_twice(first: int, second: int, one: int, other: int) -> None:
    drawn = with_shares([questions(first, "a"), questions(second, "b")], [one, other], 0)
    counts = [sum(question.id.startswith(letter) for question in drawn) for letter in "ab"]
    assert len({question.id for question in drawn}) == len(drawn)
    assert counts[0] == first or counts[1] == second or min(counts) == 1
    if min(first / one, second / other) >= max(1 / one, 1 / other):
        assert abs(counts[0] / one - counts[1] / other) < 1 / one + 1 / other


def films(folder: Path, **arguments: object):
    files = {"corpus": str(folder / "corpus.jsonl"), "questions": str(folder / "questions.jsonl")}
    return make_task("berrypick/Custom-v0", **files, **arguments)


def test_training_questions_from_a_file_and_their_limits(tmp_path: Path) -> None:
    folder = films_folder(tmp_path)
    own = folder / "own.jsonl"
    own.write_text(json.dumps(question_line("own", "Who wrote Blue Kiln?", "Ivo Prah", ("f2",), "dev")) + "\n")
    task = films(folder, train_questions=str(own))
    assert [(question.id, question.split) for question in task.split("train")] == [("own", "train")]
    assert len(films(folder, train_questions=2).split("train")) == 2
    with pytest.raises(BerrypickError, match="from 1 to the 5 training questions, got 6"):
        films(folder, train_questions=6)
    own.write_text(json.dumps(question_line("own", "Who wrote it?", "Ivo Prah", ("zz",))) + "\n")
    with pytest.raises(BerrypickError, match="'zz' is not in the corpus"):
        films(folder, train_questions=str(own))
    held = films(folder, holdout=2)
    assert {name: len(asked) for name, asked in held.questions.items()} == {"train": 3, "holdout": 2}
    own.write_text((folder / "questions.jsonl").read_text())
    assert {question.id for question in films(folder, holdout=2, train_questions=str(own)).split("train")} == {
        question.id for question in held.split("train")
    }
    with pytest.raises(BerrypickError, match="holds out no questions; give the holdout=N"):
        films(folder).split("holdout")


def test_several_sets_have_one_index_and_the_holdouts_they_have_alone(tmp_path: Path) -> None:
    first, second = films_folder(tmp_path / "a"), tmp_path / "b"
    second.mkdir()
    (second / "corpus.jsonl").write_text(json.dumps({"id": "k1", "title": "Kiln", "text": "A kiln is hot."}) + "\n")
    lines = [question_line(f"k{n}", f"Is {WORDS[n]} fired in a kiln?", "yes", ("k1",), "dev") for n in range(6)]
    (second / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    task = make_task("berrypick/Mixed-v0", sets=f"{first},{second}", holdout=2)
    assert {passage.id for passage in task.passages} >= {"f1", "k1"}
    assert task.searcher.search(["hot kiln"], 1)[0][0].id == "k1"
    alone = [q.id for q in films(first, holdout=2).split("holdout")]
    assert [question.id for question in task.split("holdout")][:2] == alone
    assert len(task.split("holdout")) == 4
    weighted = make_task("berrypick/Mixed-v0", sets=f"{first}:1,{second}:2", holdout=2).split("train")
    assert sorted(question.id[0] for question in weighted) == ["k"] * 4 + ["q"] * 2


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("", "needs the names of data sets"),
        ("{a}:0,{a}", "must be a number above 0, got '0'"),
        ("{a}:x", "must be a number above 0, got 'x'"),
        ("{a},{a}", "name each set once"),
        ("nowhere", "nowhere"),
    ],
)
def test_bad_names_of_sets_are_one_line(sets: str, message: str, tmp_path: Path) -> None:
    folder = films_folder(tmp_path / "a")
    with pytest.raises(BerrypickError, match=message):
        make_task("berrypick/Mixed-v0", sets=sets.format(a=folder))


def test_a_passage_that_differs_between_sets_is_one_line(tmp_path: Path) -> None:
    first, second = films_folder(tmp_path / "a"), films_folder(tmp_path / "b")
    text = (second / "corpus.jsonl").read_text()
    (second / "corpus.jsonl").write_text(text.replace("fossil", "old"))
    with pytest.raises(BerrypickError, match=r"passage x1 of .* is another one in the set before"):
        make_task("berrypick/Mixed-v0", sets=f"{first},{second}")
