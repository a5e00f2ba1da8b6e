"""SkyRL-Gym's registry makes our environment and plays it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("skyrl_gym")
pytestmark = pytest.mark.filterwarnings("ignore")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"


@pytest.fixture(scope="module")
def scope():
    code = re.search(r"```python skyrl\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)
    names = {}
    exec(compile(code, str(DOCS), "exec"), names)
    return names


def test_the_documented_lines_play_an_episode_to_its_reward(scope):
    env, rows = scope["env"], scope["rows"]
    assert scope["prompt"] == rows[0]["prompt"] and len(rows) == 8
    assert scope["step"]["observations"][0]["role"] == "user" and not scope["step"]["done"]
    from berrypick.envs.episode import Episode

    episode = env.episode
    world = episode.question.metadata["world"]
    query = f"{world['kinds'][0]} {world['relations'][0]} {world['entities'][0]}"
    step = env.step(f"<search> {query} </search> trailing")
    assert step["postprocessed_action"] == f"<search> {query} </search>"
    assert step["metadata"]["retrieved_ids"] == [[world["passages"][0][0]]] and step["reward"] == 0
    end = env.step(f"<answer> {episode.question.answers[0]} </answer>")
    assert end["done"] and end["reward"] == 1 and end["observations"] == []
    metrics = env.get_metrics()
    assert metrics["env/number_of_valid_search"] == 2 and metrics["env/finish_ratio"] == 1
    assert type(episode) is Episode
    assert type(env).aggregate_metrics([metrics, metrics])["env/finish_ratio"] == 1


def test_episodes_equal_those_of_the_gymnasium_environment(scope):
    import berrypick  # noqa: F401
    import gymnasium as gym
    from berrypick.envs.adapters.skyrl import BerrypickTextEnv

    ours = gym.make("berrypick/World-v0", num_train=8, num_test=4)
    for row in scope["rows"]:
        theirs = BerrypickTextEnv(scope["config"], row)
        observation, _ = ours.reset(options={"question_id": row["extra_info"]["question_id"]})
        assert theirs.init(None)[0][-1]["content"] == observation
        for turn in ("hm", "<search> ledger </search>", "<answer> x </answer>"):
            step = theirs.step(turn)
            observation, reward, terminated, truncated, _ = ours.step(turn)
            assert [m["content"] for m in step["observations"]] == ([observation] if observation else [])
            assert (step["reward"], step["done"]) == (reward, terminated or truncated)


def test_a_row_without_a_question_is_refused():
    from berrypick.envs.adapters.skyrl import BerrypickTextEnv
    from berrypick.retrieval_index.errors import BerrypickError

    with pytest.raises(BerrypickError, match="question_id"):
        BerrypickTextEnv({}, {})
    with pytest.raises(BerrypickError, match="unknown question id"):
        BerrypickTextEnv({"num_train": 8, "num_test": 4}, {"question_id": "nope"})
