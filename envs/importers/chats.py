"""Chats as lists of messages: OpenAI logs, TRL completions, NeMo-Gym's Responses, ATIF, verifiers, Inspect and rLLM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .digests import digest
from .fields import number, numbers, parsed, text_of, texts, whole
from .files import Row
from .messages import Chat, read_chat
from .registry import register_importer
from .rollout import Rollout
from .transcript import TAGGED, answer_of, question_in, turns_of_text

__all__ = ["gold_of", "rollout_of_chat"]

_GOLD = (
    "golden_answers", "gold_answers", "golden", "expected_answer", "expected_answers", "ground_truth", "gts", "target",
    "answers", "answer", "solution", "gold", "reference_answer",
)  # fmt: skip


_UNCLEAR = ("answers", "answer", "solution")
"""Names that a log may also use for what the policy answered."""


def gold_of(*rows: Any, unclear: bool = True) -> list[str]:
    """The right answers in the first of some objects that has any, under one of their usual names.

    Args:
        rows: the objects, or their JSON; anything else holds none.
        unclear: whether `answer` and the like also mean the right answer.
    """
    for row in rows:
        if isinstance(row, str):
            row = parsed(row)
        if isinstance(row, Mapping):
            for name in _GOLD:
                if name in _UNCLEAR and not unclear:
                    continue
                if found := texts(row.get(name)):
                    return found
            if isinstance(row.get("reward_model"), Mapping) and (found := texts(row["reward_model"])):
                return found
    return []


def rollout_of_chat(chat: Chat, **known: Any) -> Rollout:
    """The rollout of a chat and what else the format tells; see `Rollout`."""
    known.setdefault("prompt", chat.prompt)
    known.setdefault("policy", chat.model)
    return Rollout(question=known.pop("question", None) or chat.question, turns=chat.turns, answer=chat.answer, **known)


def _is_chat(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, Mapping) and "role" in first


@register_importer(
    "trl",
    title="TRL completions",
    recognise=lambda row: (
        {"prompt", "completion"} <= row.keys()
        and "step" in row
        and ("advantage" in row or any(str(name).endswith("_reward") for name in row))
    ),
    summary="`log_completions=True` of TRL's GRPO and RLOO trainers, `completions_*.parquet`; the same rows as JSONL",
    gives="queries, passages, step, reward (the sum of the reward functions); right answers only if a column has them",
    lacks={
        "token probabilities": "the completions hold no tokens",
        "token counts": "the completions hold no tokens",
        "evidence": "the completions do not say which passages are relevant",
        "right answers": "no column holds the right answers; log one, for example with log_extra",
    },
)
def read_trl(row: Row) -> Rollout:
    """Reads a row. Prompt and completion are both texts or both lists of messages."""
    prompt, completion = row["prompt"], row["completion"]
    row = {name: value for name, value in row.items() if value is not None}
    scores = numbers(row, "step")
    rewards = {name: value for name, value in scores.items() if name != "advantage"}
    functions = [value for name, value in rewards.items() if "reward" in name] or list(rewards.values())
    known: dict[str, Any] = {
        "answers": gold_of(row),
        "reward": sum(functions) if functions else None,
        "step": whole(row.get("step")),
        "scores": scores,
    }
    if isinstance(prompt, str) and isinstance(completion, str):
        turns = turns_of_text(completion, tagged=bool(TAGGED.search(prompt) or TAGGED.search(completion)))
        return Rollout(question=question_in(prompt), turns=turns, answer=answer_of(turns), prompt=prompt, **known)
    opening = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    replies = [{"role": "assistant", "content": completion}] if isinstance(completion, str) else completion
    return rollout_of_chat(read_chat(opening, replies), **known)


@register_importer(
    "verifiers-results",
    title="verifiers results (legacy)",
    recognise=lambda row: (
        {"prompt", "completion", "reward"} <= row.keys() and bool({"example_id", "task", "state", "info"} & row.keys())
    ),
    summary="`results.jsonl` of the older `vf-eval`, and the same rows as Parquet",
    gives="right answers (`answer`), queries, passages, reward, group (`example_id`)",
)
def read_verifiers_results(row: Row) -> Rollout:
    """Reads a line. The prompt may hold examples; its last user message asks."""
    prompt, completion = parsed(row["prompt"]), parsed(row["completion"])
    opening = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    replies = [{"role": "assistant", "content": completion}] if isinstance(completion, str) else completion
    key = row.get("example_id", row.get("id"))
    return rollout_of_chat(
        read_chat(opening, replies),
        answers=gold_of({"answer": row.get("answer")}, row.get("info")),
        reward=number(row["reward"]),
        group=None if key is None else f"{row.get('task', '')}|{key}",
        group_from="example_id",
        env=str(row.get("task") or ""),
        scores=numbers(row, "reward", "example_id", "id"),
    )


@register_importer(
    "nemo-gym",
    title="NeMo-Gym rollouts",
    recognise=lambda row: isinstance(row.get("responses_create_params"), Mapping) and "response" in row,
    summary="rollouts of NeMo-Gym's `ng_collect_rollouts`, JSONL of Responses-API items",
    gives="right answers (`expected_answer`) where the environment has them, queries, passages, reward, token counts, "
    "group (`_ng_task_index`)",
)
def read_nemo_gym(row: Row) -> Rollout:
    """Reads a line."""
    asked, response = row["responses_create_params"], row["response"]
    if not isinstance(response, Mapping):
        raise ValueError("response is not a JSON object")
    opening = asked.get("input")
    opening = [{"role": "user", "content": opening}] if isinstance(opening, str) else list(_from_items(opening or []))
    chat = read_chat(opening, _from_items(response.get("output") or []))
    usage = response.get("usage") if isinstance(response.get("usage"), Mapping) else {}
    assert isinstance(usage, Mapping)
    agent = row.get("agent_ref")
    metadata = row.get("verifier_metadata")
    index = row.get("_ng_task_index")
    incomplete = response.get("status") == "incomplete" or response.get("incomplete_details") is not None
    return rollout_of_chat(
        chat,
        answers=gold_of(row, metadata),
        reward=number(row.get("reward")),
        group=None if index is None else str(index),
        group_from="_ng_task_index",
        policy=str(response.get("model") or ""),
        env=str(agent.get("name") or "") if isinstance(agent, Mapping) else "",
        policy_tokens=whole(usage.get("output_tokens")),
        scores=numbers(row, "reward", "_ng_task_index", "_ng_rollout_index"),
        truncated=True if incomplete and chat.answer is None else None,
    )


def _from_items(items: Iterable[Any]) -> Iterable[dict[str, Any]]:
    """Messages from Responses-API items: messages, reasoning, function calls and their outputs."""
    thought = ""
    for item in items:
        if not isinstance(item, Mapping):
            raise ValueError("an item of the response is not a JSON object")
        kind = item.get("type", "message")
        if kind == "reasoning":
            parts = [*(item.get("summary") or []), *(item.get("content") or [])]
            thought += text_of(parts)
        elif kind in ("function_call", "custom_tool_call"):
            call = {**item, "arguments": item.get("arguments", item.get("input"))}
            yield {"role": "assistant", "content": "", "reasoning": thought, "tool_calls": [call]}
            thought = ""
        elif kind in ("function_call_output", "custom_tool_call_output"):
            yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}
        elif kind == "message":
            role = str(item.get("role", "assistant"))
            yield {"role": role, "content": item.get("content"), "reasoning": thought if role == "assistant" else ""}
            thought = "" if role == "assistant" else thought


@register_importer(
    "openai-chat",
    title="chat log with tool calls",
    recognise=lambda row: any(_is_chat(row.get(name)) for name in ("messages", "conversation", "trajectory")),
    summary="JSONL with `messages` as OpenAI's chat completions have them",
    gives="queries, passages, reward (`reward` or `score`); right answers if a field holds them",
    lacks={
        "token probabilities": "chat logs hold no tokens",
        "token counts": "chat logs hold no tokens",
        "evidence": "chat logs do not say which passages are relevant",
        "right answers": "the log holds no right answers; name their field with --map gold=FIELD",
    },
    generic=True,
)
def read_openai_chat(row: Row) -> Rollout:
    """Reads a line."""
    found = [row[name] for name in ("messages", "conversation", "trajectory") if _is_chat(row.get(name))]
    if not found:
        raise ValueError("there is no list of messages with roles")
    asked = row.get("question")
    said = row.get("prediction", row.get("predicted"))
    chat = read_chat(found[0])
    if chat.answer is None and isinstance(said, str) and said.strip():
        chat.answer = said.strip()
    uid = next((str(row[name]) for name in ("uid", "group_id", "prompt_id") if row.get(name) is not None), None)
    return rollout_of_chat(
        chat,
        question=asked if isinstance(asked, str) and asked.strip() else None,
        prompt=digest(asked) if isinstance(asked, str) and asked.strip() else chat.prompt,
        answers=gold_of(row, row.get("metadata"), unclear=False),
        reward=number(row.get("reward", row.get("score"))),
        group=uid,
        group_from="uid" if row.get("uid") is not None else "its id",
        step=whole(row.get("step", row.get("checkpoint_step"))),
        policy=str(row.get("model") or chat.model),
        scores=numbers(row, "reward", "score", "step"),
    )
