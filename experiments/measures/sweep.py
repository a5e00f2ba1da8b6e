"""A sweep of training runs to one report: training curves over seeds, alarms, and held-out measures over seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any, NamedTuple, TypedDict

from ...envs.metrics.alarms import collapse_alarms
from .arms_report import measure_arms
from .by_step import TRAINING_KEYS
from .pooled import PooledMeasure, PooledReport, pool_seeds
from .rollout import Rollout
from .rows import ArmsReport, EstimateRow

__all__ = ["SweepReport", "TrainedCell", "measure_sweep"]

_WINDOW = 5
"""Training steps that are averaged: single batches differ too much."""


class TrainedCell(NamedTuple):
    """One training run of a sweep.

    Attributes:
        objective: as it was given on the command line.
        seed: of the run.
        rows: the RL rows of its metrics.jsonl, in order.
    """

    objective: str
    seed: int
    rows: Sequence[Mapping[str, Any]]


class SweepReport(TypedDict):
    """The report on a sweep, as `berrypick report SWEEP --json` prints it.

    Attributes:
        training: objective -> key of a measure -> mean over the last five steps of each seed.
        curves: key of a measure -> objective -> [training step, mean over seeds with the lowest and highest seed], over
            windows of five steps.
        alarms: name of a cell -> its alarms, see `Alarm`.
        failures: name of a cell -> why it failed.
        cells: the report on the evaluated cells, those of the objective first that others are compared with; None
            without any.
        held_out: means and differences over the seeds that every evaluated objective has; None with fewer than two.
        left_out: evaluated cells that are not part of `held_out`, if there is one.
    """

    training: dict[str, dict[str, PooledMeasure]]
    curves: dict[str, dict[str, list[tuple[float, EstimateRow]]]]
    alarms: dict[str, list[dict[str, Any]]]
    failures: dict[str, str]
    cells: ArmsReport | None
    held_out: PooledReport | None
    left_out: list[str]


def measure_sweep(
    cells: Mapping[str, TrainedCell],
    failures: Mapping[str, str],
    rollouts: Mapping[str, Sequence[Rollout]],
) -> SweepReport:
    """Measures a sweep.

    Args:
        cells: name of a finished cell -> its training run.
        failures: name of a failed cell -> why.
        rollouts: name of a cell -> rollouts of its evaluation, for the evaluated cells.
    """
    objectives = list(dict.fromkeys(cell.objective for cell in cells.values()))
    base = _base(objectives)
    objectives.sort(key=lambda name: name != base)  # the base first; the others stay in order
    evaluated = sorted((name for name in rollouts if name in cells), key=lambda name: cells[name].objective != base)
    report = measure_arms({name: rollouts[name] for name in evaluated}) if evaluated else None
    by_seed, left_out = ({}, []) if report is None else _by_seed(cells, report, objectives)
    alarms = {name: collapse_alarms(cell.rows) for name, cell in cells.items()}
    pairs = [(name, base) for name in objectives if name != base]
    return {
        "training": {name: _ends([cell for cell in cells.values() if cell.objective == name]) for name in objectives},
        "curves": _curves(cells, objectives),
        "alarms": {name: [{**asdict(alarm), "text": alarm.text} for alarm in found] for name, found in alarms.items()},
        "failures": dict(failures),
        "cells": report,
        "held_out": pool_seeds(by_seed, pairs) if len(by_seed) > 1 else None,
        "left_out": left_out if len(by_seed) > 1 else [],
    }


def _base(objectives: Sequence[str]) -> str:
    """The objective that the others are compared with: one without a diversity term, if there is one."""
    return next((name for name in ("grpo", "dr_grpo") if name in objectives), objectives[0] if objectives else "")


def _by_seed(
    cells: Mapping[str, TrainedCell], report: ArmsReport, objectives: Sequence[str]
) -> tuple[dict[int, ArmsReport], list[str]]:
    """The report as one report for each seed that every evaluated objective has, and the cells that this leaves out."""
    at = {(cells[name].seed, cells[name].objective): name for name in report["arms"]}
    wanted = [objective for objective in objectives if any(objective == other for _, other in at)]
    seeds = {seed for seed, _ in at if all((seed, name) in at for name in wanted)}
    found: dict[int, ArmsReport] = {
        seed: {
            "arms": {name: report["arms"][at[seed, name]] for name in wanted},
            "differences": {},
            "references": report.get("references", {}),
        }
        for seed in seeds
    }
    return found, sorted(name for (seed, _), name in at.items() if seed not in seeds)


def _values(rows: Sequence[Mapping[str, Any]], logged: str) -> list[tuple[float, float]]:
    """[(step, value)] of one key of the training rows, averaged over windows that do not overlap."""
    known = [(float(row["step"]), float(row[logged])) for row in rows if logged in row]
    windows = [known[at : at + _WINDOW] for at in range(len(known) % _WINDOW, len(known), _WINDOW)] or [known]
    return [(part[-1][0], fmean(value for _, value in part)) for part in windows if part]


def _ends(cells: Sequence[TrainedCell]) -> dict[str, PooledMeasure]:
    ends: dict[str, PooledMeasure] = {}
    for logged, key in TRAINING_KEYS.items():
        last = [values[-1][1] for cell in cells if (values := _values(cell.rows, logged))]
        if last:
            ends[key] = {"mean": fmean(last), "per_seed": last}
    return ends


def _curves(
    cells: Mapping[str, TrainedCell], objectives: Sequence[str]
) -> dict[str, dict[str, list[tuple[float, EstimateRow]]]]:
    curves: dict[str, dict[str, list[tuple[float, EstimateRow]]]] = {}
    for logged, key in TRAINING_KEYS.items():
        lines = {}
        for objective in objectives:
            at: dict[float, list[float]] = defaultdict(list)
            for cell in cells.values():
                if cell.objective == objective:
                    for step, value in _values(cell.rows, logged):
                        at[step].append(value)
            line: list[tuple[float, EstimateRow]] = [
                (step, {"value": fmean(found), "low": min(found), "high": max(found), "n": len(found)})
                for step, found in sorted(at.items())
            ]
            if line:
                lines[objective] = line
        if lines:
            curves[key] = lines
    return curves
