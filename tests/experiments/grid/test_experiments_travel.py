"""Every experiment can be given to other processes and to the machines of a Ray cluster."""

from __future__ import annotations

import pickle

import pytest
from berrypick.experiments.registry import EXPERIMENTS, open_experiment


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_a_copy_has_the_same_cells(name: str) -> None:
    experiment = open_experiment(name)
    copy = pickle.loads(pickle.dumps(experiment))
    assert copy.cells("smoke", 2) == experiment.cells("smoke", 2)
