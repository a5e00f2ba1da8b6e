"""Checks before registration: no room, 0 by arithmetic, or decidable; on worlds that no claim is judged on."""

from __future__ import annotations

import json

import pytest
from berrypick.experiments.grid import Cell, Condition, GridExperiment, Results, contrast, pick_arms
from berrypick.experiments.grid.page import registration_section
from berrypick.experiments.grid.pilot import PILOT_WORLDS, registration_rows, undecidable_claims
from berrypick.experiments.grid.table_cells import TableCell, condition_frontier
from fixtures.hand_made import grid_of, measured

START = (0.50, 0.75, 0.95)


def pilot(arm_ends, control_ends, condition="priced/diverse", start=START):
    contents = {}
    for world, arm, control in zip(PILOT_WORLDS, arm_ends, control_ends):
        contents[condition, "darling", world] = measured(start, arm)
        contents[condition, "dr_grpo", world] = measured(start, control)
    return grid_of(contents)


def row_of(grid, measure, expected, effect, condition="priced/diverse", **options):
    one = contrast("c", "", "design", condition, "darling", measure, expected, effect, **options)
    rows = registration_rows(grid, [one])
    return rows[0] if rows else None


ARM = [(0.52, 0.745, 0.9), (0.51, 0.75, 0.92), (0.52, 0.74, 0.9), (0.53, 0.74, 0.88)]
CONTROL = [(0.55, 0.70, 0.7), (0.54, 0.72, 0.7), (0.55, 0.70, 0.6), (0.56, 0.68, 0.6)]


def test_a_claim_with_room_that_could_come_out_otherwise_is_decidable():
    grid = pilot(ARM, CONTROL)
    row = row_of(grid, "pass@8", "increase", 0.02)
    assert (row["id"], row["worlds"], row["undecidable"]) == ("c", 4, "")
    assert row["pilot"] == pytest.approx(0.74375 - 0.70)
    assert row["room"] == pytest.approx(condition_frontier(Condition("priced", "diverse")).widest.pass_at_k - 0.70)
    assert row["needed"] == pytest.approx(0.06)
    assert row_of(grid, "breadth", "increase", 0.1)["room"] == pytest.approx(1 - 0.65)
    # training can end below the start and below every fixed order: a policy that answers nothing has 0
    assert row_of(grid, "pass@8", "decrease", 0.02)["room"] == pytest.approx(0.70)


def test_the_most_waste_is_that_of_a_policy_with_all_pass_at_8_that_has_no_price_and_the_pass_at_1_of_the_start():
    best = condition_frontier(Condition("priced", "diverse")).best_order.pass_at_1
    for against in ("zero", "control"):
        row = row_of(pilot(ARM, CONTROL), "waste", "at most", 0.01, against=against)
        had = row_of(pilot(ARM, CONTROL), "waste", "at most", 0.01, against="zero")["pilot"] - row["pilot"]
        assert row["room"] == pytest.approx(max(best - 0.50 - had, had)) and row["undecidable"] == ""
    assert row_of(pilot(ARM, CONTROL), "waste", "increase", 0.1, against="zero")["undecidable"].startswith("no room")


@pytest.mark.parametrize(
    ("measure", "expected", "effect", "room"),
    [
        ("pass@8", "increase", 0.03, 0.069),
        ("pass@1", "increase", 0.02, 0.05),
        ("pass@1", "decrease", 0.2, 0.55),
        ("pass@8", "equivalent", 0.24, 0.70),
        ("breadth", "increase", 0.2, 0.35),
    ],
)
def test_a_claim_without_room_for_three_margins_is_not_decidable(measure, expected, effect, room):
    row = row_of(pilot(ARM, CONTROL), measure, expected, effect)
    assert row["room"] == pytest.approx(room, abs=2e-4)
    assert row["undecidable"] == (
        f"no room: at most {row['room']:.3f} is possible in the pilot, and {3 * effect:.3f} would be needed"
    )
    assert row_of(pilot(ARM, CONTROL), measure, expected, (room - 0.001) / 3)["undecidable"] == ""


