"""ATIF, the trajectory format of Harbor: reading versions 1.x, and writing 1.7 so that records come back equal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..record import SCHEMA_VERSION, EpisodeRecord, RecordError, parse_record
from .chats import gold_of, rollout_of_chat
from .fields import number, text_of, whole
from .files import Row
from .messages import read_chat
from .registry import register_importer
from .rollout import Rollout

__all__ = ["ATIF_VERSION", "atif_of"]

ATIF_VERSION = "ATIF-v1.7"
"""The version that is written."""

_OURS = "berrypick"


@register_importer(
    "atif",
    title="ATIF trajectories",
    recognise=lambda row: (
        str(row.get("schema_version", "")).startswith("ATIF-v1.") and isinstance(row.get("steps"), list)
    ),
    summary="Harbor's trajectories (ATIF 1.x), one JSON object per file or per line; also what `berrypick convert "
    "--to atif` writes",
    gives="queries, passages, token counts; everything for files that berrypick wrote",
    lacks={
        "token probabilities": "ATIF holds no entropies of tokens",
        "evidence": "ATIF does not say which passages are relevant",
        "right answers": "ATIF has no field for right answers",
    },
)
def read_atif(row: Row) -> Rollout | EpisodeRecord:
    """Reads a trajectory; a record that berrypick wrote comes back as it was."""
    extra = row.get("extra") if isinstance(row.get("extra"), Mapping) else {}
    assert isinstance(extra, Mapping)
    if isinstance(extra.get(_OURS), Mapping):
        return _ours(row, extra[_OURS])
    agent = row.get("agent") if isinstance(row.get("agent"), Mapping) else {}
    metrics = row.get("final_metrics") if isinstance(row.get("final_metrics"), Mapping) else {}
    assert isinstance(agent, Mapping) and isinstance(metrics, Mapping)
    chat = read_chat(list(_messages(row["steps"])))
    steps = [step.get("metrics") for step in row["steps"] if isinstance(step.get("metrics"), Mapping)]
    counts = [count for step in steps if (count := whole(step.get("completion_tokens"))) is not None]
    total = whole(metrics.get("total_completion_tokens"))
    inner = metrics.get("extra") if isinstance(metrics.get("extra"), Mapping) else {}
    return rollout_of_chat(
        chat,
        answers=gold_of(extra, unclear=False),
        reward=number(extra.get("reward", inner.get("reward") if isinstance(inner, Mapping) else None)),
        policy=str(agent.get("model_name") or agent.get("name") or ""),
        policy_tokens=total if total is not None else (sum(counts) if counts else None),
    )


def _messages(steps: list[Any]) -> Iterator[dict[str, Any]]:
    for step in steps:
        if not isinstance(step, Mapping):
            raise ValueError("a step is not a JSON object")
        if step.get("is_copied_context"):  # told in an earlier trajectory
            continue
        source = step.get("source")
        observation = step.get("observation")
        results = observation.get("results") if isinstance(observation, Mapping) else None
        if source == "agent":
            yield {
                "role": "assistant",
                "content": step.get("message"),
                "reasoning": step.get("reasoning_content"),
                "tool_calls": step.get("tool_calls") or [],
                "model": step.get("model_name"),
            }
        elif source in ("user", "system"):
            yield {"role": source, "content": step.get("message")}
        else:
            raise ValueError(f"the source of a step is {source!r}, not user, system or agent")
        for result in results or []:
            if isinstance(result, Mapping):
                content = text_of(result.get("content"))
                yield {"role": "tool", "tool_call_id": result.get("source_call_id"), "content": content}


def _ours(row: Row, whole_record: Mapping[str, Any]) -> EpisodeRecord:
    turns = []
    for step in row["steps"]:
        kept = step.get("extra", {}).get(_OURS) if isinstance(step.get("extra"), Mapping) else None
        if kept is not None:
            results = (step.get("observation") or {}).get("results") or []
            observation = {"observation": results[0]["content"]} if results else {}
            turns.append({**kept, "text": step["message"], **observation})
    return parse_record("ATIF", {**whole_record, "turns": turns})


def atif_of(record: EpisodeRecord) -> dict[str, Any]:
    """The trajectory of a record.

    ATIF lacks fields for some of the record. These go into `extra.berrypick` of the trajectory and of each step, so
    that reading the trajectory gives the same record.

    Raises:
        RecordError: the record is of a newer schema.
    """
    if record.schema_version > SCHEMA_VERSION:
        raise RecordError("this record is of a newer schema; upgrade berrypick")
    # through JSON and not by pydantic, which fails on names with a lone surrogate
    whole_record = json.loads(json.dumps(record.model_dump(exclude_none=True)))
    turns = whole_record.pop("turns")
    steps: list[dict[str, Any]] = [{"step_id": 1, "source": "user", "message": record.question.text}]
    for number_, turn in enumerate(turns, 1):
        observation = turn.pop("observation", "")
        step: dict[str, Any] = {"step_id": number_ + 1, "source": "agent", "message": turn.pop("text")}
        key = f"call_{number_}"
        searches = turn["action"] == "search"
        if searches:
            arguments = {"query_list": turn["queries"]}
            step["tool_calls"] = [{"tool_call_id": key, "function_name": "search", "arguments": arguments}]
        if observation:
            step["observation"] = {"results": [{"source_call_id": key if searches else None, "content": observation}]}
        tokens = turn.get("tokens")
        if tokens is not None:
            step["metrics"] = {"completion_token_ids": tokens["ids"], "logprobs": tokens["log_probs"]}
        step["extra"] = {_OURS: turn}
        steps.append(step)
    trajectory: dict[str, Any] = {
        "schema_version": ATIF_VERSION,
        "session_id": f"{record.group_id}-{record.sample_index}",
        "agent": {"name": record.policy_id or "unknown", "version": "unknown"},
        "steps": steps,
        "final_metrics": {"total_steps": len(steps)},
        "extra": {_OURS: whole_record},
    }
    if record.policy_tokens is not None:
        trajectory["final_metrics"]["total_completion_tokens"] = record.policy_tokens
    return trajectory
