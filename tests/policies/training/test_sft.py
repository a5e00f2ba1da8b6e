"""SFT: batches are permutations, the loss is that of the policy's own tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from berrypick.envs.tasks.registry import Task
from berrypick.policies.language.batches import TokenRows
from berrypick.policies.language.encoding import encode_episode
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.training.sft import SftConfig, sft_batch, sft_optimizer, sft_update
from berrypick.policies.training.sft_fit import EarlyStop, fit_sft, sft_steps, validation_loss
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.demonstrations import demonstrate
from hypothesis import given, settings
from hypothesis import strategies as st

MakeBabbler = Callable[..., LanguageModelPolicy]
CONFIG = SftConfig(steps=10, batch_size=4, learning_rate=1e-3, max_tokens=300, max_grad_norm=1e9)


@pytest.fixture(scope="module")
def demonstrations(make_babbler: MakeBabbler, world: Task) -> TokenRows:
    groups = demonstrate(world, samples=1)
    encoded = [encode_episode(make_babbler().tokenizer, episode) for group in groups for episode in group]
    return TokenRows([ids for ids, _ in encoded], [mask for _, mask in encoded])


@settings(max_examples=30, deadline=None)
@given(total=st.integers(1, 30), batch_size=st.integers(1, 40))
def test_every_epoch_is_a_permutation(make_babbler: MakeBabbler, total: int, batch_size: int) -> None:
    data = TokenRows([np.array([i, 0], np.int32) for i in range(total)], [np.array([False, True])] * total)
    config = SftConfig(batch_size=batch_size, seed=3)
    steps = -(-3 * total // batch_size)
    picks = [int(row[0]) for step in range(steps) for row in sft_batch(data, make_babbler(), config, step).ids]
    for epoch in range(3):
        assert sorted(picks[epoch * total : (epoch + 1) * total]) == list(range(total))


def test_half_of_an_early_batch_copies(make_babbler: MakeBabbler, demonstrations: TokenRows) -> None:
    config = dataclasses.replace(CONFIG, copying_steps=2)
    for step, copied in ((0, 2), (1, 2), (2, 0)):
        batch = sft_batch(demonstrations, make_babbler(), config, step)
        halves = [
            ids[: len(ids) // 2].tolist() == ids[len(ids) // 2 :].tolist() for ids in batch.ids if len(ids) % 2 == 0
        ]
        assert len(batch.ids) == 4
        assert sum(halves) == copied


def test_a_batch_follows_from_seed_and_step(make_babbler: MakeBabbler, demonstrations: TokenRows) -> None:
    policy, config = make_babbler(), dataclasses.replace(CONFIG, copying_steps=9)
    one, same = (sft_batch(demonstrations, policy, config, 5) for _ in range(2))
    other = sft_batch(demonstrations, policy, dataclasses.replace(config, seed=1), 5)
    assert [ids.tolist() for ids in one.ids] == [ids.tolist() for ids in same.ids]
    assert [ids.tolist() for ids in one.ids] != [ids.tolist() for ids in other.ids]


def test_demonstrations_hold_the_demonstrators_text_under_the_mask(
    make_babbler: MakeBabbler, world: Task, demonstrations: TokenRows
) -> None:
    tokenizer = make_babbler().tokenizer
    for ids, mask in zip(demonstrations.ids, demonstrations.masks):
        written = tokenizer.decode(ids[mask])
        assert written.count("</search>") + written.count("</answer>") >= 1
        assert "information" not in written
        assert "information" in tokenizer.decode(ids[~mask]) or "</search>" not in written


def test_loss_and_gradient_equal_a_hand_written_reference(make_babbler: MakeBabbler, demonstrations: TokenRows) -> None:
    policy = make_babbler(dtype=torch.float64)
    batch = sft_batch(demonstrations, policy, CONFIG, 0)
    losses = []
    for ids, mask in zip(batch.ids, batch.masks):
        log_p = torch.log_softmax(policy.model(torch.from_numpy(ids).long()[None]).logits[0], -1)
        losses += [-log_p[t - 1, ids[t]] for t in np.flatnonzero(mask)]
    loss = torch.stack(losses).mean()
    loss.backward()
    expected = {key: value.grad.clone() for key, value in policy.model.named_parameters()}
    metrics = sft_update(policy, sft_optimizer(policy, CONFIG), batch, CONFIG, 0)
    assert metrics["sft/loss"] == pytest.approx(loss.item(), rel=1e-6)
    size = metrics["sft/grad_norm"]
    for key, value in policy.model.named_parameters():
        assert float((value.grad - expected[key]).norm()) <= 1e-6 * size, key


def test_the_rate_warms_up_over_a_tenth_and_falls_to_a_hundredth(
    make_babbler: MakeBabbler, demonstrations: TokenRows
) -> None:
    policy, config = make_babbler(), dataclasses.replace(CONFIG, steps=20)
    optimizer = sft_optimizer(policy, config)
    batch = sft_batch(demonstrations, policy, config, 0)
    rates = [sft_update(policy, optimizer, batch, config, step)["sft/learning_rate"] for step in (0, 1, 2, 11, 20)]
    assert rates == pytest.approx([0.5e-3, 1e-3, 1e-3, 0.505e-3, 0.01e-3])


def test_updates_lower_the_loss(make_babbler: MakeBabbler, demonstrations: TokenRows) -> None:
    policy = make_babbler()
    config = dataclasses.replace(CONFIG, batch_size=8, learning_rate=1e-2, max_grad_norm=1.0)
    optimizer = sft_optimizer(policy, config)
    batch = sft_batch(demonstrations, policy, config, 0)
    losses = [sft_update(policy, optimizer, batch, config, step)["sft/loss"] for step in range(10)]
    assert losses[-1] < losses[0] - 1


def test_a_fit_that_is_taken_up_again_makes_the_updates_of_one_that_was_not(
    make_babbler: MakeBabbler, demonstrations: TokenRows
) -> None:
    def losses(parts: list[tuple[int, int]]) -> list[float]:
        policy, stop = make_babbler(), EarlyStop(0)
        optimizer, out = sft_optimizer(policy, CONFIG), []
        for first, last in parts:
            for done in sft_steps(policy, optimizer, demonstrations, CONFIG, stop, first=first):
                out.append(done.metrics["sft/loss"])
                if done.number == last:
                    break
        return out

    assert losses([(0, 2), (2, 5)]) == losses([(0, 5)])


def test_checks_come_at_their_interval_and_after_the_last_update_and_end_a_fit(
    make_babbler: MakeBabbler, demonstrations: TokenRows
) -> None:
    policy, config = make_babbler(), dataclasses.replace(CONFIG, steps=8)

    def checks(values: list[float], patience: int) -> list[tuple[int, float, bool]]:
        found, stop = iter(values), EarlyStop(patience)
        steps = sft_steps(
            policy,
            sft_optimizer(policy, config),
            demonstrations,
            config,
            stop,
            validate=lambda: next(found),
            validate_every=3,
        )
        return [(done.number, done.metrics["sft/validation_loss"], done.best) for done in steps if done.checked]

    assert checks([2.0, 1.0, 3.0], 0) == [(3, 2.0, True), (6, 1.0, True), (8, 3.0, False)]
    assert checks([1.0, 2.0], 1) == [(3, 1.0, True), (6, 2.0, False)]


def test_nothing_to_imitate_is_said(make_babbler: MakeBabbler) -> None:
    with pytest.raises(BerrypickError, match="no demonstrations"):
        sft_batch(TokenRows([], []), make_babbler(), CONFIG, 0)
    blank = TokenRows([np.arange(4, dtype=np.int32)], [np.zeros(4, np.bool_)])
    with pytest.raises(BerrypickError, match="the batch has no policy token"):
        sft_update(make_babbler(), sft_optimizer(make_babbler(), CONFIG), blank, CONFIG, 0)


def test_validating_on_nothing_is_said_and_fits_without_it(
    make_babbler: MakeBabbler, demonstrations: TokenRows
) -> None:
    policy, nothing = make_babbler(), TokenRows([], [])
    with pytest.raises(BerrypickError, match="validation has no policy tokens"):
        validation_loss(policy, nothing, 100)
    fit = fit_sft(policy, demonstrations, dataclasses.replace(CONFIG, steps=2), validation=nothing)
    assert (len(fit.losses), fit.validation, fit.best_step) == (2, (), 2)
