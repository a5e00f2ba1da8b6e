"""Traces of agent frameworks: verifiers' traces.jsonl, Inspect's logs and rLLM's episodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..exporters.inspect_log import record_of_sample
from ..record import EpisodeRecord
from .chats import gold_of, rollout_of_chat
from .fields import number, numbers, text_of, texts, whole
from .files import Row
from .messages import read_chat
from .registry import register_importer
from .rollout import Rollout

__all__: list[str] = []


def _object(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


@register_importer(
    "verifiers",
    title="verifiers traces",
    recognise=lambda row: isinstance(row.get("traces"), list) and isinstance(row.get("task"), Mapping),
    summary="`traces.jsonl` of verifiers (v1 episodes); every trace of a trained agent is one rollout",
    gives="queries, passages, reward, token counts, group (`group.id`), training step; right answers if the task's "
    "data has them",
    lacks={
        "token probabilities": "importing the tokens of traces is not supported",
        "evidence": "the traces do not say which passages are relevant",
        "right answers": "the data of the tasks holds no right answers",
    },
)
def read_verifiers(row: Row) -> Iterator[Rollout]:
    """Reads an episode: one rollout for each agent that was trained, all agents if none was."""
    group = _object(row.get("group")).get("id")
    work = _object(_object(row.get("run")).get("work"))
    traces = [trace for trace in row["traces"] if isinstance(trace, Mapping) and trace.get("nodes")]
    trained = [trace for trace in traces if _object(trace.get("agent")).get("trainable", True)]
    if not traces:
        errors = [str(_object(error).get("message", "")) for error in row.get("errors") or []]
        raise ValueError(f"the episode has no trace with messages {errors[-1] if errors else ''}".strip())
    for trace in trained or traces:
        data = _object(_object(trace.get("task") or row["task"]).get("data"))
        nodes = _path(trace["nodes"])
        first = next((at for at, node in enumerate(nodes) if node.get("sampled")), len(nodes))
        messages = [_object(node.get("message")) for node in nodes]
        chat = read_chat(messages[:first], messages[first:])
        rewards = {name: _object(reward) for name, reward in _object(trace.get("rewards")).items()}
        weighted = [
            (number(reward.get("score")) or 0.0) * (number(reward.get("weight", 1.0)) or 0.0)
            for reward in rewards.values()
            if reward
        ]
        usages = [_object(_object(call).get("usage")) for call in trace.get("calls") or []]
        tokens = [whole(usage.get("completion_tokens")) for usage in usages]
        yield rollout_of_chat(
            chat,
            answers=gold_of(data, data.get("info"), data.get("metadata")),
            reward=sum(weighted) if weighted else None,
            group=None if group is None else str(group),
            group_from="group.id",
            step=whole(work.get("step")),
            policy=_model(trace) or chat.model,
            env=str(_object(row.get("env")).get("id") or ""),
            metadata={name: data[name] for name in ("id", "name", "idx") if data.get(name) is not None},
            scores=numbers(_object(trace.get("metrics"))),
            policy_tokens=sum(count for count in tokens if count is not None) if any(tokens) else None,
            truncated=True if trace.get("is_timeout") and chat.answer is None else None,
        )


def _model(trace: Mapping[str, Any]) -> str:
    calls = [str(call["model"]) for call in trace.get("calls") or [] if isinstance(call, Mapping) and call.get("model")]
    return calls[0] if calls else ""


def _path(nodes: Any) -> list[Mapping[str, Any]]:
    """The messages from a root to the last leaf of the graph, in order."""
    if not isinstance(nodes, list) or not all(isinstance(node, Mapping) for node in nodes):
        raise ValueError("nodes is not a list of objects")
    path: list[Mapping[str, Any]] = []
    at: Any = len(nodes) - 1
    while isinstance(at, int) and 0 <= at < len(nodes) and len(path) < len(nodes):
        path.append(nodes[at])
        at = nodes[at].get("parent")
    return path[::-1]


@register_importer(
    "inspect",
    title="Inspect log",
    recognise=lambda row: (
        ("header" in row and {"input", "target"} <= row.keys())
        or (isinstance(row.get("samples"), list) and isinstance(row.get("eval"), Mapping))
        or ({"id", "epoch", "input", "target"} <= row.keys())
    ),
    summary="logs of Inspect (`inspect_ai`), .json and .eval; epochs are the samples of a group; also what "
    "`berrypick convert --to inspect` writes",
    gives="right answers (`target`), queries, passages, the scorers' values, token counts, group (`id`); everything "
    "for files that berrypick wrote",
    lacks={
        "token probabilities": "importing the log-probabilities of a log is not supported",
        "evidence": "the log does not say which passages are relevant",
    },
)
def read_inspect(row: Row) -> Rollout | EpisodeRecord | list[Rollout | EpisodeRecord]:
    """Reads a sample, or a whole log that stands on one line; a record that berrypick wrote comes back as it was."""
    if isinstance(row.get("samples"), list) and "input" not in row:
        return [_sample({**_object(sample), "header": row}) for sample in row["samples"]]
    return _sample(row)


def _sample(row: Mapping[str, Any]) -> Rollout | EpisodeRecord:
    header = _object(row.get("header"))
    spec = _object(header.get("eval"))
    attachments = _object(row.get("attachments"))
    asked, log = row["input"], _attached(row.get("messages") or [], attachments)
    opening = _attached([{"role": "user", "content": asked}] if isinstance(asked, str) else asked, attachments)
    if not isinstance(log, list):
        raise ValueError("messages is not a list")
    if (ours := record_of_sample({**row, "messages": log})) is not None:
        return ours
    first = next((at for at, message in enumerate(log) if _object(message).get("role") == "assistant"), len(log))
    if isinstance(failed := row.get("error"), Mapping) and not row.get("scores"):
        raise ValueError(f"the sample failed: {failed.get('message', '')}"[:150])
    chat = read_chat(log[:first] or opening, log[first:])
    scores = {name: _object(score) for name, score in _object(row.get("scores")).items()}
    values = {name: value for name, score in scores.items() if (value := _grade(score.get("value"))) is not None}
    usages = [_object(usage) for usage in _object(row.get("model_usage")).values()]
    tokens = [whole(usage.get("output_tokens")) for usage in usages]
    question = asked if isinstance(asked, str) else text_of(_object(opening[-1]).get("content"))
    question = _attached(question, attachments)
    return rollout_of_chat(
        chat,
        question=str(question) if len(str(question)) < len(chat.question) or not chat.question else chat.question,
        answers=texts(row["target"]),
        reward=next(iter(values.values()), None),
        group=str(row.get("id")),
        group_from="sample id",
        policy=str(spec.get("model") or chat.model),
        env=str(spec.get("task") or ""),
        metadata={"id": row.get("id")},
        scores=values,
        policy_tokens=sum(count for count in tokens if count is not None) if any(tokens) else None,
        truncated=True if row.get("limit") and chat.answer is None else None,
    )


def _grade(value: Any) -> float | None:
    """Inspect's letters: correct, partial, incorrect, no answer."""
    if isinstance(value, str) and value in ("C", "P", "I", "N"):
        return {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}[value]
    found = number(value)
    return found if found is None or found == found else None


