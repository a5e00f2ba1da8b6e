"""A run folder is of one configuration, and says which settings differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick import BerrypickError
from berrypick.experiments.run_folder import drop_unused_run, open_run_folder

CONFIG = {"env": "e", "rl": {"objective": "grpo", "steps": 3, "layers": [1, 2]}, "sft": {"steps": 4}}


@pytest.fixture
def used(tmp_path: Path) -> Path:
    assert not open_run_folder(tmp_path / "run", CONFIG, resume=False)
    (tmp_path / "run" / "metrics.jsonl").write_text("{}\n")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rl": {"objective": "darling", "steps": 3, "layers": [1, 2]}}, "rl.objective"),
        ({"rl": {"objective": "grpo", "steps": 5, "layers": [1]}}, "rl.layers, rl.steps"),
        ({"rl": {**CONFIG["rl"], "more": 1}, "env": "f"}, "env, rl.more"),  # type: ignore[dict-item]
        ({"sft": None}, "sft"),
    ],
)
def test_settings_that_differ_are_named_by_field(changes: dict[str, object], named: str, used: Path) -> None:
    with pytest.raises(BerrypickError, match=rf"\(different: {named}\)"):
        open_run_folder(used, CONFIG | changes, resume=True)
    assert json.loads((used / "config.json").read_text()) == CONFIG
    assert open_run_folder(used, CONFIG, resume=True)


def test_only_a_folder_in_which_nothing_was_done_is_dropped(used: Path, tmp_path: Path) -> None:
    drop_unused_run(used)
    assert (used / "metrics.jsonl").is_file()
    (used / "metrics.jsonl").write_text("")
    drop_unused_run(used)
    assert not used.exists()
