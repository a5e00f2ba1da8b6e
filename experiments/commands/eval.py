"""`berrypick eval`: flags to rollouts, record, measures and a screen."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...envs.data.splits import HOLDOUT, some_questions
from ...envs.questions import Question
from ...envs.record import EpisodeRecord, RecordError
from ...envs.tasks.controls import controlled
from ...envs.tasks.presets import evaluation_preset
from ...envs.tasks.registry import Task, make_task
from ...policies.chat import chat_name
from ...policies.open_policy import open_policy
from ...policies.policy import Policy, Sampling
from ...retrieval_index.bounds import at_least, flags_at_least
from ...retrieval_index.errors import BerrypickError
from ..measures.arms_report import measure_arms
from ..measures.coverage import COVERAGE, coverage_row, stored_coverage
from ..measures.rows import ArmsReport
from ..report.arms import load_rollouts
from ..report.episode_sample import PAGE_CHARS
from ..report.live import LiveView
from ..report.live_evaluation import EvaluationProgress
from ..report.packed_episode import PageEpisode
from ..report.page import report_closing, write_page
from ..report.terminal import print_report
from ..runs.evaluation import evaluate
from ..runs.progress_of_run import trained_by, unfinished
from ..runs.run_folder import drop_unused_run, hold_run_folder, write_json
from .env_arguments import chat_voice, parse_env_args, split_arguments, with_rules
from .flags import Eval
from .json_output import print_json

if TYPE_CHECKING:
    from ..runs.training_config import EnvArgument

__all__ = ["EvalConfig", "run_eval"]

logger = logging.getLogger(__name__)

CHAT_TOKENS = 512
"""Maximum number of tokens per turn of a chat model, which thinks in whole sentences."""

CHAT_ROWS = 64
"""Episodes of a chat model between two savings: an interruption loses at most so many, each of which costs money."""


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """What config.json of an evaluation holds, in this order; an evaluation resumes only if it is the same."""

    command: str = "eval"
    env: str
    env_args: Mapping[str, EnvArgument]
    preset: str
    control: str
    policy: str
    split: str
    samples: int
    questions: int
    first: bool
    temperature: float
    top_p: float
    max_new_tokens: int
    dtype: str
    seed: int


def run_eval(flags: Eval) -> int:
    """Evaluates a policy and prints its measures. Everything is checked before a folder is made."""
    _check(flags)
    chat = chat_name(flags.policy)
    arguments = parse_env_args(flags.env_arg) | split_arguments(flags.env, holdout=flags.holdout)
    if not flags.preset:
        arguments, max_new_tokens = with_rules(
            flags.policy, flags.env, arguments, flags.max_new_tokens, CHAT_TOKENS if chat else 32
        )
    else:
        preset = evaluation_preset(flags.preset)
        arguments = preset.arguments_for(flags.env) | arguments
        max_new_tokens = flags.max_new_tokens or preset.max_new_tokens
    if chat:
        arguments |= chat_voice(flags.env, arguments)
    task = make_task(flags.env, **arguments)
    if flags.control:
        task = controlled(task, flags.control, seed=flags.seed)
    split = HOLDOUT if flags.holdout else flags.split
    num_questions = _num_questions(flags, task, split)
    policy = open_policy(flags.policy, dtype=flags.dtype, device=flags.device)
    if made := unfinished(Path(flags.policy)):
        logger.warning("%s is unfinished, at %s; berrypick train --resume finishes it", flags.policy, made)
    config = EvalConfig(
        env=flags.env,
        env_args=arguments,
        preset=flags.preset,
        control=flags.control,
        policy=chat or flags.policy,  # the options of a chat policy, such as its timeout, may change on resuming
        split=split,
        samples=flags.samples,
        questions=num_questions,
        first=flags.first,
        temperature=flags.temperature,
        top_p=flags.top_p,
        max_new_tokens=max_new_tokens,
        dtype=getattr(policy, "dtype", ""),
        seed=flags.seed,
    )
    with hold_run_folder(flags.out, asdict(config), resume=flags.resume) as was_there:
        if not (flags.out / "rollouts.jsonl").is_file():
            try:
                _play(flags, task, policy, config)
            except BaseException:
                if not was_there:
                    drop_unused_run(flags.out)
                raise
        arms, report = _measure(flags)
        wanted = not flags.control and not (flags.out / COVERAGE).is_file()
        if wanted and (row := coverage_row(task, _asked(task, config))) is not None:
            write_json(flags.out / COVERAGE, row)
        if coverage := stored_coverage([flags.out]):
            report["coverage"] = coverage
        if how := trained_by(flags.out):
            report["trained"] = dict.fromkeys(arms, how)
        write_json(flags.out / "report.json", report)
        page, why = (None, "") if flags.no_html else write_page([flags.out], arms, report)
    if flags.json:
        print_json(report)
    else:
        print_report([flags.out], report, report_closing([flags.out], page, why))
    return 0


def _check(flags: Eval) -> None:
    flags_at_least(0, flags, "holdout")
    flags_at_least(1, flags, "samples", "questions", "max_rows", "max_new_tokens")
    at_least(0, {"--temperature": flags.temperature})
    if not 0 < flags.top_p <= 1:
        raise BerrypickError(f"--top-p must be above 0 and at most 1, got {flags.top_p}")


def _num_questions(flags: Eval, task: Task, split: str) -> int:
    """The number of questions to play: as many as the flags ask for, but not more than the split has."""
    available = len(task.split(split))
    wanted = available if flags.questions is None else flags.questions
    if wanted > available:
        logger.warning("--questions %d: the split %s has only %d; playing those", wanted, split, available)
    return min(wanted, available)


def _play(flags: Eval, task: Task, policy: Policy, config: EvalConfig) -> None:
    """Plays the questions with a live view; writes rollouts.jsonl."""
    task = replace(task, questions={**task.questions, config.split: _asked(task, config)})
    total = config.questions * config.samples
    with LiveView(f"eval {policy.policy_id}", total) as view:
        shown = EvaluationProgress(view, "eval", total, samples=bool(config.dtype))
        records = evaluate(
            policy,
            task,
            split=config.split,
            num_questions=config.questions,
            num_samples=config.samples,
            sampling=Sampling(config.temperature, config.top_p, config.max_new_tokens),
            seed=config.seed,
            out=flags.out,
            max_rows=min(flags.max_rows, CHAT_ROWS) if chat_name(flags.policy) else flags.max_rows,
            on_resume=shown.resumed,
            on_progress=shown.progress,
        )
    if config.samples > 1 and _repeats_itself(records):
        logger.warning("all %d rollouts of each question are the same; --samples 1 says as much", config.samples)


def _repeats_itself(records: Sequence[EpisodeRecord]) -> bool:
    """Whether all rollouts of a question are alike, for every question."""
    first: dict[str, list[str]] = {}
    return all(
        first.setdefault(record.question.id, texts) == texts
        for record in records
        for texts in [[turn.text for turn in record.turns]]
    )


def _asked(task: Task, config: EvalConfig) -> tuple[Question, ...]:
    """The questions that are played."""
    questions = task.split(config.split)
    return questions[: config.questions] if config.first else some_questions(questions, config.questions, config.seed)


def _measure(flags: Eval) -> tuple[Mapping[str, Sequence[PageEpisode]], ArmsReport]:
    try:
        loaded = load_rollouts([flags.out], episode_chars=PAGE_CHARS)
        for source in loaded.sources.values():
            if source.num_missing:
                raise RecordError(f"{source.path}: {source.whole.missing_text()}; restore the file")
        return loaded.episodes, measure_arms(loaded.rollouts)
    except RecordError as error:
        file = flags.out / "rollouts.jsonl"
        raise RecordError(f"{error}; or remove {file} and play it again with --resume") from error
