"""The measurements of `berrypick bench train`: each number next to the bare computation it is compared with."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch

from ...envs.episode import Episode
from ...envs.tasks.task import Task
from ...policies.language.batches import TokenRows, micro_batches
from ...policies.language.decoder import forward_rows
from ...policies.language.encoding import encode_episode, encode_prompt
from ...policies.language.model import LanguageModelPolicy
from ...policies.language.row_cache import RowCache
from ...policies.objectives import get_objective
from ...policies.policy import Sampling
from ...policies.training.rl import RlConfig, rl_optimizer, rl_rollout, rl_update
from .train_bare import bare_decode, bare_update, feed, generate_turns
from .train_memory import step_growth_mib

__all__ = ["TrainMeasures", "measure"]

_MEMORY = "peak memory of two steps beyond the loaded model MiB"


@dataclass(frozen=True)
class TrainMeasures:
    """What is measured.

    Attributes:
        policy: name of the policy; the memory measure opens it again in its own process.
        env: environment id, for the same reason.
        questions: groups per step.
        group_size: rollouts per question.
        max_new_tokens: longest turn.
        batch_sizes: rows of the decoding measure; the best size of each side counts.
        rounds: repetitions of each measurement; the median counts.
        trl: also time a step of TRL's GRPOTrainer.
    """

    policy: str
    env: str
    questions: int
    group_size: int
    max_new_tokens: int
    batch_sizes: tuple[int, ...]
    rounds: int
    trl: bool


def measure(policy: LanguageModelPolicy, task: Task, bench: TrainMeasures) -> dict[str, float]:
    """All times and ratios, by the names that the table shows."""
    config = RlConfig(
        questions_per_step=bench.questions, group_size=bench.group_size, max_new_tokens=bench.max_new_tokens
    )
    questions = next(iter(task.questions.values()))[: bench.questions]
    groups = rl_rollout(policy, questions, task.spec, task.searcher, config, 0)
    flat = [episode for group in groups for episode in group]
    sampled = sum(len(turn.draft.tokens.ids) for e in flat for turn in e.turns if turn.draft.tokens is not None)
    encoded = [encode_episode(policy.tokenizer, episode) for episode in flat]
    data = TokenRows([ids for ids, _ in encoded], [mask for _, mask in encoded])
    scratch = LanguageModelPolicy(copy.deepcopy(policy.model), policy.tokenizer, policy.policy_id)
    optimizer, objective = rl_optimizer(scratch, config), get_objective("grpo")
    for group in groups:  # every group has a gradient, so no group is skipped
        group[0].reward, group[-1].reward = 1.0, 0.0

    def play() -> None:
        rl_rollout(policy, questions, task.spec, task.searcher, config, 0)

    times = _in_turn(
        {
            "rollout": play,
            "bare decode": lambda: bare_decode(policy, flat),
            "update": lambda: rl_update(scratch, optimizer, groups, objective, config),
            "bare update": lambda: bare_update(scratch, optimizer, data, config.max_tokens),
            "generate": lambda: generate_turns(policy, flat, bench.max_new_tokens),
        },
        bench.rounds,
    )
    bare = times["bare decode"] + times["bare update"]
    decoded, bare_decoded = _decoding(policy, task, bench.batch_sizes, bench.rounds)
    out = {
        "policy tokens a step": float(sampled),
        "policy tokens / contexts computed once for rows that share them": sampled / _num_contexts(groups),
        "rollout s": times["rollout"],
        "update s": times["update"],
        "bare cached forwards s": times["bare decode"],
        "bare forward, backward, step s": times["bare update"],
        "GRPO step / bare (bar 1.5)": (times["rollout"] + times["update"]) / bare,
        "sampled tokens/s, searches and prefills included": sampled / times["rollout"],
        "rollout / bare cached forwards of the same episodes": times["rollout"] / times["bare decode"],
        "decoding tokens/s at the best batch": decoded,
        "decoding / bare cached forward, each at its best batch (bar .8)": decoded / bare_decoded,
        "generate re-reading each turn s": times["generate"],
        "generate / rollout (bar 1.4)": times["generate"] / times["rollout"],
        "padding share of the training forward (bar .15)": _padding(data, config.max_tokens),
        _MEMORY: step_growth_mib("ours", bench.policy, bench.env, config),
    }
    if bench.trl:
        out |= _trl(policy, task, questions, config, bench.rounds, times["rollout"] + times["update"])
        out |= _trl_memory(bench, config, out[_MEMORY])
    return out


def _num_contexts(groups: Sequence[Sequence[Episode]]) -> int:
    """Number of distinct contexts from which the policy tokens of these rollouts were sampled."""
    nodes: dict[tuple[Any, ...], int] = {}  # nodes of the tree of contexts: (parent node, what follows it) -> number
    drawn_from: set[int] = set()
    for episode in (episode for group in groups for episode in group):
        node = nodes.setdefault((episode.question.id,), len(nodes))
        for turn in episode.turns:
            for token in () if turn.draft.tokens is None else turn.draft.tokens.ids.tolist():
                drawn_from.add(node)
                node = nodes.setdefault((node, token), len(nodes))
            node = nodes.setdefault((node, turn.observation), len(nodes))
    return len(drawn_from)


def _in_turn(work: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each; one warm-up round, then rounds in which all take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for round_number in range(rounds + 1):
        for name, function in work.items():
            start = time.perf_counter()
            function()
            if round_number:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def _decoding(policy: LanguageModelPolicy, task: Task, batch_sizes: Sequence[int], rounds: int) -> tuple[float, float]:
    """Tokens/s of long turns, ours and bare cached forwards of one token per row, each at its best batch size.

    Tokens that end a turn are masked, and every row has a different question, so no context is shared: both sides
    decode the same number of tokens in the same rows.
    """
    length = 48
    questions = next(iter(task.questions.values()))
    prompts = [encode_prompt(policy.tokenizer, question, task.spec) for question in questions[: max(batch_sizes)]]
    sizes = sorted({min(rows, len(prompts)) for rows in batch_sizes})
    ending = [
        token
        for token in range(len(policy.tokenizer))
        if ">" in str(policy.tokenizer.decode([token])) or token == policy.tokenizer.eos_token_id
    ]

    def keep_going(module: Any, args: Any, logits: torch.Tensor) -> torch.Tensor:
        return logits.index_fill(-1, torch.tensor(ending, device=logits.device), -1e9)

    def bare(rows: int) -> None:
        with torch.inference_mode():
            cache = RowCache(torch.zeros(rows, dtype=torch.int64, device=policy.model.device))
            feed(policy, cache, prompts[:rows])
            token, one = torch.full((rows, 1), 5), torch.ones(rows, dtype=torch.int64)
            token, one = token.to(policy.model.device), one.to(policy.model.device)
            for _ in range(length - 1):
                forward_rows(policy.model, cache, token, one)

    def ours(rows: int) -> None:
        session = policy.start(questions[:rows], task.spec, range(rows), Sampling(max_new_tokens=length))
        session.act(range(rows))

    head: Any = policy.model.get_output_embeddings()
    hook = head.register_forward_hook(keep_going)
    work: dict[str, Callable[[], Any]] = {}
    for rows in sizes:
        work[f"ours {rows}"], work[f"bare {rows}"] = partial(ours, rows), partial(bare, rows)
    seconds = _in_turn(work, rounds)
    hook.remove()
    best = {
        kind: max(int(name.split()[1]) * length / s for name, s in seconds.items() if name.startswith(kind))
        for kind in ("ours", "bare")
    }
    return best["ours"], best["bare"]


def _padding(data: TokenRows, max_tokens: int) -> float:
    """Share of positions of the training forward that are padding."""
    used = positions = 0
    for micro in micro_batches(data, max_tokens):
        positions += micro.ids.numel()
        used += sum(int(data.masks[row].nonzero()[0][-1]) + 1 for row in micro.rows)
    return 1 - used / positions


def _trl(
    policy: LanguageModelPolicy,
    task: Task,
    questions: Sequence[Any],
    config: RlConfig,
    rounds: int,
    ours: float,
) -> dict[str, float]:
    """A step of TRL's GRPOTrainer on the same questions, group size and turns, with our episodes as its tool loop."""
    from .train_trl import trl_step_seconds

    with tempfile.TemporaryDirectory() as folder:
        theirs = trl_step_seconds(policy, task, questions, config, rounds, folder)
    return {"TRL step s": theirs, "TRL / ours (bar 1.3)": theirs / ours}


def _trl_memory(bench: TrainMeasures, config: RlConfig, ours: float) -> dict[str, float]:
    theirs = step_growth_mib("TRL", bench.policy, bench.env, config)
    return {"TRL: the same MiB": theirs, "peak memory, ours / TRL (bar 1)": ours / theirs}
