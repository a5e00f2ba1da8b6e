"""docs/extending.md is true: every Python block runs and prints what its comments say, also from a file of a spec."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest
from berrypick import make_task
from berrypick.__main__ import main
from berrypick.envs.formats.turn_format import TURN_FORMATS, get_turn_format
from berrypick.envs.importers import IMPORTERS
from berrypick.envs.record import read_records
from berrypick.envs.rewards import REWARD_SUMMARIES, REWARD_TERMS, parse_reward
from berrypick.envs.tasks.registry import TASKS, task_arguments
from berrypick.experiments import EXPERIMENTS
from berrypick.experiments.measures.measures import MEASURES
from berrypick.retrieval_index.backend import BACKENDS
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from berrypick.retrieval_index.plugins import Registry

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^(?:An? )?(.*)\n((?:.*\n)*)", part)[0] for part in PAGE.split("\n## ")[1:])
BLOCKS = {name: code for name, text in SECTIONS.items() for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)}


@pytest.fixture(autouse=True)
def registries():
    """What a block registers is gone after its test."""
    tables = (REWARD_TERMS, REWARD_SUMMARIES, TURN_FORMATS, TASKS, MEASURES, IMPORTERS, EXPERIMENTS, gym.registry)
    before = [set(table) for table in tables]
    yield
    for table, names in zip(tables, before, strict=True):
        for name in set(table) - names:
            del table[name]


def test_the_page_has_an_example_of_each_extension():
    assert list(BLOCKS) == [
        "reward term",
        "turn format",
        "environment",
        "searcher",
        "measure",
        "format of rollouts",
        "experiment",
    ]
    assert len(BLOCKS) == PAGE.count("```python")


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_runs_and_prints_what_its_comments_say(name, capsys):
    exec(compile(BLOCKS[name], "docs/extending.md", "exec", dont_inherit=True), {"__name__": "page"})
    said = re.findall(r"^(?:print\(.*\)  )?# (.*)$", BLOCKS[name], re.MULTILINE)
    assert len(said) == BLOCKS[name].count("print(") == 1
    assert capsys.readouterr().out.strip().splitlines() == said


SPECS = {
    "reward term": (parse_reward, "em - 0.1*long_answer", "em - 0.1*long_anser", "unknown reward term 'long_anser'"),
    "turn format": (get_turn_format, "lines", "linse", "unknown turn format 'linse'; did you mean lines"),
    "environment": (task_arguments, "mine/Capitals-v0", "mine/Capital-v0", "unknown environment 'mine/Capital-v0'"),
}


@pytest.mark.parametrize("name", SPECS)
def test_a_file_in_a_spec_registers_its_names(name, tmp_path):
    read, spec, misspelt, message = SPECS[name]
    file = tmp_path / "my extensions.py"
    file.write_text(BLOCKS[name], encoding="utf-8")
    with pytest.raises(UnknownNameError):
        read(spec)
    assert read(f"{file}:{spec}") is not None
    assert read(spec) is not None, "the file stays registered"
    with pytest.raises(UnknownNameError, match=message):
        read(f"{file}:{misspelt}")


def test_an_episode_played_by_file_specs_runs_in_another_process(tmp_path):
    for name, file in (("reward term", "my_rewards.py"), ("turn format", "my_formats.py")):
        (tmp_path / file).write_text(BLOCKS[name], encoding="utf-8")
    code = (
        "import berrypick\n"
        "from berrypick.envs import Draft, advance, start\n"
        "task = berrypick.make_task('berrypick/World-v0', reward='my_rewards.py:em - 0.5*long_answer', "
        "turn_format='my_formats.py:lines')\n"
        "episode = start(task.split('train')[0], task.spec)\n"
        "print(advance([episode], [Draft('= one two three four five')], task.searcher)[0].reward)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split()[-1] == "-1.0"


def test_the_command_line_plays_an_environment_and_a_reward_of_files(tmp_path, capsys):
    environment, reward = tmp_path / "my_tasks.py", tmp_path / "my_rewards.py"
    environment.write_text(BLOCKS["environment"].partition("env = ")[0], encoding="utf-8")
    reward.write_text(BLOCKS["reward term"].partition("facts = ")[0], encoding="utf-8")
    arguments = ["--env-arg", f"reward={reward}:em - 0.5*long_answer", "--policy", "oracle", "--split", "train"]
    status = main(["eval", "--env", f"{environment}:mine/Capitals-v0", *arguments, "--out", str(tmp_path / "out")])
    assert status == 0, capsys.readouterr().err
    records = read_records(tmp_path / "out" / "rollouts.jsonl")
    assert {record.env_id for record in records} == {"mine/Capitals-v0"} and len(records) == 3 * 8
    assert {record.reward for record in records} == {1.0}
    assert main(["eval", "--env", "mine/Capital-v0", "--policy", "oracle", "--out", str(tmp_path / "none")]) == 2
    assert "unknown environment 'mine/Capital-v0'; did you mean mine/Capitals-v0, " in capsys.readouterr().err


def test_names_that_another_module_has_registered_are_refused():
    from berrypick.envs.rewards import register_reward
    from berrypick.envs.tasks.registry import register_task
    from berrypick.experiments.measures.measures import register_measure

    with pytest.raises(BerrypickError, match=r"^reward term 'em' is taken; choose another name$"):
        register_reward("em", "mine")(lambda facts: 1.0)
    with pytest.raises(BerrypickError, match=r"^'exact match' cannot name a reward term; use letters, digits"):
        register_reward("exact match", "mine")(lambda facts: 1.0)
    with pytest.raises(BerrypickError, match=r"^environment 'berrypick/World-v0' is taken; choose another name$"):
        register_task("berrypick/World-v0", "mine")(lambda: make_task("berrypick/World-v0"))
    with pytest.raises(BerrypickError, match=r"^measure 'breadth' is taken; choose another name$"):
        register_measure("breadth", "mine")(lambda group: 1.0)


def test_the_table_names_the_functions_and_groups_there_are():
    registries = {
        table.group: table for table in (REWARD_TERMS, TURN_FORMATS, TASKS, MEASURES, IMPORTERS, EXPERIMENTS, BACKENDS)
    }
    rows = re.findall(r"^\| [a-z ]+ \| `([\w.]+)` \| `([\w.]+)` \|", PAGE, re.MULTILINE)
    assert set(registries) | {"berrypick.objectives"} == {group for _, group in rows}
    assert all(isinstance(table, Registry) for table in registries.values())
    for function, group in rows:
        if group != "berrypick.objectives":  # needs the train extra
            module, _, name = function.rpartition(".")
            code = f"from {module} import {name}"
            exec(compile(code, "docs/extending.md", "exec", dont_inherit=True), {})
