"""A run folder is of one configuration, and says which settings differ."""

from __future__ import annotations

from pathlib import Path

import pytest
from berrypick import BerrypickError
from berrypick.__main__ import main
from berrypick.experiments.runs.run_folder import drop_unused_run, hold_run_folder, open_run_folder, stored_json
from berrypick.retrieval_index.locks import folder_lock

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
    assert stored_json(used / "config.json") == CONFIG
    assert open_run_folder(used, CONFIG, resume=True)


def test_a_number_that_may_grow_grows_and_never_shrinks(used: Path, caplog: pytest.LogCaptureFixture) -> None:
    def steps(number: int, **others: object) -> dict[str, object]:
        return CONFIG | {"rl": {**CONFIG["rl"], "steps": number}, **others}  # type: ignore[dict-item]

    for other in ({}, {"env": "f"}):
        with pytest.raises(BerrypickError, match="different: "):
            open_run_folder(used, steps(5, **other), resume=True, may_grow=() if not other else ("rl.steps",))
    with pytest.raises(BerrypickError, match="add --resume"):
        open_run_folder(used, steps(5), resume=False, may_grow=("rl.steps",))
    assert open_run_folder(used, steps(5), resume=True, may_grow=("rl.steps",))
    assert stored_json(used / "config.json") == steps(5)
    with pytest.raises(BerrypickError, match=r"was started with rl.steps 5, and 3 is less; give 5 or more"):
        open_run_folder(used, steps(3), resume=True, may_grow=("rl.steps",))
    assert stored_json(used / "config.json") == steps(5)


def test_only_a_folder_in_which_nothing_was_done_is_dropped(used: Path, tmp_path: Path) -> None:
    drop_unused_run(used)
    assert (used / "metrics.jsonl").is_file()
    (used / "metrics.jsonl").write_text("")
    drop_unused_run(used)
    assert not used.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--env", "berrypick/World-v0", "--sft-steps", "1"],
        ["eval", "--env", "berrypick/World-v0", "--policy", "random_order", "--questions", "2", "--samples", "1"],
        ["demo", "--index", "bm25s", "--steps", "1"],
    ],
)
def test_a_second_process_is_kept_out_of_a_run_that_goes_on_and_changes_nothing(
    command: list[str], used: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in used.iterdir()}
    with folder_lock(used):
        assert main([*command, "--out", str(used), "--resume"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"berrypick: another process is at work in {used}; wait for its end, or choose another --out"
    )
    assert {path.name: path.read_bytes() for path in used.iterdir()} == before


def test_a_run_folder_is_free_again_when_its_run_ends_or_fails(tmp_path: Path) -> None:
    for out in (tmp_path / "run", tmp_path / "run"):
        with pytest.raises(ZeroDivisionError), hold_run_folder(out, CONFIG, resume=True):
            _ = 1 / 0
    with hold_run_folder(tmp_path / "run", CONFIG, resume=True) as was_there:
        assert not was_there, "nothing was done in it"
