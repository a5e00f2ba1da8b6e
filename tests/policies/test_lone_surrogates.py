"""Half of a UTF-16 pair, from wherever it comes: the run ends and its records are UTF-8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from berrypick.envs.episode import Draft
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.envs.record import read_records, write_records
from berrypick.envs.recording import record_of
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.retrieval_index.searcher import Hit

HALF = "\ud83d"
QUESTION = Question("q", "When?", ("1791",), metadata={"note": HALF})


class Halves:
    """A searcher of the user's own: hits with half characters, or a failure whose message has one."""

    index_id = "halves"

    def __init__(self, failing: bool) -> None:
        self.failing = failing

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        if self.failing and any("fail" in query for query in queries):
            raise ValueError(f"no {HALF}")
        return [[Hit(f"a{HALF}", f"t{HALF}", f"born in 1791 {HALF}", 1.0)] for _ in queries]

    def close(self) -> None: ...


class Writes:
    """A policy that writes the same turns in every episode."""

    def __init__(self, *turns: str) -> None:
        self.turns = iter(turns)

    def start(self, *_: Any) -> Writes:
        return self

    def act(self, rows: Sequence[int]) -> list[Draft]:
        turn = next(self.turns)
        return [Draft(turn) for _ in rows]

    def observe(self, rows: Any, texts: Any) -> None: ...

    def finish(self, rows: Any) -> None: ...


@pytest.mark.parametrize("failing", [False, True])
def test_half_a_character_anywhere_is_written_as_the_replacement_character(failing: bool, tmp_path: Path) -> None:
    policy = Writes(f"<search> a{HALF} </search>", f"<search> fail {HALF} </search> x", f"<answer> {HALF} </answer>")
    ((episode,),) = rollout(
        policy, [QUESTION], EpisodeSpec(), Halves(failing), num_samples=1, sampling=Sampling(), seed=0
    )
    assert episode.turns[1].draft.text == "<search> fail \ufffd </search>"
    record = record_of(episode, sample_index=0, seed=0, run_id="r", policy_id="p", index_id="i", env_id="e")
    write_records(tmp_path / "rollouts.jsonl", [record])
    (tmp_path / "rollouts.jsonl").read_text(encoding="utf-8")
    (read,) = read_records(tmp_path / "rollouts.jsonl")
    assert [turn.text for turn in read.turns][:1] == ["<search> a\ufffd </search>"]
    assert read.turns[0].hits[0][0].id == "a\ufffd" and read.question.metadata == {"note": "\ufffd"}
    assert (read.turns[1].error or "").endswith("\ufffd") is failing
