"""Arms that imitate a demonstrator of their own, instead of RL or before it."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick.experiments.grid.arms import Arm
from berrypick.experiments.grid.sequence_measures import SequenceMeasures
from berrypick.experiments.grid.table_cells import TableCell, run_table_cell
from berrypick.experiments.grid.table_training import sft_start, train_arm, training_world
from berrypick.policies.kind_shares import shares_of
from berrypick.policies.tabular.kinds import kind_probabilities
from berrypick.policies.tabular.training import TableConfig
from berrypick.retrieval_index.errors import BerrypickError

TABLE = TableConfig(sft_steps=60, steps=60, checkpoints=(0, 20, 60), learning_rate=3.0)
BASE, OWN = "shares-70-20-10", "shares-1-1-8"


def cell(arm, world="tight_uneven"):
    return TableCell(f"{world}/{BASE}", "any", 0.0, 3, 1003, 64, False, TABLE), arm


def values(arm, world="tight_uneven"):
    return run_table_cell(*cell(arm, world), beside=SequenceMeasures())["checkpoints"]


def test_an_imitating_arm_draws_kinds_as_its_demonstrator_and_not_as_the_start():
    place, arm = cell(Arm("", "grpo", "", imitation=True, demonstrator=OWN))
    config = place.where.world_config(1003, 64)
    start = sft_start(config, BASE, 3, TABLE)
    ends = train_arm(training_world(config), arm, 0.0, start, TABLE, seed=3, demos=BASE)
    first = [kind_probabilities(ends[step])[0, 0, 0, 2] for step in (0, 60)]
    assert first[0] == pytest.approx([0.7, 0.2, 0.1])
    assert first[1] == pytest.approx([0.1, 0.1, 0.8], abs=0.05)
    # after a miss of the last kind, the two others are equally likely
    np.testing.assert_allclose(kind_probabilities(ends[60])[0, 0, 4, 1], [0.5, 0.5, 0], atol=0.15)


def test_rl_after_imitation_begins_where_the_imitating_arm_ends():
    imitated = values(Arm("", "grpo", "", imitation=True, demonstrator=OWN))
    reinforced = values(Arm("", "grpo", "", demonstrator=OWN))
    assert reinforced["0"] == imitated["60"] and imitated["0"] == values(Arm("", "grpo", ""))["0"]
    assert reinforced["60"]["queries@64"] < reinforced["0"]["queries@64"]
    # gained and lost are held against the condition's start, not against what was imitated
    assert reinforced["0"]["gained@64"] != reinforced["0"]["lost@64"]


def test_a_base_that_learns_nothing_stays_and_so_does_rl_where_every_miss_is_allowed():
    base = values(Arm("", "grpo", "", no_learning=True))
    assert base["0"] == base["20"] == base["60"]
    assert base["0"]["gained@64"] == base["0"]["lost@64"] > 0
    slack = values(Arm("", "grpo", ""), world="slack")
    assert slack["0"] == slack["60"]


def test_shares_of_another_world_are_one_line():
    with pytest.raises(BerrypickError, match="'shares-1-1' has 2 shares, the World 3 kinds; give as many"):
        values(Arm("", "grpo", "", demonstrator="shares-1-1"))
    assert shares_of("shares-1-2") == shares_of("shares-1-2", 2) == (1, 2)
