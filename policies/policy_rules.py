"""The rules of episodes that a trained adapter brings with it; read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..retrieval_index.errors import BerrypickError
from ..retrieval_index.json_text import parse_json
from .kept import kept_folder

__all__ = ["ADAPTER", "RULES", "adapter_folder", "is_adapter", "rules_of_policy"]

ADAPTER = "adapter_config.json"
"""The file by which `peft` knows an adapter's folder."""

RULES = "rules.json"


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
        found = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BerrypickError(f"{path} is damaged ({error}); copy the adapter again") from error
    if not isinstance(found, dict):
        raise BerrypickError(f"{path} must hold one JSON object; copy the adapter again")
    return found
