"""The last lines of a command: where its files are, and which command comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from ...retrieval_index.plain_text import one_line, safe_text

__all__ = ["WIDTH", "Closing", "print_closing", "print_end", "report_console"]

WIDTH = 100
"""Columns of the output if it is no terminal, and the most that are used of a wider terminal."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What a command left behind.

    Attributes:
        files: (what it is, where it is) in the order in which they are printed, such as ("page", "runs/a/report.html").
        next: commands to run next.
    """

    files: Sequence[tuple[str, object]] = ()
    next: Sequence[str] = ()


def print_closing(console: Console, closing: Closing) -> None:
    """Prints one line for each file and command. Long paths are never broken, so that they can be copied."""
    rows = [*closing.files, *(("next", command) for command in closing.next)]
    width = max((len(what) for what, _ in rows), default=0) + 1
    for what, where in rows:
        line = Text(f"{what + ':':<{width}} ", style="dim").append(one_line(str(where)), style="default not dim")
        console.print(line, soft_wrap=True)


def print_end(sentence: str, closing: Closing) -> None:
    """Prints the sentence that a reader should keep, if there is one, and the last lines, to standard output."""
    console = report_console()
    if sentence:
        console.print(Text(safe_text(sentence), style="bold"), width=min(console.width, WIDTH))
    print_closing(console, closing)


def report_console() -> Console:
    """Standard output: as wide as the terminal, or `WIDTH` in a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
