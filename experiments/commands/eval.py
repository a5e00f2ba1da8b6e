"""`berrypick eval`: flags to rollouts, record, measures and a screen."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...envs.episode import Episode
from ...envs.record import RecordError
from ...envs.tasks.controls import controlled
from ...envs.tasks.presets import evaluation_preset
from ...envs.tasks.registry import Task, make_task
from ...policies.open_policy import open_policy
from ...policies.policy import Policy, Sampling
from ...retrieval_index.bounds import flags_at_least
from ..measures.arms_report import measure_arms
from ..measures.rows import ArmsReport
from ..report.arms import load_arms
from ..report.live import LiveView
from ..report.terminal import print_report
from ..runs.evaluation import evaluate
from ..runs.run_folder import drop_unused_run, hold_run_folder, write_json
from .env_arguments import parse_env_args

if TYPE_CHECKING:
    from .eval_flags import Eval

__all__ = ["run_eval"]

logger = logging.getLogger(__name__)


def run_eval(command: Eval) -> int:
    """Evaluates a policy and prints its measures; what cannot be played is refused before a folder is made."""
    flags_at_least(1, command, "samples", "questions", "max_rows", "max_new_tokens")
    arguments, max_new_tokens = parse_env_args(command.env_arg), command.max_new_tokens or 32
    if command.preset:
        preset = evaluation_preset(command.preset)
        arguments = preset.arguments_for(command.env) | arguments
        max_new_tokens = command.max_new_tokens or preset.max_new_tokens
    sampling = Sampling(command.temperature, command.top_p, max_new_tokens)
    task = make_task(command.env, **arguments)
    if command.control:
        task = controlled(task, command.control, seed=command.seed)
    num_questions = _num_questions(command, task)
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
        "questions": num_questions,
        "temperature": command.temperature,
        "top_p": command.top_p,
        "max_new_tokens": max_new_tokens,
        "seed": command.seed,
    }
    with hold_run_folder(command.out, config, resume=command.resume) as was_there:
        if not (command.out / "rollouts.jsonl").is_file():
            try:
                _play(command, task, policy, num_questions, sampling)
            except BaseException:
                if not was_there:
                    drop_unused_run(command.out)
                raise
        report = _report(command)
        write_json(command.out / "report.json", report)
    if command.json:
        sys.stdout.write(json.dumps(report, indent=1, sort_keys=True) + "\n")
    else:
        print_report([command.out], report)
    return 0


def _num_questions(command: Eval, task: Task) -> int:
    """How many questions are played: as many as were asked for, or all that there are."""
    there = len(task.split(command.split))
    wanted = there if command.questions is None else command.questions
    if wanted > there:
        logger.warning("--questions %d: the split %s holds %d; these are played", wanted, command.split, there)
    return min(wanted, there)


def _play(command: Eval, task: Task, policy: Policy, num_questions: int, sampling: Sampling) -> None:
    with LiveView(f"eval {policy.policy_id}", num_questions * command.samples) as view:

        def progress(done: int, batch: Sequence[Episode]) -> None:
            view.update(done, {"reward": sum(episode.reward for episode in batch) / len(batch)}, None)

        evaluate(
            policy,
            task,
            split=command.split,
            num_questions=num_questions,
            num_samples=command.samples,
            sampling=sampling,
            seed=command.seed,
            out=command.out,
            max_rows=command.max_rows,
            on_resume=view.begin,
            on_progress=progress,
        )


def _report(command: Eval) -> ArmsReport:
    try:
        return measure_arms(load_arms([command.out]))
    except RecordError as error:
        file = command.out / "rollouts.jsonl"
        raise RecordError(f"{error}; or remove {file}, and --resume plays it again") from error
