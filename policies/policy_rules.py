"""The rules of episodes that a trained adapter brings with it; read without torch."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from ..envs.questions import EpisodeSpec
from ..retrieval_index.errors import BerrypickError
from ..retrieval_index.json_text import small_file
from ..retrieval_index.manifest import sha256
from ..retrieval_index.sealed import unsealed
from .kept import kept_folder

__all__ = ["ADAPTER", "RULES", "adapter_folder", "check_adapter", "is_adapter", "rules_of_policy"]

ADAPTER = "adapter_config.json"
"""The file by which `peft` knows an adapter's folder."""

RULES = "rules.json"

_FILES = "files"  # name -> SHA-256 of the adapter's other files
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
    rules = _read(kept_folder(name) or Path(name))
    rules.pop(_FILES, None)
    return rules


def check_adapter(folder: Path) -> None:
    """Compares the files of an adapter with the digests that it brings with it, if it has any.

    Raises:
        BerrypickError: a file is missing or damaged.
    """
    for name, digest in _read(folder).get(_FILES, {}).items():
        try:
            damaged = sha256(folder / Path(name).name) != digest
        except (OSError, ValueError) as error:
            raise BerrypickError(f"{folder / name} cannot be read ({error}); copy the adapter again") from error
        if damaged:
            raise BerrypickError(f"{folder / name} is damaged: its checksum is wrong; copy the adapter again")


def _read(folder: Path) -> dict[str, Any]:
    """What an adapter's file of rules holds; {} if there is none."""
    path = folder / RULES
    if not path.is_file():
        return {}
    try:
        found = unsealed(small_file(path))
    except (OSError, ValueError) as error:
        raise BerrypickError(
            f'{path} is damaged ({error}); copy the adapter again, or remove "sha256" from it if you changed it'
        ) from error
    for rule, value in found.items():
        _check(path, rule, value)
    return found


def _check(path: Path, rule: str, value: object) -> None:
    """Refuses what is no rule of an episode: an adapter from a stranger must not name an index, a server or code."""
    if rule == _FILES and isinstance(value, dict):
        return
    if rule not in _RULES:
        raise BerrypickError(f"{path}: {rule!r} is no rule of an episode; remove it from that file")
    if isinstance(value, str) and ".py:" in value:
        raise BerrypickError(
            f"{path}: {rule} names a file of code, which only you can choose; remove it there and give it yourself: "
            f"--env-arg {rule}=..."
        )
    if rule == _TOKENS and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise BerrypickError(f"{path}: {rule} must be a whole number of at least 1, got {value!r:.60}; correct it")
