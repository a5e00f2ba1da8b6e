"""Multiagent fine-tuning: its claims and arms, starts and measures, a smoke run and its page, a row computed again."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from berrypick.experiments.grid.debate_cells import (
    READINGS,
    TEAM_MEASURES,
    debate_procedure,
    starting_decisions,
    starting_team,
)
from berrypick.experiments.grid.debate_rollouts import LANGUAGE_MEASURES
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.grid.table_cells import TableCell
from berrypick.experiments.multiagent_finetuning import (
    CONTRASTS,
    COPIES,
    EXPERIMENT,
    LANGUAGE,
    MISLED,
    RULES,
    TUNES,
)
from berrypick.experiments.registry import open_experiment
from berrypick.policies.tabular.training import TableConfig
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.published_system import (
    check_claims_came_first,
    check_committed_page,
    check_page_and_way_back,
    check_row_is_reproduced,
    check_smoke,
)

SHAPE = (1, 2, 8, 4, 3)


# Claims and cells


def test_claims_read_measures_and_arms_that_exist():
    ids = [one.claim.id for one in CONTRASTS]
    assert len(set(ids)) == len(ids) == 43
    for one in CONTRASTS:
        if one.policy == "tabular":
            assert one.arm in EXPERIMENT.arms_of[one.condition] and one.measure in TEAM_MEASURES
            assert one.against in ("start", "zero", "control", *EXPERIMENT.arms_of[one.condition])
        else:
            assert one.condition.name == LANGUAGE and one.measure in LANGUAGE_MEASURES
            assert {one.arm, one.against} - {"start", "zero"} <= set(EXPERIMENT.language.arms)
    # T11 and its control: own data against a single agent, the union, a common share and a random split
    compared = {(one.condition.name, one.against, one.measure) for one in CONTRASTS if one.arm == "own"}
    for other, measure in product(("union", "third", "random"), ("difference@round3", "system")):
        assert (TUNES, other, measure) in compared
    assert {(TUNES, "single", "across@round3"), (TUNES, "single", "system")} <= compared


def test_all_arms_play_and_learn_alike_in_worlds_of_their_own():
    cells = [cell for cell in EXPERIMENT.cells("full", 24) if cell.key.startswith("tabular/")]
    tables = [TableCell.from_config(cell.config).table for cell in cells]
    assert {(one.questions_per_step, one.steps, one.sft_steps) for one in tables} == {(512, 5, 12)}
    assert all(one.questions_per_step * one.steps <= 4096 for one in tables)  # no question is played twice
    worlds = {cell.config["world"] for cell in cells}
    assert worlds == set(range(1800, 1824))
    pilot = {cell.config["world"] for cell in EXPERIMENT.cells("full", 24) if cell.key.startswith("pilot/")}
    assert pilot == {1890, 1891, 1892, 1893}
    for name in ("preference_tuning", "squeeze"):
        others = open_experiment(name).cells("full", 24)
        assert not worlds & {cell.config["world"] for cell in others if cell.key.startswith("tabular/")}
    language = [cell for cell in EXPERIMENT.cells("full", 24) if cell.key.startswith("language/")]
    assert {cell.config["world_seed"] for cell in language} == set(range(1800, 1808)) and len(language) == 24


def test_controls_change_one_thing():
    own = RULES["own"]
    changed = {
        name: [field for field in own.__slots__ if getattr(rule, field) != getattr(own, field)]
        for name, rule in RULES.items()
    }
    assert all(changed[name] == ["split"] for name in ("union", "third", "random"))
    assert all(changed[name] == ["label"] for name in ("truth", "agreed", "independent", "alone"))
    assert changed["looking"] == ["copies"] and changed["copying"] == ["looks"] and changed["own"] == []
    assert changed["single"] == changed["single_truth"] == ["label", "split", "single"]


def test_claims_were_committed_before_any_result():
    check_claims_came_first("multiagent_finetuning")


# Starts


def test_copies_are_equal_fine_tunes_are_not_and_the_misled_read_the_first_kind_wrong():
    copies, tunes = starting_team(SHAPE, "agents-0", 3), starting_team(SHAPE, "agents-0.7", 3)
    assert all(np.array_equal(one.reading, copies.generators[0].reading) for one in copies.generators)
    assert np.exp(copies.generators[0].reading) == pytest.approx(np.array(READINGS["agents"]))
    searches = [one.search for one in tunes.generators]
    assert not np.array_equal(searches[0], searches[1])
    assert np.std(searches) == pytest.approx(0.7, abs=0.05)
    assert all(critic.reader is one for critic, one in zip(tunes.critics, tunes.generators))
    again = starting_team(SHAPE, "agents-0.7", 3)
    assert np.array_equal(again.critics[2].decide, tunes.critics[2].decide)
    misled = np.exp(starting_team(SHAPE, "misled-0", 3).generators[0].reading)
    assert misled[0].argmax() == 1 and misled[1].argmax() == misled[2].argmax() == 0
    assert np.ptp(starting_team(SHAPE, "even-0", 3).critics[0].decide) == 0 < np.ptp(copies.critics[0].decide)


def test_the_base_sides_with_the_majority():
    chances = starting_decisions(3)
    assert chances.shape == (18, 3) and chances.sum(1) == pytest.approx(1)

    def at(has, support, rival):
        return tuple(chances[(has * 3 + support) * 3 + rival])

    assert at(1, 1, 1) == (0.8, 0.1, 0.1)  # two against one
    assert at(1, 0, 2) == at(0, 0, 1) == (0.2, 0.5, 0.3)  # outvoted, or without an answer of its own
    assert at(1, 0, 1) == (0.5, 0.2, 0.3)
    assert at(0, 0, 0) == (0.1, 0.1, 0.8)


@pytest.mark.parametrize("start", ["agents", "agents-x", "agents--1", "agents-nan", "others-1", "diverse"])
def test_another_start_gets_one_line_with_the_cure(start):
    with pytest.raises(BerrypickError, match=r"give one of agents, even, misled and a spread, such as agents-0\.5"):
        starting_team(SHAPE, start, 0)


def test_more_rounds_than_questions_get_one_line():
    table = TableConfig(40, 1, sft_steps=1, steps=2, checkpoints=(0, 2))
    cell = TableCell(COPIES, "own", 0.0, 0, 1000, 64, False, table)
    with pytest.raises(BerrypickError, match="2 rounds of 40 questions need more than 64"):
        debate_procedure(RULES)(cell)


# Cells


def values(place, arm, rounds=2, rate=1.0, size=64):
    table = TableConfig(size, 1, learning_rate=rate, sft_steps=4, steps=rounds, checkpoints=tuple(range(rounds + 1)))
    cell = TableCell(place, arm, 0.0, 7, 1007, 256, False, table)
    return debate_procedure(RULES)(cell)["checkpoints"]


def test_copies_begin_alike_whatever_the_arm_and_union_keeps_them_so():
    found = values(COPIES, "union")
    for step in found.values():
        assert step["difference"] == step["reading_difference"] == 0
        assert step["across"] == pytest.approx(step["within"])
    own = values(COPIES, "own")
    assert own["0"]["pass@1"] == found["0"]["pass@1"] and own["0"]["difference"] == 0 < own["1"]["difference"]
    # own data and a random split of copies are the same episodes in the first round, dealt out otherwise
    assert own["1"]["labels_accuracy"] == values(COPIES, "random")["1"]["labels_accuracy"]


def test_measures_by_round_and_gains_since_the_first_are_read_from_the_checkpoints():
    found = values(TUNES, "own", rounds=3)
    last = found["3"]
    assert set(last) == set(TEAM_MEASURES)
    for number in (1, 2, 3):
        assert last[f"pass@1@round{number}"] == found[str(number)]["pass@1"]
    assert last["system@round5"] == last["system"] == last["vote_last"]
    assert last["system_later"] == pytest.approx(last["system"] - found["1"]["system"], abs=1e-6)
    assert found["1"]["system_later"] == found["0"]["system_later"] == 0
    assert last["debate_gain"] == pytest.approx(last["vote_last"] - last["vote_first"], abs=1e-6)
    alone = values(TUNES, "single")["2"]
    assert alone["system"] == alone["vote_first"] and alone["difference"] == 0


def test_votes_of_the_misled_agree_on_wrong_answers_and_the_truth_does_not():
    vote, truth = (values(MISLED, arm)["2"] for arm in ("own", "truth"))
    assert vote["labels_accuracy"] < truth["labels_accuracy"] == truth["labels"] == 1


# A run, its page, and its rows


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("multiagent_finetuning")
    return out, run_experiment(EXPERIMENT, out, scale="smoke", num_seeds=2)


def test_the_smoke_run_has_every_arm_a_figure_and_a_verdict_for_every_claim(smoke):
    check_smoke(EXPERIMENT, smoke, cells=2 * len(RULES))
    assert list(smoke[1]["conditions"]) == [TUNES]


def test_a_published_run_gives_its_page_and_can_be_given_back(smoke, tmp_path):
    headings = ("Claims and verdicts", "How unlike", "How right", "Votes by round", "Critics", "Limits", "Reproduce")
    check_page_and_way_back(EXPERIMENT, smoke, tmp_path, headings)


def test_the_page_is_regenerated_from_the_committed_report():
    report = check_committed_page(EXPERIMENT, most_bytes=3_000_000)
    assert set(report["conditions"]) == {where.name for where in EXPERIMENT.conditions}


@pytest.mark.slow
def test_the_printed_command_reproduces_its_row(tmp_path):
    check_row_is_reproduced(EXPERIMENT, tmp_path)
