"""Arguments of an environment as the command line takes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from ...envs.tasks.registry import Task, make_task
from ...retrieval_index.errors import BerrypickError

__all__ = ["EnvArgs", "open_task", "parse_env_args"]

EnvArgs = Annotated[tuple[str, ...], tyro.conf.arg(metavar="K=V ...", help_behavior_hint="(default: none)")]


def open_task(env: str, env_arg: Sequence[str]) -> Task:
    """The task of an id and of K=V arguments."""
    return make_task(env, **parse_env_args(env_arg))


def parse_env_args(pairs: Sequence[str]) -> dict[str, Any]:
    """K=V texts to arguments; numbers become numbers."""
    out: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BerrypickError(f"--env-arg takes K=V, got {pair!r}; for example preset=priced")
        try:
            out[key] = json.loads(value) if value.strip("-").replace(".", "", 1).isdigit() else value
        except json.JSONDecodeError:
            out[key] = value
    return out
