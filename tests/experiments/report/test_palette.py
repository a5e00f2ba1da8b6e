"""One colour for each objective, on every screen and figure."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
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


def test_every_registered_objective_has_a_colour_of_its_own() -> None:
    from berrypick.policies.objectives.registry import OBJECTIVES

    built_in = [name for name in OBJECTIVES if not name.startswith("test")]
    alone = {name: arm_colours([name])[name] for name in built_in}
    together = arm_colours(["x", *built_in])
    assert {name: together[name] for name in built_in} == alone
    assert len(set(alone.values())) == len(built_in) >= 29


@pytest.mark.parametrize(
    "name",
    ["darling:floor=0.2", "darling:floor=0.2,power=1.0-seed3", "darling-floor=0.2", "darling-0.25", "DARLING_test"],
)
def test_arguments_strengths_seeds_and_splits_change_no_colour(name: str) -> None:
    assert arm_colours([name])[name] == arm_colours(["darling"])["darling"]


# Machado, Oliveira and Fernandes 2009, severity 1: linear RGB as these readers see it
SEEN = {
    "normal": np.eye(3),
    "protan": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.052]]),
    "deutan": np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
    "tritan": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIELAB of a colour as such a reader sees it."""
    rgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(seen @ linear, 0, 1) / (0.95047, 1, 1.08883)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("reader", SEEN)
def test_the_arms_of_the_grid_figures_are_told_apart_by_everybody(reader: str) -> None:
    from berrypick.experiments.grid.figures import PICKED

    colours = arm_colours(PICKED).values()
    distances = [
        np.linalg.norm(lab(a, SEEN[reader]) - lab(b, SEEN[reader])) for a, b in itertools.combinations(colours, 2)
    ]
    assert min(distances) > 14  # about 2 can just be seen side by side
