"""Coverage of an evaluation's questions by its corpus: when it is computed, and which stored rows are taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.experiments.measures.coverage import COVERAGE, coverage_row, stored_coverage
from berrypick.retrieval_index.corpus import Passage

QUESTIONS = [
    Question("q1", "who?", ("Ada",)), Question("q2", "where?", ("Rome", "Roma")), Question("q3", "is it?", ("yes",)),
]  # fmt: skip
ROW = {"questions": 3, "open": 2, "found": 1, "bound": 1 - 1 / 3, "absent": ["q2"]}


class Many:
    """A corpus of one text, as long as it is said to be."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Passage]:
        return iter([Passage("p", "", "Ada wrote it")])


def task(length: int, **changes: Any) -> Any:
    return SimpleNamespace(**{"world": None, "passages": Many(length), "spec": EpisodeSpec(), **changes})


def test_open_questions_without_their_answer_in_a_passage_bound_what_can_be_reached() -> None:
    assert coverage_row(task(1), QUESTIONS) == ROW


def test_nothing_is_computed_for_a_world_and_for_no_or_too_many_passages() -> None:
    assert coverage_row(task(200_000), QUESTIONS) == ROW
    assert coverage_row(task(200_001), QUESTIONS) is coverage_row(task(0), QUESTIONS) is None
    assert coverage_row(task(1, world=object()), QUESTIONS) is None


def stored(folder: Path, value: object) -> dict[str, Any]:
    (folder / COVERAGE).write_text(value if isinstance(value, str) else json.dumps(value))
    return stored_coverage([folder])


def test_a_stored_row_comes_back_and_its_bound_is_computed(tmp_path: Path) -> None:
    assert stored(tmp_path, {**ROW, "bound": 0.9, "more": 1}) == {tmp_path.name: ROW}
    everything = {"questions": 2, "open": 2, "found": 2, "absent": []}
    assert stored(tmp_path, everything)[tmp_path.name]["bound"] == 1.0
    nothing = {"questions": 1, "open": 1, "found": 0, "absent": ["q"]}
    assert stored(tmp_path, nothing)[tmp_path.name]["bound"] == 0.0
    closed = {"questions": 1, "open": 0, "found": 0, "absent": []}
    assert stored(tmp_path, closed)[tmp_path.name]["bound"] == 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"questions": 1}, {"questions": 0, "open": 0, "found": 0, "absent": []}, {"found": 3}, {"found": 2},
        {"found": -1, "absent": ["a", "b", "c"]}, {"open": 1}, {"open": 2.0}, {"questions": True}, {"questions": None},
        {"absent": []}, {"absent": "q"}, {"absent": [7]}, {"absent": None},
    ],
)  # fmt: skip
def test_a_row_that_no_run_wrote_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    assert stored(tmp_path, {**ROW, **change}) == {}


def test_what_cannot_be_read_is_passed_over_and_the_next_folder_counts(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("empty", "torn", "listed", "whole")]
    for folder, text in zip(folders, (None, "{", "[1]", json.dumps(ROW))):
        folder.mkdir()
        if text is not None:
            (folder / COVERAGE).write_text(text)
    assert stored_coverage(folders) == {"whole": ROW}