def test_the_room_beside_a_named_arm_is_that_arm_s_and_not_the_control_s():
    contents = {}
    for world in PILOT_WORLDS:
        for arm, breadth in (("darling", 0.98), ("lexical", 0.97), ("dr_grpo", 0.7)):
            contents["priced/diverse", arm, world] = measured(START, (0.52, 0.74, breadth))
    row = row_of(grid_of(contents), "breadth", "increase", 0.02, against="lexical")
    assert row["room"] == pytest.approx(1 - 0.97) and "no room: at most 0.030" in row["undecidable"]
    assert row_of(grid_of(contents), "breadth", "increase", 0.02)["room"] == pytest.approx(1 - 0.7)


def test_a_difference_of_zero_by_arithmetic_is_no_claim():
    ends = [(0.5, 0.70), (0.5, 0.71), (0.5, 0.72), (0.5, 0.73)]
    others = [(0.5, 0.60), (0.5, 0.61), (0.5 + 9e-9, 0.62), (0.5, 0.60)]  # values are rounded when they are stored
    grid = pilot(ends, others, "free/diverse", (0.5, 0.759))
    row = row_of(grid, "pass@1", "equivalent", 0.01, "free/diverse")
    assert row["undecidable"] == "it could not come out otherwise: 0 by arithmetic in every world of the pilot"
    assert undecidable_claims([row]) == {"c": row["undecidable"]}
    assert row_of(grid, "pass@8", "increase", 0.01, "free/diverse")["undecidable"] == ""
    one_differs = pilot(ends, [*others[:3], (0.4999, 0.60)], "free/diverse", (0.5, 0.759))
    assert "arithmetic" not in row_of(one_differs, "pass@1", "equivalent", 0.01, "free/diverse")["undecidable"]


def test_the_room_beside_a_control_stopped_early_is_over_its_way_and_not_its_end():
    def way(*ends):
        points = {str(at): dict(zip(("right@1", "best@30"), end)) for at, end in enumerate(ends)}
        return {"checkpoints": points, "bounds": {"right@1": [0.4, 0.9]}}

    contents = {}
    for world in PILOT_WORLDS:
        contents["priced/diverse", "darling", world] = way((0.6, 0.35), (0.88, 0.27))
        contents["priced/diverse", "dr_grpo", world] = way((0.6, 0.35), (0.7, 0.31), (0.9, 0.15))
    grid = grid_of(contents)
    matched = row_of(grid, "right@1", "increase", 0.02, against="matched", at="best@30")
    assert (matched["pilot"], matched["room"]) == pytest.approx((0.88 - 0.75, 0.9 - 0.75))
    assert not matched["undecidable"]
    ended = row_of(grid, "right@1", "increase", 0.02)
    assert ended["room"] == pytest.approx(0, abs=1e-9) and "no room" in ended["undecidable"]


def test_a_row_without_values_claims_nothing():
    grid = pilot(ARM, CONTROL)
    assert row_of(grid, "pass@8", "increase", 0.02, undecidable="no World has it") is None
    assert row_of(grid, "pass@8", "increase", 0.02, policy="language model") is None
    missing = row_of(grid_of({("priced/diverse", "darling", -4): None}), "pass@8", "increase", 0.02)
    assert (missing["worlds"], missing["pilot"], missing["undecidable"]) == (0, None, "")
    table = registration_section({"registration": [missing, row_of(grid, "pass@8", "increase", 0.02)]})[-1]
    first, second = table.splitlines()[-2:]
    assert "not run" in first and "decidable" not in first and "decidable" in second
    unmatched = pilot([(0.5, 0.76, 0.9)] * 4, CONTROL)
    row = row_of(unmatched, "pass@1", "increase", 0.01, against="matched")
    assert row["undecidable"] == "no world of the pilot has a value"


