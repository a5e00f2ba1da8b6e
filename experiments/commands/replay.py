"""`berrypick play ROLLOUTS`: reads recorded episodes turn by turn."""

from __future__ import annotations

import sys
from functools import partial

from rich.console import Console

from ...retrieval_index.bounds import flags_at_least
from ...retrieval_index.errors import BerrypickError
from ..report.arms import rollouts_file
from ..report.replay import episode_pages
from ..rollouts.episodes import EpisodeFinder, stream_episodes
from .flags import Play

__all__ = ["replay"]

KEYS = "Enter: next turn, b: back, n: next episode, p: previous episode, q: quit"


def replay(flags: Play) -> None:
    """Shows the episode that the flags choose: page by page at a terminal, at once in a pipe."""
    assert flags.rollouts is not None
    flags_at_least(1, flags, "episode")
    flags_at_least(0, flags, "sample")
    file = rollouts_file(flags.rollouts)
    finder = EpisodeFinder(partial(stream_episodes, file))
    number = _chosen(flags, finder)
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not (console.is_terminal and sys.stdin.isatty()):
        record = finder.at(number)
        assert record is not None
        for page in episode_pages(record, f"episode {number + 1} of {file}"):
            console.print(page)
        return
    console.print(KEYS, style="dim")
    _browse(console, finder, number, str(file))


def _chosen(flags: Play, finder: EpisodeFinder) -> int:
    """The number of the episode to show, from 0."""
    if flags.question:
        if flags.episode is not None:
            raise BerrypickError("--episode and --question both choose an episode; give one of them")
        found = finder.of_question(flags.question, flags.sample)
        if found is None:
            sample = "" if flags.sample is None else f"sample {flags.sample} of "
            raise BerrypickError(
                f"{flags.rollouts} has no {sample}question {flags.question!r}; berrypick report --json and the file "
                "itself name its questions"
            )
        return found
    if flags.sample is not None:
        raise BerrypickError("--sample needs --question; or give --episode N")
    number = (flags.episode or 1) - 1
    if finder.at(number) is None:
        raise BerrypickError(f"{flags.rollouts} has no episode {number + 1}; --episode takes 1 to {finder.num_read}")
    return number


def _browse(console: Console, finder: EpisodeFinder, number: int, file: str) -> None:
    """Shows a page, then does what the next line of input asks for, until it is q or the input ends."""
    at, shown = 0, True
    while True:
        record = finder.at(number)
        assert record is not None
        pages = episode_pages(record, f"episode {number + 1} of {file}")
        at = min(at, len(pages) - 1)
        if shown:
            console.print(pages[at])
        sys.stdout.write("> ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        word, shown = line.strip().lower(), True
        if not line or word == "q":
            if not line:
                console.print()
            return
        if word in ("n", "p"):
            goal = number + (1 if word == "n" else -1)
            shown = finder.at(goal) is not None
            if shown:
                number, at = goal, 0
            else:
                console.print("this is the last episode" if word == "n" else "this is the first episode", style="dim")
        elif word in ("", "b"):
            goal = at + (1 if word == "" else -1)
            shown = 0 <= goal < len(pages)
            if shown:
                at = goal
            else:
                console.print("the episode ends here" if word == "" else "the episode begins here", style="dim")
        else:
            shown = False
            console.print(KEYS, style="dim")
