"""TRL's `GRPOTrainer`: environments as `environment_factory` (tool calls) or as `rollout_func` (text).

With `environment_factory`, TRL plays the turns and uses the model's own template for tool calls. `rollout_func` uses
our turn formats and passes token ids through unchanged, with a mask for environment tokens. Tested with trl 1.16.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ...retrieval_index.errors import BerrypickError
from ..episode import Draft, Episode, advance, start
from ..formats.observation_limit import leading_chars
from ..questions import Question
from ..tasks.task import Task
from .tool_episode import ToolEpisode, question_by_id, shared_task, tool_instruction

__all__ = ["environment_factory", "episode_reward", "rollout_func", "rollout_rows", "tool_rows"]


def tool_rows(env_id: str, split: str, **arguments: Any) -> list[dict[str, Any]]:
    """Rows of `train_dataset` for `environment_factory`: an empty user message and the id of the question."""
    task = shared_task(env_id, arguments)
    empty = [{"role": "user", "content": ""}]
    return [{"prompt": empty, "question_id": question.id} for question in task.split(split)]


def environment_factory(env_id: str, **arguments: Any) -> Callable[[], Any]:
    """A factory for `GRPOTrainer(environment_factory=...)`; all rollouts share one searcher.

    The `question_id` of a row decides the question, so a group has the same one. The reward is the environment's. A
    rollout that never calls `answer` gets the reward of an episode without an answer.
    """
    task = shared_task(env_id, arguments)

    class SearchEnvironment:
        """One episode that the model plays with the tools `search` and `answer`."""

        def __init__(self) -> None:
            self._play: ToolEpisode | None = None

        def reset(self, question_id: str, **_: Any) -> str:
            """Starts the episode of a row and returns the prompt."""
            question = question_by_id(task, question_id)
            self._play = ToolEpisode(task, question)
            return tool_instruction(task, question)

        def search(self, query_list: list[str]) -> str:
            """
            Searches for passages that are relevant to each query.

            Args:
                query_list: Queries; each brings its own passages.

            Returns:
                The passages found, numbered.
            """
            assert self._play is not None
            return self._play.search(query_list)

        def answer(self, text: str) -> str:
            """
            Gives the final answer.

            Args:
                text: The answer, short and without explanation.

            Returns:
                A confirmation.
            """
            assert self._play is not None
            return self._play.answer(text)

        def get_reward(self) -> float:
            """The reward of the episode."""
            assert self._play is not None
            return self._play.reward

    return SearchEnvironment


def rollout_rows(env_id: str, split: str, **arguments: Any) -> list[dict[str, Any]]:
    """Rows of `train_dataset` for `rollout_func`: the environment's own prompts.

    TRL passes on nothing but the prompt. So where several questions have one prompt, its last message also holds their
    `question_id`, which chat templates ignore.
    """
    task = shared_task(env_id, arguments)
    questions = task.split(split)
    prompts = [start(question, task.spec).messages for question in questions]
    counts = Counter(map(_key, prompts))
    for prompt, question in zip(prompts, questions):
        if counts[_key(prompt)] > 1:
            prompt[-1]["question_id"] = question.id
    return [{"prompt": prompt} for prompt in prompts]


def rollout_func(env_id: str, split: str, *, max_new_tokens: int = 64, **arguments: Any) -> Callable[..., Any]:
    """A function for `GRPOTrainer(rollout_func=...)`; use it with `reward_funcs=episode_reward`.

    TRL passes the prompts of its process, one for each completion, and each is played turn by turn. The ids of sampled
    tokens are used as sampled, never decoded and encoded again. Observations are encoded on their own, and `env_mask`
    is 0 for their tokens.
    """
    task = shared_task(env_id, arguments)
    by_id = {question.id: question for question in task.split(split)}
    by_prompt: dict[Any, list[Question]] = {}
    for question in by_id.values():
        by_prompt.setdefault(_key(start(question, task.spec).messages), []).append(question)

    def asked(prompt: Any) -> Question:
        named = by_id.get(prompt[-1].get("question_id"))
        if named is not None:
            return named
        same = by_prompt.get(_key(prompt), [])
        if len(same) == 1:
            return same[0]
        found = f"the prompt of {len(same)} questions ({same[0].id}, ...)" if same else "a prompt of no question"
        raise BerrypickError(f"TRL passed {found} of split {split!r}; train on the rows of rollout_rows as they are")

    def play(prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any]]:
        episodes = [start(asked(prompt), task.spec) for prompt in prompts]
        tokenizer = trainer.processing_class
        contexts = [_encode_prompt(tokenizer, episode) for episode in episodes]
        prompt_ids = [list(ids) for ids in contexts]
        rows = [_Row(episode, ids) for episode, ids in zip(episodes, contexts)]
        while live := [row for row in rows if not row.episode.done]:
            _take_turns(live, task, trainer, max_new_tokens)
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": [row.completion for row in rows],
            "logprobs": [row.log_probs for row in rows],
            "env_mask": [row.mask for row in rows],
            "berrypick_reward": [row.episode.reward for row in rows],
            "berrypick_queries": [row.episode.queries for row in rows],
            "berrypick_passages": [[hit.id for hit in row.episode.hits] for row in rows],
        }

    return play


def episode_reward(completions: Sequence[Any], berrypick_reward: Sequence[float], **_: Any) -> list[float]:
    """A reward function that returns the rewards of the episodes of `rollout_func`."""
    return list(berrypick_reward)


class _Row:
    """One rollout. `context` is prompt and completion; `completion`, `log_probs` and `mask` have equal lengths."""

    def __init__(self, episode: Episode, context: list[int]) -> None:
        self.episode, self.context = episode, context
        self.completion: list[int] = []
        self.log_probs: list[float] = []
        self.mask: list[int] = []

    def append(self, ids: Sequence[int], log_probs: Sequence[float], own: int) -> None:
        """Adds tokens; `own` is 1 for tokens of the policy, which are trained, and 0 for tokens of observations."""
        self.context += ids
        self.completion += ids
        self.log_probs += log_probs
        self.mask += [own] * len(ids)


def _key(messages: Sequence[dict[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((message["role"], message["content"]) for message in messages)


def _encode_prompt(tokenizer: Any, episode: Episode) -> list[int]:
    encoded = tokenizer.apply_chat_template(episode.messages, add_generation_prompt=True, tokenize=True)
    return list(encoded["input_ids"] if hasattr(encoded, "keys") else encoded)


def _take_turns(rows: Sequence[_Row], task: Task, trainer: Any, max_new_tokens: int) -> None:
    """Takes one turn of every live row with one batched generation and one batched search."""
    tokenizer = trainer.processing_class
    sampled = _generate([row.context for row in rows], trainer, max_new_tokens, rows[0].episode)
    drafts = []
    for row, (ids, log_probs) in zip(rows, sampled):
        row.append(ids, log_probs, 1)
        drafts.append(Draft(_text(tokenizer, ids[:-1] if ids[-1:] == [tokenizer.eos_token_id] else ids)))
    leading = partial(leading_chars, tokenizer)
    for row, result in zip(rows, advance([row.episode for row in rows], drafts, task.searcher, leading=leading)):
        if not row.episode.done:
            ids = tokenizer.encode(result.observation, add_special_tokens=False, split_special_tokens=True)
            # TRL leaves tokens with mask 0 out of the loss; their log-probabilities are placeholders.
            row.append(ids, [0.0] * len(ids), 0)


def _generate(
    contexts: Sequence[list[int]], trainer: Any, max_new_tokens: int, episode: Episode
) -> list[tuple[list[int], list[float]]]:
    """For each row, the sampled token ids up to its stop string or end token, and their log-probabilities."""
    from ..formats.turn_format import get_turn_format

    tokenizer = trainer.processing_class
    model = trainer.accelerator.unwrap_model(trainer.model)
    stop = get_turn_format(episode.spec.turn_format).stop
    # Padding on the left aligns the ends of all contexts, so that new tokens start at the same column, `width`.
    batch = tokenizer.pad({"input_ids": list(contexts)}, padding_side="left", return_tensors="pt").to(model.device)
    width = batch["input_ids"].shape[1]
    out = model.generate(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=max_new_tokens,
        do_sample=True, temperature=1.0, top_k=0, top_p=1.0, stop_strings=list(stop), tokenizer=tokenizer,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, return_dict_in_generate=True,
        output_logits=True,
    )  # fmt: skip
    rows = []
    for index in range(len(contexts)):
        ids = out.sequences[index, width:].tolist()
        used = _up_to_stop(ids, tokenizer, stop)
        log_probs = [out.logits[t][index].float().log_softmax(-1)[token].item() for t, token in enumerate(used)]
        rows.append((used, log_probs))
    return rows


def _text(tokenizer: Any, ids: list[int]) -> str:
    """The text of sampled tokens, special ones included: tags may be special tokens of a tokenizer."""
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _up_to_stop(ids: list[int], tokenizer: Any, stop: Sequence[str]) -> list[int]:
    """The ids up to the first token that completes a stop string or is the end token; the rest is padding."""
    if tokenizer.eos_token_id in ids:
        ids = ids[: ids.index(tokenizer.eos_token_id) + 1]

    def complete(num_tokens: int) -> bool:
        text = _text(tokenizer, ids[:num_tokens])
        return any(tag in text for tag in stop)

    return ids[: bisect.bisect_left(range(len(ids)), True, key=complete)]
