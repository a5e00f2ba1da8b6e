"""The price law: hand-made Worlds whose tax, price and waste are known, the random Worlds, and a small run."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.envs.world.population import PopulationFrontier
from berrypick.experiments.grid.arms import ARMS
from berrypick.experiments.grid.experiment import Results
from berrypick.experiments.grid.publishing import publish
from berrypick.experiments.price_law import figure, verdicts
from berrypick.experiments.price_law.experiment import EXPERIMENT, NUM_WORLDS, RUNS, PriceLaw
from berrypick.experiments.price_law.law import law_csv, law_report
from berrypick.experiments.price_law.page import page, screen
from berrypick.experiments.price_law.prediction import balance_places, predicted_taxes
from berrypick.experiments.price_law.registration import CLAIMED, CLAIMS, LawClaim
from berrypick.experiments.price_law.runs import read_runs
from berrypick.experiments.price_law.verdicts import explained, median_of
from berrypick.experiments.price_law.worlds import PILOT, random_world
from berrypick.experiments.registry import EXPERIMENTS, KnownExperiment
from berrypick.policies.tabular.training import TableConfig

ARM, CONTROL = "darling-0.1", "dr_grpo-0"
TWO_RUNS = (("dr_grpo", 0.0), ("darling", 0.1))

FRONT = [[1e-5, 0.5, 0.9, 0.0], [0.5, 0.6, 0.8, 0.0], [1 - 1e-6, 0.7, 0.6, 0.0]]
"""F falls from .7 at pass@8 = .6 over .6 at .8 to .5 at .9, in straight lines."""


def hand_made(ends, *, cue=0.0, seed=0, front=FRONT, availability=(0.6, 0.5, 0.4)):
    """A cell whose runs end where `ends` says: name -> (pass@1, pass@8)."""
    return {
        "world": {"availability": list(availability), "budget": 3, "hops": 2, "cue": cue, "seed": seed},
        "frontier": front,
        "runs": {name: {"0": [0.4, 0.7, 0.5], "20": [*end, 0.5], "5": [0.3, 0.7, 0.5]} for name, end in ends.items()},
    }


def results_of(cells, pilot=()):
    done = {f"law/world-{at:03d}": cell for at, cell in enumerate(cells)}
    return Results({**done, **{f"pilot/world-{at:03d}": cell for at, cell in enumerate(pilot)}})


def priced_world(price, waste, seed=0, **more):
    """The control is on the frontier at pass@8 = .6; the arm's pass@8 costs `price`, and it wastes `waste` beyond."""
    reached = 0.6 + 2 * price if price <= 0.1 else 0.8 + (price - 0.1)
    ends = {CONTROL: (0.7, 0.6), ARM: (0.7 - price - waste, reached)}
    return hand_made(ends, seed=seed, **more)


def verdict(report, kind, run=ARM):
    return next(row for row in report["verdicts"] if (row["run"], row["kind"]) == (run, kind))


# Tax, price, waste and what is made of them


def test_tax_price_and_waste_of_a_hand_made_world_are_those_of_its_frontier():
    cell = hand_made({CONTROL: (0.64, 0.7), ARM: (0.52, 0.85)})
    run = read_runs([cell], TWO_RUNS, ARMS)[ARM]
    assert run.control == CONTROL
    assert run.tax[0] == pytest.approx(-0.12, abs=1e-12)
    assert run.price[0] == pytest.approx(0.55 - 0.65, abs=1e-12)
    assert run.waste[0] == pytest.approx(0.03, abs=1e-12)
    assert run.control_waste[0] == pytest.approx(0.01, abs=1e-12)
    assert run.gain[0] == pytest.approx(0.15, abs=1e-12)


def test_tax_is_price_minus_the_difference_of_wastes():
    draws = np.random.default_rng(0)
    cells = [
        hand_made({CONTROL: (draws.uniform(0.3, 0.5), draws.uniform(0.3, 0.9)), ARM: (draws.uniform(0.3, 0.5), 0.85)})
        for _ in range(20)
    ]
    run = read_runs(cells, TWO_RUNS, ARMS)[ARM]
    np.testing.assert_allclose(run.tax, run.price - (run.waste - run.control_waste), atol=1e-9, rtol=0)


