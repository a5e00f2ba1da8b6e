"""The alarms: raised by planted collapses in real rollouts, silent on healthy runs, and by hand at their limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from berrypick.envs.metrics.alarms import ALARMS, Alarm, collapse_alarms
from berrypick.envs.tasks.registry import Task, make_task
from berrypick.policies.scripted import scripted_policy
from berrypick.retrieval_index.errors import SearchUnavailableError
from fixtures.step_series import Spoiled, played_rows, tabular_rows, train_world

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
HEALTHY_SEEDS = 50


def names(alarms: Sequence[Alarm]) -> list[str]:
    return [alarm.name for alarm in alarms]


def series(**columns: Sequence[float]) -> list[Mapping[str, float]]:
    """Rows of columns, whose names have "." for "/"."""
    keys = {name: name.replace("__", "/") for name in columns}
    return [
        {"step": step, **{keys[name]: values[step - 1] for name, values in columns.items()}}
        for step in range(1, len(next(iter(columns.values()))) + 1)
    ]


@pytest.fixture(scope="module")
def world() -> Task:
    return make_task("berrypick/World-v0", num_train=8, num_validation=0, num_test=4, index="bm25s")


# Planted collapses in real rollouts


def test_a_policy_that_is_made_to_narrow() -> None:
    """Ten times the step: GRPO soon always tries the kinds in one order."""
    rows = tabular_rows(train_world(3), 0, objective="grpo", learning_rate=10.0)
    alarms = {alarm.name: alarm for alarm in collapse_alarms(rows)}
    assert "narrowing" in alarms and alarms["narrowing"].lasts
    assert re.match(r"entropy fell from 0\.\d+ to 0\.\d+ and the number of different", alarms["narrowing"].saw)


def test_updates_that_leave_the_sampler() -> None:
    rows = tabular_rows(train_world(3), 0, objective="grpo", learning_rate=100.0, epochs=4, steps=20)
    assert "importance ratios drift" in names(collapse_alarms(rows))


LOOP = "<search> ledger of ledger of ledger of ledger of ledger of </search>"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (LOOP, "repeated text"),
        ("I do not know what to do.", "invalid actions"),
        ("<answer> unknown </answer>", "stopped searching"),
    ],
)
def test_a_policy_that_spoils_its_turns_from_step_11_on(world: Task, text: str, name: str) -> None:
    base = scripted_policy("random_order")
    policies = [base] * 10 + [Spoiled(base, min(1.0, 0.2 * step), text) for step in range(1, 11)]
    (alarm,) = [alarm for alarm in collapse_alarms(played_rows(world, policies)) if alarm.name == name]
    assert 11 <= alarm.step <= 18 and alarm.lasts and alarm.helps
    assert collapse_alarms(played_rows(world, policies[:10])) == []


class Flaky:
    """A searcher that is unavailable on every second call."""

    def __init__(self, searcher) -> None:
        self.searcher, self.index_id, self.calls = searcher, searcher.index_id, 0

    def search(self, queries, k):
        self.calls += 1
        if self.calls % 2:
            raise SearchUnavailableError("gone")
        return self.searcher.search(queries, k)

    def close(self) -> None:
        pass


def test_a_search_server_that_fails(world: Task) -> None:
    policies = [scripted_policy("question")] * 20
    flaky = Flaky(world.searcher)
    # "question" searches once, so every second step loses its episodes
    rows = played_rows(world, policies, searchers=[world.searcher] * 10 + [flaky] * 10)
    alarms = collapse_alarms(rows)
    assert "retrieval errors" in names(alarms)
    assert all(alarm.step > 10 for alarm in alarms)


# Healthy runs


@pytest.mark.slow
def test_no_false_alarm_in_healthy_runs_of_fifty_seeds() -> None:
    alarms = {}
    for seed in range(HEALTHY_SEEDS):
        objective = ("grpo", "darling")[seed % 2]
        rows = tabular_rows(train_world(seed), seed, objective=objective, learning_rate=1.0, steps=40)
        if found := collapse_alarms(rows):
            alarms[seed] = names(found)
    assert alarms == {}
    said = re.search(r"(\d+) false alarms in (\d+) healthy runs", PAGE)
    assert said and (int(said[1]), int(said[2])) == (len(alarms), HEALTHY_SEEDS)


def test_a_stationary_policy_raises_nothing(world: Task) -> None:
    for seed in range(5):
        rows = played_rows(world, [scripted_policy("random_order")] * 14, seed=seed)
        assert collapse_alarms(rows) == []


# By hand


def test_the_step_is_the_first_of_the_stretch() -> None:
    # window 1: the start is row 1, judged from row 2 on; 0.55 and 0.5 are below 0.6 of the start, 0.65 is not
    entropy, breadth = [1, 0.65, 0.55, 0.5, 0.5], [1, 0.5, 0.5, 0.5, 0.5]
    rows = series(rl__token_entropy_nats=entropy, search__breadth=breadth)
    (alarm,) = collapse_alarms(rows, window=1, patience=2)
    assert (alarm.step, alarm.until, alarm.lasts) == (3, 5, True)
    assert alarm.saw == "entropy fell from 1 to 0.5 and breadth fell from 1 to 0.5"
    assert alarm.text.startswith("narrowing, since step 3: entropy fell")
    assert collapse_alarms(rows, window=1, patience=4) == []


def test_an_alarm_that_ended_says_so() -> None:
    rows = series(search__failed=[0, 0, 0.5, 0.5, 0, 0])
    (alarm,) = collapse_alarms(rows, window=1, patience=2)
    assert alarm.text.startswith("retrieval errors, from step 3 to 4: the search failed in 50%")


def test_the_first_stretch_counts_unless_a_later_one_lasts_to_the_end() -> None:
    ended = series(search__failed=[0, 0.5, 0.5, 0, 0.5, 0.5, 0.5, 0])
    (alarm,) = collapse_alarms(ended, window=1, patience=2)
    assert (alarm.step, alarm.until, alarm.lasts) == (2, 3, False)
    (alarm,) = collapse_alarms(ended[:-1], window=1, patience=2)
    assert (alarm.step, alarm.until, alarm.lasts) == (5, 7, True)
    (alarm,) = collapse_alarms(ended[:-1], window=1, patience=3)
    assert (alarm.step, alarm.until, alarm.lasts) == (5, 7, True)


def test_a_sign_counts_from_three_rows_on_after_twice_the_window_of_five() -> None:
    fails = [0.0] * 9 + [1.0]
    assert collapse_alarms(series(search__failed=fails + [1.0])) == []
    (alarm,) = collapse_alarms(series(search__failed=fails + [1.0] * 2))
    assert (alarm.step, alarm.until) == (10, 12)
    assert alarm.saw == "the search failed in 60% of the cases, at the start in 0%", "the mean of the last five rows"


def test_a_search_that_fails_from_the_start_on_is_an_alarm() -> None:
    assert names(collapse_alarms(series(search__failed=[0.5] * 12))) == ["retrieval errors"]


def test_entropy_or_breadth_alone_is_no_narrowing() -> None:
    fall, level = [1.0] * 5 + [0.1] * 15, [1.0] * 20
    assert collapse_alarms(series(rl__token_entropy_nats=fall, search__breadth=level)) == []
    assert collapse_alarms(series(rl__token_entropy_nats=level, search__breadth=fall)) == []
    assert names(collapse_alarms(series(rl__token_entropy_nats=fall, search__breadth=fall))) == ["narrowing"]


def test_a_fall_within_the_noise_of_the_start_is_none() -> None:
    noisy = [1.9, 0.1, 1.9, 0.1, 1.0] + [0.55] * 15
    assert collapse_alarms(series(rl__token_entropy_nats=noisy, search__breadth=noisy)) == []


def test_invalid_turns_that_were_many_from_the_start_raise_nothing() -> None:
    assert collapse_alarms(series(env__ratio_of_valid_action=[0.3] * 20)) == []
    assert names(collapse_alarms(series(env__ratio_of_valid_action=[0.9] * 8 + [0.5] * 12))) == ["invalid actions"]


def test_silent_groups_and_drift_have_absolute_limits() -> None:
    assert collapse_alarms(series(rl__zero_variance_share=[0.89] * 20)) == []
    (alarm,) = collapse_alarms(series(rl__zero_variance_share=[0.95] * 20, **{"pass@1": [0.0] * 20}))
    assert alarm.saw == "95% of the groups have no advantage and teach nothing; pass@1 is 0" and alarm.step == 10
    assert names(collapse_alarms(series(rl__kl_to_sampler_nats=[0.2] * 20))) == ["importance ratios drift"]


def test_too_few_rows_and_missing_keys_raise_nothing() -> None:
    assert collapse_alarms([]) == []
    assert collapse_alarms(series(search__failed=[1.0] * 9)) == []
    rows = series(search__failed=[1.0] * 20)
    assert collapse_alarms([*rows[:-1], {"step": 20}]) == []


def test_the_page_lists_every_alarm() -> None:
    section = PAGE.split("## Collapse alarms")[1].split("\n## ")[0]
    assert [name for name in re.findall(r"^\| ([a-z ]+) \|", section, re.MULTILINE) if name != "alarm"] == list(ALARMS)


LIMITS = [
    ("rl__zero_variance_share", 0.0, 0.9, 0.89, "no gradient"),
    ("rl__kl_to_sampler_nats", 0.0, 0.1, 0.09, "importance ratios drift"),
    ("env__ratio_of_valid_action", 1.0, 0.75, 0.85, "invalid actions"),
    ("env__ratio_of_valid_action", 0.875, 0.625, 0.75, "invalid actions"),
    ("env__degenerate_text", 0.0, 0.1, 0.09, "repeated text"),
    ("env__degenerate_text", 0.5, 0.625, 0.5625, "repeated text"),
    ("env__number_of_valid_search", 0.5, 0.125, 0.15625, "stopped searching"),
    ("search__failed", 0.0, 0.05, 0.04, "retrieval errors"),
]


@pytest.mark.parametrize(("key", "start", "at", "short_of", "name"), LIMITS)
def test_the_limit_of_each_sign(key: str, start: float, at: float, short_of: float, name: str) -> None:
    assert names(collapse_alarms(series(**{key: [start, at]}), window=1, patience=1)) == [name]
    assert collapse_alarms(series(**{key: [start, short_of]}), window=1, patience=1) == []


def test_clipped_ratios_are_drift_without_a_divergence() -> None:
    def found(clipped: float) -> list[Alarm]:
        columns = {"rl__kl_to_sampler_nats": [0.0, 0.0], "rl__clip_fraction": [0.0, clipped]}
        return collapse_alarms(series(**columns), window=1, patience=1)

    (alarm,) = found(0.3)
    assert alarm.saw.startswith("the updated policy is 0 nats per token") and "and 30% of the" in alarm.saw
    assert found(0.29) == []
    (alarm,) = collapse_alarms(series(rl__kl_to_sampler_nats=[0.0, 0.25]), window=1, patience=1)
    assert "0.25 nats per token" in alarm.saw and "0% of the" in alarm.saw


def test_a_share_that_was_high_from_the_start_on_did_not_rise() -> None:
    assert collapse_alarms(series(env__degenerate_text=[0.5] * 12)) == []


def test_a_policy_that_hardly_searched_did_not_stop() -> None:
    assert collapse_alarms(series(env__number_of_valid_search=[0.49, 0.0]), window=1, patience=1) == []
    (alarm,) = collapse_alarms(series(env__number_of_valid_search=[1.25, 0.25]), window=1, patience=1)
    assert alarm.saw == "searches per episode fell from 1.25 to 0.25"


def test_a_fall_is_below_its_share_of_the_start() -> None:
    halves = series(rl__token_entropy_nats=[1.0, 0.6], search__breadth=[1.0, 0.5])
    assert collapse_alarms(halves, window=1, patience=1) == []  # .6 is not below .6


def test_noise_is_three_deviations_of_a_mean_of_the_first_rows() -> None:
    # deviation .2828 of 1.2 and .8; three of them times sqrt(2 / 2): a fall must go below 1 - .8485 = .1515
    for level, expected in ((0.16, []), (0.14, ["narrowing"])):
        columns = [1.2, 0.8, level, level]
        rows = series(rl__token_entropy_nats=columns, search__breadth=columns)
        assert names(collapse_alarms(rows, window=2, patience=1)) == expected
    # deviation .0707 of 0 and .1 and the start .05: a rise must reach .05 + .2121
    for level, expected in ((0.26, []), (0.27, ["repeated text"])):
        assert names(collapse_alarms(series(env__degenerate_text=[0, 0.1, level, level]), window=2, patience=1)) == (
            expected
        )


def test_alarms_come_in_the_order_in_which_they_began() -> None:
    fall = [1.0, 1.0, 1.0, 0.1]
    rows = series(rl__token_entropy_nats=fall, search__breadth=fall, search__failed=[0.0, 0.5, 0.5, 0.5])
    assert names(collapse_alarms(rows, window=1, patience=1)) == ["retrieval errors", "narrowing"]


def test_narrowing_names_the_breadth_that_fell() -> None:
    fall, level = [1.0, 0.25], [1.0, 1.0]
    rows = series(path_entropy=fall, search__breadth=level, search__unique_query_ratio=fall)
    (alarm,) = collapse_alarms(rows, window=1, patience=1)
    assert alarm.saw == "entropy fell from 1 to 0.25 and the share of distinct queries fell from 1 to 0.25"


def test_narrowing_begins_where_both_have_fallen() -> None:
    rows = series(rl__token_entropy_nats=[1.0, 0.5, 0.5, 0.5], search__breadth=[1.0, 1.0, 1.0, 0.5])
    (alarm,) = collapse_alarms(rows, window=1, patience=1)
    assert (alarm.step, alarm.until) == (4, 4)


def test_a_fall_to_the_end_of_the_noise_is_none() -> None:
    # deviation .5 of eight rows around 1, and a mean of eight rows strays by sqrt(2 / 8) of it: 1 - 3 x .25 = .25
    head = [1 + offset / 4 for offset in (3, -3, 2, -2, 1, -1, 0, 0)]
    for level, expected in ((0.25, []), (0.125, ["narrowing"])):
        columns = [*head, *[level] * 8]
        rows = series(rl__token_entropy_nats=columns, search__breadth=columns)
        assert names(collapse_alarms(rows, window=8, patience=1)) == expected
