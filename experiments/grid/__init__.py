"""What every experiment is built on: conditions, arms, contrasts, cells, verdicts, reports and pages."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_PLACES = {
    "ARMS": "arms",
    "Arm": "arms",
    "pick_arms": "arms",
    "Claim": "claims",
    "Evidence": "claims",
    "Verdict": "claims",
    "judge": "claims",
    "Comparison": "comparison",
    "Condition": "condition",
    "Contrast": "contrasts",
    "contrast": "contrasts",
    "Cell": "experiment",
    "Experiment": "experiment",
    "Results": "experiment",
    "GridExperiment": "grid_experiment",
    "LanguageGrid": "language_cells",
    "publish": "publishing",
    "reproduce_cell": "runner",
    "run_experiment": "runner",
    "Grid": "series",
    "Series": "series",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