@pytest.mark.parametrize("end", [(0.61, 0.8), (0.3, 0.95)])
def test_a_policy_beyond_the_frontier_is_an_error_that_names_its_world(end):
    cell = hand_made({CONTROL: (0.6, 0.6), ARM: end}, seed=5007)
    with pytest.raises(ValueError, match=r"darling-0.1 in the World of seed 5007 has a waste"):
        read_runs([cell], TWO_RUNS, ARMS)


def test_r2_is_that_of_a_calculation_by_hand_and_leaves_worlds_without_a_price_out():
    cells = [priced_world(*world) for world in ((0.02, 0.01), (0.04, 0.0), (0.06, 0.02), (0.005, 0.3))]
    row = law_report(results_of(cells), TWO_RUNS, ARMS)["runs"][ARM]
    # taxes -.03, -.04, -.08 with mean -.05: deviations .0004 + .0001 + .0009; errors .0001 + 0 + .0004
    assert row["all"]["r2"] == pytest.approx(1 - 0.0005 / 0.0014, abs=1e-9)
    assert row["all"]["priced"] == 3
    assert row["all"]["taxed_without_price"] == 1
    assert row["all"]["median_waste_difference"] == pytest.approx(0.01, abs=1e-9)
    assert row["all"]["r2_of_all"] < 0
    assert row["tax"]["value"] == pytest.approx(-(0.03 + 0.04 + 0.08 + 0.305) / 4, abs=1e-9)


def test_medians_and_r2_of_counts_are_those_of_the_repeated_values():
    draws = np.random.default_rng(1)
    tax, price = draws.normal(size=9), draws.normal(size=9)
    counts = draws.integers(0, 4, (50, 9)).astype(float)
    for row, middle, r2 in zip(counts, median_of(tax, counts), explained(tax, price, counts)):
        repeated = np.repeat(np.arange(9), row.astype(int))
        t, p = tax[repeated], price[repeated]
        assert middle == pytest.approx(np.median(t), abs=1e-12)
        assert r2 == pytest.approx(1 - ((t - p) ** 2).sum() / ((t - t.mean()) ** 2).sum(), abs=1e-9)
    assert math.isnan(median_of(tax, np.zeros((1, 9)))[0])
    assert math.isnan(explained(tax, price, np.eye(9))[0])


def test_worlds_with_a_cue_are_a_stratum_and_are_marked_among_the_points():
    cells = [priced_world(0.02, 0.0), priced_world(0.03, 0.05, cue=0.8), priced_world(0.04, 0.0)]
    report = law_report(results_of(cells), TWO_RUNS, ARMS)
    row = report["runs"][ARM]
    assert [point[3] for point in row["points"]] == [False, True, False]
    assert (row["no cue"]["worlds"], row["cue"]["worlds"], report["worlds_with_cue"]) == (2, 1, 1)
    assert row["cue"]["median_waste_difference"] == pytest.approx(0.05, abs=1e-9)
    assert row["cue"]["r2"] is None
    assert row["all"]["median_error"] is None, "three Worlds are too few for two halves"
    assert row["points"][1][:3] == [-0.03, -0.08, None]
    json.dumps(report, allow_nan=False)


# Verdicts


def law_of(price_of, waste_of, pilot_price=0.05, count=40):
    """The report on as many Worlds, with a pilot."""
    cells = [priced_world(price_of(at), waste_of(at), seed=at) for at in range(count)]
    pilot = [priced_world(pilot_price, 0.0) for _ in range(8)]
    return law_report(results_of(cells, pilot), TWO_RUNS, ARMS)


def test_a_tax_that_is_the_price_supports_both_claims_of_the_law():
    report = law_of(lambda at: 0.02 + 0.002 * at, lambda at: 0.001)
    row = verdict(report, "explained")
    assert (row["verdict"], row["reason"], row["pilot_share_priced"]) == ("supported", "", 1.0)
    assert 0.9 <= row["low"] <= row["value"] <= row["high"]
    assert verdict(report, "little waste")["verdict"] == "supported"


def test_a_large_waste_contradicts_both_claims_of_the_law():
    report = law_of(lambda at: 0.02 + 0.002 * at, lambda at: 0.1)
    assert verdict(report, "explained")["verdict"] == "contradicted"
    row = verdict(report, "little waste")
    assert row["verdict"] == "contradicted"
    assert [row["value"], row["low"], row["high"]] == pytest.approx([0.1] * 3, abs=1e-9)


