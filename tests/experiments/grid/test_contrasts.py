"""From contrasts to differences: what each is read against, in which settings, and when it is undecidable."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from berrypick.experiments.grid import Condition, contrast, judge
from berrypick.experiments.grid.comparison import compare_arm, largest_waste
from berrypick.experiments.grid.contrasts import differences_of, gather_evidence
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
    assert evidence_of(grid, one(against="start")).settings == {}
    from_start = evidence_of(grid, one(against="start", ranged=True)).settings
    assert {name: row.value for name, row in from_start.items()} == pytest.approx(
        {"rate 0.3": 0.494 - START[0], "rate 1": 0.509 - START[0], "40 steps": 0.509 - START[0]}
    )
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
