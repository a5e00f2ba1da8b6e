"""Shows a run in progress: bars, sparklines and the last episode on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections import defaultdict, deque
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ...retrieval_index.plain_text import safe_text
from ..measures.measures import measure_of
from ..runs.phase import Phase
from .palette import arm_colours

__all__ = ["LiveView", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_SHOWN = {
    "sft/loss": "SFT loss",
    "reward": "reward",
    "pass@1": measure_of("pass@1").label,
    "search/query_token_entropy_nats": measure_of("query_token_entropy").label,
    "search/breadth": measure_of("breadth").label,
    "env/number_of_valid_search": measure_of("searches").label,
}


def sparkline(values: list[float], width: int = 40) -> str:
    """Draws the last `width` values as block characters, scaled to their range."""
    tail = values[-width:]
    low, high = min(tail), max(tail)
    span = (high - low) or 1.0
    return "".join(_BLOCKS[int((value - low) / span * (len(_BLOCKS) - 1))] for value in tail)


class LiveView:
    """Shows the progress of a long job inside a `with` block; call `update` after each step."""

    def __init__(self, title: str, total: int, *, console: Console | None = None, every_s: float = 5.0) -> None:
        self._console = console or Console(stderr=True)
        self._colour = arm_colours([title])[title]
        self._title, self._total, self._every_s = title, total, every_s
        self._history: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=200))
        self._episode = self._cost = ""
        self._alarms: deque[str] = deque(maxlen=6)
        self._started = self._last_line = time.monotonic()
        self._written = -1
        self._phase = Phase("", 0, total)
        self._paced: tuple[int, float] | None = None  # step and time of the first update on this clock
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task(title, total=total)
        self._live = Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None

    def __enter__(self) -> LiveView:
        if self._live:
            self._live.start()
            self._live.update(self._render())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.update(self._render())
            self._live.stop()
        elif kind is None and self._written != self._phase.last:
            self._line(self._phase.last)

    def begin(self, step: int, phase: Phase | None = None) -> None:
        """Starts the clock of a phase; only steps after `step` count in the estimate of the time that is left.

        Args:
            step: steps that are done already, over all phases.
            phase: names the clock; without it, the clock is that of the whole job.
        """
        self._phase = phase or Phase("", 0, self._total)
        self._started, self._paced = time.monotonic(), None
        name, first, last = self._phase
        title = f"{self._title} {name}".rstrip()
        size = last - first or None  # None keeps the bar's length: a phase without steps is not measured by it
        self._progress.reset(self._task, description=title, total=size, completed=step - first)
        if self._live:
            self._live.update(self._render())
        elif name:
            steps = f": {last - first} steps" if last > first else ""
            done = f", {step - first} done" if step > first else ""
            sys.stderr.write(f"{title}{steps}{done}\n")
            sys.stderr.flush()

    def update(self, step: int, metrics: dict[str, float], episode_text: str | None = None) -> None:
        """Shows the metrics of a step. Names that the view does not know are not shown."""
        for name in _SHOWN:
            if name in metrics:
                self._history[name].append(metrics[name])
        if episode_text is not None:
            self._episode = safe_text(episode_text)
        self._progress.update(self._task, completed=step - self._phase.first)
        if self._paced is None:
            self._paced = step, time.monotonic()
        if self._live:
            self._live.update(self._render())
        elif time.monotonic() - self._last_line >= self._every_s:
            self._line(step)

    def part(self, done: int, total: int) -> None:
        """Shows how far a phase is that is not counted in steps, such as playing demonstrations."""
        self._progress.update(self._task, completed=done, total=total)
        if self._live:
            self._live.update(self._render())
        elif time.monotonic() - self._last_line >= self._every_s:
            self._last_line = time.monotonic()
            title = f"{self._title} {self._phase.name}".rstrip()
            sys.stderr.write(f"{title}: {done}/{total}  {self._last_line - self._started:.0f} s\n")
            sys.stderr.flush()

    def alarm(self, text: str) -> None:
        """Shows an alarm of the run, from now on."""
        self._alarms.append(safe_text(text))
        if self._live:
            self._live.update(self._render())
        else:
            sys.stderr.write(f"{self._title}: alarm: {self._alarms[-1]}\n")
            sys.stderr.flush()

    def cost(self, text: str) -> None:
        """Shows what the present phase costs. A pipe gets the first estimate; its later lines say the time left."""
        first, self._cost = text.partition(":")[0] != self._cost.partition(":")[0], safe_text(text)
        if self._live:
            self._live.update(self._render())
        elif first:
            sys.stderr.write(f"{self._title}: {self._cost}\n")
            sys.stderr.flush()

    def _line(self, step: int) -> None:
        self._last_line, self._written = time.monotonic(), step
        name, first, last = self._phase
        seconds = self._last_line - self._started
        left = self._left(step)
        clock = f"{seconds:.0f} s" + ("" if left is None else f", about {left:.0f} s left")
        clock += f" in {name}" if name else ""
        values = "  ".join(f"{_SHOWN[key]} {values[-1]:.3f}" for key, values in self._history.items())
        title = f"{self._title} {name}".rstrip()
        sys.stderr.write(f"{title}: {step - first}/{last - first}  {clock}  {values}\n")
        sys.stderr.flush()

    def _left(self, step: int) -> float | None:
        """Seconds to the end of the phase; None as long as only its first update, which also warms up, was seen."""
        if self._paced is None or step <= self._paced[0]:
            return 0.0 if step >= self._phase.last else None
        begun, at = self._paced
        return (self._last_line - at) / (step - begun) * max(0, self._phase.last - step)

    def _render(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for name, values in self._history.items():
            table.add_row(_SHOWN[name], f"{values[-1]:.3f}", Text(sparkline(list(values)), style=self._colour))
        parts: list[object] = [self._progress, *([Text(self._cost)] if self._cost else []), table]
        parts += [Text(f"alarm: {text}", style="bold white on red") for text in self._alarms]
        if self._episode:
            lines = self._episode.splitlines()[:16]
            parts.append(
                Panel(Text("\n".join(lines)), title="an episode of the last step", title_align="left", width=100)
            )
        return Group(*parts)  # type: ignore[arg-type]
