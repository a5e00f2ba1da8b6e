"""The rules of episodes that a trained adapter brings with it; read without torch."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from ..envs.questions import EpisodeSpec
from ..retrieval_index.errors import BerrypickError
from ..retrieval_index.json_text import read_json
from .kept import kept_folder

__all__ = ["ADAPTER", "RULES", "adapter_folder", "is_adapter", "rules_of_policy"]

ADAPTER = "adapter_config.json"
"""The file by which `peft` knows an adapter's folder."""

RULES = "rules.json"

_TOKENS = "max_new_tokens"
_RULES = frozenset({_TOKENS, *(field.name for field in fields(EpisodeSpec))})
"""What `rules.json` may hold: the arguments of an environment that say how an episode is played."""


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds LoRA matrices that belong to other weights."""
    return (folder / ADAPTER).is_file()


def adapter_folder(name: str) -> Path | None:
    """The folder of the LoRA matrices that a policy's name stands for: a kept one, or the name itself; else None."""
    folder = kept_folder(name) or Path(name)
    return folder if is_adapter(folder) else None


def rules_of_policy(name: str) -> dict[str, Any]:
    """Arguments of the environment under which a policy was trained, and `max_new_tokens`; {} if it names none.

    Args:
        name: of the policy, as `open_policy` takes it.

    Raises:
        BerrypickError: its file of rules is damaged.
    """
    path = (kept_folder(name) or Path(name)) / RULES
    if not path.is_file():
        return {}
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        raise BerrypickError(f"{path} is damaged ({error}); copy the adapter again") from error
    if not isinstance(found, dict):
        raise BerrypickError(f"{path} must hold one JSON object; copy the adapter again")
    for rule, value in found.items():
        _check(path, rule, value)
    return found


def _check(path: Path, rule: str, value: object) -> None:
    """Refuses what is no rule of an episode: an adapter from a stranger must not name an index, a server or code."""
    if rule not in _RULES:
        raise BerrypickError(f"{path}: {rule!r} is no rule of an episode; remove it from that file")
    if isinstance(value, str) and ".py:" in value:
        raise BerrypickError(
            f"{path}: {rule} names a file of code, which only you can choose; remove it there and give it yourself: "
            f"--env-arg {rule}=..."
        )
    if rule == _TOKENS and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise BerrypickError(f"{path}: {rule} must be a whole number of at least 1, got {value!r:.60}; correct it")
