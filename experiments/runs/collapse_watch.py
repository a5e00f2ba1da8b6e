"""Watches the steps of a training run for signs of collapse."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal, TypeAlias

from ...envs.metrics.alarms import Alarm, collapse_alarms
from ...retrieval_index.errors import BerrypickError
from .run_folder import write_json
from .run_log import read_rows

__all__ = ["CollapseError", "CollapseWatch", "OnCollapse"]

OnCollapse: TypeAlias = Literal["warn", "stop"]
"""What a training run does at an alarm."""


class CollapseError(BerrypickError):
    """A training run was stopped after RL step `step` because it collapses; its checkpoint is kept."""

    def __init__(self, step: int, steps: int, why: str) -> None:
        super().__init__(
            f"training stopped after RL step {step} of {steps}: {why} The checkpoint is kept; to go on anyway: the "
            "same command with --resume --on-collapse warn"
        )


class CollapseWatch:
    """The RL rows of metrics.jsonl, and the alarms that they raised.

    alarms.json of the run folder holds every alarm of the series so far, whether it lasts or not.

    Args:
        out: the run folder. Rows that earlier processes wrote there are read, so that a resumed run goes on watching.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / "alarms.json"
        self._rows = [row for row in read_rows(out / "metrics.jsonl") if row.get("phase") == "rl"]
        self._told = {alarm.name for alarm in collapse_alarms(self._rows) if alarm.lasts}

    def step(self, step: int, metrics: dict[str, float]) -> list[Alarm]:
        """Adds a step; returns the alarms that began with it. An alarm that has ended may begin again."""
        self._rows.append({"step": step, **metrics})
        alarms = collapse_alarms(self._rows)
        lasting = {alarm.name for alarm in alarms if alarm.lasts}
        new = [alarm for alarm in alarms if alarm.lasts and alarm.name not in self._told]
        self._told = lasting
        if alarms:
            write_json(self._path, [asdict(alarm) for alarm in alarms])
        return new

    @property
    def lasting(self) -> list[Alarm]:
        """The alarms that are there at the newest step."""
        return [alarm for alarm in collapse_alarms(self._rows) if alarm.lasts]
