"""The environment's arguments as the command line takes them: `--env-arg K=V ...`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import tyro

from ...envs.tasks.registry import Task, make_task, task_arguments
from ...policies.policy_rules import rules_of_policy
from ...retrieval_index.errors import BerrypickError

__all__ = ["EnvArgs", "chat_voice", "open_task", "parse_env_args", "split_arguments", "with_rules"]

logger = logging.getLogger(__name__)

EnvArgs = Annotated[tuple[str, ...], tyro.conf.arg(metavar="K=V ...", help_behavior_hint="(default: none)")]


def open_task(env: str, env_arg: Sequence[str]) -> Task:
    """The task of an environment id and its K=V arguments."""
    return make_task(env, **parse_env_args(env_arg))


def parse_env_args(pairs: Sequence[str]) -> dict[str, str | int | float]:
    """Turns K=V texts into arguments. A value that reads as a number becomes a number."""
    arguments: dict[str, str | int | float] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BerrypickError(f"--env-arg takes K=V, got {pair!r}; for example preset=priced")
        if key in arguments:
            raise BerrypickError(f"--env-arg gives {key} twice; leave one out")
        try:
            arguments[key] = json.loads(value) if value.strip("-").replace(".", "", 1).isdigit() else value
        except json.JSONDecodeError:  # "01" or "1-2" consists of digits but is no JSON number
            arguments[key] = value
    return arguments


def chat_voice(env: str, arguments: Mapping[str, str | int | float]) -> dict[str, str]:
    """The World's English voice, unless the arguments choose one: chat models do not know the closed voice."""
    if "voice" in arguments or task_arguments(env).get("voice") != "closed":
        return {}
    logger.info("voice=english, because a chat model does not know the closed voice; --env-arg voice=closed changes it")
    return {"voice": "english"}


def with_rules(
    policy: str, env: str, arguments: Mapping[str, str | int | float], max_new_tokens: int | None, default_tokens: int
) -> tuple[dict[str, Any], int]:
    """The arguments and the most tokens of a turn under which a policy plays: as it was trained, unless flags say else.

    Args:
        policy: as `open_policy` takes it.
        env: environment id.
        arguments: of the flags; they win.
        max_new_tokens: of the flags, which wins; None where none was given.
        default_tokens: for policies that bring no rules.
    """
    rules = rules_of_policy(policy)
    tokens = max_new_tokens or rules.pop("max_new_tokens", default_tokens)
    known = task_arguments(env)
    own = {name: value for name, value in rules.items() if name in known and name not in arguments}
    if own:
        logger.info("playing by the rules that %s was trained under; --env-arg changes them", policy)
    return {**own, **arguments}, tokens


def split_arguments(env: str, *, holdout: int = 0, train_questions: str = "") -> dict[str, str | int]:
    """The flags --holdout and --train-questions as arguments of an environment; those not given are left out.

    Raises:
        BerrypickError: the environment has its own splits.
    """
    number = int(train_questions) if train_questions.isdecimal() else train_questions
    given: dict[str, str | int] = {"holdout": holdout, "train_questions": number}
    given = {name: value for name, value in given.items() if value}
    known = task_arguments(env)
    for name in given:
        if name not in known:
            raise BerrypickError(f"--{name.replace('_', '-')} is for corpora; {env} has its own splits, leave it out")
    return given
