"""An arm against its control: price and waste add up to the difference; no match where nothing was reached."""

from __future__ import annotations

import math

import pytest
from berrypick import BerrypickError
from berrypick.experiments.grid import Condition
from berrypick.experiments.grid.comparison import (
    compare_arm,
    frontier_distance,
    ladder_at,
    ladder_difference,
    largest_waste,
    pass_names,
    waste,
)
from berrypick.experiments.grid.contrasts import contrast
from berrypick.experiments.grid.evidence import differences_of
from berrypick.experiments.grid.series import Series, best_at_least, matched_difference
from berrypick.experiments.grid.table_cells import condition_frontier
from fixtures.hand_made import grid_of, measured
from hypothesis import given, settings
from hypothesis import strategies as st

PRICED = Condition("priced", "diverse")
START = (0.50, 0.75)
SHARES = st.floats(0, 1)


def pair(arm, control, condition="priced/diverse"):
    """A grid of one world: DARLING and Dr. GRPO, each by its points of (pass@1, pass@8)."""
    return grid_of({(condition, "darling", 0): measured(*arm), (condition, "dr_grpo", 0): measured(*control)})


@settings(max_examples=60)
@given(st.sampled_from(["priced", "free", "steep"]), *[SHARES] * 4)
def test_the_difference_is_price_minus_the_difference_of_wastes(preset, y_arm, x_arm, y_control, x_control):
    front = condition_frontier(Condition(preset, "diverse"))
    ends = []
    for y, x in ((y_arm, x_arm), (y_control, x_control)):
        many = 0.4 + y * (front.widest.pass_at_k - 0.4)
        ends.append((x * front.best_pass_at_1(many), many))
    found = compare_arm(
        pair([START, ends[0]], [START, ends[1]], f"{preset}/diverse"),
        "tabular",
        Condition(preset, "diverse"),
        "darling",
    )
    assert found.difference[0] == pytest.approx(ends[0][0] - ends[1][0], abs=1e-12)
    assert found.gain[0] == pytest.approx(ends[0][1] - ends[1][1], abs=1e-12)
    assert found.difference[0] == pytest.approx(found.price[0] - (found.waste[0] - found.control_waste[0]), abs=1e-9)
    assert min(found.waste[0], found.control_waste[0]) >= -1e-12
    if ends[0][1] >= ends[1][1]:
        assert found.price[0] <= 0
    if preset == "free":
        assert found.price[0] == 0  # a flat frontier: every order is worth the same


def test_a_policy_beyond_the_frontier_is_an_error_of_ours():
    most = condition_frontier(PRICED).best_pass_at_1(0.7)
    grid = pair([START, (most + 0.9e-5, 0.7)], [START, (most + 1.2e-5, 0.7)])
    assert waste("tabular", PRICED, grid.middle(PRICED, "darling"))[0] == pytest.approx(-0.9e-5, abs=1e-12)
    with pytest.raises(BerrypickError, match=r"priced/diverse: a policy has 1.2e-05 more pass@1 than the frontier"):
        waste("tabular", PRICED, grid.middle(PRICED, "dr_grpo"))
    with pytest.raises(BerrypickError, match="report this as a fault"):
        compare_arm(grid, "tabular", PRICED, "darling")


@pytest.mark.parametrize("there", ["darling", "dr_grpo"])
def test_nothing_is_compared_where_the_arm_or_its_control_has_no_cells(there):
    grid = grid_of({("priced/diverse", there, 0): measured(START)})
    assert compare_arm(grid, "tabular", PRICED, "darling") is None


def test_a_world_without_a_price_hides_no_world_beyond_the_frontier():
    widest = condition_frontier(PRICED).widest.pass_at_k
    worlds = {0: measured(START, (0.4, widest + 5e-6)), 1: measured(START, (0.61, 0.7))}
    grid = grid_of({("priced/diverse", "darling", world): result for world, result in worlds.items()})
    with pytest.raises(BerrypickError, match="more pass@1 than the frontier allows"):
        waste("tabular", PRICED, grid.middle(PRICED, "darling"))
    grid = pair([START, (0.4, widest + 5e-6)], [START, (0.4, widest + 5e-5)])
    assert math.isnan(waste("tabular", PRICED, grid.middle(PRICED, "darling"))[0])
    with pytest.raises(BerrypickError, match=r"5\.0e-05 more pass@8 than the frontier allows"):
        waste("tabular", PRICED, grid.middle(PRICED, "dr_grpo"))


