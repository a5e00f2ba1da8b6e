"""How reports write numbers, intervals and tables."""

from __future__ import annotations

import pytest
from berrypick.experiments.report.format import (
    broken_note,
    estimate_parts,
    interval,
    interval_legend,
    markdown_table,
    narrow,
    number,
    plain,
    signed,
    text_columns,
)

ROW = {"value": 0.0214, "low": -0.0106, "high": 0.0326, "n": 5}


@pytest.mark.parametrize(("value", "text"), [(0.5214, "0.521"), (-0.0004, "0.000"), (-0.0006, "-0.001"), (None, "–")])
def test_a_number_has_three_digits_and_zero_has_no_sign(value: float | None, text: str) -> None:
    assert number(value) == text


def test_differences_have_signs_and_whole_intervals() -> None:
    assert signed(ROW) == "+0.021 [-0.011, +0.033]"
    assert interval(-0.0104, 0.0326, 2) == "[-0.01, +0.03]"
    assert signed({**ROW, "low": None, "high": None, "n": 1}) == "+0.021 (n = 1)"
    assert signed(None) == signed({**ROW, "value": None}) == "–"


def test_estimates_have_half_the_width_of_the_interval() -> None:
    assert plain(ROW) == "0.021 ±0.022"
    assert plain(ROW, 2, sign="+") == "+0.02 ±0.02"
    assert plain({**ROW, "low": None}) == "0.021"
    assert plain(None) == "–"


def test_estimates_in_parts_are_shorter_from_ten_on() -> None:
    assert estimate_parts(ROW) == ("0.021", "±0.022")
    assert estimate_parts({"value": 54.26, "low": 53.8, "high": 54.8, "n": 5}) == ("54.3", "±0.5")
    assert estimate_parts(None) == ("–", "")


@pytest.mark.parametrize(
    ("value", "low", "high", "parts"),
    [
        (0.0, 0.0, 0.4345, ("0.000", "≤0.434")),
        (1.0, 0.5655, 1.0, ("1.000", "≥0.566")),
        (1.5, 1.5, 1.5, ("1.500", "–")),
        (44.0, 2.0, 123.0, ("44.0", "[2.0, 123.0]")),
        (0.2, 0.0, 0.6, ("0.200", "[0.000, 0.600]")),
        (0.0012, 0.0, 0.0028, ("0.001", "±0.001")),  # as it is printed, ± implies nothing below 0
        (-0.1, -0.3, 0.3, ("-0.100", "±0.300")),  # this one may be below 0
    ],
)
def test_intervals_that_half_a_width_would_misstate(
    value: float, low: float, high: float, parts: tuple[str, str]
) -> None:
    row = {"value": value, "low": low, "high": high, "n": 5}
    assert estimate_parts(row) == parts
    assert estimate_parts({**row, "n": 1}) == (parts[0], ""), "a single question has no interval"
    if parts[1][0] in "≤≥":
        assert plain(row) == " ".join(parts)


def test_zeros_before_points_are_dropped_only_at_the_start_of_numbers() -> None:
    assert narrow("[0.000, 10.5]") == "[.000, 10.5]"
    assert [narrow(text) for text in ("±0.004", "≤0.434", "–")] == ["±.004", "≤.434", "–"]


def test_the_legend_explains_what_is_there() -> None:
    rows = [{"value": 0.0, "low": 0.0, "high": high, "n": 5} for high in (0.4, 0.0)]
    assert "Wilson" in interval_legend(rows) and interval_legend(rows).endswith("; – no spread seen")
    assert interval_legend([ROW]) == interval_legend([]) == "± half the 95 % bootstrap interval over questions"


def test_broken_seeds_are_counted() -> None:
    assert broken_note({"broken": {"3": "why", "4": "why"}}) == ", 2 broken"
    assert broken_note({"broken": {}}) == broken_note({}) == ""


def test_tables_are_aligned() -> None:
    assert markdown_table(["arm", "x"], [["a", "0.5"]]) == "| arm | x   |\n|-----|-----|\n| a   | 0.5 |"
    assert text_columns(["arm", "x"], [["a", "0.5"], ["longer", ""]]) == "arm     x\na       0.5\nlonger"
