"""A whole experiment in one file: does a bonus for new retrievals keep breadth that GRPO loses?"""

from __future__ import annotations

from berrypick.experiments import register_experiment
from berrypick.experiments.grid import Condition, GridExperiment, contrast, pick_arms

CONTRASTS = (
    contrast(
        "toy-breadth",
        "DARLING keeps breadth that Dr. GRPO loses",
        "2509.02534",
        "priced/diverse",
        "darling",
        "breadth",
        "increase",
        0.01,
        min_worlds=2,
        stop="all cells, 2 worlds",
    ),
    contrast(
        "toy-pass1",
        "DARLING costs no pass@1",
        "design",
        "priced/diverse",
        "darling",
        "pass@1",
        "equivalent",
        0.02,
        min_worlds=2,
        stop="all cells, 2 worlds",
    ),
)

EXPERIMENT = GridExperiment(
    name="toy",
    summary="what a bonus for new retrievals keeps",
    conditions=(Condition("priced", "diverse"),),
    contrasts=CONTRASTS,
    arms=pick_arms("darling"),
    about="DARLING (2509.02534) with the tabular policy. Differs from the paper in everything but the objective.",
)

register_experiment(EXPERIMENT)