def test_an_interval_on_both_sides_of_the_threshold_is_inconclusive():
    report = law_of(lambda at: 0.02 + 0.002 * at, lambda at: 0.0 if at % 2 else 0.02)
    row = verdict(report, "little waste")
    assert (row["verdict"], row["reason"]) == ("inconclusive", "the interval holds both answers")
    assert row["low"] < 0.01 < row["high"]


def test_a_law_without_prices_is_not_decidable_but_its_prediction_is():
    for report in (
        law_of(lambda at: 0.001, lambda at: 0.001),
        law_of(lambda at: 0.02 + 0.002 * at, lambda at: 0.001, pilot_price=0.001),
    ):
        assert verdict(report, "explained")["verdict"] == "not decidable here"
        assert verdict(report, "little waste")["verdict"] == "not decidable here"
        assert verdict(report, "predicted")["verdict"] in ("supported", "contradicted", "inconclusive")


def test_no_claim_is_decided_before_every_world_and_the_pilot_are_there():
    cells = [priced_world(0.02 + 0.002 * at, 0.0) for at in range(40)]
    results = results_of(cells, [priced_world(0.05, 0.0)])
    results.failed["pilot/world-001"] = "crashed"
    results.not_run.append("law/world-040")
    row = verdict(law_report(results, TWO_RUNS, ARMS), "explained")
    assert (row["verdict"], row["reason"]) == ("inconclusive", "2 worlds have no result")
    without = verdict(law_report(results_of(cells), TWO_RUNS, ARMS), "explained")
    assert (without["verdict"], without["reason"]) == ("inconclusive", "the pilot has not been run")
    assert verdict(law_report(results, TWO_RUNS, ARMS), "explained", "batch-0.8")["reason"] == "not run"


def test_too_few_worlds_have_no_interval():
    report = law_of(lambda at: 0.02 + 0.002 * at, lambda at: 0.0, count=2)
    assert verdict(report, "explained")["reason"] == "too few worlds for an interval"
    assert verdict(report, "predicted")["value"] is None


def test_all_claims_share_five_percent():
    assert len(CLAIMS) == 21
    assert pytest.approx(1 - 0.05 / 21) == verdicts.LEVEL
    assert {claim.run for claim in CLAIMS} == set(CLAIMED)
    assert set(CLAIMED) <= {f"{arm}-{strength:g}" for arm, strength in RUNS}
    assert LawClaim("a-1", "little waste", 0.01).id == "little-waste-a-1"


# Predictions


def balance_worlds(count=12):
    """Worlds whose frontiers differ; the arm is the policy of one balance in each, the control that of another."""
    draws = np.random.default_rng(3)
    worlds, places = [], []
    for _ in range(count):
        # x = a y-arc: along a quarter ellipse the policy of a balance is known in closed form
        width, height = draws.uniform(0.1, 0.3, 2)
        rows = []
        for logit in np.linspace(-11, 13, 241):
            balance = 1 / (1 + math.exp(-logit))
            length = math.hypot(balance * width, (1 - balance) * height)
            rows.append(
                [
                    balance,
                    0.4 + balance * width**2 / length,
                    0.6 + (1 - balance) * height**2 / length,
                    0.0,
                ]
            )
        front = PopulationFrontier.from_rows(8, rows)
        places.append(balance_places(front))
        availability = draws.uniform(0.2, 0.9, 3)
        worlds.append({"availability": availability.tolist(), "budget": 3, "hops": 2, "cue": 0.0, "seed": 0})
    return worlds, np.array(places)


def test_the_tax_of_a_constant_balance_is_predicted_without_error():
    worlds, places = balance_worlds()
    ends, controls = places[:, 90], places[:, 160]
    tax = ends[:, 0] - controls[:, 0]
    assert tax.std() > 0.01
    by_balance, by_regression = predicted_taxes(worlds, places, ends, controls)
    np.testing.assert_allclose(by_balance, tax, atol=1e-12)
    assert np.abs(by_regression - tax).max() > 0.005


