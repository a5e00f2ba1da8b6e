"""The batched environment, and equal episodes through every shell over the state machine."""

from __future__ import annotations

import functools

import berrypick  # noqa: F401
import gymnasium as gym
import numpy as np
import pytest
from berrypick.envs.tasks.registry import make_task
from berrypick.envs.vector_env import SearchVectorEnv
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.policies.scripted import scripted_policy
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from gymnasium.error import ResetNeeded
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

SMALL = {"num_train": 12, "num_validation": 3, "num_test": 5}
SEEDS = [7, 7, 8, 9]


one_env = functools.partial(
    gym.make, "berrypick:berrypick/World-v0", **SMALL
)  # a spawned process imports nothing first


@pytest.fixture
def env():
    made = gym.make_vec("berrypick/World-v0", 4, vectorization_mode="vector_entry_point", **SMALL)
    yield made
    made.close()


def script(messages_or_question, step):
    """Text that depends only on what is asked and on the number of the step."""
    entity = messages_or_question.split()[-2]
    kind = ("ledger", "charter", "scroll")[step % 3]
    relation = messages_or_question.split()[-4]
    if step in (2, 5):
        return "hm"
    return f"<answer> {entity} </answer>" if step == 4 else f"<search> {kind} {relation} {entity} </search>"


def play(env, steps=9):
    """All that a vector environment returns, for one script."""
    observations, infos = env.reset(seed=list(SEEDS))
    asked, log = list(observations), [(tuple(observations), plain(infos))]
    clock = [0] * len(SEEDS)
    for _ in range(steps):
        actions = tuple(script(question, step) for question, step in zip(asked, clock))
        observations, rewards, terminated, truncated, infos = env.step(actions)
        log.append((tuple(observations), rewards.tolist(), terminated.tolist(), truncated.tolist(), plain(infos)))
        for row, observation in enumerate(observations):
            restarted = observation.startswith("the ")
            asked[row], clock[row] = (observation, 0) if restarted else (asked[row], clock[row] + 1)
    return log


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return plain(value.tolist()) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_the_vector_entry_point_returns_what_sync_vector_env_returns(mode):
    sync = SyncVectorEnv([one_env] * 4, autoreset_mode=mode)
    ours = gym.make_vec("berrypick/World-v0", 4, vectorization_mode="vector_entry_point", autoreset_mode=mode, **SMALL)
    assert ours.metadata["autoreset_mode"] == sync.metadata["autoreset_mode"] == AutoresetMode(mode)
    first, second = play(sync), play(ours)
    assert first == second
    assert sum(sum(entry[2]) for entry in first[1:]) >= 4, "episodes ended and went on"


@pytest.mark.slow
def test_spawned_processes_return_the_same():
    spawned = AsyncVectorEnv([one_env] * 4, context="spawn", shared_memory=False)
    ours = gym.make_vec("berrypick/World-v0", 4, vectorization_mode="vector_entry_point", **SMALL)
    try:
        assert play(spawned) == play(ours)
    finally:
        spawned.close()


@pytest.mark.parametrize("mode", ["sync", "vector_entry_point"])
def test_make_vec_takes_the_mode(mode):
    made = gym.make_vec("berrypick/World-v0", 2, vectorization_mode=mode, **SMALL)
    assert made.reset(seed=3)[0] == (one_env().reset(seed=3)[0], one_env().reset(seed=4)[0])


def test_the_rollout_engine_plays_the_same_episodes():
    task = make_task("berrypick/World-v0", **SMALL)
    questions = task.split("train")
    groups = rollout(
        scripted_policy("random_order"), questions, task.spec, task.searcher, num_samples=1, sampling=Sampling(), seed=3
    )
    played = [group[0] for group in groups]
    env = SearchVectorEnv(task, num_envs=len(questions), autoreset_mode="Disabled")
    env.reset(options={"question_id": [question.id for question in questions]})
    single = gym.make("berrypick/World-v0", **SMALL)
    ends = {}
    for step in range(task.spec.max_turns):
        mask = np.array([len(episode.turns) > step for episode in played])
        if not mask.any():
            break
        texts = [e.turns[step].draft.text if live else "hm" for e, live in zip(played, mask)]
        for row in np.flatnonzero(~mask):
            ends.setdefault(int(row), env.episodes[row])
        if (~mask).any():
            env.reset(options={"reset_mask": ~mask})
        env.step(texts)
    for row, episode in enumerate(played):
        assert ends.get(row, env.episodes[row]) == episode
        single.reset(options={"question_id": episode.question.id})
        for turn in episode.turns:
            observation, reward, *_ = single.step(turn.draft.text)
            assert observation == turn.observation
        assert single.unwrapped.episode == episode and reward == episode.reward


