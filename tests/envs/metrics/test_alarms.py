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
