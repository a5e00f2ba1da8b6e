"""Terms of the token loss, against their formulas; bonuses and references inside a real update."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from berrypick.envs.episode import Draft, Episode, Tokens, advance, start
from berrypick.envs.tasks.registry import Task
from berrypick.policies.language.encoding import encode
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.policies.objectives import get_objective
from berrypick.policies.objectives.losses import StepTokens, TokenBatch, clipped_policy_loss, token_log_probs
from berrypick.policies.objectives.terms import AdaptiveEntropy, ClipCov, Entropy, KlCov, KlK1, KlK3, TokenTerm
from berrypick.policies.training.rl import RlConfig, rl_optimizer, rl_rollout, rl_update
from berrypick.policies.training.rl_update import RlState
from berrypick.retrieval_index.errors import BerrypickError
from torch import Tensor

MakeBabbler = Callable[..., LanguageModelPolicy]
M = 200


def numbers(seed: int) -> Tensor:
    return torch.randn(M, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def batch() -> TokenBatch:
    """Tokens of a step, all in one micro-batch, on policy up to small changes."""
    old = -numbers(0).abs() - 0.1
    new = (old + 0.05 * numbers(1)).requires_grad_()
    entropies = numbers(2).abs().requires_grad_()
    return TokenBatch(
        StepTokens(old, numbers(3), seed=5), torch.arange(M), new, entropies, old + 0.3 * numbers(4), None, {}
    )


def parts(batch: TokenBatch, pieces: int = 3) -> list[TokenBatch]:
    return [
        dataclasses.replace(
            batch,
            index=batch.index[at],
            log_probs=batch.log_probs[at],
            entropies=batch.entropies[at],
            reference_log_probs=batch.reference_log_probs[at],
        )
        for at in torch.arange(M).split(M // pieces)
    ]


def loss_of(batch: TokenBatch) -> Tensor:
    return clipped_policy_loss(batch.log_probs, batch.old_log_probs, batch.advantages, (math.inf, math.inf))[0]


@pytest.mark.parametrize(
    "term", [Entropy(), AdaptiveEntropy(start=0.1), KlK3(0.1), KlK1(0.1), KlCov(0.05), ClipCov(0.1)]
)
def test_a_term_does_not_see_how_micro_batches_are_cut(batch: TokenBatch, term: TokenTerm) -> None:
    whole = term(batch, loss_of(batch))
    torch.testing.assert_close(whole, torch.cat([term(part, loss_of(part)) for part in parts(batch)]))


def test_terms_declare_the_inputs_that_they_read() -> None:
    needs = {
        name: [
            (term.needs_reference, term.needs_entropy_gradient, term.next_coefficients({}, 1.0))
            for term in get_objective(name).terms
        ]
        for name in ("grpo", "entropy", "adaptive_entropy:target=1", "kl", "kl_k1", "kl_cov", "clip_cov")
    }
    assert needs == {
        "grpo": [],
        "entropy": [(False, True, {})],
        "adaptive_entropy:target=1": [(False, True, {"entropy": 0.0})],
        "kl": [(True, False, {})],
        "kl_k1": [(True, False, {})],
        "kl_cov": [(False, False, {})],
        "clip_cov": [(False, False, {})],
    }


def test_entropy_is_subtracted_and_carries_gradient(batch: TokenBatch) -> None:
    added = Entropy(0.25)(batch, torch.zeros(M, dtype=torch.float64))
    torch.testing.assert_close(added, -0.25 * batch.entropies)
    added.sum().backward()
    torch.testing.assert_close(batch.entropies.grad, torch.full((M,), -0.25, dtype=torch.float64))


def test_adaptive_entropy_walks_towards_its_target_and_stays_in_its_bounds() -> None:
    term, coefficients, path = AdaptiveEntropy(target=1.0, delta=0.1, most=0.15), {}, []
    for entropy in (0.5, 0.5, 2.0, 2.0, 2.0):
        coefficients = term.next_coefficients(coefficients, entropy)
        path.append(coefficients["entropy"])
    assert path == pytest.approx([0.1, 0.15, 0.05, 0.0, 0.0])


@pytest.mark.parametrize(("sampled", "acts"), [(0.9, True), (1.0, True), (1.1, False)])
def test_adaptive_entropy_acts_only_in_steps_that_were_sampled_at_its_target_or_below(
    batch: TokenBatch, sampled: float, acts: bool
) -> None:
    step = dataclasses.replace(batch.step, entropy=sampled)
    at = dataclasses.replace(batch, step=step, coefficients={"entropy": 0.25})
    found = AdaptiveEntropy(target=1.0)(at, torch.zeros(M, dtype=torch.float64))
    torch.testing.assert_close(found, -0.25 * batch.entropies if acts else torch.zeros(M, dtype=torch.float64))


def test_k3_is_nonnegative_and_k1_and_k3_estimate_the_same_divergence() -> None:
    logits, reference = numbers(7)[:4], numbers(8)[:4]
    p, q = torch.log_softmax(logits, -1), torch.log_softmax(reference, -1)
    exact = float((p.exp() * (p - q)).sum())
    draws = torch.multinomial(p.exp(), 100_000, replacement=True, generator=torch.Generator().manual_seed(0))
    batch = TokenBatch(
        StepTokens(p[draws], torch.zeros(len(draws))), torch.arange(len(draws)), p[draws], p[draws], q[draws]
    )
    zero = torch.zeros(len(draws), dtype=torch.float64)
    assert float(KlK3(1.0)(batch, zero).min()) >= 0
    for term in (KlK3(2.0), KlK1(2.0)):
        assert float(term(batch, zero).mean()) == pytest.approx(2 * exact, rel=0.03)


def test_the_expected_gradient_of_k1_is_that_of_the_divergence() -> None:
    logits = numbers(9)[:4].requires_grad_()
    q = torch.log_softmax(numbers(10)[:4], -1)
    p = torch.log_softmax(logits, -1)
    (exact,) = torch.autograd.grad((p.exp() * (p - q)).sum(), logits, retain_graph=True)
    step = StepTokens(p.detach(), torch.zeros(4))
    batch = TokenBatch(step, torch.arange(4), p, p, q)
    expected_loss = (p.detach().exp() * KlK1(1.0)(batch, torch.zeros(4, dtype=torch.float64))).sum()
    (got,) = torch.autograd.grad(expected_loss, logits)
    torch.testing.assert_close(got, exact)


def test_kl_cov_holds_the_tokens_of_highest_covariance(batch: TokenBatch) -> None:
    added = KlCov(fraction=0.05, coefficient=2.0)(batch, torch.zeros(M, dtype=torch.float64))
    advantages, old = batch.step.advantages, batch.step.old_log_probs
    covariance = (advantages - advantages.mean()) * (old - old.mean())
    chosen = covariance >= covariance.sort().values[-10]
    expected = torch.where(chosen, 2 * (batch.log_probs - old).abs(), 0.0)
    torch.testing.assert_close(added, expected)


def test_clip_cov_silences_a_random_draw_inside_its_bounds(batch: TokenBatch) -> None:
    loss = loss_of(batch)
    changed = ClipCov(fraction=0.04, low=0.2, high=2.0)(batch, loss)
    silent = changed == 0
    covariance = batch.step.covariance
    assert int(silent.sum()) == 8
    assert bool(((covariance[silent] > 0.2) & (covariance[silent] < 2.0)).all())
    torch.testing.assert_close(changed[~silent], loss[~silent])
    changed.sum().backward()
    assert not batch.log_probs.grad[silent].any()
    other = dataclasses.replace(batch, step=dataclasses.replace(batch.step, seed=6))
    assert not torch.equal(ClipCov(0.04, 0.2, 2.0)(other, loss) == 0, silent)


@pytest.mark.parametrize(("fraction", "tokens"), [(0.001, 1), (0.005, 1), (0.0099, 1), (0.01, 2), (1.0, M)])
def test_a_fraction_is_rounded_down_to_whole_tokens_and_is_at_least_one(
    batch: TokenBatch, fraction: float, tokens: int
) -> None:
    zero, one = torch.zeros(M, dtype=torch.float64), torch.ones(M, dtype=torch.float64)
    assert int(KlCov(fraction)(batch, zero).count_nonzero()) == tokens
    assert int((ClipCov(fraction, -99.0, 99.0)(batch, one) == 0).sum()) == tokens


def test_a_token_without_gradient_under_the_ratio_clip_keeps_its_loss_under_clip_cov(batch: TokenBatch) -> None:
    loss = loss_of(batch)
    clipped = batch.with_clipped(torch.ones(M, dtype=torch.bool))
    assert torch.equal(ClipCov(0.5, -9.0, 9.0)(clipped, loss), loss)


# ---- inside the update

CONFIG = RlConfig(questions_per_step=2, group_size=3, max_new_tokens=10, learning_rate=1e-3)


def scripted_episode(policy: LanguageModelPolicy, world: Task, texts: list[str], reward: float) -> Episode:
    """An episode that wrote these turns, with made-up log-probabilities."""
    episode = start(world.split("train")[0], world.spec)
    for text in texts:
        ids = encode(policy.tokenizer, text)
        pieces = policy.tokenizer.convert_ids_to_tokens(ids)
        starts = np.cumsum([0, *map(len, pieces)])[:-1].astype(np.int32)
        blank = np.full(len(ids), -1.0, np.float32)
        advance([episode], [Draft(text, Tokens(np.array(ids, np.int32), blank, -blank, starts))], world.searcher)
    episode.reward = reward
    return episode


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_bonus_keeps_off_the_tokens_of_the_answer(
    make_babbler: MakeBabbler, world: Task, monkeypatch: pytest.MonkeyPatch, everywhere: bool
) -> None:
    policy = make_babbler()
    texts = ["<search> ledger founder kizunba </search>", " <answer> kizunba </answer>"]
    groups = [[scripted_episode(policy, world, texts, 0.0) for _ in range(2)]]
    seen: list[Tensor] = []

    class Watched(type(get_objective("batch"))):
        def token_loss(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
            seen.append(batch.step.advantages[: len(batch.step.advantages) // 2])
            return super().token_loss(batch)

    plain = get_objective("batch:weight=1")
    objective = Watched(**{**vars(plain), "bonus_on_answer_tokens": everywhere})
    rl_update(policy, rl_optimizer(policy, CONFIG), groups, objective, CONFIG)
    pieces = policy.tokenizer.convert_ids_to_tokens([i for t in texts for i in encode(policy.tokenizer, t)])
    silent = [piece for piece, advantage in zip(pieces, seen[0].tolist(), strict=True) if advantage == 0]
    assert silent == ([] if everywhere else [" ki", "zun", "ba", " </answer>"])
    assert seen[0].min() == -0.5


def test_counts_are_read_before_they_are_updated_and_travel_in_the_state(
    make_babbler: MakeBabbler, world: Task
) -> None:
    policy, objective, state = make_babbler(), get_objective("ucb:key=query"), RlState()
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    rl_update(policy, rl_optimizer(policy, CONFIG), groups, objective, CONFIG, state=state)
    counted = state.counts.state_dict()
    assert {key: sum(counts.values()) for key, counts in counted.items()} == {g[0].question.id: 3 for g in groups}
    again = RlState()
    again.load_state_dict(json.loads(json.dumps(state.state_dict())))
    assert again.state_dict() == state.state_dict()


def test_adaptive_coefficients_are_state(make_babbler: MakeBabbler, world: Task) -> None:
    policy, state = make_babbler(), RlState()
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    objective = get_objective("adaptive_entropy:target=99,delta=0.25")
    metrics = rl_update(policy, rl_optimizer(policy, CONFIG), groups, objective, CONFIG, state=state)
    assert state.coefficients == {"entropy": 0.25}
    assert metrics["rl/coefficient/entropy"] == 0.25


def test_adaptive_entropy_above_its_target_moves_no_weight(make_babbler: MakeBabbler, world: Task) -> None:
    policy, state = make_babbler(), RlState(coefficients={"entropy": 0.5})
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    for episode in (episode for group in groups for episode in group):
        episode.reward = 0.0
    norms = [
        rl_update(policy, rl_optimizer(policy, CONFIG), groups, get_objective(name), CONFIG, state=state)[
            "rl/grad_norm"
        ]
        for name in ("adaptive_entropy:target=0.01", "adaptive_entropy:target=99")
    ]
    assert norms[0] == 0
    assert norms[1] > 0


def test_a_reference_pulls_the_policy_towards_itself(make_babbler: MakeBabbler, world: Task) -> None:
    policy, reference = make_babbler(), make_babbler()
    with torch.no_grad():
        policy.model.lm_head.weight.mul_(1.3)
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    for episode in (episode for group in groups for episode in group):
        episode.reward = 0.0
    objective = get_objective("kl:beta=1")
    optimizer = rl_optimizer(policy, dataclasses.replace(CONFIG, learning_rate=1e-4))
    losses = [
        rl_update(policy, optimizer, groups, objective, CONFIG, reference=reference.model)["rl/loss"] for _ in range(5)
    ]
    assert losses[0] > 0
    assert losses == sorted(losses, reverse=True)
    with pytest.raises(BerrypickError, match="needs a reference model"):
        rl_update(policy, optimizer, groups, objective, CONFIG)


def test_sequence_mean_weighs_rollouts_alike(make_babbler: MakeBabbler, world: Task) -> None:
    policy = make_babbler(dtype=torch.float64)
    groups = rl_rollout(policy, world.split("train")[:1], world.spec, world.searcher, CONFIG, 0)
    for episode, reward in zip(groups[0], (1.0, 0.0, 0.0)):
        episode.reward = reward
    config = dataclasses.replace(CONFIG, loss_mean="sequence")
    metrics = rl_update(policy, rl_optimizer(policy, config), groups, get_objective("dr_grpo"), config)
    assert metrics["rl/loss"] == pytest.approx(0, abs=1e-5)  # on policy, ratios of 1: minus the mean advantage
    token = rl_update(make_babbler(), rl_optimizer(policy, CONFIG), groups, get_objective("dr_grpo"), CONFIG)
    lengths = [sum(len(turn.draft.tokens.ids) for turn in episode.turns) for episode in groups[0]]
    expected = -sum(n * a for n, a in zip(lengths, (2 / 3, -1 / 3, -1 / 3))) / sum(lengths)
    assert token["rl/loss"] == pytest.approx(expected, abs=1e-4)


def test_mini_batches_take_one_optimizer_step_each(make_babbler: MakeBabbler, world: Task) -> None:
    policy = make_babbler()
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    config = dataclasses.replace(CONFIG, mini_batches=3, epochs=2)
    optimizer = rl_optimizer(policy, config)
    rl_update(policy, optimizer, groups, get_objective("grpo"), config)
    assert {int(slots["step"]) for slots in optimizer.state_dict()["state"].values()} == {6}


def test_groups_without_a_gradient_are_counted(make_babbler: MakeBabbler, world: Task) -> None:
    policy = make_babbler()
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    for group, rewards in zip(groups, ((0.0, 0.0, 0.0), (0.0, 1.0, 0.0))):
        for episode, reward in zip(group, rewards):
            episode.reward = reward
    metrics = rl_update(policy, rl_optimizer(policy, CONFIG), groups, get_objective("grpo"), CONFIG)
    assert metrics["rl/zero_variance_groups"] == 1


def test_dynamic_sampling_replaces_groups_of_equal_rewards_once_a_round(make_babbler: MakeBabbler, world: Task) -> None:
    policy = make_babbler()
    config = dataclasses.replace(CONFIG, dynamic_sampling=2)
    every = world.split("train")
    groups = rl_rollout(policy, every[:2], world.spec, world.searcher, config, 0, more=every)
    plain = rl_rollout(policy, every[:2], world.spec, world.searcher, CONFIG, 0)
    assert {episode.reward for group in plain for episode in group} == {0.0}
    ids = [group[0].question.id for group in groups]
    assert len(ids) == len(set(ids)) == 2
    assert not set(ids) & {question.id for question in every[:2]}


# ---- small cases by hand


def test_terms_have_the_published_options_unless_told() -> None:
    assert Entropy() == Entropy(1e-3)
    assert AdaptiveEntropy() == AdaptiveEntropy(target=0.5, delta=5e-3, start=0.0, least=0.0, most=1.0)
    assert (KlK3(), KlK1()) == (KlK3(1e-3), KlK1(1e-3))
    assert KlCov() == KlCov(2e-4, 1.0)
    assert ClipCov() == ClipCov(2e-4, 1.0, 5.0)
    step = StepTokens(torch.zeros(1), torch.zeros(1))
    assert (step.seed, step.entropy) == (0, 0.0)


def test_terms_of_weight_0_change_nothing_and_bounds_may_meet(batch: TokenBatch) -> None:
    zero = torch.zeros(M, dtype=torch.float64)
    for term in (KlK3(0.0), KlK1(0.0), KlCov(0.5, 0.0), Entropy(0.0), AdaptiveEntropy(0.0, 0.0)):
        assert not term(batch, zero).any()
    held = AdaptiveEntropy(start=0.5, least=0.5, most=0.5)
    assert held.next_coefficients({}, 0.0) == held.next_coefficients({}, 9.0) == {"entropy": 0.5}
    with pytest.raises(ValueError, match=r"most must be at least 0\.5, got 0\.25"):
        AdaptiveEntropy(least=0.5, most=0.25)


def test_a_coefficient_falls_at_the_target_itself() -> None:
    term = AdaptiveEntropy(target=1.0, delta=0.25, start=0.5)
    assert term.next_coefficients({}, 1.0) == {"entropy": 0.25}
    assert term.next_coefficients({"other": 2.0}, 0.9) == {"other": 2.0, "entropy": 0.75}


def test_the_clip_by_hand() -> None:
    ratios = torch.tensor([0.5, 0.9, 1.1, 1.5], dtype=torch.float64)
    zero = torch.zeros(4, dtype=torch.float64)
    for advantage, losses, silent in (
        (1.0, [-0.5, -0.9, -1.1, -1.3], [False, False, False, True]),
        (-1.0, [0.8, 0.9, 1.1, 1.5], [True, False, False, False]),
        (0.0, [0.0] * 4, [False] * 4),
    ):
        loss, clipped = clipped_policy_loss(ratios.log(), zero, torch.full_like(zero, advantage), (0.2, 0.3))
        assert loss.tolist() == pytest.approx(losses) and clipped.tolist() == silent


def test_log_probabilities_and_entropies_by_hand() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.25, 0.0], [1.0, 0.0, 0.0, 0.0]]).log().requires_grad_()
    chosen, entropy = token_log_probs(logits, torch.tensor([1, 0]))
    assert chosen.tolist() == pytest.approx([-2 * math.log(2), 0.0])
    assert entropy.tolist() == pytest.approx([1.5 * math.log(2), 0.0])
    assert chosen.requires_grad and not entropy.requires_grad
    assert token_log_probs(logits, torch.tensor([1, 0]), entropy_gradient=True)[1].requires_grad
    with torch.no_grad():
        assert not token_log_probs(logits, torch.tensor([1, 0]), entropy_gradient=True)[1].requires_grad
    batched = token_log_probs(logits[None], torch.tensor([[1, 0]]))
    assert torch.equal(batched[0], chosen[None]) and torch.equal(batched[1], entropy[None])
    assert token_log_probs(logits.double(), torch.tensor([1, 0]))[0].dtype == torch.float64
    assert token_log_probs(logits.half(), torch.tensor([1, 0]))[0].dtype == torch.float32


def test_tokens_at_the_bounds_of_clip_cov_keep_their_loss() -> None:
    # advantages and log-probabilities of mean 0: covariances 4, 1, 1, 4
    step = StepTokens(torch.tensor([-2.0, -1.0, 1.0, 2.0]), torch.tensor([-2.0, -1.0, 1.0, 2.0]))
    batch = TokenBatch(step, torch.arange(4), step.old_log_probs, torch.zeros(4))
    assert step.covariance.tolist() == [4.0, 1.0, 1.0, 4.0]
    one = torch.ones(4)
    for low, high, expected in ((0.5, 3.0, [1, 0, 0, 1]), (1.0, 5.0, [0, 1, 1, 0]), (0.5, 4.0, [1, 0, 0, 1])):
        assert ClipCov(1.0, low, high)(batch, one).tolist() == expected
    assert ClipCov(1.0, 1.0, 4.0)(batch, one).tolist() == [1, 1, 1, 1]
    assert ClipCov(1.0, 0.0, 9.0)(batch, torch.zeros(4)).tolist() == [0, 0, 0, 0]
    assert KlCov(0.5)(dataclasses.replace(batch, log_probs=step.old_log_probs + 0.5), one).tolist() == [1.5, 1, 1, 1.5]


def test_an_objective_needs_what_any_of_its_terms_needs() -> None:
    needs = {
        name: (objective.needs_reference, objective.needs_entropy_gradient)
        for name in ("grpo", "kl", "entropy")
        for objective in [get_objective(name)]
    }
    assert needs == {"grpo": (False, False), "kl": (True, False), "entropy": (False, True)}
    both = dataclasses.replace(get_objective("grpo"), terms=(KlK3(), Entropy(), ClipCov()))
    assert both.needs_reference and both.needs_entropy_gradient
