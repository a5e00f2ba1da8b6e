"""Models that are no Llama: windows that slide, positions that are learned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from berrypick.envs.tasks import Task
from berrypick.policies.batches import score_rows
from berrypick.policies.episode_rows import rows_of
from berrypick.policies.language_model import LanguageModelPolicy
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout

MakeBabblerOf = Callable[..., LanguageModelPolicy]


@pytest.mark.parametrize("architecture", ["mistral", "gemma3_text", "gpt2"])
def test_a_session_samples_from_what_the_training_forward_says(
    make_babbler_of: MakeBabblerOf, world: Task, architecture: str
) -> None:
    policy = make_babbler_of(architecture)
    sampling = Sampling(max_new_tokens=12)
    questions = world.split("train")[:4]
    groups = rollout(policy, questions, world.spec, world.searcher, num_samples=3, sampling=sampling, seed=1)
    episodes = [episode for group in groups for episode in group]
    rows = rows_of(policy, episodes)
    assert max(map(len, rows.ids)) > 3 * 24  # the windows
    for episode, (log_probs, entropies) in zip(episodes, score_rows(policy.model, rows, 4096)):
        turns = [turn.draft.tokens for turn in episode.turns]
        np.testing.assert_allclose(np.concatenate([t.log_probs for t in turns]), log_probs, atol=1e-4)
        np.testing.assert_allclose(np.concatenate([t.entropies for t in turns]), entropies, atol=1e-4)
