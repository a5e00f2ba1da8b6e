"""`berrypick explain`: every measure has a unit, a meaning and a way to be computed; typos are helped."""

from __future__ import annotations

import json

import pytest
from berrypick.__main__ import main
from berrypick.experiments.measures.measures import FAMILIES, MEASURES


def explained(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["explain", *words]) == 0
    return capsys.readouterr().out


def test_without_a_name_every_measure_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = explained(capsys).splitlines()
    keys = {line.split()[0] for line in lines if line}
    assert {*MEASURES, *(family.key for family in FAMILIES)} <= keys
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("name", [*MEASURES, *(family.key for family in FAMILIES)])
def test_every_measure_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(explained(capsys, name.replace("{k}", "4"), "--json"))
    assert found["key"] == name.replace("{k}", "4")
    assert found["label"] and found["unit"] and found["meaning"] and found["computed"]
    text = explained(capsys, name.replace("{k}", "4"))
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", ["to frontier", "Distance to Frontier", "distance_to_frontier", "frontier_distance"])
def test_a_column_head_is_understood_as_well_as_a_key(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "frontier_distance" in explained(capsys, name)


def test_the_number_of_tries_is_any(capsys: pytest.CaptureFixture[str]) -> None:
    text = explained(capsys, "planned pass@32")
    assert "pass@32_plan" in text
    assert "1 - C(n - c, k) / C(n, k)" in " ".join(explained(capsys, "pass@16").split())


def test_a_typo_is_told_the_nearest_measure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "bredth"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "did you mean breadth?" in err
    assert main(["explain", "\x1b[31m"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "\x1b" not in err
