"""`berrypick play`: a person searches by hand, watches a policy, or reads a recorded episode."""

from __future__ import annotations

import sys

from rich.console import Console

from ...envs.episode import Draft, advance, start
from ...envs.tasks.registry import Task
from ...envs.world.facts import WorldFacts
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text
from .env_arguments import open_task
from .flags import Play
from .replay import replay
from .watch import random_question, watch

__all__ = ["play", "run_play"]


def run_play(flags: Play) -> int:
    """Plays one episode at the terminal, or replays recorded ones."""
    if flags.rollouts is not None:
        if flags.policy or flags.ask:
            raise BerrypickError("--policy and --ask play a new episode; leave out the file to replay")
        replay(flags)
        return 0
    if flags.episode is not None or flags.question or flags.sample is not None:
        raise BerrypickError(
            "--episode, --question and --sample choose a recorded episode; name its file or run folder"
        )
    if flags.policy:
        watch(flags)
        return 0
    if flags.ask:
        raise BerrypickError("--ask needs a --policy that answers; berrypick list shows the policies")
    play(open_task(flags.env, flags.env_arg), flags.split, flags.seed)
    return 0


def play(task: Task, split: str, seed: int) -> None:
    """Plays one episode at the terminal, until it is done or the input ends.

    A line is a query; `= WORDS` is the answer.
    """
    console = Console(highlight=False, markup=False)
    episode = start(random_question(task, split, seed), task.spec)
    console.print(safe_text(episode.question.text))
    world = WorldFacts.of(episode.question)
    if world is not None:
        console.print(f"Record kinds: {', '.join(world.kinds)}. A query names kind, relation and entity.")
    console.print("Type a query, or = and the answer.")
    while not episode.done:
        sys.stdout.write("> ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            console.print("\n(stopped)")
            return
        tag, text = ("answer", line.strip()[1:]) if line.strip().startswith("=") else ("search", line)
        result = advance([episode], [Draft(f"<{tag}> {text.strip()} </{tag}>")], task.searcher)[0]
        if result.observation:
            console.print(safe_text(result.observation.strip()))
    verdict = "right" if episode.correct else "not right"
    console.print(
        f"{verdict}; reward {episode.reward:g}; the answer: {safe_text(' | '.join(episode.question.answers))}"
    )
