"""From contrasts to differences: what each is read against, in which settings, and when it is undecidable."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from berrypick.experiments.grid import Condition, contrast, judge
from berrypick.experiments.grid.comparison import compare_arm, largest_waste
from berrypick.experiments.grid.contrasts import Contrast
from berrypick.experiments.grid.evidence import differences_of, gather_evidence
from berrypick.experiments.grid.series import Series
from fixtures.hand_made import grid_of, measured

PRICED = Condition("priced", "diverse")
START = (0.50, 0.75)
ENDS = {
    ("darling", 0): (0.52, 0.745),
    ("dr_grpo", 0): (0.55, 0.70),
    ("darling", 1): (0.50, 0.752),  # more pass@8 than its control ever had
    ("dr_grpo", 1): (0.56, 0.68),
    ("darling", 2): (0.51, 0.75),
    ("dr_grpo", 2): (0.53, 0.72),
}


def worlds(num_worlds=3, **changes):
    contents = {
        ("priced/diverse", arm, world): measured(START, end) for (arm, world), end in ENDS.items() if world < num_worlds
    }
    return grid_of({**contents, **changes.get("more", {})})


def one(measure="pass@1", *, arm="darling", condition="priced/diverse", min_worlds=2, **options):
    return contrast(
        "c", "", "design", condition, arm, measure, options.pop("expected", "decrease"), 0.01, min_worlds=min_worlds,
        **options,
    )  # fmt: skip


def evidence_of(grid, registered, **checks):
    return gather_evidence(grid, [registered], **checks).get("c")


def test_contrasts_read_the_comparison_that_tables_show():
    grid = worlds()
    found = compare_arm(grid, "tabular", PRICED, "darling")
    expected = {
        "control": (one(), found.difference),
        "matched": (one(against="matched"), found.matched),
        "gain": (one("pass@8"), found.gain),
        "waste": (one("waste", against="zero"), found.waste),
        "largest": (one("largest waste", against="zero"), largest_waste(grid, PRICED, "darling")),
        "start": (one(against="start"), {0: 0.02, 1: 0.0, 2: 0.01}),
        "zero": (one("pass@8", against="zero"), {0: 0.745, 1: 0.752, 2: 0.75}),
        "another": (one(against="dr_grpo"), found.difference),
    }
    for name, (registered, values) in expected.items():
        evidence = evidence_of(grid, registered)
        assert list(evidence.worlds) == [0, 1, 2], name
        assert evidence.differences == pytest.approx(list(values.values()), nan_ok=True), name
    wastes = {world: found.waste[world] - found.control_waste[world] for world in found.waste}
    assert evidence_of(grid, one("waste")).differences == pytest.approx(list(wastes.values()))


def test_a_language_model_is_compared_with_another_arm_where_one_is_named():
    tabular = worlds()
    places = {(PRICED, arm): tabular.middle(PRICED, arm) for arm in ("darling", "dr_grpo")}
    grid = replace(tabular, tabular={}, language={**places, (PRICED, "lexical"): places[PRICED, "dr_grpo"]})
    own = {"policy": "language model", "measure": "pass@1"}
    expected = pytest.approx([-0.03, -0.06, -0.02])
    assert evidence_of(grid, one(against="lexical", **own)).differences == expected
    assert evidence_of(grid, one(**own)).differences == expected  # the control, as before
    turned = evidence_of(grid, one(arm="lexical", against="darling", **own))
    assert turned.differences == pytest.approx([0.03, 0.06, 0.02])
    assert evidence_of(grid, one(against="entropy", **own)) is None  # an arm that has no cells


def test_an_arm_is_compared_with_itself_from_diverse_demonstrations():
    grid = worlds(more={("priced/narrow", "darling", w): measured((0.6, 0.6), (0.60, 0.61)) for w in range(3)})
    registered = one(condition="priced/narrow", against="diverse start")
    assert evidence_of(grid, registered).differences == pytest.approx([0.08, 0.10, 0.09])


def test_a_ladder_is_read_by_its_name():
    rungs = {0.9: (0.54, 0.72), 0.7: (0.53, 0.73), 0.5: (0.515, 0.748), 0.3: (0.51, 0.749), 0.1: (0.505, 0.7505)}
    more = {("priced/diverse", "pass_mix", s, w): measured(START, end) for s, end in rungs.items() for w in range(3)}
    registered = one(against="ladder pass_mix")
    found = differences_of(worlds(more=more), registered)
    # world 0 at pass@8 .745, between the weights .7 and .5; world 2 at .75, between .3 and .1
    assert found[0] == pytest.approx(0.52 - (0.53 - 0.015 * 15 / 18))
    assert math.isnan(found[1])
    assert found[2] == pytest.approx(0.51 - (0.51 - 0.005 * 10 / 15))
    assert evidence_of(worlds(more=more), one(against="ladder pass_mix", min_worlds=3)).undecidable == (
        "ladder pass_mix has that pass@8 in 2 of 3 worlds"
    )


def test_matched_at_another_measure_reads_the_controls_way_in_that_one():
    def way(*ends):
        return {"checkpoints": {str(at): dict(zip(("right@1", "best@30"), end)) for at, end in enumerate(ends)}}

    contents = {}
    for world in range(2):
        contents["priced/diverse", "darling", world] = way((0.6, 0.35), (0.8, 0.27))
        contents["priced/diverse", "dr_grpo", world] = way((0.6, 0.35), (0.7, 0.31), (0.9, 0.15))
    registered = one("right@1", against="matched", at="best@30")
    assert "at equal best@30" in registered.claim.endpoint
    # the control's second line has best@30 .27 a quarter of its way down, at right@1 .75
    assert evidence_of(grid_of(contents), registered).differences == pytest.approx([0.05, 0.05])
    contents["priced/diverse", "darling", 1] = way((0.6, 0.35), (0.8, 0.36))
    few = evidence_of(grid_of(contents), replace(registered, claim=replace(registered.claim, min_worlds=2)))
    assert few.undecidable == "the control has that best@30 on its way in 1 of 2 worlds"


def test_matched_in_too_few_worlds_is_not_decidable_once_the_run_has_ended():
    registered = one(against="matched", min_worlds=3)
    evidence = evidence_of(worlds(), registered)
    assert evidence.undecidable == "the control has that pass@8 on its way in 2 of 3 worlds"
    assert judge([registered.claim], {"c": evidence})[0].verdict == "not decidable here"
    enough = evidence_of(worlds(), one(against="matched"))
    assert not enough.undecidable and math.isnan(enough.differences[1])
    # a fourth world to come might be matched
    more = {("priced/diverse", "darling", 3): None, ("priced/diverse", "dr_grpo", 3): None}
    early = evidence_of(worlds(more=more), registered)
    assert not early.undecidable
    assert early.unfinished == "the grid goes on, 2 of its cells have not been run"
    assert early.missing == {3: "not run"}
    # with fewer worlds than asked for it is too early, whatever was matched
    assert not evidence_of(worlds(2), registered).undecidable


def test_registered_and_found_reasons_make_a_claim_undecidable():
    assert evidence_of(worlds(), one(undecidable="no World has it")).undecidable == "no World has it"
    assert evidence_of(worlds(), one(), undecidable={"c": "no room"}).undecidable == "no room"
    assert evidence_of(worlds(), one(arm="lexical")) is None


def test_settings_are_other_rates_and_shorter_runs():
    def run(*ends):
        return {"checkpoints": {str(at): dict(zip(("pass@1", "pass@8"), end)) for at, end in ends}}

    contents = {}
    for world, extra in enumerate((0.0, 0.002)):
        for arm, short, end in (("darling", 0.51, 0.52), ("dr_grpo", 0.50, 0.55)):
            lost = extra if arm == "darling" else 0.0
            contents["priced/diverse", arm, world] = run(
                (0, START), (40, (short - lost, 0.74)), (200, (end - lost, 0.74))
            )
            for rate, value in (("0.3", 0.515), ("1", 0.53)):
                at = value - 0.02 * (arm == "darling") - lost
                contents[f"priced/diverse/rate={rate}", arm, world] = run((0, START), (200, (at, 0.74)))
    grid = grid_of(contents)
    evidence = evidence_of(grid, one())
    assert {name: row.value for name, row in evidence.settings.items()} == pytest.approx(
        {"rate 0.3": -0.021, "rate 1": -0.021, "40 steps": 0.009}
    )
    assert evidence.differences == pytest.approx([-0.03, -0.032])
    (verdict,) = judge([one().claim], {"c": evidence})
    assert (verdict.verdict, set(verdict.settings)) == ("supported", {"rate 0.3", "rate 1", "40 steps"})
    every = {"rate 0.3", "rate 1", "40 steps"}
    from_start = evidence_of(grid, one(against="start")).settings
    assert from_start["40 steps"].value == pytest.approx(0.51 - 0.001 - START[0]) and set(from_start) == every
    assert evidence_of(grid, one(against="dr_grpo")).settings == evidence.settings  # an arm by its name
    assert set(evidence_of(grid, one(against="zero")).settings) == every
    # the whole way of the control is searched for as much pass@8, so there is no shorter one
    assert set(evidence_of(grid, one(against="matched")).settings) == {"rate 0.3", "rate 1"}
    assert set(evidence_of(grid, one("largest waste", against="zero")).settings) == {"rate 0.3", "rate 1"}
    for world in (0, 1):  # the shorter run now has the other sign beyond doubt
        contents["priced/diverse", "darling", world]["checkpoints"]["40"]["pass@1"] = 0.52 + 0.001 * world
    (verdict,) = judge([one().claim], {"c": evidence_of(grid_of(contents), one())})
    assert verdict.reason == "the sign flips with the setting: 40 steps"


def test_a_contrast_asks_for_worlds_by_policy():
    assert contrast("a", "", "", "priced/diverse", "darling", "pass@1", "at most", 0.01).claim.min_worlds == 20
    language = ("a", "", "", "priced/diverse", "darling", "pass@1_population", "decrease", 0.01)
    assert contrast(*language, policy="language model").claim.min_worlds == 8
    assert contrast(*language, policy="language model", against="matched").claim.min_worlds == 7
    claim = one(against="ladder pass_mix").claim
    assert claim.endpoint == "pass@1 of darling minus ladder pass_mix, priced/diverse, tabular policy"


def test_settings_are_in_order_with_the_steps_last():
    def run(*ends):
        return {"checkpoints": {str(at): dict(zip(("pass@1", "pass@8"), end)) for at, end in ends}}

    contents = {}
    for world in (0, 1):
        for arm, end in (("darling", 0.52), ("dr_grpo", 0.55)):
            value = (end + 0.001 * world * (arm == "darling"), 0.74)
            contents["priced/diverse", arm, world] = run((0, START), (40, value), (80, value), (200, value))
            for rate in ("8", "1", "0.5"):  # a set of these lists 8 first
                contents[f"priced/diverse/rate={rate}", arm, world] = run((0, START), (200, value))
    found = evidence_of(grid_of(contents), one()).settings
    assert list(found) == ["rate 0.5", "rate 1", "rate 8", "40 steps", "80 steps"]
    assert [row.value for row in found.values()] == pytest.approx([-0.0295] * 5)
    short = {key: run((0, START), (40, (0.5, 0.7)), (80, (0.5 + 0.01 * key[-1], 0.7))) for key in contents}
    found = evidence_of(grid_of(short), one()).settings
    assert list(found) == ["rate 0.5", "rate 1", "rate 8", "40 steps"], "the end is no other length"
    alone = {key: result for key, result in contents.items() if key[-1] == 0}
    assert evidence_of(grid_of(alone), one()).settings == {}, "one world has no interval"


def test_cells_that_were_not_run_are_missing_on_both_sides():
    grid = grid_of({("priced/diverse", "darling", 0): None, ("priced/diverse", "dr_grpo", 1): None})
    found = evidence_of(grid, one())
    assert (found.differences, found.worlds, found.settings) == ([], [], {})
    assert found.missing == {0: "not run", 1: "not run"}
    assert found.unfinished == "the grid goes on, 2 of its cells have not been run"


def test_a_relative_contrast_is_over_what_it_is_read_against():
    registered = one("pass@8", relative=True)
    assert registered.claim.endpoint == "pass@8 of darling over control, minus 1, priced/diverse, tabular policy"
    assert evidence_of(worlds(), registered).differences == pytest.approx(
        [0.745 / 0.70 - 1, 0.752 / 0.68 - 1, 0.75 / 0.72 - 1]
    )
    start = one("pass@1", against="start", relative=True)
    assert evidence_of(worlds(), start).differences == pytest.approx([0.04, 0.0, 0.02])


def test_a_ladder_at_an_equal_measure_is_read_where_it_has_as_much():
    rungs = {0.9: (0.54, 0.72), 0.7: (0.53, 0.73), 0.5: (0.515, 0.748), 0.3: (0.51, 0.749), 0.1: (0.505, 0.7505)}
    more = {("priced/diverse", "pass_mix", s, w): measured(START, end) for s, end in rungs.items() for w in range(3)}
    registered = one("pass@1", against="ladder pass_mix", at="pass@8", min_worlds=3)
    assert "minus ladder pass_mix, at equal pass@8, priced" in registered.claim.endpoint
    found = differences_of(worlds(more=more), registered)
    assert found[0] == pytest.approx(0.52 - (0.53 - 0.015 * 15 / 18)) and math.isnan(found[1])
    assert evidence_of(worlds(more=more), registered).undecidable == "ladder pass_mix has that pass@8 in 2 of 3 worlds"


def test_what_is_registered_unless_told():
    registered = one()
    assert (registered.against, registered.undecidable, registered.relative, registered.at) == (
        "control",
        "",
        False,
        "",
    )
    assert registered.needs == {} and one(needs={"breadth": 0.5}).needs == {"breadth": 0.5}
    assert registered.claim.stopping_rule == "all cells of the tabular grid, 24 worlds, no interim look"
    assert one(stop="after a day").claim.stopping_rule == "after a day"
    bare = Contrast(registered.claim, "tabular", PRICED, "darling", "pass@1")
    assert (bare.relative, bare.needs, bare.against) == (False, {}, "control")
    assert (
        contrast("a", "", "", "priced/diverse", "darling", "pass@1", "increase", 0.1, min_worlds=3).claim.min_worlds
        == 3
    )


def test_worlds_in_which_a_language_model_broke_are_named_with_the_mean_of_the_others():
    def series(ends, lost):
        names = ("pass@1_population", "pass@8_population", "give_up_loss", "execution_loss")
        rows = {w: dict(zip(names, (*end, gone, 0.0))) for w, (end, gone) in enumerate(zip(ends, lost))}
        return Series({w: {"checkpoints": {"0": row, "200": row}} for w, row in rows.items()}, {})

    arm, control = [(0.52, 0.7), (0.50, 0.7), (0.51, 0.7)], [(0.55, 0.7)] * 3

    def caveat(lost_arm, lost_control):
        language = {(PRICED, "darling"): series(arm, lost_arm), (PRICED, "dr_grpo"): series(control, lost_control)}
        grid = replace(worlds(), tabular={}, language=language)
        return evidence_of(grid, one("pass@1_population", policy="language model")).caveat

    assert caveat([0.0] * 3, [0.0] * 3) == ""
    assert caveat([0.9, 0.0, 0.0], [0.0] * 3) == (
        "in 1 of 3 worlds a policy broke and its plan says little; the others' mean is -0.045"
    )
    assert caveat([0.9, 0.0, 0.0], [0.0, 0.9, 0.9]) == (
        "in 3 of 3 worlds a policy broke and its plan says little; none is left"
    )


def test_a_setting_without_the_measure_is_left_out():
    def run(short, end):
        return {"checkpoints": {"0": {"breadth": 0.5}, "40": short, "200": {"breadth": end}}}

    contents = {}
    for world in range(2):
        contents["priced/diverse", "darling", world] = run({}, 0.6 + 0.01 * world)
        contents["priced/diverse", "dr_grpo", world] = run({"breadth": 0.4}, 0.5)
    found = evidence_of(grid_of(contents), one("breadth"))
    assert found.settings == {} and found.differences == pytest.approx([0.1, 0.11])


def test_a_control_has_nothing_to_be_compared_with():
    assert evidence_of(worlds(), one(arm="dr_grpo")) is None
    assert evidence_of(worlds(), one(arm="dr_grpo", against="zero")).differences == pytest.approx([0.55, 0.56, 0.53])


def test_a_broken_policy_is_named_where_it_is_compared_with_nothing():
    row = {"pass@1_population": 0.5, "give_up_loss": 0.2, "execution_loss": 0.0}
    series = Series({world: {"checkpoints": {"0": row}} for world in range(2)}, {})
    grid = replace(worlds(), tabular={}, language={(PRICED, "darling"): series})
    found = evidence_of(grid, one("pass@1_population", policy="language model", against="zero"))
    assert found.caveat.startswith("in 2 of 2 worlds a policy broke")
