"""The flags of the commands that run experiments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

__all__ = ["FaithfulRun", "Run"]


@dataclass(frozen=True)
class FaithfulRun:
    """Says what a run of a published system at its own size needs: model, corpus, commands, GPU hours."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(help_behavior_hint="(default: lists all)")] = ""
    """experiment of a published system, as for berrypick run"""


@dataclass(frozen=True)
class Run:
    """Runs an experiment and prints its verdicts and tables; an interrupted run resumes cell by cell."""

    name: tyro.conf.Positional[str]
    """a name from berrypick list, FILE.py:NAME for an experiment of that file, or all: every published system"""
    out: Path
    """run folder; the same command resumes an interrupted run there"""
    scale: Literal["smoke", "small", "full"] = "smoke"
    """smoke takes seconds, small a night of two cores at most, full adds language models"""
    seeds: int = 2
    """number of replicates of each arm: training seeds, each in a world of its own"""
    only: str = "*"
    """compute only cells whose name matches this pattern, e.g. language/*; the report covers all finished cells"""
    workers: int = 1
    """number of processes that compute cells"""
    ray: str | None = None
    """address of a Ray cluster that computes the cells, whose machines share --out; local starts Ray on this one"""
    given: Path | None = None
    """cells computed earlier: a folder of published results, e.g. results/diversity_tax, or its file of cells"""
    cell: str = ""
    """compute only this cell again and print it, beside the published one and its control if --given has them"""
    publish: Path | None = None
    """project folder in which results/NAME and the pages in docs/ are written from the report"""
    json: bool = False
    """print the report as one JSON document"""
