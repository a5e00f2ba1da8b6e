"""The flags of the commands that read anybody's rollouts: report, rescore, convert. The rest is as in `flags.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .flags import NoneByDefault, Paths
from .row_map import RowMap

__all__ = ["Convert", "Report", "Rescore"]


@dataclass(frozen=True)
class Report:
    """Measures run folders or rollouts files and compares them."""

    paths: Paths
    """folders of eval, demo, run or sweep, or rollouts files of berrypick or another system"""
    json: bool = False
    """print one JSON document"""
    html: Annotated[Path | None, NoneByDefault] = None
    """place of the page with the frontier, all measures and the episodes; by default report.html, comparison.html
    or report_by_step.html in the first folder, FILE.report.html beside a file, and none with --json"""
    no_html: bool = False
    """write no page"""
    by: Literal["arm", "step"] = "arm"
    """step: a row for each checkpoint_step, where narrowing begins, and collapse alarms"""
    index: Annotated[Path | None, NoneByDefault] = None
    """folder of an index in which the stored queries are searched again: adds what needs the passages shown"""
    policy: Annotated[str, NoneByDefault] = ""
    """weights that score the stored turns, as for berrypick eval: adds token entropies; needs the train extra"""
    skip_bad: bool = False
    """bad lines are left out and listed also without this flag, which older scripts use"""
    strict: bool = False
    """stop at the first bad line"""
    map: RowMap = ()
    """fields of rows of an unknown format: question=THEIRS answer=THEIRS gold=THEIRS ...; see docs/rollouts.md"""
    format: Annotated[str, NoneByDefault] = ""
    """format of the files, if it is not recognised: a name from docs/rollouts.md, or FILE.py:NAME"""


@dataclass(frozen=True)
class Rescore:
    """Scores stored rollouts again: another reward, other right answers.

    No model is needed. Prints the old and the new means and the rollouts that flipped.
    """

    rollouts: tyro.conf.Positional[Path]
    """rollouts file of berrypick or another system, or a folder with one"""
    reward: str
    """sum of reward terms, e.g. "f1 - 0.01*queries"; berrypick list shows the terms"""
    out: Path
    """new rollouts file"""
    questions: Annotated[Path | None, NoneByDefault] = None
    """questions file whose answers and evidence replace those of equal question ids"""
    json: bool = False
    """print one JSON document"""
    skip_bad: bool = False
    """bad lines are left out and listed also without this flag, which older scripts use"""
    strict: bool = False
    """stop at the first bad line"""
    map: RowMap = ()
    """fields of rows of an unknown format: question=THEIRS answer=THEIRS gold=THEIRS ...; see docs/rollouts.md"""
    format: Annotated[str, NoneByDefault] = ""
    """format of the files, if it is not recognised: a name from docs/rollouts.md, or FILE.py:NAME"""


@dataclass(frozen=True)
class Convert:
    """Converts rollouts of another system to berrypick's format, or any rollouts to that of another tool."""

    rollouts: tyro.conf.Positional[Path]
    """the file"""
    out: Path
    """new file; compressed if its name ends with .gz"""
    to: Literal["berrypick", "atif", "inspect", "trec", "qrels"] = "berrypick"
    """format of the new file: berrypick and atif are JSONL, inspect is a log of Inspect, trec a run file with a topic
    for each query, qrels the judgements of these topics"""
    force: bool = False
    """replace an earlier file"""
    strict: bool = False
    """stop at the first bad line; otherwise bad lines are left out and listed"""
    map: RowMap = ()
    """fields of rows of an unknown format: question=THEIRS answer=THEIRS gold=THEIRS ...; see docs/rollouts.md"""
    format: Annotated[str, NoneByDefault] = ""
    """format of the file, if it is not recognised: a name from docs/rollouts.md, or FILE.py:NAME"""