def _attached(value: Any, attachments: Mapping[str, Any]) -> Any:
    """The value with long texts, which Inspect keeps apart, in their places."""
    if isinstance(value, str):
        key = value.removeprefix("attachment://")
        return attachments.get(key, value) if key != value else value
    if isinstance(value, list):
        return [_attached(item, attachments) for item in value]
    if isinstance(value, Mapping):
        return {name: _attached(item, attachments) for name, item in value.items()}
    return value


@register_importer(
    "rllm",
    title="rLLM episodes",
    recognise=lambda row: (
        (isinstance(row.get("trajectories"), list) and "task" in row)
        or (isinstance(row.get("steps"), list) and "task" in row and "reward" in row)
    ),
    summary="`Episode.to_dict` and `Trajectory.to_dict` of rLLM, JSON or JSONL; every trajectory is one rollout",
    gives="queries, passages, reward, group (the task's id); right answers if the task has them",
    lacks={
        "token probabilities": "importing the log-probabilities of steps is not supported",
        "evidence": "the episodes do not say which passages are relevant",
        "right answers": "the tasks hold no right answers",
    },
)
def read_rllm(row: Row) -> Iterator[Rollout]:
    """Reads an episode, or a trajectory that stands alone."""
    trajectories = row["trajectories"] if isinstance(row.get("trajectories"), list) else [row]
    if not trajectories:
        raise ValueError("the episode has no trajectory")
    key = str(row.get("id") or "").rpartition(":")[0]
    for trajectory in trajectories:
        task = trajectory.get("task") or row.get("task")
        fields = _object(task)
        named = (fields.get(name) for name in ("question", "instruction", "problem", "prompt"))
        asked = next((text for text in named if isinstance(text, str)), task if isinstance(task, str) else None)
        steps = [step for step in trajectory.get("steps") or [] if isinstance(step, Mapping)]
        chat = read_chat(*_conversation(steps, asked))
        reward, right = number(trajectory.get("reward")), row.get("is_correct")
        counts = [len(step["response_ids"]) for step in steps if isinstance(step.get("response_ids"), list)]
        yield rollout_of_chat(
            chat,
            question=asked,
            answers=gold_of(fields, fields.get("metadata"), fields.get("extra_info")),
            reward=float(right) if reward is None and isinstance(right, bool) else reward,
            group=key or None,
            group_from="task id",
            env=str(fields.get("data_source") or ""),
            scores=numbers(_object(row.get("metrics"))),
            policy_tokens=sum(counts) if any(counts) else None,
        )


def _conversation(steps: list[Mapping[str, Any]], asked: str | None) -> tuple[Iterable[Any], Iterable[Any] | None]:
    """The messages of the longest history that a step logged; else what each step showed and replied."""
    histories = [step["chat_completions"] for step in steps if isinstance(step.get("chat_completions"), list)]
    if any(histories):
        return max(reversed(histories), key=len), None
    opening = [{"role": "user", "content": asked or ""}]
    rest: list[dict[str, Any]] = []
    for number_, step in enumerate(steps):
        shown = step.get("observation")
        if number_ and isinstance(shown, str):
            rest.append({"role": "tool", "content": shown})
        said = step.get("model_response") or step.get("output")
        rest.append({"role": "assistant", "content": said if isinstance(said, str) else text_of(said)})
    return opening, rest
