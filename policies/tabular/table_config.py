"""How a tabular policy is trained. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

from ...retrieval_index.bounds import at_least

__all__ = ["TableConfig"]


@dataclass(frozen=True, slots=True)
class TableConfig:
    """A training run of the tabular policy.

    Attributes:
        questions_per_step: groups per step.
        group_size: rollouts per question.
        learning_rate: of gradient descent on the logits, in RL.
        sft_learning_rate: of gradient descent on the logits, in imitation.
        sft_steps: imitation steps of `questions_per_step` x `group_size` demonstrations.
        steps: RL steps.
        epochs: updates on each step's rollouts.
        checkpoints: RL steps at which to save the logits; 0 is the start.

    Raises:
        BerrypickError: a number is out of range.
    """

    questions_per_step: int = 16
    group_size: int = 8
    learning_rate: float = 1.0
    sft_learning_rate: float = 1.0
    sft_steps: int = 200
    steps: int = 200
    epochs: int = 1
    checkpoints: tuple[int, ...] = (0, 10, 20, 40, 80, 200)

    def __post_init__(self) -> None:
        for name in ("questions_per_step", "group_size", "epochs"):
            at_least(1, {name: getattr(self, name)})
        for name in ("learning_rate", "sft_learning_rate", "sft_steps", "steps"):
            at_least(0, {name: getattr(self, name)})
