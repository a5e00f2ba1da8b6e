"""Number formats on real text: SFT and rollouts of a pretrained model, in turns in one process; TRL beside."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

from ...envs.tasks.registry import make_task
from ...envs.tasks.task import Task
from ...policies.language.batches import TokenRows
from ...policies.language.episode_rows import rows_of
from ...policies.language.model import LanguageModelPolicy
from ...policies.objectives.registry import get_objective
from ...policies.open_policy import open_policy
from ...policies.policy import Sampling
from ...policies.rollout import rollout
from ...policies.scripted import scripted_policy
from ...policies.training.rl import RlConfig, rl_optimizer, rl_rollout, rl_update
from ...policies.training.sft import SftConfig, sft_optimizer, sft_update

__all__ = ["measure_formats"]

_ENV = "berrypick/HotpotQA-v0"
_ARGUMENTS = {"top_k": 2, "template": "bare", "max_turns": 4, "max_observation_chars": 900}
_GROUP = 8
_MAX_TOKENS = 1024


def measure_formats(
    name: str,
    data: str,
    rounds: int,
    rows: Sequence[int] = (8, 32),
    *,
    dtypes: Sequence[str] = ("float32", "bfloat16"),
    trl: bool = False,
) -> dict[str, float]:
    """Tokens/s of SFT and of rollouts in each format, medians of CPU seconds, and their ratios to the first format.

    The policies first learn from the same demonstrations, so that the rollouts search and read as those of a trained
    model; the first of these updates is the warm-up.

    Args:
        name: of the weights.
        data: folder of HotpotQA as `berrypick data get` writes it.
        rounds: repetitions; all measurements take turns.
        rows: episodes played at a time, in groups of eight.
        dtypes: the formats, at least one.
        trl: also time a GRPO step of 4 x 8 rollouts, ours and that of TRL's trainer, in each format.
    """
    task = make_task(_ENV, data=data, **_ARGUMENTS)
    policies = {dtype: _opened(name, dtype) for dtype in dtypes}
    first, *others = dtypes
    demonstrations = _demonstrations(task, policies[first])
    config = SftConfig(steps=rounds + 1, batch_size=4, learning_rate=5e-5, max_tokens=_MAX_TOKENS)
    rates: dict[str, list[float]] = {}
    trainers = {dtype: _trainer(policy, demonstrations, config) for dtype, policy in policies.items()}
    for step in range(rounds + 1):
        for dtype, train in trainers.items():
            rate = _rate(partial(train, step))
            if step:
                rates.setdefault(f"SFT {dtype}", []).append(rate)
    for _ in range(rounds):
        for count in rows:
            for dtype, policy in policies.items():
                rates.setdefault(f"rollouts {count} rows {dtype}", []).append(
                    _rate(partial(_play, policy, task, count))
                )
    middle = {what: median(values) for what, values in rates.items()}
    out = {f"{what}, tokens/CPU s": value for what, value in middle.items()}
    for what in ("SFT", *(f"rollouts {count} rows" for count in rows)):
        for other in others:
            out[f"{what}: {other} / {first}"] = middle[f"{what} {other}"] / middle[f"{what} {first}"]
    for dtype, policy in policies.items() if trl else ():
        out |= _against_trl(policy, task, dtype, rounds)
    return out


def _against_trl(policy: LanguageModelPolicy, task: Task, dtype: str, rounds: int) -> dict[str, float]:
    """Median seconds of a GRPO step on the same questions, ours and TRL's; every group of ours has a gradient."""
    from .train_trl import trl_step_seconds

    config = RlConfig(questions_per_step=4, group_size=_GROUP, max_new_tokens=32, max_tokens=_MAX_TOKENS)
    questions = task.split("dev")[:4]
    scratch = LanguageModelPolicy(copy.deepcopy(policy.model), policy.tokenizer, policy.policy_id)
    optimizer, objective = rl_optimizer(scratch, config), get_objective("grpo")
    spent = []
    for step in range(rounds + 1):
        start = time.perf_counter()
        groups = rl_rollout(scratch, questions, task.spec, task.searcher, config, step)
        for group in groups:
            group[0].reward, group[-1].reward = 1.0, 0.0
        rl_update(scratch, optimizer, groups, objective, config, step=step)
        spent.append(time.perf_counter() - start)
    ours = median(spent[1:])
    with tempfile.TemporaryDirectory() as folder:
        theirs = trl_step_seconds(policy, task, questions, config, rounds, folder, bfloat16=dtype == "bfloat16")
    return {
        f"GRPO step {dtype} s": ours,
        f"TRL step {dtype} s": theirs,
        f"GRPO step {dtype}: TRL / ours (bar 2)": theirs / ours,
    }


def _opened(name: str, dtype: str) -> LanguageModelPolicy:
    policy = open_policy(name, dtype=dtype, trains=True)
    assert isinstance(policy, LanguageModelPolicy), "the benchmark has checked this"
    return policy


def _demonstrations(task: Task, policy: LanguageModelPolicy) -> TokenRows:
    groups = rollout(
        scripted_policy("oracle"), task.split("train")[:8], task.spec, task.searcher,
        num_samples=1, sampling=Sampling(), seed=0,
    )  # fmt: skip
    return rows_of(policy, [episode for group in groups for episode in group])


def _trainer(policy: LanguageModelPolicy, rows: TokenRows, config: SftConfig) -> Callable[[int], int]:
    optimizer: Any = sft_optimizer(policy, config)

    def train(step: int) -> int:
        batch = rows.select([(step * config.batch_size + at) % len(rows.ids) for at in range(config.batch_size)])
        sft_update(policy, optimizer, batch, config, step)
        return batch.num_tokens

    return train


def _play(policy: LanguageModelPolicy, task: Task, count: int) -> int:
    """Plays `count` episodes; returns the tokens sampled."""
    groups = rollout(
        policy, task.split("dev")[: max(1, count // _GROUP)], task.spec, task.searcher,
        num_samples=min(count, _GROUP), sampling=Sampling(max_new_tokens=32), seed=1,
    )  # fmt: skip
    return sum(len(tokens.ids) for group in groups for episode in group for _, tokens in episode.token_turns)


def _rate(work: Callable[[], int]) -> float:
    """Tokens per CPU second of this process, which other processes disturb less than seconds on the wall."""
    start = time.process_time()
    tokens = work()
    return tokens / (time.process_time() - start)
