"""Benchmarks, `berrypick bench NAME`: timings next to those of peers, measured in one run."""

from __future__ import annotations

from .envs import BenchEnvs
from .quality import BenchQuality
from .retrieval import BenchRetrieval
from .server import BenchServer
from .train import BenchTrain

__all__ = ["BENCHES"]

BENCHES: dict[str, type] = {
    "envs": BenchEnvs,
    "quality": BenchQuality,
    "retrieval": BenchRetrieval,
    "server": BenchServer,
    "train": BenchTrain,
}
"""Name of a benchmark -> its flags, whose `run` measures."""
