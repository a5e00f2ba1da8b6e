"""What a long phase of a language model costs: tokens, minutes and memory, estimated from its first steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ...policies.training.rl_config import RlConfig
    from ...policies.training.sft import SftConfig

__all__ = ["PhaseCost", "ShowsCost", "peak_bytes", "rl_cost", "sft_cost"]

_LONG_S = 60.0
"""A phase below this is not announced."""

_WARM_UP_S = 5.0
"""A first step below this says little of the others: much of it can be loading and compiling."""


@runtime_checkable
class ShowsCost(Protocol):
    """A view that shows what a phase costs."""

    def cost(self, text: str) -> None:
        """Called after each step with the estimate, one line."""
        ...


class PhaseCost:
    """Estimates a phase from the steps that are done, and tells a view. Nothing of it enters a file.

    Args:
        view: shows the estimate; one that cannot is not told.
        what: the phase in words, e.g. "SFT: 240 steps of 8 demonstrations".
        steps: steps of the phase in this process.
        unit: what `step` counts.
        clock: seconds, rising.
    """

    def __init__(
        self,
        view: object,
        what: str,
        steps: int,
        *,
        unit: str = "tokens",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._view = view if isinstance(view, ShowsCost) else None
        self._what, self._steps, self._unit, self._clock = what, steps, unit, clock
        self._start, self._done, self._tokens = clock(), 0, 0.0
        self._first: tuple[int, float] | None = None  # steps and seconds of the first call

    def skip(self, steps: int) -> None:
        """Leaves out steps that an earlier process made."""
        self._steps -= steps

    def step(self, tokens: float, *, steps: int = 1) -> None:
        """Counts steps that are done and the tokens that they read or wrote."""
        self._done += steps
        self._tokens += tokens
        spent = self._clock() - self._start
        begun, before = self._first = self._first or (self._done, spent)
        if begun == self._done and spent < _WARM_UP_S:
            return
        rate = (spent - before) / (self._done - begun) if self._done > begun else spent / self._done
        seconds = before + rate * (self._steps - begun)
        if self._view is None or seconds < _LONG_S:
            return
        total = self._tokens / self._done * self._steps
        self._view.cost(
            f"{self._what}, about {_tokens(total)} {self._unit}, {_duration(seconds)}, {peak_bytes() / 2**30:.1f} GiB"
        )


def sft_cost(view: object, config: SftConfig, done: int) -> PhaseCost:
    """The cost of SFT; `done` steps were made by earlier processes."""
    return PhaseCost(view, f"SFT: {config.steps} steps of {config.batch_size} demonstrations", config.steps - done)


def rl_cost(view: object, config: RlConfig, done: int) -> PhaseCost:
    """The cost of RL; `done` steps were made by earlier processes."""
    what = f"RL: {config.steps} steps of {config.questions_per_step} × {config.group_size} rollouts"
    return PhaseCost(view, what, config.steps - done, unit="sampled tokens")


def peak_bytes() -> int:
    """The most memory this process has held so far: of its GPU if it has one in use, else resident memory."""
    torch = sys.modules.get("torch")  # the core install plays scripted policies without it
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # no such module on Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _tokens(count: float) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{seconds / 3600:.1f} h"
