"""`berrypick play ROLLOUTS`: a recorded episode, through a pipe and in a pseudo-terminal."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord, write_records
from fixtures.machine import patience

BERRYPICK = [sys.executable, "-m", "berrypick"]


def episode(question: str, sample: int, turns: list[TurnRecord], answer: str | None = "Tovenra") -> EpisodeRecord:
    return EpisodeRecord(
        question=QuestionRecord(
            id=question, text=f"Who is {question}?", answers=["Tovenra", "Tov"], evidence=[[["p1", "p9"], ["p3"]]]
        ),
        group_id=question,
        sample_index=sample,
        turns=turns,
        answer_raw=answer,
        em=None if answer is None else float(answer == "Tovenra"),
        reward=1.0,
        terminated=answer is not None,
        truncated=answer is None,
    )


def searched(query: str, observation: str, *ids: str, **more: object) -> TurnRecord:
    hits = [[HitRecord(id=key, score=1.5) for key in ids]]
    text = f"<search> {query} </search>"
    return TurnRecord(text=text, action="search", queries=[query], hits=hits, observation=observation, **more)


FOUND = "\n<information> [1] (Title: T) first fact\n[2] second fact </information>\n"
ANSWER = TurnRecord(text="<answer> Tovenra </answer>", action="answer")


@pytest.fixture
def rollouts(tmp_path: Path) -> Path:
    """Three episodes: two hops found and right; a wrong one; one cut off, with a turn that is no action."""
    path = tmp_path / "rollouts.jsonl"
    third = "\n<tool_response>\n" + json.dumps({"result": "[3] third fact"}) + "\n</tool_response>\n"
    invalid = TurnRecord(text="hm", action="invalid", observation="write tags", stopped_by="length")
    records = [
        episode("q1", 0, [searched("one", FOUND, "p1", "p2"), searched("two", third, "p3"), ANSWER]),
        episode("q1", 1, [TurnRecord(text="<answer> no </answer>", action="answer")], "no"),
        episode("q2", 0, [invalid, searched("x", "", error="search budget exceeded")], None),
    ]
    write_records(path, records)
    return path


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["play", *words]) == 0
    return capsys.readouterr().out


def test_a_pipe_gets_all_turns_at_once(rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, str(rollouts)).splitlines() == [
        f"episode 1 of {rollouts}; question q1; sample 0",
        "Who is q1?",
        "3 turns; 2 hops to find",
        "turn 1 of 3: search",
        "    <search> one </search>",
        "query: one",
        "[1] p1 (1.50) ✓ supports hop 1",
        "    (Title: T) first fact",
        "[2] p2 (1.50)",
        "    second fact",
        "supported so far: 1 of 2 hops",
        "turn 2 of 3: search",
        "    <search> two </search>",
        "query: two",
        "[3] p3 (1.50) ✓ supports hop 2",
        "    third fact",
        "supported so far: 2 of 2 hops",
        "turn 3 of 3: answer",
        "    <answer> Tovenra </answer>",
        "answer: Tovenra: right; reward 1; right answer: Tovenra | Tov",
    ]


def test_an_episode_is_chosen_by_number_or_by_question_and_sample(
    rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = shown(capsys, str(rollouts), "--episode", "2")
    assert (
        "episode 2 of" in second
        and "answer: no: not right by exact match, which the reward contradicts; reward 1;" in second
    )
    assert shown(capsys, str(rollouts), "--question", "q1", "--sample", "1") == second
    third = shown(capsys, str(rollouts.parent), "--question", "q2")
    assert "turn 1 of 2: invalid (cut at the token limit)\n    hm\n    write tags\n" in third
    assert "error: search budget exceeded" in third
    assert third.endswith("no answer; cut off by a limit; reward 1; right answer: Tovenra | Tov\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--episode", "4"], "has no episode 4; --episode takes 1 to 3"),
        (["--episode", "0"], "--episode must be at least 1, got 0"),
        (["--question", "q3"], "has no question 'q3'"),
        (["--question", "q1", "--sample", "2"], "has no sample 2 of question 'q1'"),
        (["--sample", "1"], "--sample needs --question"),
        (["--question", "q1", "--episode", "1"], "give one of them"),
    ],
)
def test_an_episode_that_is_not_there_is_one_line(
    words: list[str], message: str, rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["play", str(rollouts), *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


def test_a_path_without_rollouts_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / "eval" / name).mkdir(parents=True)
        (tmp_path / "eval" / name / "rollouts.jsonl").write_text("")
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, f"holds 2 rollouts files; give one of {tmp_path}/eval/"),
        (tmp_path / "eval", "holds no rollouts.jsonl; give a folder of berrypick eval"),
        (tmp_path / "no", "no such file or folder"),
        (tmp_path / "pipe", "is a pipe or a device, which cannot be read twice; save it to a file first"),
    ):
        assert main(["play", str(path)]) == 2
        assert message in capsys.readouterr().err
    assert main(["report", str(tmp_path / "pipe")]) == 2
    assert "save it to a file first" in capsys.readouterr().err
    assert main(["play", "--episode", "2"]) == 2
    assert "name its file or run folder" in capsys.readouterr().err


def test_a_folder_with_one_evaluation_is_read_as_report_reads_it(
    rollouts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / "eval" / "a").mkdir(parents=True)
    (tmp_path / "run" / "eval" / "a" / "rollouts.jsonl").write_bytes(rollouts.read_bytes())
    assert shown(capsys, str(tmp_path / "run")).splitlines()[1:] == shown(capsys, str(rollouts)).splitlines()[1:]


def test_the_file_is_read_no_further_than_the_episode(rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with rollouts.open("a") as file:
        file.write("{ damaged\n")
    assert "episode 3 of" in shown(capsys, str(rollouts), "--episode", "3")


def test_nothing_a_file_holds_reaches_the_terminal_as_control(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b[2J\u202e\x07[red]"
    record = episode(f"q{evil}", 0, [searched(evil, f"[1] {evil}", evil, error=evil)], evil)
    record.policy_id = record.env_id = record.question.answers[0] = evil
    write_records(tmp_path / "rollouts.jsonl", [record])
    out = shown(capsys, str(tmp_path))
    assert "[red]" in out  # it is no markup either
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", out)


def test_passages_are_shown_as_they_came_where_they_cannot_be_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doc = "\n\n<information>Doc 1(Title: A) first\nDoc 2(Title: B) second</information>\n\n"
    turns = [searched("a", doc, "p1", "p2"), searched("b", "plain words", "p3"), searched("c", '{"result": 3}', "p4")]
    write_records(tmp_path / "rollouts.jsonl", [episode("q", 0, turns, None)])
    out = shown(capsys, str(tmp_path))
    assert "[1] p1 (1.50) ✓ supports hop 1\n    (Title: A) first\n[2] p2 (1.50)\n    (Title: B) second\n" in out
    assert "[3] p3 (1.50) ✓ supports hop 2\n    plain words\n" in out
    assert '[4] p4 (1.50)\n    {"result": 3}\n' in out


# At a terminal


class Terminal:
    """A command in a pseudo-terminal of 100 columns."""

    def __init__(self, *words: str) -> None:
        import pty

        mine, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
        self.process = subprocess.Popen(
            [*BERRYPICK, "play", *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True
        )
        os.close(theirs)
        self.file = mine

    def until_prompt(self) -> str:
        """What is printed up to the next prompt, without styles."""
        text, limit = "", time.monotonic() + patience(60)
        while not text.endswith("> "):
            assert time.monotonic() < limit, text
            if select.select([self.file], [], [], 0.2)[0]:
                text += self._read()
        return re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n").removesuffix("> ")

    def _read(self) -> str:
        return os.read(self.file, 65536).decode("utf-8", "replace")

    def type(self, line: str) -> str:
        os.write(self.file, f"{line}\n".encode())
        text = self.until_prompt()
        return text.removeprefix(f"{line}\n")  # the echo

    def end(self, line: bytes) -> int:
        os.write(self.file, line)
        return self.process.wait(patience(60))


@pytest.fixture
def terminal(rollouts: Path) -> Iterator[Terminal]:
    pytest.importorskip("pty")
    opened = Terminal(str(rollouts))
    yield opened
    if opened.process.poll() is None:
        opened.process.kill()
        opened.process.wait()
    os.close(opened.file)


def test_enter_goes_on_b_goes_back_n_and_p_change_the_episode_and_q_ends(terminal: Terminal) -> None:
    start = terminal.until_prompt()
    assert "Enter: next turn, b: back, n: next episode, p: previous episode, q: quit" in start
    assert "Who is q1?" in start and "turn 1" not in start
    assert terminal.type("").startswith("turn 1 of 3")
    assert terminal.type("").startswith("turn 2 of 3")
    assert terminal.type("b").startswith("turn 1 of 3")
    assert "Who is q1?" in terminal.type("b")
    assert terminal.type("b") == "the episode begins here\n"
    assert terminal.type("p") == "this is the first episode\n"
    assert "episode 2 of" in terminal.type("n")
    assert "answer: no: not right" in terminal.type("")
    assert terminal.type("") == "the episode ends here\n"
    assert "episode 3 of" in terminal.type("n")
    assert terminal.type("n") == "this is the last episode\n"
    assert "turn 1 of 2: invalid" in terminal.type("")
    assert "episode 2 of" in terminal.type("p")
    assert "Enter: next turn" in terminal.type("what?")
    assert terminal.end(b"q\n") == 0


def test_the_end_of_the_input_ends_it(terminal: Terminal) -> None:
    terminal.until_prompt()
    assert terminal.end(b"\x04") == 0


def test_a_pipe_that_is_closed_early_is_no_error(rollouts: Path) -> None:
    done = subprocess.run(
        f"'{sys.executable}' -m berrypick play '{rollouts}' | head -1", shell=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("episode 1 of") and "Traceback" not in done.stderr
