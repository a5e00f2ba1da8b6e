"""Contrasts, ladders and checks that experiments with measures of their own use, on grids written by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from berrypick.envs.tasks.registry import make_task
from berrypick.experiments.grid.arms import ARMS, Arm
from berrypick.experiments.grid.comparison import ladder_at
from berrypick.experiments.grid.condition import WORLDS, Condition
from berrypick.experiments.grid.contrasts import contrast
from berrypick.experiments.grid.evidence import differences_of, gather_evidence
from berrypick.experiments.grid.pilot import registration_rows
from berrypick.experiments.grid.series import relative_to
from berrypick.experiments.grid.table_cells import TableCell, run_table_cell
from berrypick.experiments.grid.table_training import sft_start
from berrypick.policies.tabular.kinds import kind_probabilities
from berrypick.policies.tabular.training import TableConfig
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.hand_made import grid_of

WHERE = "priced/diverse/questions=256/own"


def cell(distinct, entropy=1.0, unsolved=60, bounds=None):
    values = {"pass@1": 0.5, "distinct": distinct, "entropy": entropy, "unsolved": unsolved}
    return {
        "checkpoints": {"0": {**values, "distinct": 2.0}, "100": values},
        "bounds": {"distinct": list(bounds)} if bounds else {},
    }


def test_a_relative_difference_divides_by_the_other_and_has_no_value_over_zero():
    assert relative_to({0: 3.0, 1: 1.0, 2: 5.0}, {0: 2.0, 1: 4.0}) == {0: 0.5, 1: -0.75}
    assert math.isnan(relative_to({0: 1.0}, {0: 0.0})[0])
    grid = grid_of({(WHERE, "batch", 0): cell(3.0), (WHERE, "grpo", 0): cell(2.5)})
    one = contrast("c", "", "design", WHERE, "batch", "distinct", "increase", 0.05, relative=True)
    assert differences_of(grid, one) == {0: pytest.approx(0.2)}
    assert one.claim.endpoint == f"distinct of batch over control, minus 1, {WHERE}, tabular policy"
    start = contrast("c", "", "design", WHERE, "batch", "distinct", "increase", 0.05, relative=True, against="start")
    assert differences_of(grid, start) == {0: pytest.approx(0.5)}
    plain = contrast("c", "", "design", WHERE, "batch", "distinct", "increase", 0.05)
    assert differences_of(grid, plain) == {0: pytest.approx(0.5)}


def ladder_grid(wanted):
    """The control has distinct 2 at entropy 1; the entropy bonus 4, 5 and 6 at entropies 2, 3 and 4."""
    rungs = {("entropy", strength): (4.0 + at, 2.0 + at) for at, strength in enumerate((0.01, 0.03, 0.1))}
    return grid_of(
        {
            (WHERE, "batch", 0): cell(3.5, wanted),
            (WHERE, "grpo", 0): cell(2.0, 1.0),
            **{(WHERE, *rung, 0): cell(*ends) for rung, ends in rungs.items()},
        }
    )


@pytest.mark.parametrize(("wanted", "expected"), [(1.5, 3.0), (1.0, 2.0), (3.5, 5.5), (4.0, 6.0)])
def test_a_ladder_is_read_where_it_has_as_much_of_the_measure_held_equal(wanted, expected):
    grid = ladder_grid(wanted)
    place = Condition.of(WHERE)
    series = grid.middle(place, "batch")
    assert ladder_at(grid, place, series, "entropy", "distinct", "entropy") == {0: pytest.approx(expected)}
    one = contrast(
        "c", "", "design", WHERE, "batch", "distinct", "equivalent", 0.05, relative=True, against="ladder entropy",
        at="entropy",
    )  # fmt: skip
    assert differences_of(grid, one) == {0: pytest.approx(3.5 / expected - 1)}


@pytest.mark.parametrize("wanted", [0.9, 4.1])
def test_a_ladder_is_never_extrapolated(wanted):
    grid = ladder_grid(wanted)
    place = Condition.of(WHERE)
    found = ladder_at(grid, place, grid.middle(place, "batch"), "entropy", "distinct", "entropy")
    assert math.isnan(found[0])


def row(arm, control, **options):
    grid = grid_of({(WHERE, "batch", 0): arm, (WHERE, "grpo", 0): control})
    one = contrast("c", "", "design", WHERE, "batch", "distinct", "increase", 0.05, relative=True, **options)
    return registration_rows(grid, [one])[0]


def test_what_a_claim_needs_is_counted_in_the_pilot():
    enough = row(cell(3.0, unsolved=50), cell(2.5), needs={"unsolved": 50.0})
    assert enough["undecidable"] == "" and enough["needs"] == {"unsolved": 50}
    few = row(cell(3.0, unsolved=49), cell(2.5), needs={"unsolved": 50.0})
    assert few["undecidable"] == "unsolved is 49, 50 needed"


def test_room_is_read_from_the_bounds_of_the_cells():
    wide = row(cell(3.0, bounds=(1.0, 5.0)), cell(2.5))
    assert wide["room"] == pytest.approx(1.0) and wide["undecidable"] == ""
    narrow = row(cell(2.6, bounds=(1.0, 2.8)), cell(2.5))
    assert narrow["room"] == pytest.approx(0.12)
    assert narrow["undecidable"].startswith("no room: at most 0.120 is possible")
    assert row(cell(3.0), cell(2.5))["room"] is None


def test_the_room_of_a_relative_claim_is_the_mean_over_worlds_and_never_below_what_the_pilot_has():
    controls = {0: 1.0, 1: 4.0}
    contents = {(WHERE, "grpo", world): cell(value) for world, value in controls.items()}
    contents |= {(WHERE, "batch", world): cell(5.0, bounds=(1.0, 5.0)) for world in controls}
    one = contrast("c", "", "design", WHERE, "batch", "distinct", "increase", 0.05, relative=True)
    found = registration_rows(grid_of(contents), [one])[0]
    # every policy of the pilot is the best that is possible: 5 / 1 - 1 and 5 / 4 - 1, and not 5 / 2.5 - 1
    assert found["pilot"] == found["room"] == pytest.approx((4 + 0.25) / 2)
    gone = {**contents, (WHERE, "batch", 0): cell(0.0, bounds=(0.0, 5.0))}
    assert registration_rows(grid_of(gone), [one])[0]["room"] == pytest.approx(0.25)  # nothing to divide by


def test_the_room_of_a_claim_about_a_value_is_over_zero_and_not_over_the_control():
    grid = grid_of({(WHERE, "batch", 0): cell(1.5, bounds=(1.0, 2.0)), (WHERE, "grpo", 0): cell(1.9)})
    one = contrast("c", "", "design", WHERE, "batch", "distinct", "increase", 0.5, against="zero")
    assert registration_rows(grid, [one])[0]["room"] == pytest.approx(2.0)


def test_room_against_a_start_is_that_of_the_arm_which_may_have_imitated_before_it():
    arm, control = cell(3.0, bounds=(1.0, 5.0)), cell(2.5, bounds=(1.0, 5.0))
    arm["checkpoints"]["0"]["distinct"] = 4.0
    assert row(arm, control, against="start")["room"] == pytest.approx((5 - 4) / 4)


def test_the_control_is_matched_where_it_has_as_much_of_another_measure():
    control = cell(2.0)
    control["checkpoints"] = {
        "0": {"pass@1": 0.2, "pass@8": 0.9, "distinct": 3.0},
        "50": {"pass@1": 0.4, "pass@8": 0.8, "distinct": 2.0},
        "100": {"pass@1": 0.6, "pass@8": 0.7, "distinct": 1.0},
    }
    arm = cell(1.8)
    arm["checkpoints"]["100"] |= {"pass@1": 0.5, "pass@8": 0.1}
    grid = grid_of({(WHERE, "batch", 0): arm, (WHERE, "grpo", 0): control})
    one = contrast(
        "c", "", "design", WHERE, "batch", "distinct", "equivalent", 0.05, against="matched", at="pass@1", min_worlds=2
    )
    assert differences_of(grid, one) == {0: pytest.approx(0.3)}  # 1.5 of the control lies halfway from 50 to 100
    assert one.claim.endpoint.startswith("distinct of batch minus matched, at equal pass@1")
    arm["checkpoints"]["100"]["pass@1"] = 0.7
    twice = {(WHERE, name, world): one for name, one in (("batch", arm), ("grpo", control)) for world in (0, 1)}
    found = gather_evidence(grid_of(twice), [one])["c"]
    assert found.undecidable == "the control has that pass@1 on its way in 0 of 2 worlds"


def test_measures_beside_the_exact_ones_are_added_at_every_checkpoint():
    seen = []

    class Shift:
        def __init__(self, rows, world, start):
            seen.append((len(rows.weights), world.budget, start.shape))
            self.start = start

        def values(self, logits):
            return {"shift": float(np.abs(logits - self.start).max())}

        def bounds(self):
            return {"shift": (0.0, 9.0)}

    table = TableConfig(sft_steps=2, steps=4, checkpoints=(0, 2, 4))
    run = TableCell("steep/diverse", "dr_grpo", 0.0, 0, 1000, 32, False, table)
    found, plain = run_table_cell(run, ARMS["dr_grpo"], beside=Shift), run_table_cell(run, ARMS["dr_grpo"])
    assert seen == [(64, 3, (1, 2, 8, 4, 3))] and found["bounds"] == {"shift": [0.0, 9.0]}
    shifts = [found["checkpoints"][step].pop("shift") for step in ("0", "2", "4")]
    assert shifts[0] == 0 < shifts[1] < shifts[2]
    assert found["checkpoints"] == plain["checkpoints"] and "bounds" not in plain


def test_an_arm_may_have_its_own_loss_of_a_strength_and_a_multiple_of_the_rate():
    asked = []
    arm = Arm("", "", "", (0.1, 0.5), "weight", loss_of=lambda strength: asked.append(strength), rate=0.5, renew=3)
    arm.loss(0.5)
    assert asked == [0.5] and arm.table(TableConfig(learning_rate=3.0)).learning_rate == 1.5


# Worlds and starts that only experiments need


@pytest.mark.parametrize("name", list(WORLDS))
def test_a_world_of_an_experiment_is_the_same_in_tables_and_environments(name):
    place = Condition.of(f"{name}/diverse/questions=20/own")
    task = make_task("berrypick/World-v0", **place.env_args(1003, 20))
    config = place.world_config(1003)
    knobs = ("availability", "budget", "hops", "seed", "num_train", "cue", "query_formats", "format_failures")
    for knob in knobs:
        assert getattr(task.world, knob) == getattr(config, knob)


def test_a_start_of_shares_draws_untried_kinds_in_these_proportions():
    place = Condition.of("tight/shares-98-1-1/questions=20/own")
    chances = kind_probabilities(sft_start(place.world_config(1000, 20), place.start, 0, TableConfig()))
    assert chances[0, 0, 0, 2].tolist() == pytest.approx([0.98, 0.01, 0.01])
    assert chances[0, 1, 1, 1].tolist() == pytest.approx([0, 0.5, 0.5])
    assert np.allclose(chances.sum(-1)[..., :7, :], 1)


@pytest.mark.parametrize("start", ["shares-98-x-1", "shares-0-1-1", "shares-"])
def test_wrong_shares_are_one_line(start):
    with pytest.raises(BerrypickError, match="give numbers above 0"):
        _ = Condition("tight", start).shares
    assert Condition("tight", "diverse").shares == ()


def test_as_many_shares_as_kinds_are_needed():
    place = Condition.of("tight/shares-1-1/questions=20/own")
    with pytest.raises(BerrypickError, match="has 2 shares, the World 3 kinds"):
        sft_start(place.world_config(1000, 20), place.start, 0, TableConfig())
