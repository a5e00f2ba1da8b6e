"""Models that are no Llama: windows that slide, positions that are learned."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

import numpy as np
import pytest
from berrypick.envs.tasks.registry import Task
from berrypick.policies.language.batches import TokenRows, log_probs_of_rows
from berrypick.policies.language.episode_rows import rows_of, within_window
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import WINDOW_FULL, rollout
from berrypick.policies.training.sft import SftConfig, sft_optimizer, sft_update
from berrypick.policies.training.sft_fit import fit_sft
from berrypick.retrieval_index.errors import BerrypickError

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
    for episode, (log_probs, entropies) in zip(episodes, log_probs_of_rows(policy.model, rows, 4096)):
        turns = [turn.draft.tokens for turn in episode.turns]
        np.testing.assert_allclose(np.concatenate([t.log_probs for t in turns]), log_probs, atol=1e-4)
        np.testing.assert_allclose(np.concatenate([t.entropies for t in turns]), entropies, atol=1e-4)


@pytest.mark.parametrize("window", [128, 200])
def test_no_padding_stands_behind_the_last_learned_position(
    make_babbler_of: MakeBabblerOf, world: Task, window: int
) -> None:
    policy = make_babbler_of("gpt2", n_positions=window)
    spec = dataclasses.replace(world.spec, max_turns=8, top_k=5)
    sampling = Sampling(max_new_tokens=8)
    groups = rollout(policy, world.split("train"), spec, world.searcher, num_samples=8, sampling=sampling, seed=1)
    episodes = [episode for group in groups for episode in group]
    assert any(turn.error == WINDOW_FULL for episode in episodes for turn in episode.turns)
    for episode, (log_probs, _) in zip(episodes, log_probs_of_rows(policy.model, rows_of(policy, episodes), 4096)):
        sampled = np.concatenate([turn.draft.tokens.log_probs for turn in episode.turns])
        np.testing.assert_allclose(sampled, log_probs, atol=1e-4)


def rows(lengths: list[int]) -> TokenRows:
    draws = np.random.default_rng(0)
    ids = [draws.integers(1, 600, length).astype(np.int32) for length in lengths]
    return TokenRows(ids, [np.arange(length) >= 3 for length in lengths])


def test_demonstrations_beyond_the_window_are_left_out_and_counted(
    make_babbler_of: MakeBabblerOf, caplog: pytest.LogCaptureFixture
) -> None:
    policy = make_babbler_of("gpt2", n_positions=32)
    data = rows([32, 33, 10, 90])
    with caplog.at_level(logging.WARNING):
        fitting = within_window(policy, data)
    assert [len(ids) for ids in fitting.ids] == [32, 10]
    assert "2 of 4 demonstrations exceed the window of 32 tokens of gpt2" in caplog.text
    fit = fit_sft(policy, data, SftConfig(steps=2, batch_size=2), validation=data, validate_every=1)
    assert len(fit.validation) == 2
    with pytest.raises(BerrypickError, match="all 2 demonstrations exceed the window of 32 tokens"):
        within_window(policy, data.select([1, 3]))


def test_an_update_with_a_row_beyond_the_window_is_refused(make_babbler_of: MakeBabblerOf) -> None:
    policy = make_babbler_of("gpt2", n_positions=32)
    with pytest.raises(BerrypickError, match="a row of 40 tokens exceeds the window of 32 of gpt2; drop such rows"):
        sft_update(policy, sft_optimizer(policy, SftConfig()), rows([20, 40]), SftConfig(), 0)
