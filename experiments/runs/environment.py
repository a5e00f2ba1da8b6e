"""Versions and facts of the machine, which explain a difference between two runs and decide nothing."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TypedDict

__all__ = ["EnvironmentFacts", "environment_facts"]

_PACKAGES = (
    "gymnasium",
    "numpy",
    "torch",
    "transformers",
    "tokenizers",
    "pyserini",
    "bm25s",
    "faiss-cpu",
    "pydantic",
)


class EnvironmentFacts(TypedDict):
    """What environment.json holds."""

    python: str
    platform: str
    machine: str
    cpus: int | None
    versions: dict[str, str | None]


def environment_facts() -> EnvironmentFacts:
    """Versions of packages, None if absent, and facts of the machine that results can depend on."""
    versions: dict[str, str | None] = {}
    for name in ("berrypick", *_PACKAGES):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "python": sys.version.split()[0],
        "platform": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "versions": versions,
    }
