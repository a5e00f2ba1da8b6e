"""What a faithful run of each published system costs, and the texts that say so.

`python -m berrypick.experiments.faithful_runs.page > docs/faithful.md` writes the page.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ...retrieval_index.errors import UnknownNameError
from ..report.format import markdown_table
from .rows import FAITHFUL, Faithful

__all__ = ["Cost", "cost_of", "faithful_list", "faithful_page", "faithful_text"]

PEAK = 989e12
"""Operations a second of an H100 SXM in bfloat16, without sparsity, as its vendor states."""

DECODING, DENSE = 0.05, 0.35
"""Shares of the peak that are assumed while tokens are sampled, and while they are read or trained on."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Rollouts and demonstrations of one pass through a row's commands, and GPU hours of all passes."""

    rollouts: int
    demonstrations: int
    hours: float


def cost_of(row: Faithful) -> Cost:
    """The estimate. A token costs 2 operations a parameter where it is read or sampled, 6 where it is trained on.

    A rollout is read and sampled once; training reads it forward and backward. Pauses, start-up, retrieval, evaluation
    and communication between GPUs are left out, so that the true number is larger.
    """
    rollouts = demonstrations = 0
    operations = 0.0
    for command in row.commands:
        words = shlex.split(command)
        if words[1] == "eval":
            played, updated = _number(words, "--questions") * _number(words, "--samples"), 0
        else:
            played = _number(words, "--steps") * _number(words, "--questions-per-step") * _number(words, "--group-size")
            updated = played
        shown = _number(words, "--sft-steps") * (_number(words, "--sft-batch-size") or 32)
        operations += 2 * row.parameters * played * (row.sampled / DECODING + row.context / DENSE)
        operations += 6 * row.parameters * (updated + shown) * row.context / DENSE
        rollouts, demonstrations = rollouts + played, demonstrations + shown
    return Cost(rollouts, demonstrations, row.runs * operations / PEAK / 3600)


def _number(words: Sequence[str], flag: str) -> int:
    """The value of a flag in a command; 0 without it."""
    return int(words[words.index(flag) + 1]) if flag in words else 0


def faithful_text(name: str) -> str:
    """One row for the terminal.

    Raises:
        UnknownNameError: no such system.
    """
    if name not in FAITHFUL:
        raise UnknownNameError("published system", name, FAITHFUL)
    row = FAITHFUL[name]
    commands = "\n".join(f"    {command}" for command in row.commands)
    return (
        f"A faithful run of {name} ({row.paper}); nothing of it was run here\n\npublished: {row.published}\n"
        f"corpus:    {row.corpus}\ndiffers:   {row.differs}\nestimate:  {_arithmetic(row)}\n\n{commands}\n"
    )


def _arithmetic(row: Faithful) -> str:
    cost = cost_of(row)
    parts = [f"{cost.rollouts:,} rollouts of {row.sampled:,} sampled and {row.context:,} tokens in all"]
    if cost.demonstrations:
        parts.append(f"{cost.demonstrations:,} demonstrations")
    size, times = f"{row.parameters / 1e9:g}", "once" if row.runs == 1 else f"{row.runs} times"
    return f"{' and '.join(parts)}, {size} billion parameters, {times}: about {_hours(cost.hours)} H100 hours"


def faithful_list() -> str:
    """All rows for the terminal, a line each."""
    lines = [f"{name:<22} {_hours(cost_of(row).hours):>7} H100 hours  {row.paper}" for name, row in FAITHFUL.items()]
    return "Faithful runs of the published systems, estimated:\n\n" + "\n".join(lines) + "\n"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}"


_PEAK, _DECODING, _DENSE = f"{PEAK / 1e12:.0f}", f"{100 * DECODING:.0f} %", f"{100 * DENSE:.0f} %"
_SAMPLED, _UPDATED = (f"{PEAK * rate:,.0f}" for rate in (DECODING / 16e9, DENSE / 48e9))
_HEAD = f"""# Faithful runs of the published systems

<!-- generated: python -m berrypick.experiments.faithful_runs.page > docs/faithful.md -->

What `berrypick run NAME` does fits one computer: tables and models of three million parameters at most, in
planted worlds. This page says what a run at the papers' sizes needs. `berrypick faithful NAME` prints a row. None of
these runs was made. A test runs every command for two steps with SmolLM2-135M in a small World, in place of its
model, sizes and corpus; the flags that say *how* are those printed here.

## The estimate

GPU hours are an estimate, not a measurement. Tokens are counted from the commands: steps x questions x group size
rollouts and SFT steps x batch size demonstrations, times an assumed length. A token costs 2 operations a parameter
where it is sampled or read and 6 where it is trained on. An H100 does {_PEAK} T operations a second at its peak in
bfloat16, of which {_DECODING} are assumed while sampling and {_DENSE} otherwise: for 8 billion parameters {_SAMPLED}
sampled and {_UPDATED} trained tokens a second. Start-up, retrieval, evaluation, failures and communication come on top.
On several GPUs put `accelerate launch --multi_gpu --num_processes 8 -m` before `berrypick train` and add `--fsdp`
([training.md](training.md#several-processes)).
"""


def faithful_page() -> str:
    """docs/faithful.md."""
    rows = [[f"[{name}](#{name})", row.paper, f"{row.parameters / 1e9:g} B", _hours(cost_of(row).hours)]
            for name, row in FAITHFUL.items()]  # fmt: skip
    parts = [_HEAD.strip(), markdown_table(["experiment", "paper", "parameters", "H100 hours, estimated"], rows)]
    for name, row in FAITHFUL.items():
        commands = "\n".join(f"    {command}" for command in row.commands)
        parts += [
            f"## {name}",
            f"Published ({row.paper}): {row.published}.",
            f"Corpus: {row.corpus}.",
            f"What differs: {row.differs}",
            f"Estimate: {_arithmetic(row)}.",
            commands,
        ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(faithful_page())