def test_matched_takes_the_most_of_the_control_where_it_has_at_least_as_much_pass_at_8():
    arm = [START, (0.52, 0.745)]
    falling = compare_arm(pair(arm, [START, (0.53, 0.74), (0.55, 0.70)]), "tabular", PRICED, "darling")
    # half way between the first two checkpoints: pass@8 .745 at pass@1 .515
    assert falling.matched[0] == pytest.approx(0.52 - 0.515)
    back = compare_arm(pair(arm, [START, (0.56, 0.70), (0.53, 0.746)]), "tabular", PRICED, "darling")
    # at pass@8 .745 twice: at .506 on the way down, at .56 - .03 * .045 / .046 on the way up, where it had more
    assert back.matched[0] == pytest.approx(0.52 - (0.56 - 0.03 * 0.045 / 0.046))
    later = compare_arm(pair([START, (0.52, 0.70)], [START, (0.55, 0.72), (0.54, 0.71)]), "tabular", PRICED, "darling")
    assert later.matched[0] == pytest.approx(0.52 - 0.55)  # a point with more pass@8 than asked for


def test_matched_extrapolates_nothing():
    found = compare_arm(pair([START, (0.50, 0.7501)], [START, (0.53, 0.74)]), "tabular", PRICED, "darling")
    assert math.isnan(found.matched[0])
    assert math.isnan(best_at_least([0.7, 0.6], [0.5, 0.6], 0.71))
    assert best_at_least([0.7, 0.6], [0.5, 0.6], 0.5) == 0.6
    assert best_at_least([0.7, 0.6], [0.5, 0.6], 0.7) == 0.5
    assert best_at_least([0.7, 0.6], [0.5, 0.6], 0.65) == pytest.approx(0.55)


@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=6), SHARES)
def test_the_best_at_least_is_that_of_a_fine_walk_along_the_polygon(points, wanted):
    bought, values = zip(*points)
    found = best_at_least(bought, values, wanted)
    walk = [
        (b0 + t / 50 * (b1 - b0), v0 + t / 50 * (v1 - v0))
        for (b0, v0), (b1, v1) in zip(points, [*points[1:], points[-1]])
        for t in range(51)
    ]
    reached = [value for have, value in walk if have >= wanted + 1e-9]
    assert not reached or found >= max(reached) - 1e-9
    assert max(bought) >= wanted or math.isnan(found)
    assert math.isnan(found) or min(values) <= found <= max(values)


def test_a_control_is_also_matched_along_its_temperatures_and_its_mixes():
    ends = {"darling": measured(START, (0.52, 0.72)), "dr_grpo": measured(START, (0.56, 0.70))}
    ends["dr_grpo"]["temperatures"] = {
        "0.5": {"pass@1": 0.58, "pass@8": 0.64},
        "2": {"pass@1": 0.53, "pass@8": 0.74},
    }
    ends["dr_grpo"]["mixes"] = {"0.5": {"pass@1": 0.54, "pass@8": 0.73}}
    grid = grid_of({("priced/diverse", arm, 0): result for arm, result in ends.items()})
    arm, control = (grid.middle(PRICED, name) for name in ends)
    assert control.curve(0, "pass@8", "temperatures") == [0.64, 0.70, 0.74]  # temperature 1 is the end itself
    assert control.curve(0, "pass@8", "mixes") == [0.75, 0.73, 0.70]
    assert matched_difference(arm, control, along="temperatures")[0] == pytest.approx(0.52 - 0.545)
    assert matched_difference(arm, control, along="mixes")[0] == pytest.approx(0.52 - (0.54 + 0.02 / 3))
    assert matched_difference(arm, control, "pass@8", along="mixes")[0] == pytest.approx(0.72 - 0.75)


