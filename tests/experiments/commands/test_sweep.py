"""A sweep on a local Ray: cells by objective and seed; finished ones stay, a failed one stops no other."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from berrypick.experiments.commands import sweep
from berrypick.experiments.commands.parser import parse_command
from berrypick.experiments.commands.sweep import run_cell, run_sweep, sweep_cells
from berrypick.experiments.commands.train_flags import Sweep, Train
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.inline_ray import InlineRay


def base(out: Path) -> Train:
    return Train(
        env="berrypick/World-v0",
        out=out,
        env_arg=("num_train=4", "num_validation=0", "num_test=1"),
        steps=1,
        sft_steps=0,
        questions_per_step=2,
        group_size=2,
        max_new_tokens=4,
        track=(),
    )


def test_cells_are_objectives_by_seeds_with_folder_names(tmp_path: Path) -> None:
    cells = sweep_cells(base(tmp_path), ["grpo", "darling:floor=0.2"], [0, 5])
    assert [cell.name for cell in cells] == [
        "grpo/seed0",
        "grpo/seed5",
        "darling-floor=0.2/seed0",
        "darling-floor=0.2/seed5",
    ]
    assert [(cell.command.objective, cell.command.seed) for cell in cells[1:3]] == [
        ("grpo", 5),
        ("darling:floor=0.2", 0),
    ]
    assert all(cell.command.out == tmp_path / cell.name for cell in cells)


@pytest.mark.parametrize(
    ("objectives", "message"), [(["grop"], "did you mean grpo"), (["grpo", "grpo"], "duplicate objective or seed")]
)
def test_a_wrong_sweep_is_refused_before_it_runs(objectives: list[str], message: str) -> None:
    with pytest.raises(BerrypickError, match=message):
        sweep_cells(base(Path()), objectives, [0])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"env": "berrypick/Wrld-v0"}, "did you mean berrypick/World-v0"),
        ({"env_arg": ("num_trian=4",)}, "did you mean num_train"),
        ({"group_size": 1}, "--group-size must be at least 2"),
        ({"learning_rate": -1.0}, "--learning-rate must be at least 0"),
    ],
)
def test_what_no_cell_could_run_with_is_refused_before_ray_is_needed(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(BerrypickError, match=message):
        sweep_cells(replace(base(Path()), **changed), ["grpo"], [0])


def test_a_sweep_takes_the_flags_of_train_and_always_resumes(tmp_path: Path) -> None:
    words = ["--env", "berrypick/World-v0", "--out", str(tmp_path), "--sft-steps", "3", "--seeds", "4", "5"]
    for more in ([], ["--resume"]):
        flags = parse_command(["sweep", *words, *more]).flags
        assert isinstance(flags, Sweep) and flags.seeds == (4, 5)
        (cell,) = sweep_cells(flags, ["grpo"], [4])
        assert cell.command.resume and cell.command.sft_steps == 3


def test_a_duplicate_seed_is_named() -> None:
    with pytest.raises(BerrypickError, match=r"duplicate objective or seed in the sweep: 7; give each once"):
        sweep_cells(base(Path()), ["grpo"], [7, 0, 7])


def test_a_finished_cell_is_not_computed_again(tmp_path: Path) -> None:
    (cell,) = sweep_cells(base(tmp_path), ["grpo"], [0])
    folder = tmp_path / cell.name
    folder.mkdir(parents=True)
    (folder / "cell.json").write_text('{"kept": true}')
    assert run_cell(cell) == {"kept": True}


def test_a_failed_cell_is_reported_by_its_own_last_line_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = InlineRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    seen: list[str] = []

    def cell_that_may_fail(cell: sweep.SweepCell) -> dict[str, object]:
        assert ray.is_open
        seen.append(cell.name)
        if cell.command.objective == "dr_grpo":
            wrapped = RuntimeError("a long trace of the worker")
            wrapped.cause = ValueError("first line\nthe reason")  # type: ignore[attr-defined]
            raise wrapped
        return {"cell": cell.name, "metrics": {"reward": 0.5}}

    monkeypatch.setattr(sweep, "run_cell", cell_that_may_fail)
    cells = sweep_cells(base(tmp_path), ["grpo", "dr_grpo", "darling"], [0])
    found = run_sweep(cells, tmp_path / "sweep", workers=3)
    assert seen == ["grpo/seed0", "dr_grpo/seed0", "darling/seed0"]
    assert list(found["cells"]) == ["grpo/seed0", "darling/seed0"]
    assert found["failures"] == {"dr_grpo/seed0": "the reason"}
    assert ray.options["num_cpus"] == 3 and not ray.is_open
    written = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert written["failures"] == found["failures"] and set(written["cells"]) == set(found["cells"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_failed_cell_loses_only_itself_and_a_second_sweep_fills_the_gap(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    good, bad = sweep_cells(base(tmp_path), ["grpo", "dr_grpo"], [0])
    (tmp_path / bad.name).mkdir(parents=True)
    (tmp_path / bad.name / "foreign.txt").write_text("in the way")
    found = run_sweep([good, bad], tmp_path, workers=1)
    assert list(found["cells"]) == [good.name]
    assert "holds other files" in found["failures"][bad.name]
    first = (tmp_path / good.name / "cell.json").read_bytes()
    (tmp_path / bad.name / "foreign.txt").unlink()
    again = run_sweep([good, bad], tmp_path, workers=1)
    assert again["failures"] == {}
    assert (tmp_path / good.name / "cell.json").read_bytes() == first
    assert json.loads((tmp_path / "sweep.json").read_text())["cells"].keys() == {good.name, bad.name}
