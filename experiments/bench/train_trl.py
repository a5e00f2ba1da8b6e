"""A step of TRL's GRPOTrainer on the same questions, group size and turns; each turn reads the whole context again.

Configuration: one device, batch = all rollouts of the step, one iteration, no reference model, no vLLM, learning rate
1e-4; `rollout_func` plays the turns of the environment through `model.generate` with stop strings. Tokens are sampled
again, so they agree with ours in distribution, not one by one.
"""

from __future__ import annotations

import copy
import os
import time
import warnings
from collections.abc import Sequence
from statistics import median
from typing import Any

import torch

from ...envs.episode import Draft, Episode, advance, start
from ...envs.formats.turn_format import get_turn_format
from ...envs.questions import Question
from ...envs.tasks.task import Task
from ...policies.language.encoding import encode, encode_prompt
from ...policies.language.model import LanguageModelPolicy
from ...policies.training.rl import RlConfig
from ...retrieval_index.errors import MissingExtraError
from .train_bare import left_padded

__all__ = ["trl_step_seconds"]


def trl_step_seconds(
    policy: LanguageModelPolicy,
    task: Task,
    questions: Sequence[Question],
    config: RlConfig,
    rounds: int,
    folder: str,
    *,
    bfloat16: bool = False,
) -> float:
    """Median seconds of a whole training step, after one warm-up step; under autocast if asked for bfloat16."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    try:
        from datasets import Dataset  # type: ignore[import-not-found]
        from transformers import TrainerCallback
        from trl import GRPOConfig, GRPOTrainer  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtraError("--trl", "trl", error) from error
    by_text = {question.text: question for question in questions}
    spent: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            spent.append(time.perf_counter() - self.started)

    def play(prompts: Sequence[str], trainer: Any) -> dict[str, Any]:
        asked = [by_text[prompt] for prompt in prompts]
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return _rollout(policy, trainer.model, task, asked, config.max_new_tokens)

    def reward(completions: Sequence[str], episode_reward: Sequence[float], **_: Any) -> list[float]:
        return list(episode_reward)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = GRPOTrainer(
            model=copy.deepcopy(policy.model),
            reward_funcs=reward,
            processing_class=policy.tokenizer,
            train_dataset=Dataset.from_list([{"prompt": question.text} for question in questions]),
            rollout_func=play,
            callbacks=[Clock()],
            args=GRPOConfig(
                output_dir=folder,
                max_steps=rounds + 1,
                per_device_train_batch_size=len(questions) * config.group_size,
                num_generations=config.group_size,
                max_completion_length=min(1024, policy.window),
                bf16=bfloat16,
                learning_rate=config.learning_rate,
                beta=0.0,
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
                save_strategy="no",
                logging_strategy="no",
            ),
        )
        trainer.train()
    return median(spent[1:])


def _rollout(
    policy: LanguageModelPolicy, model: Any, task: Task, questions: Sequence[Question], max_new_tokens: int
) -> dict[str, Any]:
    tokenizer, stop = policy.tokenizer, list(get_turn_format(task.spec.turn_format).stop)
    pad = int(tokenizer.pad_token_id or 0)
    episodes: list[Episode] = [start(question, task.spec) for question in questions]
    prompts = [encode_prompt(tokenizer, question, task.spec) for question in questions]
    completions: list[list[int]] = [[] for _ in questions]
    masks: list[list[int]] = [[] for _ in questions]
    live = list(range(len(questions)))
    while live:
        contexts = [prompts[row] + completions[row] for row in live]
        ids, attention = left_padded(contexts, pad)
        written = model.generate(
            input_ids=ids,
            attention_mask=attention,
            do_sample=True,
            top_k=0,
            max_new_tokens=max_new_tokens,
            stop_strings=stop,
            tokenizer=tokenizer,
            pad_token_id=pad,
        )[:, ids.shape[1] :].tolist()
        turns = [_until_pad(row, pad) for row in written]
        drafts = [Draft(str(tokenizer.decode(turn, skip_special_tokens=True))) for turn in turns]
        results = advance([episodes[row] for row in live], drafts, task.searcher)
        for row, turn, result in zip(live, turns, results):
            seen = [] if episodes[row].done else encode(tokenizer, result.observation)
            completions[row] += turn + seen
            masks[row] += [1] * len(turn) + [0] * len(seen)
        live = [row for row in live if not episodes[row].done]
    return {
        "prompt_ids": prompts,
        "completion_ids": completions,
        "logprobs": None,
        "env_mask": masks,
        "episode_reward": [episode.reward for episode in episodes],
    }


def _until_pad(tokens: list[int], pad: int) -> list[int]:
    """A turn up to its end token, without the padding that follows."""
    return tokens[: tokens.index(pad) + 1] if pad in tokens else tokens