CLAIMS = (
    contrast("room", "", "design", "priced/diverse", "darling", "pass@8", "increase", 0.03, min_worlds=2),
    contrast("good", "", "design", "priced/diverse", "darling", "pass@8", "increase", 0.02, min_worlds=2),
)
GRID = GridExperiment(
    name="checked",
    summary="",
    conditions=tuple(map(Condition.of, ("priced/diverse", "free/diverse", "priced/diverse/rate=1"))),
    contrasts=CLAIMS,
    arms=pick_arms("darling"),
    with_pilot=True,
)


def test_the_pilot_plays_worlds_kept_apart_and_only_what_claims_read():
    cells = GRID.cells("small", 2)
    first = [cell for cell in cells if cell.key.startswith("pilot/")]
    assert cells[: len(first)] == first and len(first) == 8  # four worlds, two arms
    tables = [TableCell.from_config(cell.config) for cell in first]
    assert sorted({table.world for table in tables}) == [1900, 1901, 1902, 1903]
    assert {(table.condition, table.arm, table.strength) for table in tables} == {
        ("priced/diverse", "darling", 0.1), ("priced/diverse", "dr_grpo", 0)
    }  # fmt: skip
    assert {TableCell.from_config(cell.config).world for cell in cells[len(first) :]} == {1000, 1001}
    assert not [cell for cell in GRID.cells("smoke", 2) if cell.key.startswith("pilot/")]


def test_all_conditions_of_a_replicate_share_a_world_that_the_key_names():
    cells = GRID.cells("full", 3)
    assert len({cell.key for cell in cells}) == len(cells)
    seeds = {}
    for cell in cells:
        table = TableCell.from_config(cell.config)
        assert cell.key.endswith(f"{table.where.slug}/{table.arm}-{table.strength:g}/world-{table.world}")
        assert table.world == 1000 + table.seed
        assert table.curves == (table.arm == "dr_grpo")
        assert table.table.learning_rate == (table.where.rate or 3.0)
        if not cell.key.startswith("pilot/"):
            seeds.setdefault(table.seed, set()).add(table.condition)
    assert set(seeds) == {0, 1, 2}
    assert all(len(conditions) == 3 for conditions in seeds.values())
    order = [TableCell.from_config(cell.config).seed for cell in cells if not cell.key.startswith("pilot/")]
    assert order == sorted(order)  # a cut run has whole worlds


def test_digests_and_cells_survive_json():
    for cell in GRID.cells("small", 1):
        config = json.loads(json.dumps(cell.config))
        assert Cell(cell.key, config).digest == cell.digest
        table = TableCell.from_config(config)
        assert Cell(cell.key, table.as_config()).digest == cell.digest
        assert Cell(cell.key, {**config, "world": 7}).digest != cell.digest


def test_what_the_pilot_forbids_is_not_decidable_in_the_report_and_the_pilot_is_in_no_row():
    results = Results()
    for cell in GRID.cells("small", 2):
        table = TableCell.from_config(cell.config)
        end = (ARM if table.arm == "darling" else CONTROL)[table.seed % 4]
        if table.condition == "free/diverse":
            end = (0.5, end[1], 0.9)
        results.done[cell.key] = {**measured((0.5, 0.7505, 0.95), end), "temperatures": {}, "mixes": {}}
    report = GRID.report(results, "small", 2)
    assert [row["undecidable"][:7] for row in report["registration"]] == ["no room", ""]
    room, good = report["verdicts"]
    assert (room["verdict"], room["reason"]) == ("not decidable here", report["registration"][0]["undecidable"])
    assert good["differences"] == [0.045, 0.03] and good["worlds"] == [0, 1]
    assert report["conditions"]["priced/diverse"]["arms"]["darling"]["0.1"]["worlds"] == [0, 1]
    page = GRID.pages({**report, "command": "c"})["checked.md"]
    assert "## Checks before registration" in page and "0.060" in page
    json.dumps(report, allow_nan=False)
