"""Side-by-side timings: `berrypick bench NAME`. One module a bench; `BENCHES` lists them."""

from __future__ import annotations

from .envs import BenchEnvs
from .quality import BenchQuality
from .retrieval import BenchRetrieval
from .train import BenchTrain

__all__ = ["BENCHES"]

# name -> the command's dataclass; its `run` prints a table, writes bench.json and returns the exit status
BENCHES: dict[str, type] = {
    "envs": BenchEnvs,
    "quality": BenchQuality,
    "retrieval": BenchRetrieval,
    "train": BenchTrain,
}
