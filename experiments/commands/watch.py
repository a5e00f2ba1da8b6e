"""`berrypick play --policy`: shows a policy's episode while it is played."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console

from ...envs.episode import Episode, start
from ...envs.questions import Question
from ...envs.record import EpisodeRecord
from ...envs.recording import record_of
from ...envs.tasks.registry import Task, make_task
from ...policies.chat import chat_name
from ...policies.open_policy import open_policy
from ...policies.policy import Sampling
from ...policies.rollout import rollout
from ...retrieval_index.bounds import at_least, flags_at_least
from ...retrieval_index.errors import BerrypickError
from ..report.replay import question_page, turn_page, verdict
from .env_arguments import chat_voice, parse_env_args, with_rules
from .flags import Play

__all__ = ["random_question", "watch"]


def random_question(task: Task, split: str, seed: int) -> Question:
    """One question of a split, or of the task's default split for "", drawn with the seed."""
    questions = task.split(task.split_to_ask(split or None))
    return questions[int(np.random.default_rng(seed).integers(len(questions)))]


def watch(flags: Play) -> None:
    """Asks the policy one question and shows each turn when it has been played."""
    flags_at_least(1, flags, "max_new_tokens")
    at_least(0, {"--temperature": flags.temperature})
    arguments, max_new_tokens = with_rules(
        flags.policy, flags.env, parse_env_args(flags.env_arg), flags.max_new_tokens, 64
    )
    if chat_name(flags.policy):
        arguments |= chat_voice(flags.env, arguments)
    task = make_task(flags.env, **arguments)
    question = _asked(flags.ask) if flags.ask else random_question(task, flags.split, flags.seed)
    policy = open_policy(flags.policy, device=flags.device)
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)

    def record(episode: Episode) -> EpisodeRecord:
        return record_of(episode, sample_index=0, seed=flags.seed, policy_id=policy.policy_id, env_id=task.env_id)

    console.print(question_page(record(start(question, task.spec)), "a new episode", live=True))

    def on_turn(episodes: Sequence[Episode]) -> None:
        seen = record(episodes[0])
        console.print(turn_page(seen, len(seen.turns) - 1, live=True))

    sampling = Sampling(flags.temperature, max_new_tokens=max_new_tokens)
    ((episode,),) = rollout(
        policy, [question], task.spec, task.searcher, num_samples=1, sampling=sampling, seed=flags.seed, on_turn=on_turn
    )
    console.print(verdict(record(episode)))


def _asked(text: str) -> Question:
    """A question that was typed; its right answers and its evidence are not known."""
    if not text.strip():
        raise BerrypickError("--ask has no question")
    return Question("asked", text.strip(), ())
