"""Rollouts as a log of Inspect (`inspect_ai`), which its viewer and its analysis functions read.

A sample is a question, and its epochs are the rollouts of it. What an Inspect log has no field for goes into
`metadata.berrypick` of each sample, so that reading the log gives the same records.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ...retrieval_index.plain_text import encodable
from ..record import EpisodeRecord, TurnRecord, parse_record

__all__ = ["OURS", "log_lines", "metadata_of", "record_of_sample", "scores_of"]

OURS = "berrypick"
"""Where a sample's metadata hold the record."""

_SCORES = ("em", "f1", "reward", "evidence_recall")


def log_lines(records: Callable[[], Iterable[EpisodeRecord]], *, created: str) -> Iterator[str]:
    """Yields the parts of one log, version 2, as JSON. Lone surrogates, which Inspect does not read, become U+FFFD.

    Args:
        records: starts reading the rollouts. It is called twice, because the log's results precede its samples.
        created: when the rollouts were made, as ISO 8601 with a time zone.
    """
    summary = _Summary()
    for record in records():
        summary.add(record)
    head = json.dumps(summary.header(created), ensure_ascii=False)
    yield encodable(head[:-1]) + ', "samples": ['
    epochs: Counter[str] = Counter()
    before = ""
    for record in records():
        epochs[record.question.id] += 1
        sample = json.dumps(_sample(record, epochs[record.question.id]), ensure_ascii=False)
        yield before + encodable(sample)
        before = "\n, "  # no line is an object of its own, so nobody takes the file for JSONL
    yield "\n]}\n"


def record_of_sample(sample: Mapping[str, Any]) -> EpisodeRecord | None:
    """The record of a sample that berrypick wrote; None for other samples.

    Raises:
        RecordError: its `metadata.berrypick` is not what berrypick writes.
    """
    metadata = sample.get("metadata")
    kept = metadata.get(OURS) if isinstance(metadata, Mapping) else None
    if not isinstance(kept, Mapping) or not isinstance(kept.get("turns"), list):
        return None
    messages = [message for message in sample.get("messages") or [] if isinstance(message, Mapping)]
    turns: list[dict[str, Any]] = []
    rest = iter(kept["turns"])
    for message in messages:
        if message.get("role") == "assistant":
            turns.append({**next(rest, {}), "text": message.get("content")})
        elif turns:
            turns[-1]["observation"] = message.get("content")
    return parse_record("Inspect log", {**kept, "turns": turns})


def metadata_of(record: EpisodeRecord) -> dict[str, Any]:
    """What a sample's metadata hold of a record: everything but the texts of the turns, which are its messages."""
    whole = record.model_dump(mode="json", exclude_none=True)
    for turn in whole["turns"]:
        del turn["text"], turn["observation"]
    return whole


def scores_of(record: EpisodeRecord) -> dict[str, float]:
    """The scores of a sample, as far as the episode was graded."""
    return {name: value for name in _SCORES if (value := getattr(record, name)) is not None}


def _sample(record: EpisodeRecord, epoch: int) -> dict[str, Any]:
    messages = list(_messages(record))
    replies = [message for message in messages if message["role"] == "assistant"]
    tokens = record.policy_tokens
    usage = {} if tokens is None else {_model(record): {"output_tokens": tokens, "total_tokens": tokens}}
    choices = [{"message": reply, "stop_reason": "stop"} for reply in replies[-1:]]
    return {
        "id": record.question.id,
        "epoch": epoch,
        "input": record.question.text,
        "target": list(record.question.answers),
        "messages": messages,
        "output": {"model": _model(record), "choices": choices},
        "scores": {name: {"value": value, "answer": record.answer_raw} for name, value in scores_of(record).items()},
        "metadata": {OURS: metadata_of(record)},
        "model_usage": usage,
    }


def _messages(record: EpisodeRecord) -> Iterator[dict[str, Any]]:
    yield {"role": "user", "content": record.question.text}
    for number, turn in enumerate(record.turns, 1):
        yield _reply(turn, number)
        if turn.observation and turn.action == "search":
            call = {"tool_call_id": _call(number), "function": "search"}
            yield {"role": "tool", "content": turn.observation, **call}
        elif turn.observation:
            yield {"role": "user", "content": turn.observation}


def _reply(turn: TurnRecord, number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text, "source": "generate"}
    if turn.action == "search":
        arguments = {"query_list": turn.queries}
        message["tool_calls"] = [
            {"id": _call(number), "function": "search", "arguments": arguments, "type": "function"}
        ]
    return message


def _call(number: int) -> str:
    return f"call_{number}"


def _model(record: EpisodeRecord) -> str:
    return record.policy_id or "unknown"


class _Summary:
    """What the header of a log tells of all samples."""

    def __init__(self) -> None:
        self._questions: Counter[str] = Counter()
        self._models: Counter[str] = Counter()
        self._tasks: Counter[str] = Counter()
        self._values: dict[str, dict[str, list[float]]] = {}  # score -> question -> sum, number

    def add(self, record: EpisodeRecord) -> None:
        """Counts a rollout."""
        self._questions[record.question.id] += 1
        self._models[_model(record)] += 1
        self._tasks[record.env_id or OURS] += 1
        for name, value in scores_of(record).items():
            total = self._values.setdefault(name, {}).setdefault(record.question.id, [0.0, 0.0])
            total[0] += value
            total[1] += 1

    def header(self, created: str) -> dict[str, Any]:
        """The log without its samples. Scores are means over questions, each the mean over its rollouts."""
        (task, _), *_ = self._tasks.most_common(1)
        (model, _), *_ = self._models.most_common(1)
        number = self._questions.total()
        sample_ids = list(self._questions)
        spec = {
            "created": created,
            "task": task,
            "model": model if len(self._models) == 1 else "several",
            "dataset": {"name": task, "samples": len(sample_ids), "sample_ids": sample_ids, "shuffled": False},
            "config": {"epochs": max(self._questions.values())},
            "metadata": {"models": dict(self._models)},
        }
        return {
            "version": 2,
            "status": "success",
            "eval": spec,
            "plan": {"name": "plan", "steps": []},
            "results": {"total_samples": number, "completed_samples": number, "scores": list(self._results())},
            "stats": {},
        }

    def _results(self) -> Iterator[dict[str, Any]]:
        for name, by_question in self._values.items():
            means = [total / count for total, count in by_question.values()]
            metrics = {"mean": statistics.fmean(means)}
            if len(means) > 1:
                metrics["stderr"] = statistics.stdev(means) / len(means) ** 0.5
            shown = {key: {"name": key, "value": value} for key, value in metrics.items()}
            yield {"name": name, "scorer": name, "reducer": "mean", "scored_samples": len(means), "metrics": shown}
