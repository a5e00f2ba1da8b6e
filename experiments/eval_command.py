"""`berrypick eval`: flags to rollouts, record, measures and a screen."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..envs.controls import controlled
from ..envs.episode import Episode
from ..envs.presets import evaluation_preset
from ..envs.tasks import Task, make_task
from ..policies.policy import Policy, Sampling
from ..retrieval_index.errors import BerrypickError
from .env_arguments import parse_env_args
from .evaluation import evaluate
from .policies import open_policy
from .report.compare import print_report, report_paths
from .report.live import LiveView
from .run_folder import open_run_folder, write_json

if TYPE_CHECKING:
    from .eval_flags import Eval

__all__ = ["run_eval"]


def run_eval(command: Eval) -> int:
    """Evaluates a policy and prints its measures."""
    if command.samples < 1:
        raise BerrypickError("--samples must be at least 1")
    arguments, max_new_tokens = parse_env_args(command.env_arg), command.max_new_tokens or 32
    if command.preset:
        preset = evaluation_preset(command.preset)
        arguments = preset.arguments_for(command.env) | arguments
        max_new_tokens = command.max_new_tokens or preset.max_new_tokens
    task = make_task(command.env, **arguments)
    if command.control:
        task = controlled(task, command.control, seed=command.seed)
    questions = task.split(command.split)[: command.questions]
    policy = open_policy(command.policy, device=command.device)
    config = {
        "command": "eval",
        "env": command.env,
        "env_args": arguments,
        "preset": command.preset,
        "control": command.control,
        "policy": command.policy,
        "split": command.split,
        "samples": command.samples,
        "questions": len(questions),
        "temperature": command.temperature,
        "top_p": command.top_p,
        "max_new_tokens": max_new_tokens,
        "seed": command.seed,
    }
    open_run_folder(command.out, config, resume=command.resume)
    if not (command.out / "rollouts.jsonl").is_file():
        _play(command, task, policy, len(questions), max_new_tokens)
    report = report_paths([command.out])
    write_json(command.out / "report.json", report)
    if command.json:
        sys.stdout.write(json.dumps(report, indent=1, sort_keys=True) + "\n")
    else:
        print_report([command.out], report)
    return 0


def _play(command: Eval, task: Task, policy: Policy, num_questions: int, max_new_tokens: int) -> None:
    with LiveView(f"eval {policy.policy_id}", num_questions * command.samples) as view:

        def progress(done: int, batch: Sequence[Episode]) -> None:
            view.update(done, {"reward": sum(episode.reward for episode in batch) / len(batch)}, None)

        evaluate(
            policy,
            task,
            split=command.split,
            num_questions=command.questions,
            num_samples=command.samples,
            sampling=Sampling(command.temperature, command.top_p, max_new_tokens),
            seed=command.seed,
            out=command.out,
            max_rows=command.max_rows,
            on_progress=progress,
        )