def test_one_search_call_a_step(env):
    calls = []
    inner = env.task.searcher.search
    env.task.searcher.search = lambda queries, k: calls.append(len(queries)) or inner(queries, k)
    env.reset(seed=0)
    env.step(["<search> a </search>", "hm", "<search> b </search>", "<search> c </search>"])
    assert calls == [3]


def test_groups_are_repeated_seeds_and_ids_choose_questions(env):
    _, infos = env.reset(seed=[7, 7, 8, 8])
    ids = infos["question_id"].tolist()
    assert ids[0] == ids[1] and ids[2] == ids[3]
    wanted = [question.id for question in env.task.split("test")[:4]]
    assert env.reset(options={"question_id": wanted})[1]["question_id"].tolist() == wanted
    assert set(env.reset(options={"question_id": wanted[0]})[1]["question_id"]) == {wanted[0]}
    assert all("validation" in name for name in env.reset(options={"split": "validation"})[1]["question_id"])


def test_a_reset_mask_resets_some_alone(env):
    env.reset(seed=0)
    env.step(["hm"] * 4)
    before = env.episodes
    _, infos = env.reset(seed=[1] * 4, options={"reset_mask": np.array([True, False, False, True])})
    after = env.episodes
    assert [one is other for one, other in zip(before, after)] == [False, True, True, False]
    assert infos["_question_id"].tolist() == [True, False, False, True]


def test_disabled_autoreset_asks_for_the_reset():
    env = gym.make_vec(
        "berrypick/World-v0", 2, vectorization_mode="vector_entry_point", autoreset_mode="Disabled", **SMALL
    )
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(["hm"] * 2)
    env.reset(seed=0)
    env.step(["<answer> x </answer>", "hm"])
    with pytest.raises(ResetNeeded, match="reset_mask"):
        env.step(["hm"] * 2)
    env.reset(options={"reset_mask": np.array([True, False])})
    env.step(["hm"] * 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda env: env.reset(seed=[1, 2]), "seed has 2 entries for 4"),
        (lambda env: env.reset(options={"question_id": ["a"]}), "question_id has 1 entries"),
        (lambda env: env.reset(options={"question_id": ["a"] * 4}), "unknown question id"),
        (lambda env: env.reset(options={"mask": 1}), "unknown reset option"),
        (lambda env: env.reset(options={"reset_mask": [True] * 4}), "reset_mask must be a bool array"),
        (lambda env: env.reset(options={"reset_mask": np.zeros(4, bool)}), "at least one True"),
        (lambda env: env.step(["hm"] * 3), "actions has 3 entries"),
        (lambda env: env.step("abcd"), "actions is one text; give a sequence of 4 texts"),
        (lambda env: env.step(["hm", "hm", None, "hm"]), "an action must be a text"),
    ],
)
def test_misuse_is_one_clear_line(env, call, message):
    env.reset(seed=0)
    with pytest.raises(BerrypickError, match=message):
        call(env)


def test_bad_arguments_are_refused():
    task = make_task("berrypick/World-v0", **SMALL)
    with pytest.raises(BerrypickError, match="num_envs"):
        SearchVectorEnv(task, num_envs=0)
    with pytest.raises(UnknownNameError, match="did you mean NextStep"):
        SearchVectorEnv(task, num_envs=1, autoreset_mode="Next")
    with pytest.raises(UnknownNameError, match="ansi"):
        SearchVectorEnv(task, num_envs=1, render_mode="human")


def test_render_shows_every_conversation():
    env = gym.make_vec("berrypick/World-v0", 2, vectorization_mode="vector_entry_point", render_mode="ansi", **SMALL)
    env.reset(seed=0)
    env.step(["\x1b[2J", "hm"])
    shown = env.render()
    assert "\\u001b[2J" in shown[0] and "assistant: hm" in shown[1]
