"""docs/environments.md is what the docstrings say, and its lines run."""

from __future__ import annotations

import re
from pathlib import Path

import gymnasium as gym
from berrypick.envs.documentation import environments_page
from berrypick.envs.episode import Draft, advance, start
from berrypick.envs.rewards import REWARD_SUMMARIES, REWARD_TERMS
from berrypick.envs.tasks.registry import TASKS, make_task

PAGE = Path(__file__).resolve().parents[2] / "docs" / "environments.md"


def test_the_page_is_generated_from_the_docstrings():
    assert PAGE.read_text() == environments_page(), "run: python -m berrypick.envs.documentation > docs/environments.md"


def test_the_page_names_every_id_term_and_info_key():
    text = PAGE.read_text()
    assert set(REWARD_SUMMARIES) == set(REWARD_TERMS)
    assert all(f"`{name}`" in text for name in (*TASKS, *REWARD_TERMS))
    task = make_task("berrypick/World-v0", num_train=2, num_test=2)
    info = advance([start(task.split("train")[0], task.spec)], [Draft("hm")], task.searcher)[0].info
    assert all(f"`{key}`" in text for key in info)


def test_a_reset_tells_the_keys_that_the_page_says():
    env = gym.make("berrypick/World-v0", num_train=2, num_test=2)
    assert set(env.reset(seed=0)[1]) == {"question_id", "messages"}
    assert "After `reset`: only `question_id` and `messages`." in PAGE.read_text()


def test_the_first_lines_run_and_find_what_their_comments_say(capsys):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL).group(1)
    scope = {}
    exec(compile(code, str(PAGE), "exec"), scope)
    assert scope["envs"].num_envs == 8 and not scope["terminated"]
    asked, answered = re.findall(r"  # (.*)", code)
    passage, left = answered.removeprefix("... ").split(" ... ")
    assert scope["info"]["messages"][0]["content"].strip() == asked
    printed = capsys.readouterr().out
    assert passage in printed and printed.strip().endswith(left)