@pytest.mark.parametrize("half", [0, 1])
def test_the_prediction_of_a_half_never_sees_what_was_reached_in_it(half):
    worlds, places = balance_worlds()
    ends, controls = places[:, 90].copy(), places[:, 160].copy()
    before = predicted_taxes(worlds, places, ends, controls)
    ends[half::2], controls[half::2] = places[half::2, 20] - 0.1, places[half::2, 200]
    after = predicted_taxes(worlds, places, ends, controls)
    for old, new in zip(before, after):
        np.testing.assert_array_equal(old[half::2], new[half::2])
        assert np.abs(old[1 - half :: 2] - new[1 - half :: 2]).min() > 1e-3, "the other half is fitted on it"


# Random Worlds


def test_random_worlds_are_within_the_stated_ranges():
    worlds = [random_world(number) for number in range(PILOT, NUM_WORLDS)]
    assert worlds == [random_world(number) for number in range(PILOT, NUM_WORLDS)]
    assert len({world.seed for world in worlds}) == len({world.availability for world in worlds}) == len(worlds)
    for world in worlds:
        assert world.hops <= world.budget <= 2 * world.hops
        assert all(0.2 <= a <= 0.9 for a in world.availability)
        assert (world.hops, len(world.availability)) in {(2, 3), (2, 4), (2, 5), (3, 3)}
        assert world.cue in (0.0, 0.8)
        assert (world.num_train, world.num_validation, world.num_test) == (4096, 0, 0)


def test_one_world_in_four_has_a_cue_and_one_in_seven_has_three_hops():
    worlds = [random_world(number, 1) for number in range(PILOT, 2000)]
    assert np.mean([world.cue > 0 for world in worlds]) == pytest.approx(1 / 4, abs=0.03)
    assert np.mean([world.hops == 3 for world in worlds]) == pytest.approx(1 / 7, abs=0.03)
    two_hops = [world.budget for world in worlds if world.hops == 2]
    assert [two_hops.count(budget) / len(two_hops) for budget in (2, 3, 4)] == pytest.approx([1 / 3] * 3, abs=0.04)


def test_the_full_scale_has_the_pilot_first_and_208_worlds_of_the_law():
    cells = EXPERIMENT.cells("full", 1)
    assert [cell.key for cell in cells[:8]] == [f"pilot/world-{at:03d}" for at in range(8)]
    assert [cell.config["world"] for cell in cells] == [*range(-8, 208)]
    assert len({cell.key for cell in cells}) == 216
    assert cells == EXPERIMENT.cells("small", 24)
    assert all(cell.key.startswith("law/") for cell in EXPERIMENT.cells("smoke", 1))
    assert EXPERIMENT.summary == EXPERIMENTS.find("price_law").summary


# A small run


SMALL = PriceLaw(
    runs=(("dr_grpo", 0.0), ("pass_mix", 0.5), ("maxrl", 0.0)),
    smoke_worlds=(8, 190),
)


def test_a_small_run_gives_report_csv_figure_and_page_and_is_not_computed_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(EXPERIMENTS, "price_law", KnownExperiment(SMALL.summary, lambda: SMALL))
    out, project = tmp_path / "run", tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text("")
    command = ["run", "price_law", "--scale", "smoke", "--out", str(out), "--publish", str(project)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.partition("\nreport:")[0].splitlines())) <= 80
    assert "No claim is decided, because the pilot has not been run; in 2" in shown
    assert "inconclusive: 6 claims: the pilot has not been run" in shown
    report = json.loads((out / "report.json").read_text())
    assert shown.startswith(report["text"] + "\n\nreport:")
    assert set(report["runs"]) == {"pass_mix-0.5", "maxrl-0"}
    assert report["cells"] == {"done": 2, "failed": {}, "not_run": 0}
    assert len((out / "per_world.csv").read_text().splitlines()) == 1 + 2 * 2
    assert (project / "docs" / "price_law.md").read_text() == page(report)
    assert (project / "results" / "price_law" / "figures" / "law.png").is_file()
    assert (project / "results" / "price_law" / "law_cells.jsonl.xz").is_file()
    drawn = (out / "figures" / "law.svg").read_bytes()

    monkeypatch.setattr(PriceLaw, "run_cell", lambda *_: pytest.fail("a stored World was computed again"))
    assert main(command) == 0
    assert json.loads((out / "report.json").read_text())["runs"] == report["runs"]
    assert (out / "figures" / "law.svg").read_bytes() == drawn
    publish(SMALL, out, project)


