"""One colour for each objective, on every screen and figure."""

from __future__ import annotations

from berrypick.experiments.report.palette import OKABE_ITO, arm_colours


def test_an_objective_has_one_colour_whatever_its_neighbours_and_its_seed() -> None:
    alone = arm_colours(["DARLING"])["DARLING"]
    names = ["other", "Dr. GRPO", "dr_grpo-seed1", "darling", "darling_2", "x"]
    colours = arm_colours(names)
    assert colours["darling"] == colours["darling_2"] == alone
    assert colours["Dr. GRPO"] == colours["dr_grpo-seed1"]
    assert len({colours["other"], colours["x"], alone, colours["Dr. GRPO"]}) == 4


def test_a_control_of_darling_is_not_drawn_as_darling() -> None:
    colours = arm_colours(["darling", "darling_random"])
    assert colours["darling"] != colours["darling_random"]


def test_seven_arms_are_told_apart_and_more_still_have_a_colour() -> None:
    assert len(set(arm_colours([f"arm {at}" for at in range(7)]).values())) == 7
    assert set(arm_colours([f"arm {at}" for at in range(20)]).values()) <= set(OKABE_ITO)
