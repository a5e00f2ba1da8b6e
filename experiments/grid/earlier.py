"""The tabular part of a published report, for a run that adds language-model cells to it alone.

Published results store the cells of the language model; those of the tabular policy are too many to store and take more
than an hour. Where the settings are equal, so are the cells, and the earlier report holds all that the new one needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ...envs.metrics.statistics import Estimate
from ...retrieval_index.errors import BerrypickError
from .claims import Evidence
from .contrasts import Contrast, by_policy, unfinished_note
from .experiment import Cell, Report

__all__ = ["read_earlier", "table_evidence", "table_settings", "with_table_of"]


def table_settings(cells: Sequence[Cell], version: int) -> str:
    """A hash of all that decides the tabular cells: the experiment's version, their names and settings."""
    named = [version, *([cell.key, cell.digest] for cell in cells if cell.config["policy"] == "tabular")]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]


def read_earlier(folder: Path, name: str, settings: str, contrasts: Sequence[Contrast]) -> Report:
    """The report in a folder of published results.

    Args:
        folder: holds report.json.
        name: of the experiment.
        settings: `table_settings` of the run at hand.
        contrasts: of the run at hand.

    Raises:
        BerrypickError: there is none, or its tabular cells have other settings, or it judges other claims.
    """
    path = folder / "report.json"
    try:
        report: Report = json.loads(path.read_text())
        theirs, claims = report["cells"]["table_settings"], [row["claim"] for row in report["verdicts"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BerrypickError(
            f"{path} is no report of {name} ({error!r}); give its file of language-model cells alone"
        ) from error
    if theirs != settings:
        raise BerrypickError(
            f"{path} has tabular cells with other settings than this run; use its --scale and --seeds, or give its "
            "file of language-model cells alone and run tabular/* too"
        )
    if claims != [asdict(contrast.claim) for contrast in contrasts]:
        raise BerrypickError(f"{path} judges other claims than this run; give its file of cells alone")
    return report


def table_evidence(earlier: Report, contrasts: Sequence[Contrast]) -> dict[str, Evidence]:
    """Claim id -> what the earlier report says about each claim of the tabular policy; differences have five digits."""
    tabular = by_policy(contrasts, "tabular")
    unfinished = unfinished_note(_table_counts(earlier)[2])
    out = {}
    for row in earlier["verdicts"]:
        contrast = tabular.get(row["claim"]["id"])
        if contrast is not None:
            out[contrast.claim.id] = Evidence(
                row["differences"],
                row["seeds"],
                {int(seed): why for seed, why in row["missing"].items()},
                undecidable=contrast.undecidable,
                inside=None if row["inside"] is None else Estimate(**row["inside"]),
                unfinished=unfinished,
            )
    return out


def with_table_of(earlier: Report, report: Report, contrasts: Sequence[Contrast]) -> Report:
    """A report of language models whose tabular part is the earlier one's.

    Args:
        earlier: from `read_earlier`.
        report: its verdicts were reached from `table_evidence`; none of its tabular cells were run.
        contrasts: of both.
    """
    done, failed, _ = _table_counts(earlier)
    cells = report["cells"]
    estimates = {row["claim"]["id"]: row["estimate"] for row in earlier["verdicts"]}
    tabular = by_policy(contrasts, "tabular")
    out = {
        **report,
        "cells": {
            **cells,
            "done": cells["done"] + done,
            "failed": {**cells["failed"], **failed},
            "not_run": cells["not_run"] - done - len(failed),
            "taken_over": done,
        },
        "conditions": earlier["conditions"],
        "verdicts": [
            # the earlier estimate was computed from differences of all digits
            {**row, "estimate": estimates[row["claim"]["id"]]} if row["claim"]["id"] in tabular else row
            for row in report["verdicts"]
        ],
    }
    for name, rows in report.items():
        if name != "verdicts" and isinstance(rows, list):  # rows that the experiment adds say whose they are
            out[name] = [*rows, *(row for row in earlier[name] if row["policy"] == "tabular")]
    return out


def _table_counts(report: Report) -> tuple[int, dict[str, str], int]:
    """Numbers of done, failed and waiting tabular cells of a report."""
    cells = report["cells"]
    failed = {key: why for key, why in cells["failed"].items() if key.startswith("tabular/")}
    language_failed = len(cells["failed"]) - len(failed)
    language_waiting = cells["language_model_cells"] - cells["language_model_done"] - language_failed
    return cells["done"] - cells["language_model_done"], failed, cells["not_run"] - language_waiting
