"""The table of kinds' part of a published report, for a run that adds language-model cells to it alone.

Results keep the cells of the language model; those of the table are too many to keep and take an hour and more. Where
settings are the same, so are they, and the earlier report holds all that the new one says of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...envs.metrics.statistics import Estimate
from ...retrieval_index.errors import BerrypickError
from ..diversity_tax.claims import CONTRASTS
from .claims import Evidence
from .experiment import Cell

__all__ = ["read_earlier", "table_evidence", "table_settings", "with_table_of"]

Report = Mapping[str, Any]


def table_settings(cells: Sequence[Cell], version: int) -> str:
    """Digest of all that decides the table's cells: the experiment's version, their names and settings."""
    named = [version, *([cell.key, cell.digest] for cell in cells if cell.config["policy"] == "tabular")]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]


def read_earlier(folder: Path, settings: str) -> dict[str, Any]:
    """The report in a folder of published results.

    Args:
        folder: holds report.json.
        settings: `table_settings` of the run at hand.

    Raises:
        BerrypickError: there is none, or its table has other settings, or its claims were others.
    """
    path = folder / "report.json"
    try:
        report: dict[str, Any] = json.loads(path.read_text())
        theirs, claims = report["cells"]["table_settings"], [row["claim"] for row in report["verdicts"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BerrypickError(
            f"{path} is no report of diversity_tax ({error!r}); give its file of language-model cells alone"
        ) from error
    if theirs != settings:
        raise BerrypickError(
            f"{path} has a table of kinds with other settings than this run; use its --scale and --seeds, or give its "
            "file of language-model cells alone and run tabular/* too"
        )
    if claims != [asdict(contrast.claim) for contrast in CONTRASTS]:
        raise BerrypickError(f"{path} judges other claims than this run; give its file of cells alone")
    return report


def table_evidence(earlier: Report) -> dict[str, Evidence]:
    """Claim id -> what the earlier report says about it, of the table's claims; differences have five digits there."""
    table = {contrast.claim.id: contrast for contrast in CONTRASTS if contrast.policy == "tabular"}
    waiting = _table_counts(earlier)[2]
    out = {}
    for row in earlier["verdicts"]:
        contrast = table.get(row["claim"]["id"])
        if contrast is not None:
            out[contrast.claim.id] = Evidence(
                row["differences"],
                row["seeds"],
                {int(seed): why for seed, why in row["missing"].items()},
                undecidable=contrast.undecidable,
                inside=None if row["inside"] is None else Estimate(**row["inside"]),
                unfinished=f"the grid goes on, {waiting} of its cells have not been run" if waiting else "",
            )
    return out


def with_table_of(earlier: Report, report: Report) -> dict[str, Any]:
    """A report of language models whose table of kinds is the earlier one's.

    Args:
        earlier: from `read_earlier`.
        report: verdicts in it have been passed on `table_evidence`; none of its table's cells were run.
    """
    done, failed, _ = _table_counts(earlier)
    cells = report["cells"]
    estimates = {row["claim"]["id"]: row["estimate"] for row in earlier["verdicts"]}
    table = {contrast.claim.id for contrast in CONTRASTS if contrast.policy == "tabular"}
    return {
        **report,
        "cells": {
            **cells,
            "done": cells["done"] + done,
            "failed": {**cells["failed"], **failed},
            "not_run": cells["not_run"] - done - len(failed),
            "taken_over": done,
        },
        "taxes": [*report["taxes"], *(row for row in earlier["taxes"] if row["policy"] == "tabular")],
        "conditions": earlier["conditions"],
        "verdicts": [
            # from differences of all digits
            {**row, "estimate": estimates[row["claim"]["id"]]} if row["claim"]["id"] in table else row
            for row in report["verdicts"]
        ],
    }


def _table_counts(report: Report) -> tuple[int, dict[str, str], int]:
    """Done, failed and waiting cells of a report's table."""
    cells = report["cells"]
    failed = {key: why for key, why in cells["failed"].items() if key.startswith("tabular/")}
    language_failed = len(cells["failed"]) - len(failed)
    language_waiting = cells["language_model_cells"] - cells["language_model_done"] - language_failed
    return cells["done"] - cells["language_model_done"], failed, cells["not_run"] - language_waiting
