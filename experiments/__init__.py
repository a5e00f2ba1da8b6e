"""Training runs, evaluations, experiments, reports and the command line."""

from __future__ import annotations

from .registry import EXPERIMENTS, open_experiment, register_experiment

__all__ = ["EXPERIMENTS", "open_experiment", "register_experiment"]
