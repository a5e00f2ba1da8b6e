"""`berrypick play --policy`: a policy's episode, shown turn by turn."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.questions import EpisodeSpec
from berrypick.envs.tasks.registry import make_task
from berrypick.policies.open_policy import open_policy
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.retrieval_index.errors import BerrypickError

SMALL = ("--env-arg", "num_train=20", "num_test=4")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["play", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["play", *arguments]) == 2
    return capsys.readouterr().err


@pytest.fixture
def capitals(tmp_path: Path) -> tuple[str, ...]:
    """A corpus of two passages with one question."""
    passages = [{"id": "p1", "title": "Norway", "text": "The capital of Norway is Oslo."},
                {"id": "p2", "title": "Peru", "text": "The capital of Peru is Lima."}]  # fmt: skip
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(passage) + "\n" for passage in passages))
    question = {
        "id": "q1",
        "question": "capital of Norway",
        "golden_answers": ["Oslo"],
        "metadata": {"supporting_ids": ["p1"]},
    }
    (tmp_path / "questions.jsonl").write_text(json.dumps(question) + "\n")
    files = (f"corpus={tmp_path / 'corpus.jsonl'}", f"questions={tmp_path / 'questions.jsonl'}")
    return ("--env", "berrypick/Custom-v0", "--env-arg", *files, "--split", "test")


def test_every_turn_is_shown_and_the_verdict_is_that_of_the_rollout_engine(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys, "--policy", "random_order", *SMALL, "--seed", "3")
    task = make_task("berrypick/World-v0", num_train=20, num_test=4)
    text = out.splitlines()[1]
    (question,) = [question for question in task.split("train") if question.text == text]
    ((episode,),) = rollout(
        open_policy("random_order"), [question], task.spec, task.searcher, num_samples=1, sampling=Sampling(0.0), seed=3
    )
    for turn in episode.turns:
        assert turn.draft.text in out
    assert out.count("query: ") == len(episode.queries)
    assert f"turn {len(episode.turns)}: answer" in out
    assert (": right; reward 1" in out) == bool(episode.correct)


def test_a_question_of_ones_own_is_searched_and_not_graded(
    capsys: pytest.CaptureFixture[str], capitals: tuple[str, ...]
) -> None:
    out = shown(capsys, *capitals, "--policy", "question", "--ask", "the capital of Peru?")
    assert "query: the capital of Peru?" in out and "[1] p2" in out
    assert "answer: Peru: not graded" in out and "right answer: not known" in out


def test_the_questions_of_the_split_are_graded(capsys: pytest.CaptureFixture[str], capitals: tuple[str, ...]) -> None:
    out = shown(capsys, *capitals, "--policy", "question")
    assert "capital of Norway" in out and "supports hop 1" in out
    assert "answer: Norway: not right" in out and "right answer: Oslo" in out


def test_without_a_split_a_task_of_test_questions_alone_is_asked_those(
    capsys: pytest.CaptureFixture[str], capitals: tuple[str, ...]
) -> None:
    assert capitals[-2:] == ("--split", "test")
    assert "capital of Norway" in shown(capsys, *capitals[:-2], "--policy", "question")
    assert "unknown split 'dev'" in refused(capsys, *capitals[:-2], "--policy", "question", "--split", "dev")


def test_flags_that_contradict_each_other_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "--ask needs a --policy" in refused(capsys, "--ask", "who?")
    assert "leave out the file" in refused(capsys, str(tmp_path), "--policy", "random_order")
    assert "--ask has no question" in refused(capsys, "--policy", "random_order", "--ask", " ")
    typed = refused(capsys, *SMALL, "--policy", "random_order", "--ask", "hello?")
    assert "only on the own questions of berrypick/World-v0" in typed and "use bridge" in typed
    typed = refused(capsys, *SMALL, "--policy", "oracle", "--ask", "hello?")
    assert "oracle needs a question with a known answer; use one of question" in typed
    with pytest.raises(BerrypickError, match="--policy is empty"):
        open_policy("")
    twice = ("--env-arg", "num_train=20", "num_train=30")
    assert "--env-arg gives num_train twice" in refused(capsys, *twice, "--policy", "random_order")
    assert "--max-new-tokens" in refused(capsys, "--policy", "random_order", "--max-new-tokens", "0")


def test_a_turn_is_reported_when_it_has_been_played() -> None:
    task = make_task("berrypick/World-v0", num_train=20, num_test=4)
    questions = task.split("test")[:2]
    counts: list[list[int]] = []
    spec: EpisodeSpec = task.spec
    groups = rollout(
        open_policy("random_order"), questions, spec, task.searcher, num_samples=2, sampling=Sampling(), seed=0,
        on_turn=lambda episodes: counts.append([len(episode.turns) for episode in episodes]),
    )  # fmt: skip
    lengths = [len(episode.turns) for group in groups for episode in group]
    assert counts == [[turn + 1] * sum(length > turn for length in lengths) for turn in range(max(lengths))]


def test_a_pipe_that_lacks_a_character_shows_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for encoding in ("utf-8", "ascii"):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
        assert main(["play", *SMALL, "--policy", "random_order"]) == 0
        sys.stdout.flush()
        texts.append(written.getvalue())
    whole, plain = texts[0].decode(), texts[1].decode()
    assert not whole.isascii() and plain == "".join(one if one.isascii() else "?" for one in whole)
