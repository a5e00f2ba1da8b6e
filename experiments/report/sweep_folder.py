"""The folder of `berrypick sweep`: its cells, and where their evaluations are."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from ...retrieval_index.errors import BerrypickError
from ..measures.sweep import TrainedCell
from ..runs.run_folder import object_of_run
from ..runs.run_log import read_rows

__all__ = ["SweepFolder", "evaluated_cells", "run_env", "sweep_folder"]


class _Cell(BaseModel):
    model_config = ConfigDict(strict=True)

    objective: str
    seed: int


class _Sweep(BaseModel):
    """sweep.json as it was read, perhaps from a stranger."""

    model_config = ConfigDict(strict=True)

    cells: dict[str, _Cell]
    failures: dict[str, str] = {}

    @field_validator("cells")
    @classmethod
    def inside(cls, cells: dict[str, _Cell]) -> dict[str, _Cell]:
        """Refuses cells that are not below the sweep's folder."""
        for place in cells:
            if Path(place).is_absolute() or ".." in Path(place).parts or "\0" in place:
                raise ValueError("a cell lies outside of the folder")
        return cells


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """What sweep.json says; a cell is named OBJECTIVE-seedN.

    Attributes:
        trained: name of a finished cell -> its objective and seed.
        failures: name of a failed cell, as sweep.json has it -> why.
        folders: name of a finished cell -> its run folder.
    """

    trained: dict[str, tuple[str, int]]
    failures: dict[str, str]
    folders: dict[str, Path]

    def cells(self) -> dict[str, TrainedCell]:
        """Name of a finished cell -> its training run, read from the folders."""
        return {
            name: TrainedCell(*what, _rows(self.folders[name] / "metrics.jsonl")) for name, what in self.trained.items()
        }


def sweep_folder(folder: Path) -> SweepFolder | None:
    """Reads a sweep's folder; None for any other path."""
    found = object_of_run(folder / "sweep.json")
    if not isinstance(found.get("cells"), dict):
        return None
    try:
        sweep = _Sweep.model_validate(found)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise BerrypickError(
            f"{folder / 'sweep.json'} is wrong at {place}: {wrong['msg']}; run the sweep again, which writes it anew"
        ) from error
    trained, folders = {}, {}
    for place, cell in sweep.cells.items():
        name = f"{cell.objective}-seed{cell.seed}"
        trained[name], folders[name] = (cell.objective, cell.seed), folder / place
    return SweepFolder(trained, dict(sweep.failures), folders)


def evaluated_cells(folder: Path) -> dict[str, Path]:
    """Name of a cell -> the rollouts of its evaluation: of CELL-test, or else the newest in CELL/eval; {} elsewhere."""
    sweep = sweep_folder(folder)
    found = {}
    for name, place in ({} if sweep is None else sweep.folders).items():
        beside = [place.with_name(f"{place.name}-test") / file for file in ("rollouts.jsonl", "rollouts.jsonl.gz")]
        inside = sorted(place.glob("eval/*/rollouts.jsonl"), key=lambda file: -file.stat().st_mtime)
        if files := [file for file in (*beside, *inside) if file.is_file()]:
            found[name] = files[0]
    return found


def run_env(folder: Path) -> str:
    """The environment of a training run, with its arguments, as words of a command line."""
    config = object_of_run(folder / "config.json")
    if not isinstance(config, dict) or not isinstance(config.get("env"), str):
        return "ID"
    arguments = config.get("env_args")
    words = [f"{name}={value}" for name, value in arguments.items()] if isinstance(arguments, dict) else []
    return shlex.join([config["env"], *(["--env-arg", *words] if words else [])])


def _rows(file: Path) -> list[dict[str, Any]]:
    """The RL rows of a metrics.jsonl; [] if there is none."""
    return [row for row in read_rows(file) if row.get("phase") == "rl"]
