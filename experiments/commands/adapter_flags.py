"""The flags of `berrypick adapter-check` as data."""

from __future__ import annotations

from dataclasses import dataclass

import tyro

from .env_arguments import EnvArgs

__all__ = ["AdapterCheck"]


@dataclass(frozen=True)
class AdapterCheck:
    """Checks an adapter on your tokenizer: masks, groups, token equality; one row each.

    The exit status is 1 if a row fails.
    """

    adapter: tyro.conf.Positional[str]
    """trl, verl, skyrl, verifiers or openenv"""
    tokenizer: str
    """folder with tokenizer files, hub id, smollm2 or tiny"""
    env: str = "berrypick/World-v0"
    """environment id"""
    env_arg: EnvArgs = ()
    """arguments of the environment"""
    split: str = "train"
    """split that the questions come from"""
    json: bool = False
    """print one JSON document"""