LADDER = {0.9: (0.575, 0.72), 0.7: (0.565, 0.74), 0.5: (0.55, 0.75), 0.3: (0.53, 0.76), 0.1: (0.52, 0.765)}


@pytest.fixture(scope="module")
def ladder():
    contents = {
        ("priced/diverse", "pass_mix", weight, world): measured(START, end)
        for weight, end in LADDER.items()
        for world in (0, 1)
    }
    contents["priced/diverse", "pass_mix", 0.9, 1] = None
    for world in (0, 1):
        contents["priced/diverse", "dr_grpo", world] = measured(START, (0.58, 0.70))
        contents["priced/diverse", "darling", world] = measured(START, (0.55, 0.745))
    contents["priced/diverse", "lexical", 0] = measured(START, (0.51, 0.766))
    return grid_of(contents)


def test_a_ladder_is_the_most_that_another_arm_has_over_its_strengths(ladder):
    # half way between the weights .7 and .5; the world that lacks a rung is left out
    found = ladder_difference(ladder, PRICED, ladder.middle(PRICED, "darling"), "pass_mix")
    assert found == {0: pytest.approx(0.55 - 0.5575)}
    found = ladder_difference(ladder, PRICED, ladder.middle(PRICED, "lexical"), "pass_mix")
    assert math.isnan(found[0])  # more pass@8 than any rung
    control = ladder_difference(ladder, PRICED, ladder.middle(PRICED, "dr_grpo"), "pass_mix")
    assert control == {0: pytest.approx(0.0)}  # the control is the first rung


def test_the_largest_waste_is_over_all_strengths_of_worlds_that_have_them_all(ladder):
    front = condition_frontier(PRICED)
    wastes = [front.best_pass_at_1(many) - one for one, many in LADDER.values()]
    assert largest_waste(ladder, PRICED, "pass_mix") == {0: pytest.approx(max(wastes))}
    assert max(wastes) > wastes[2]


def test_a_control_is_compared_with_nothing_and_an_arm_without_cells_neither(ladder):
    assert compare_arm(ladder, "tabular", PRICED, "dr_grpo") is None
    assert compare_arm(ladder, "tabular", Condition("free", "diverse"), "darling") is None
    assert compare_arm(ladder, "language model", PRICED, "darling") is None
    assert compare_arm(ladder, "tabular", PRICED, "pass_mix", 0.9).difference == {0: pytest.approx(-0.005)}


def test_a_condition_without_a_frontier_has_neither_price_nor_waste():
    for name in ("priced/diverse/own", "priced-answers/diverse"):
        found = compare_arm(
            pair([START, (0.9, 0.9)], [START, (0.8, 0.85)], name), "tabular", Condition.of(name), "darling"
        )
        assert (found.price, found.waste, found.control_waste) == ({}, {}, {})
        assert found.difference == {0: pytest.approx(0.1)}
        assert frontier_distance("tabular", Condition.of(name), found.arm_series) == {}


def test_distances_to_the_frontier_are_horizontal_and_vertical():
    grid = pair([START, (0.52, 0.745)], [START])
    series, front = grid.middle(PRICED, "darling"), condition_frontier(PRICED)
    assert frontier_distance("tabular", PRICED, series)[0] == pytest.approx(front.best_pass_at_k(0.52) - 0.745)
    saved = waste("tabular", PRICED, series)[0]
    assert front.best_pass_at_k(0.52 + saved) == pytest.approx(0.745, abs=1e-4)
    assert waste("tabular", PRICED, series, step=0)[0] == pytest.approx(front.best_pass_at_1(0.75) - 0.5)


def test_series_are_frozen(ladder):
    series = ladder.middle(PRICED, "darling")
    assert (series.worlds, series.steps) == ([0, 1], [0, 100])
    with pytest.raises(TypeError):
        series.results[5] = {}
    with pytest.raises(TypeError):
        ladder.tabular[PRICED, "darling", 0.3] = series
    assert math.isnan(series.values("kind_entropy")[0])