def report_on(cells, pilot=()):
    return EXPERIMENT.report(results_of([cell_of_all(cell) for cell in cells], pilot), "smoke", 1)


def cell_of_all(cell):
    """The same cell with every run of the experiment: each arm is as the one arm."""
    names = [f"{arm}-{strength:g}" for arm, strength in RUNS]
    arm, control = cell["runs"][ARM], cell["runs"][CONTROL]
    return {**cell, "runs": {name: control if name in (CONTROL, "grpo-0") else arm for name in names}}


def test_the_page_words_what_was_found_and_what_is_missing():
    nothing = EXPERIMENT.report(Results(not_run=["law/world-000"]), "smoke", 1)
    assert "no World has a result" in page(nothing)
    assert max(map(len, screen(nothing).splitlines())) <= 80
    worlds = [
        priced_world(0.02 + 0.002 * at, 0.06 if at % 4 == 0 else 0.0, cue=0.8 * (at % 4 == 0)) for at in range(40)
    ]
    pilot = [cell_of_all(priced_world(0.05, 0.0)) for _ in range(8)]
    report = report_on(worlds, pilot)
    text = page(report)
    assert "7 claims that the price explains the tax (R2 of at least 0.9): 7 contradicted" in text
    assert "7 claims that waste differs little from the control's (median of at most 0.01): 7 supported" in text
    assert "with a cue the difference of wastes is larger: 0.060 with a cue against 0.000 without" in text
    assert "| darling-0.1 \\*" in text
    assert max(map(len, report["text"].splitlines())) <= 80
    partial = results_of([cell_of_all(cell) for cell in worlds[:1]], pilot)
    partial.not_run.append("law/world-001")
    text = page(EXPERIMENT.report(partial, "full", 1))
    assert "No claim is decided, because 1 World has no result yet" in text
    assert law_csv(partial, TWO_RUNS, ARMS).splitlines()[1].endswith(",,"), "no prediction from a single World"


def test_without_matplotlib_there_is_a_warning_and_no_figure(tmp_path, monkeypatch, caplog):
    report = report_on([priced_world(0.02, 0.0), priced_world(0.04, 0.0)])
    monkeypatch.setattr("berrypick.experiments.report.figure_files.find_spec", lambda name: None)
    assert figure.write_figure(report, tmp_path) == []
    assert 'install the "plots" extra' in caplog.text
    assert not list(tmp_path.iterdir())


# A calculation that shares nothing


def brute_force(availability, hops, budget, k):
    """(pass@1, pass@k) of a policy that tries kinds in uniformly random order, by listing all questions and plays."""
    kinds = range(len(availability))
    chains = list(itertools.product(itertools.product((False, True), repeat=len(availability)), repeat=hops))
    plays = list(itertools.product(itertools.permutations(kinds), repeat=hops))
    one = many = 0.0
    for chain in chains:
        chance = math.prod(a if has else 1 - a for fact in chain for a, has in zip(availability, fact))
        wins = 0
        for orders in plays:
            spent = 0
            for fact, order in zip(chain, orders):
                spent += next((at for at, kind in enumerate(order, 1) if fact[kind]), budget + 1)
            wins += spent <= budget
        success = wins / len(plays)
        one += chance * success
        many += chance * (1 - (1 - success) ** k)
    return one, many


def test_an_untrained_policy_has_the_values_of_listing_every_question_and_play(tmp_path):
    untrained = TableConfig(sft_steps=0, steps=0, checkpoints=(0,))
    law = PriceLaw(runs=(("dr_grpo", 0.0),), table=untrained)
    cell = next(cell for cell in law.cells("full", 1) if cell.config["world"] == 8)
    result = law.run_cell(cell, tmp_path)
    assert set(result["runs"]["dr_grpo-0"]) == {"0"}
    config = random_world(8)
    wanted = brute_force(config.availability, config.hops, config.budget, 8)
    assert result["runs"]["dr_grpo-0"]["0"][:2] == pytest.approx(wanted, abs=1e-9)
    front = PopulationFrontier.from_rows(8, result["frontier"])
    assert front.best_pass_at_1(wanted[1]) >= wanted[0] - 1e-5
