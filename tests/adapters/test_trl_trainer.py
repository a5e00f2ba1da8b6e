"""The subclass of the real TRL trainer: our objective's advantages reach its loss; both GRPOs are one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from berrypick.policies.language.tiny import tiny_model, tiny_tokenizer
from berrypick.policies.objectives import Groups, OutcomeCounts, get_objective
from berrypick.policies.objectives.trl import completion_outcomes, objective_trainer
from berrypick.retrieval_index.errors import BerrypickError

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")


def rewards_of(completions: list[str], **_: object) -> list[float]:
    return [float(len(text) % 3 == 0) for text in completions]


def outcomes_of(text: str) -> dict[str, object]:
    return {"answer": len(text) % 4, "query": (text[:3],)}


def train(spec: str, out: Path, steps: int = 2) -> tuple[list[tuple[list[str], list[float], torch.Tensor]], object]:
    from datasets import Dataset
    from trl import GRPOConfig

    seen: list[tuple[list[str], list[float], torch.Tensor]] = []

    class Watched(objective_trainer(spec, outcomes=outcomes_of)):
        def _generate_and_score_completions(self, inputs):
            output = super()._generate_and_score_completions(inputs)
            texts = self.processing_class.batch_decode(output["completion_ids"], skip_special_tokens=True)
            seen.append((self._step_texts, self._step_rewards.tolist(), output["advantages"].clone()))
            assert len(texts) == len(self._step_texts)
            return output

    tokenizer = tiny_tokenizer()
    trainer = Watched(
        model=tiny_model(len(tokenizer), 0),
        reward_funcs=rewards_of,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([{"prompt": f"the heir of name{i} ?"} for i in range(8)]),
        args=GRPOConfig(
            output_dir=str(out),
            max_steps=steps,
            per_device_train_batch_size=8,
            num_generations=4,
            max_completion_length=8,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            seed=1,
        ),
    )
    trainer.train()
    return seen, trainer


def test_advantages_in_trl_are_our_objectives(tmp_path: Path) -> None:
    spec = "batch:weight=0.5"
    seen, trainer = train(spec, tmp_path)
    counts = OutcomeCounts()
    assert len(seen) == 2
    for texts, rewards, advantages in seen:
        labels = [outcomes_of(text)["answer"] for text in texts]
        groups = Groups(("a", "b"), torch.tensor(rewards).double().reshape(2, 4), {"answer": [labels[:4], labels[4:]]})
        base, bonus = get_objective(spec).advantages(groups, counts)
        assert bonus.any()
        torch.testing.assert_close(advantages.double(), (base + bonus).flatten(), atol=1e-6, rtol=1e-6)
    assert sum(sum(c.values()) for c in trainer.outcome_counts.state_dict().values()) == 16


def test_grpo_with_trls_epsilon_is_trls_grpo(tmp_path: Path) -> None:
    seen, trainer = train("grpo:epsilon=1e-4", tmp_path)
    theirs = list(trainer._logs["advantages"])
    ours = [value for _, _, advantages in seen for value in advantages.tolist()]
    assert any(ours)
    assert ours[-len(theirs) :] == pytest.approx(theirs, abs=1e-5)


def test_outcomes_of_a_completion_in_tags() -> None:
    text = "<think> x </think> <search> The Heir </search> a <search>b</search> <answer> An Apple </answer>"
    assert completion_outcomes(text) == {"answer": "apple", "query": ("heir", "b")}
    assert completion_outcomes("nothing") == {"answer": None, "query": ()}


def test_terms_of_the_loss_are_left_to_trl() -> None:
    with pytest.raises(BerrypickError, match="TRL's own configuration"):
        objective_trainer("entropy")
