"""Trained adapters that come with the suite; each folder has its model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["KEPT", "kept_folder"]

KEPT: Mapping[str, str] = {
    "smollm2-search": "smollm2 trained to search HotpotQA, 2WikiMultiHopQA and MuSiQue, see docs/agent.md",
}
"""Name of a policy -> one line about it; its folder has the name with underscores."""


def kept_folder(name: str) -> Path | None:
    """The folder of a kept adapter; None for other names."""
    return Path(__file__).parent / name.replace("-", "_") if name in KEPT else None
