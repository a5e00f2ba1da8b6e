"""Objectives in TRL: a `GRPOTrainer` whose advantages come from a berrypick objective.

Shapes, estimates and bonuses apply; terms of the loss are TRL's own settings (`beta`, `epsilon_high`, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch

from ...envs.answers import normalize
from ...envs.formats.actions import blocks
from ...retrieval_index.errors import BerrypickError, MissingExtraError
from .bonuses import OutcomeCounts
from .groups import Groups
from .objective import check_group_size
from .registry import get_objective

__all__ = ["completion_outcomes", "objective_trainer"]

Outcomes = Callable[[str], Mapping[str, Hashable]]


def completion_outcomes(text: str) -> dict[str, Hashable]:
    """Answer and queries of a completion with tags; the policy's text does not contain what was retrieved."""
    answers = [text[start:end] for _, start, end in blocks(text, ("answer",))]
    queries = tuple(normalize(text[start:end]) for _, start, end in blocks(text, ("search",)))
    return {"answer": normalize(answers[-1]) if answers else None, "query": queries}


def objective_trainer(spec: str, *, outcomes: Outcomes = completion_outcomes) -> type[Any]:
    """A subclass of TRL's `GRPOTrainer` with the advantages of an objective; use it like its parent.

    Args:
        spec: a registered objective with options, e.g. "batch:weight=0.2,key=query".
        outcomes: maps the text of a completion to its outcomes by key.

    The counts of a bonus are the trainer's `outcome_counts`; save them next to TRL's checkpoints to resume exactly.
    """
    objective = get_objective(spec)
    if objective.terms:
        raise BerrypickError(f"objective {spec} has terms of the token loss; set those in TRL's own configuration")
    try:
        from accelerate.utils import gather_object  # type: ignore[import-untyped]
        from trl import GRPOTrainer  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtraError("the TRL trainer", "trl", error) from error

    class ObjectiveTrainer(GRPOTrainer):  # type: ignore[misc]
        """TRL's training loop with the objective's advantages."""

        outcome_counts = OutcomeCounts()

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.outcome_counts = OutcomeCounts()
            super().__init__(*args, **kwargs)
            check_group_size(objective, self.num_generations)

        def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> torch.Tensor:
            per_function: torch.Tensor = super()._calculate_rewards(inputs, prompts, completions, ids)
            self._step_rewards = (per_function * self.reward_weights.to(per_function.device)).nansum(dim=1)
            texts = [
                completion if isinstance(completion, str) else _policy_text(completion) for completion in completions
            ]
            self._step_texts = gather_object(texts)
            self._step_prompts = gather_object([str(prompt) for prompt in prompts])
            return per_function

        def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
            output: dict[str, Any] = super()._generate_and_score_completions(inputs)
            size = self.num_generations if self.model.training else self.num_generations_eval
            groups = _groups(
                outcomes, self._step_prompts, self._step_rewards, self._step_texts, size, self.state.global_step
            )
            base, bonus = objective.advantages(groups, self.outcome_counts)
            if objective.bonus is not None and self.model.training:
                self.outcome_counts.add(groups, objective.bonus.key)
            local, rank = len(inputs), self.accelerator.process_index
            ours = (base + bonus).flatten()[rank * local : (rank + 1) * local]
            output["advantages"] = ours.to(output["advantages"])
            return output

    return ObjectiveTrainer


def _groups(
    outcomes: Outcomes, prompts: Sequence[str], rewards: torch.Tensor, texts: Sequence[str], size: int, step: int
) -> Groups:
    """The groups of one step.

    Args:
        outcomes: see `objective_trainer`.
        prompts: of each completion; `size` completions of a prompt follow one another.
        rewards: [completions].
        texts: of the completions.
        size: completions per prompt.
        step: seeds objectives that draw at random.
    """
    found = [outcomes(text) for text in texts]
    starts = range(0, len(texts), size)
    queries = [tuple(map(str, own.get("query") or ())) for own in found]  # type: ignore[call-overload]
    return Groups(
        tuple(prompts[at] for at in starts),
        rewards.double().cpu().reshape(-1, size),
        {key: [[own[key] for own in found[at : at + size]] for at in starts] for key in found[0]},
        [queries[at : at + size] for at in starts],
        seed=step,
    )


def _policy_text(messages: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(str(message["content"]) for message in messages if message.get("role") == "assistant")
