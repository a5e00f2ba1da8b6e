"""The Gymnasium environment."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import warnings

import berrypick  # noqa: F401  (registers the ids)
import gymnasium as gym
import pytest
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from fixtures.machine import patience
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

SMALL = {"num_train": 12, "num_validation": 3, "num_test": 5}


@pytest.fixture
def env():
    with gym.make("berrypick/World-v0", **SMALL) as made:
        yield made


def test_check_env_passes_with_warnings_as_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("berrypick/World-v0", render_mode="ansi", **SMALL).unwrapped)


def test_a_group_is_a_repeated_seed_and_no_global_generator_is_touched(env):
    import random

    import numpy as np

    random.seed(5), np.random.seed(5)
    wanted = random.random(), np.random.random()
    random.seed(5), np.random.seed(5)
    asked = [env.reset(seed=seed)[1]["question_id"] for seed in [7, 7, 8, 9, 10, 11, 7]]
    assert asked[0] == asked[1] == asked[6] and len(set(asked)) > 2
    assert (random.random(), np.random.random()) == wanted


def test_without_a_seed_questions_go_on(env):
    env.reset(seed=1)
    assert len({env.reset()[1]["question_id"] for _ in range(20)}) > 3


def test_options_choose_question_and_split(env):
    wanted = env.unwrapped.task.questions["test"][2]
    observation, info = env.reset(options={"question_id": wanted.id})
    assert info["question_id"] == wanted.id and observation == wanted.text == info["messages"][-1]["content"]
    assert "validation" in env.reset(seed=0, options={"split": "validation"})[1]["question_id"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"question": "x"}, "unknown reset option 'question'; did you mean question_id"),
        ({"question_id": "world-0-train-99999"}, "unknown question id"),
        ({"question_id": ["x"]}, "unknown question id"),
        ({"split": "tests"}, "unknown split 'tests'; did you mean test"),
    ],
)
def test_reset_options_that_do_not_exist_name_the_nearest(env, options, message):
    with pytest.raises(UnknownNameError, match=message):
        env.reset(options=options)


@pytest.mark.parametrize("action", [None, 3, b"<answer> x </answer>", ["a"]])
def test_an_action_of_another_type_is_an_error(env, action):
    env.reset(seed=0)
    with pytest.raises(BerrypickError, match="an action must be a text"):
        env.unwrapped.step(action)


def test_stepping_before_a_reset_or_after_the_end_is_gymnasiums_own_error(env):
    with pytest.raises(ResetNeeded):
        env.step("<answer> x </answer>")
    with pytest.raises(ResetNeeded):
        env.unwrapped.step("<answer> x </answer>")
    env.reset(seed=0)
    env.step("<answer> x </answer>")
    with pytest.raises(ResetNeeded, match="ended"):
        env.step("<answer> x </answer>")


def test_a_scripted_episode_reads_as_specified(env):
    question = env.unwrapped.task.questions["train"][0]
    world = question.metadata["world"]
    env.reset(options={"question_id": question.id})
    kind, relation, entity = world["kinds"][0], world["relations"][0], world["entities"][0]
    observation, reward, terminated, truncated, info = env.step(f"<search> {kind} {relation} {entity} </search>")
    assert info["retrieved_ids"] == [[world["passages"][0][0]]]
    obj = world["entities"][1] if 0 in world["present"][0] else "lost"
    assert observation == f"\n<information> [1] {kind}: the {relation} of {entity} is {obj}. </information>\n"
    assert (reward, terminated, truncated) == (0.0, False, False)
    _, reward, terminated, truncated, info = env.step(f"<answer> {question.answers[0]} </answer>")
    assert (reward, terminated, truncated) == (1.0, True, False)


def test_render_shows_the_conversation_and_hides_escapes():
    env = gym.make("berrypick/World-v0", render_mode="ansi", **SMALL)
    env.reset(seed=0)
    env.step("\x1b[31m<search> x </search>")
    shown = env.render()
    assert "assistant: \\u001b[31m<search> x </search>" in shown and "\x1b" not in shown
    with pytest.raises(UnknownNameError):
        gym.make("berrypick/World-v0", **SMALL).unwrapped.__class__(env.unwrapped.task, render_mode="human")


def test_the_spec_is_json_and_the_environment_pickles():
    env = gym.make("berrypick/World-v0", preset="steep", **SMALL)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.reset(seed=3)[0] == env.reset(seed=3)[0]
    assert again.unwrapped.task.world.preset == "steep"
    json.loads(env.spec.to_json())
    bare = env.unwrapped
    copy = pickle.loads(pickle.dumps(bare))
    assert copy.reset(seed=3)[0] == bare.reset(seed=3)[0]


@pytest.mark.slow
def test_a_fresh_interpreter_makes_the_world_without_torch_or_a_jvm():
    code = (
        "import sys, berrypick, gymnasium as gym; e = gym.make('berrypick/World-v0', num_test=8, num_train=8); "
        "e.reset(seed=0); heavy = {'torch', 'transformers', 'jnius', 'pyserini', 'faiss'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=patience(120))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_module_prefix_of_gym_make_imports_the_package():
    code = "import gymnasium as gym; gym.make('berrypick:berrypick/World-v0', num_train=4, num_test=4).reset(seed=0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=patience(120))
    assert done.returncode == 0, done.stderr
