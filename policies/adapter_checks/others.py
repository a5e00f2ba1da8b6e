"""verl, SkyRL-Gym, verifiers and OpenEnv: what each of them does with a tokenizer or an episode of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module

from ...envs.adapters.verl import compute_score, verl_rows
from ...envs.episode import Draft, advance, start
from ...envs.formats.tool_call import call_text
from ...retrieval_index.errors import BerrypickError
from .check import Check, Settings, guarded
from .tokens import chat_ids, decoded

__all__ = ["openenv_checks", "skyrl_checks", "verifiers_checks", "verl_checks"]

_VERL_DEFAULT = 256
"""Characters that verl keeps of a tool's response unless told otherwise."""


def verl_checks(settings: Settings) -> Iterator[Check]:
    """The rows of verl: the text that it decodes must be scored right, and its limit must not cut passages."""
    yield guarded("rows name their group", lambda: _verl_groups(settings))
    yield guarded("decoded rollouts are scored", lambda: _verl_score(settings))
    yield guarded("length of tool responses", lambda: _verl_length(settings))


def _verl_groups(settings: Settings) -> Check:
    rows = verl_rows(settings.env_id, settings.split, **settings.arguments)
    infos = [row["extra_info"] for row in rows]
    scored = [
        compute_score(row["data_source"], "", row["reward_model"]["ground_truth"], info)["berrypick_group"]
        for row, info in zip(rows, infos)
    ]
    return Check(
        "rows name their group",
        len(set(scored)) == len(rows),
        f"{len(rows)} questions, {len(set(scored))} groups",
        "give each question an id of its own",
    )


def _verl_score(settings: Settings) -> Check:
    """A rollout as verl keeps it: rendered, encoded, decoded, and scored from its text."""
    row = verl_rows(settings.env_id, settings.split, **settings.arguments)[0]
    gold, tokenizer = row["reward_model"]["ground_truth"]["target"][0], settings.tokenizer
    scores = []
    for answer in (gold, "unknown"):
        talk = [
            *row["prompt"],
            {"role": "assistant", "content": call_text("search", {"query_list": [row["extra_info"]["question"]]})},
            {"role": "tool", "content": json.dumps({"result": f"[1] (Title: x) <answer> {gold} </answer>"})},
            {"role": "assistant", "content": f"<answer> {answer} </answer>"},
        ]
        before = len(chat_ids(tokenizer, row["prompt"], more=True))
        text = decoded(tokenizer, chat_ids(tokenizer, talk, more=False)[before:])
        log = {"queries": [], "passage_ids": [], "observations": [talk[-2]["content"]]}
        info = {**row["extra_info"], "berrypick": log}
        scores.append(compute_score(row["data_source"], text, [gold], info)["score"])
    return Check(
        "decoded rollouts are scored",
        scores == [1.0, 0.0],
        f"right {scores[0]:g}, wrong {scores[1]:g}; an answer inside a passage earns nothing",
        "the template puts text behind the last turn or hides it; use berrypick's verl tool, whose episode is exact",
    )


def _verl_length(settings: Settings) -> Check:
    limit = settings.task.spec.max_observation_chars
    return Check(
        "length of tool responses",
        None if limit > _VERL_DEFAULT else True,
        f"passages may have {limit} characters, verl keeps {_VERL_DEFAULT} by default",
        f"set rollout.multi_turn.max_tool_response_length={max(8000, 2 * limit)}",
    )


def skyrl_checks(settings: Settings) -> Iterator[Check]:
    """The row of SkyRL-Gym: an episode of its environment equals ours."""
    yield guarded("an episode equals the environment's", lambda: _skyrl(settings))


def _skyrl(settings: Settings) -> Check:
    module = import_module("...envs.adapters.skyrl", __package__)
    row = module.skyrl_rows(settings.env_id, settings.split, **settings.arguments)[0]
    env = module.BerrypickTextEnv({"env_id": settings.env_id, **settings.arguments}, row)
    turns = _turns(settings)
    env.init(row["prompt"])
    return _same(settings, [float(env.step(text)["reward"]) for text in turns], turns)


def openenv_checks(settings: Settings) -> Iterator[Check]:
    """The row of OpenEnv: an episode of its session equals ours."""
    yield guarded("an episode equals the environment's", lambda: _openenv(settings))


def _openenv(settings: Settings) -> Check:
    module = import_module("...envs.adapters.openenv", __package__)
    session, turns = module.OpenEnvSearch(settings.task, settings.split), _turns(settings)
    session.reset(question_id=settings.task.split(settings.split)[0].id)
    return _same(settings, [float(session.step(module.SearchAction(text=text)).reward) for text in turns], turns)


def verifiers_checks(settings: Settings) -> Iterator[Check]:
    """The row of verifiers: its taskset has our questions with our prompts."""
    yield guarded("the taskset has the prompts", lambda: _verifiers(settings))


def _verifiers(settings: Settings) -> Check:
    module = import_module("...envs.adapters.verifiers", __package__)
    config = module.BerrypickTasksetConfig(
        id=module.TASKSET_ID, env_id=settings.env_id, arguments=dict(settings.arguments), split=settings.split
    )
    loaded = list(module.BerrypickTaskset(config).load())
    questions, spec = settings.task.split(settings.split), settings.task.spec
    prompts = [start(question, spec).messages[-1]["content"] for question in questions]
    same = [task.data.prompt == prompt for task, prompt in zip(loaded, prompts)]
    return Check(
        "the taskset has the prompts",
        len(loaded) == len(questions) and all(same),
        f"{sum(same)} of {len(questions)} questions",
        "install the version of verifiers that docs/adapters.md names",
    )


def _turns(settings: Settings) -> list[str]:
    """A search and the right answer in the turn format of the environment."""
    question, name = settings.task.split(settings.split)[0], settings.task.spec.turn_format
    if name not in ("tags", "search_r1", "tool_call"):
        raise BerrypickError(f"no script for the turn format {name}; choose tags, search_r1 or tool_call")
    call = call_text("search", {"query_list": [question.text]})
    search = call if name == "tool_call" else f"<search> {question.text} </search>"
    return [search, f"<answer> {question.answers[0]} </answer>"]


def _same(settings: Settings, rewards: list[float], turns: list[str]) -> Check:
    task = settings.task
    episode = start(task.split(settings.split)[0], task.spec)
    ours = [advance([episode], [Draft(text)], task.searcher)[0].reward for text in turns]
    return Check(
        "an episode equals the environment's", rewards == ours, f"rewards {rewards}", "install the tested version"
    )
