"""Whether memory and handles were flat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

__all__ = ["MOST_MIB", "Sample", "verdict"]

MOST_MIB = 12.0
"""Memory that a process may gain from the end of the warm-up to the end of a soak, however long it is."""


class Sample(NamedTuple):
    """Memory and open handles of a process at the end of a cycle."""

    mib: float
    handles: int


def slope(values: Sequence[float]) -> float:
    """Median of the slopes between any two values, per step: a single outlier does not move it."""
    slopes = [
        (values[after] - values[before]) / (after - before)
        for before in range(len(values))
        for after in range(before + 1, len(values))
    ]
    return median(slopes)


def verdict(samples: Mapping[str, Sequence[Sample]], left_over: int) -> dict[str, Any]:
    """The figures of each process after the warm-up, which is a quarter of the cycles, and what is wrong with them."""
    processes, wrong = {}, []
    for name, every in samples.items():
        warm = every[len(every) // 4 :]
        gained = slope([sample.mib for sample in warm])
        handles = warm[-1].handles - warm[0].handles
        processes[name] = {
            "warm_mib": round(warm[0].mib, 1),
            "end_mib": round(warm[-1].mib, 1),
            "slope_kib_per_cycle": round(1024 * gained, 1),
            "handles_gained": handles,
        }
        if gained * (len(warm) - 1) > MOST_MIB:
            wrong.append(f"{name}: memory grows by {1024 * gained:.0f} KiB in each of {len(warm)} cycles")
        if handles > 0:
            wrong.append(f"{name}: {handles} handles more than after the warm-up")
    if left_over:
        wrong.append(f"{left_over} files left over")
    return {"processes": processes, "left_over": left_over, "wrong": wrong}
