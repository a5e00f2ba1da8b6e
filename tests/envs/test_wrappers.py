"""Wrappers in Gymnasium's style."""

from __future__ import annotations

import berrypick  # noqa: F401
import gymnasium as gym
import pytest
from berrypick.envs.record import read_records
from berrypick.envs.wrappers import CorpusControl, LimitEpisode, RecordEpisodes, ReplaceReward
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from gymnasium.wrappers import TimeLimit

SMALL = {"num_train": 12, "num_validation": 3, "num_test": 5}


def make(**arguments):
    return gym.make("berrypick/World-v0", **(SMALL | arguments))


def test_ended_episodes_are_recorded_in_groups(tmp_path):
    env = RecordEpisodes(make(), tmp_path / "run" / "rollouts.jsonl", policy_id="me")
    for seed in (3, 3, 4):
        env.reset(seed=seed)
        env.step("hm")
        env.step("<answer> x </answer>")
    env.reset(seed=5)
    records = read_records(tmp_path / "run" / "rollouts.jsonl")
    assert [record.sample_index for record in records] == [0, 1, 0]
    assert records[0].group_id == records[1].group_id != records[2].group_id
    assert (records[0].policy_id, records[0].env_id, records[0].seed) == ("me", "berrypick/World-v0", 3)
    assert records[0].index_id == env.unwrapped.task.searcher.index_id


def test_a_recorder_of_a_file_that_is_there_counts_on(tmp_path):
    for _ in range(2):
        env = RecordEpisodes(make(), tmp_path / "rollouts.jsonl")
        env.reset(seed=3)
        env.step("<answer> x </answer>")
    assert [record.sample_index for record in read_records(tmp_path / "rollouts.jsonl")] == [0, 1]


def test_the_reward_is_replaced_at_the_end_and_the_record_keeps_what_was_paid(tmp_path):
    env = RecordEpisodes(ReplaceReward(make(), "format - 0.25*queries"), tmp_path / "r.jsonl")
    _, info = env.reset(seed=0)
    assert env.step("<search> ledger </search>")[1] == 0
    _, reward, *_, info = env.step("<answer> x </answer>")
    assert reward == 0.75 and info["replaced_reward"] == 0
    assert read_records(tmp_path / "r.jsonl")[0].reward == 0.75
    with pytest.raises(UnknownNameError):
        ReplaceReward(make(), "emm")


def test_limits_only_tighten():
    env = LimitEpisode(make(), max_turns=2, search_budget=99, max_observation_chars=120)
    spec = env.unwrapped.task.spec
    assert (spec.max_turns, spec.search_budget, spec.max_observation_chars) == (2, 3, 120)
    env.reset(seed=0)
    assert not env.step("hm")[3] and env.step("hm")[3]
    with pytest.raises(BerrypickError, match="max_turns"):
        LimitEpisode(make(), max_turns=0)


def test_controls_take_the_place_of_the_searcher():
    query = "<search> ledger charter </search>"
    empty = CorpusControl(make(), "empty")
    empty.reset(seed=0)
    assert "no passage found" in empty.step(query)[0]
    random = CorpusControl(make(top_k=2), "random")
    random.reset(seed=0)
    one, two = (random.step(query)[4]["retrieved_ids"] for _ in range(2))
    assert one == two and len(one[0]) == 2
    with pytest.raises(UnknownNameError, match="did you mean oracle"):
        CorpusControl(make(), "oracl")
    random.close()


def test_the_oracle_brings_the_evidence_hop_after_hop_whatever_is_asked():
    env = CorpusControl(make(availability="1,1", hops=3), "oracle")
    env.reset(seed=1)
    for hop in range(3):
        *_, info = env.step("<search> anything </search>")
        assert info["hops_hit"] == [[h <= hop for h in range(3)]]


def test_wrappers_stack_with_gymnasiums_own_and_refuse_other_environments():
    env = TimeLimit(LimitEpisode(make(), search_budget=1), max_episode_steps=2)
    env.reset(seed=0)
    env.step("hm")
    assert env.step("hm")[3]
    with pytest.raises(BerrypickError, match="for berrypick environments"):
        ReplaceReward(gym.make("CartPole-v1"), "em")
