"""What every experiment is built on: conditions, arms, contrasts, cells, verdicts, reports and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...retrieval_index.lazy_names import lazy_names

if TYPE_CHECKING:
    from .arms import ARMS, Arm, pick_arms
    from .claims import Claim, Evidence, Verdict, judge
    from .comparison import Comparison
    from .condition import Condition
    from .contrasts import Contrast, contrast
    from .experiment import Cell, Experiment, Results
    from .grid_experiment import GridExperiment
    from .language_cells import LanguageGrid
    from .publishing import publish
    from .runner import reproduce_cell, run_experiment
    from .series import Grid, Series

__all__ = [
    "ARMS",
    "Arm",
    "Cell",
    "Claim",
    "Comparison",
    "Condition",
    "Contrast",
    "Evidence",
    "Experiment",
    "Grid",
    "GridExperiment",
    "LanguageGrid",
    "Results",
    "Series",
    "Verdict",
    "contrast",
    "judge",
    "pick_arms",
    "publish",
    "reproduce_cell",
    "run_experiment",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "arms": ("ARMS", "Arm", "pick_arms"),
        "claims": ("Claim", "Evidence", "Verdict", "judge"),
        "comparison": ("Comparison",),
        "condition": ("Condition",),
        "contrasts": ("Contrast", "contrast"),
        "experiment": ("Cell", "Experiment", "Results"),
        "grid_experiment": ("GridExperiment",),
        "language_cells": ("LanguageGrid",),
        "publishing": ("publish",),
        "runner": ("reproduce_cell", "run_experiment"),
        "series": ("Grid", "Series"),
    },
)