def test_a_comparison_names_its_measures_and_reads_any(ladder):
    found = compare_arm(ladder, "tabular", PRICED, "darling")
    assert (found.pass_at_1, found.pass_at_k) == ("pass@1", "pass@8")
    assert pass_names("language model") == ("pass@1_population", "pass@8_population")
    assert found.of("pass@8") == {0: pytest.approx(0.045), 1: pytest.approx(0.045)}
    assert found.of("pass@1") == found.difference


def test_a_language_model_s_values_are_read_off_and_may_lie_beyond_the_frontier():
    most = condition_frontier(PRICED).best_pass_at_1(0.7)
    ends = {"pass@1_population": most + 0.05, "pass@8_population": 0.7}
    series = Series({0: {"checkpoints": {"0": ends}}}, {})
    assert waste("language model", PRICED, series) == {0: pytest.approx(-0.05)}


def test_what_no_strength_has_been_run_of_has_no_waste_and_no_ladder(ladder):
    free = Condition("free", "diverse")
    assert largest_waste(ladder, free, "pass_mix") == {}
    series = ladder.middle(PRICED, "darling")
    assert ladder_difference(ladder, free, series, "pass_mix") == {}
    assert ladder_at(ladder, free, series, "pass_mix", "pass@1", "pass@8") == {}


def test_a_ladder_without_its_control_has_its_own_rungs():
    contents = {("priced/diverse", "pass_mix", weight, 0): measured(START, end) for weight, end in LADDER.items()}
    contents["priced/diverse", "darling", 0] = measured(START, (0.55, 0.745))
    contents["priced/diverse", "lexical", 0] = measured(START, (0.51, 0.71))
    grid = grid_of(contents)
    found = ladder_difference(grid, PRICED, grid.middle(PRICED, "darling"), "pass_mix")
    assert found == {0: pytest.approx(0.55 - 0.5575)}
    at = ladder_at(grid, PRICED, grid.middle(PRICED, "lexical"), "pass_mix", "pass@1", "pass@8")
    assert math.isnan(at[0]), "below the first rung, where the control would have been"


def test_of_several_crossings_of_a_ladder_the_first_counts_and_a_level_line_is_none():
    ends = {0.9: (0.56, 0.70), 0.7: (0.54, 0.74), 0.5: (0.52, 0.70), 0.3: (0.50, 0.76), 0.1: (0.48, 0.76)}
    contents = {("priced/diverse", "pass_mix", weight, 0): measured(START, end) for weight, end in ends.items()}
    contents["priced/diverse", "dr_grpo", 0] = measured(START, (0.58, 0.70))
    for world, many in enumerate((0.72, 0.75, 0.76, 0.70)):
        contents["priced/diverse", "darling", world] = measured(START, (0.5, many))
        for key in [key for key in contents if key[-1] == 0 and key[1] != "darling"]:
            contents[*key[:-1], world] = contents[key]
    grid = grid_of(contents)
    found = ladder_at(grid, PRICED, grid.middle(PRICED, "darling"), "pass_mix", "pass@1", "pass@8")
    # between .9 and .7; between .5 and .3; at .3; at .9, since the line from the control is level
    assert found == {world: pytest.approx(one) for world, one in enumerate((0.55, 0.52 - 0.02 * 5 / 6, 0.50, 0.56))}


def test_a_way_with_holes_is_refused_for_a_claim_and_not_passed_over():
    place = Condition.of("priced/diverse")
    holed = measured((0.5, 0.75), (0.54, 0.74), (0.55, 0.70))
    del holed["checkpoints"]["100"]["pass@1"]
    contents = {
        ("priced/diverse", "darling", 0): measured((0.5, 0.75), (0.53, 0.74)),
        ("priced/diverse", "dr_grpo", 0): holed,
    }
    grid = grid_of(contents)
    arm, control = (grid.middle(place, name) for name in ("darling", "dr_grpo"))
    assert matched_difference(arm, control) == {0: pytest.approx(0.53 - 0.50)}  # only the start is left
    with pytest.raises(BerrypickError, match="cells lack pass@8 or pass@1 at checkpoints between"):
        differences_of(grid, contrast("c", "", "design", "priced/diverse", "darling", "pass@1", "increase", 0.01,
                                      against="matched"))  # fmt: skip
