"""Procedures besides SFT and RL: DPO, rejection sampling, critiques, debates, LoRA, interpolation, early stop."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from berrypick.envs.episode import Draft, Episode, advance, start
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.envs.tasks.registry import Task
from berrypick.policies.language.encoding import encode_episode
from berrypick.policies.language.episode_rows import rows_of
from berrypick.policies.language.interpolation import interpolate
from berrypick.policies.language.lora import with_lora
from berrypick.policies.language.model import LanguageModelPolicy, load_language_model
from berrypick.policies.language.tiny import tiny_model
from berrypick.policies.objectives import get_objective
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.policies.scripted import scripted_policy
from berrypick.policies.training.checkpoint import load_checkpoint, reference_model, save_checkpoint
from berrypick.policies.training.critique import CRITICS, CritiqueConfig, critique_round, leaks
from berrypick.policies.training.multiagent import DebateConfig, debate, split_data
from berrypick.policies.training.preference import DpoConfig, dpo_update, preference_pairs
from berrypick.policies.training.rl import RlConfig, rl_optimizer, rl_rollout, rl_update
from berrypick.policies.training.sft import SftConfig
from berrypick.policies.training.sft_fit import accepted_episodes, fit_sft, validation_loss
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.demonstrations import demonstrate
from transformers import PreTrainedTokenizerFast

MakeBabbler = Callable[..., LanguageModelPolicy]
CONFIG = RlConfig(questions_per_step=2, group_size=3, max_new_tokens=10, learning_rate=1e-3)


@pytest.fixture(scope="module")
def groups(make_babbler: MakeBabbler, world: Task) -> list[list[Episode]]:
    groups = rl_rollout(make_babbler(), world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    for group, rewards in zip(groups, ((1.0, 0.0, 0.5), (0.0, 0.0, 0.0))):
        for episode, reward in zip(group, rewards):
            episode.reward = reward
    return groups


def log_prob(policy: LanguageModelPolicy, episode: Episode) -> torch.Tensor:
    ids, mask = encode_episode(policy.tokenizer, episode)
    log_p = torch.log_softmax(policy.model(torch.from_numpy(ids).long()[None]).logits[0], -1)
    return torch.stack([log_p[t - 1, ids[t]] for t in np.flatnonzero(mask)]).sum()


def test_preference_pairs_have_one_question_and_the_better_reward_first(groups: list[list[Episode]]) -> None:
    pairs = preference_pairs(groups, per_question=9)
    assert sorted((a.reward, b.reward) for a, b in pairs) == [(0.5, 0.0), (1.0, 0.0), (1.0, 0.5)]
    assert len(preference_pairs(groups, per_question=2)) == 2


def test_dpo_equals_a_hand_written_reference(make_babbler: MakeBabbler, groups: list[list[Episode]]) -> None:
    policy, reference = make_babbler(dtype=torch.float64), make_babbler(dtype=torch.float64)
    with torch.no_grad():
        policy.model.lm_head.weight.mul_(1.02)
    pairs = preference_pairs(groups, per_question=9)
    with torch.no_grad():
        fixed = {id(e): log_prob(reference, e) for pair in pairs for e in pair}
    margins = torch.stack(
        [0.1 * ((log_prob(policy, a) - fixed[id(a)]) - (log_prob(policy, b) - fixed[id(b)])) for a, b in pairs]
    )
    loss = -torch.nn.functional.logsigmoid(margins).mean()
    loss.backward()
    expected = {name: value.grad.clone() for name, value in policy.model.named_parameters()}
    config = DpoConfig(beta=0.1, max_grad_norm=1e9, max_tokens=300)
    metrics = dpo_update(policy, reference.model, rl_optimizer(policy, CONFIG), pairs, config)
    assert metrics["dpo/loss"] == pytest.approx(loss.item(), rel=1e-9)
    assert metrics["dpo/accuracy"] == float((margins > 0).double().mean())
    for name, value in policy.model.named_parameters():
        torch.testing.assert_close(value.grad, expected[name], atol=1e-10, rtol=1e-6)


def test_dpo_without_a_pair_says_so(make_babbler: MakeBabbler, groups: list[list[Episode]]) -> None:
    policy = make_babbler()
    with pytest.raises(BerrypickError, match="rollouts of every group have equal rewards"):
        dpo_update(policy, policy.model, rl_optimizer(policy, CONFIG), preference_pairs(groups[1:]), DpoConfig())


def test_rejection_sampling_keeps_at_most_so_many_right_rollouts_a_question(world: Task) -> None:
    played = demonstrate(world, samples=6)
    right = [sum(episode.correct for episode in group) for group in played]
    for cap in (1, 2, 6):
        accepted = accepted_episodes(played, per_question=cap)
        counts = Counter(episode.question.id for episode in accepted)
        assert all(episode.correct for episode in accepted)
        assert [counts[group[0].question.id] for group in played] == [min(cap, n) for n in right]


def test_an_early_stop_puts_the_best_weights_back(make_babbler: MakeBabbler, world: Task) -> None:
    policy = make_babbler()
    played = rollout(
        scripted_policy("oracle"),
        world.split("train"),
        world.spec,
        world.searcher,
        num_samples=1,
        sampling=Sampling(),
        seed=0,
    )
    rows = rows_of(policy, [episode for (episode,) in played])
    train = dataclasses.replace(rows, ids=rows.ids[:2], masks=rows.masks[:2])
    held_out = dataclasses.replace(rows, ids=rows.ids[2:], masks=rows.masks[2:])
    fit = fit_sft(
        policy,
        train,
        SftConfig(steps=200, batch_size=2, learning_rate=2e-2),
        validation=held_out,
        validate_every=2,
        patience=3,
    )
    best = min(loss for _, loss in fit.validation)
    assert len(fit.losses) < 200
    assert fit.validation[-4][1] == best
    assert fit.best_step == fit.validation[-4][0]
    assert validation_loss(policy, held_out, 4096) == pytest.approx(best, rel=1e-5)


def test_interpolation_is_linear_and_leaves_its_ends_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    ends = [LanguageModelPolicy(tiny_model(len(tokenizer), seed), tokenizer, f"s{seed}") for seed in (0, 1)]
    before = [policy.model.get_input_embeddings().weight.clone() for policy in ends]
    for weight in (0.0, 0.25, 1.0):
        mixed = interpolate(*ends, weight).model.get_input_embeddings().weight
        torch.testing.assert_close(mixed, (1 - weight) * before[0] + weight * before[1])
    assert all(torch.equal(a, policy.model.get_input_embeddings().weight) for a, policy in zip(before, ends))
    other = LanguageModelPolicy(tiny_model(300, 0), tokenizer, "other")
    with pytest.raises(BerrypickError, match="differ in shape"):
        interpolate(ends[0], other, 0.5)


# ---- LoRA and bfloat16


def test_lora_trains_its_own_matrices_only_and_resumes(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, world: Task
) -> None:
    def fresh() -> tuple[LanguageModelPolicy, torch.optim.Optimizer]:
        base = LanguageModelPolicy(tiny_model(len(tokenizer), 0), tokenizer, "tiny")
        policy = with_lora(base, 4)
        return policy, rl_optimizer(policy, CONFIG)

    policy, optimizer = fresh()
    before = {name: value.clone() for name, value in policy.model.named_parameters()}
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    groups[0][0].reward = 1.0
    rl_update(policy, optimizer, groups, get_objective("grpo"), CONFIG)
    changed = {name for name, value in policy.model.named_parameters() if not torch.equal(value, before[name])}
    assert changed
    assert all("lora_" in name for name in changed)
    path = save_checkpoint(tmp_path, policy, optimizer, {"phase": "rl", "step": 1})
    again, other = fresh()
    load_checkpoint(path, again, other)
    for (name, a), (_, b) in zip(policy.model.named_parameters(), again.model.named_parameters()):
        assert torch.equal(a, b), name
    ids = torch.tensor([[5, 6, 7, 8]])
    merged = load_language_model(str(path)).model(ids).logits
    torch.testing.assert_close(merged, policy.model(ids).logits, atol=1e-5, rtol=1e-4)


def test_a_bfloat16_policy_plays_and_trains(make_babbler: MakeBabbler, world: Task) -> None:
    policy = make_babbler(dtype=torch.bfloat16)
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    groups[0][0].reward = 1.0
    metrics = rl_update(policy, rl_optimizer(policy, CONFIG), groups, get_objective("grpo"), CONFIG)
    assert metrics["rl/grad_norm"] > 0
    assert abs(metrics["rl/kl_to_sampler_nats"]) < 0.05  # sampler and training forward round differently


def test_a_reference_stays_what_it_was_when_first_written(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    policy = LanguageModelPolicy(tiny_model(len(tokenizer), 0), tokenizer, "tiny")
    first = reference_model(tmp_path / "reference", policy)
    with torch.no_grad():
        policy.model.get_input_embeddings().weight.add_(1.0)
    again = reference_model(tmp_path / "reference", policy)
    assert torch.equal(first.get_input_embeddings().weight, again.get_input_embeddings().weight)
    assert not any(parameter.requires_grad for parameter in again.parameters())


# ---- critiques and debates, with actors on paper


class Actor:
    """Answers what a function of question text and seed says; no searches."""

    policy_id, exact_tokens = "actor", False

    def __init__(self, answer: Callable[[str, int], str]) -> None:
        self.answer, self.heard = answer, list[str]()

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> Actor:
        self.heard += [question.text for question in questions]
        self.rows = [self.answer(question.text, seed) for question, seed in zip(questions, seeds)]
        return self

    def act(self, rows: Sequence[int]) -> list[Draft]:
        return [Draft(f"<answer> {self.rows[row]} </answer>") for row in rows]

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Ignores observations."""

    def finish(self, rows: Sequence[int]) -> None:
        """Has nothing to free."""


QUESTIONS = [Question(f"q{i}", f"question {i} ?", (f"name{i}",)) for i in range(3)]
SPEC = EpisodeSpec()


def test_a_critique_repairs_what_first_attempts_missed_and_leaves_no_trace_in_the_data(world: Task) -> None:
    def answer(text: str, seed: int) -> str:
        number = text.split()[1]
        return f"name{number}" if number == "0" or (number == "1" and "check again" in text) else "nothing"

    actor = Actor(answer)
    config = CritiqueConfig(num_samples=2)
    found = critique_round(actor, CRITICS["check_again"], QUESTIONS, SPEC, world.searcher, config)
    assert (found.first_right, found.repaired, found.num_generations, found.num_leaks) == (1, 1, 10, 0)
    assert Counter(episode.question.id for episode in found.accepted) == {"q0": 2, "q1": 1}
    assert all("check again" not in episode.question.text for episode in found.accepted)
    blind = critique_round(actor, CRITICS["resample"], QUESTIONS, SPEC, world.searcher, config)
    assert (blind.repaired, blind.num_generations) == (0, 10)


def test_a_critique_that_gives_the_answer_away_is_dropped_and_counted(world: Task) -> None:
    actor = Actor(lambda text, seed: "nothing")
    found = critique_round(
        actor,
        lambda episode: f"it is The {episode.question.answers[0].upper()}!",
        QUESTIONS,
        SPEC,
        world.searcher,
        CritiqueConfig(num_samples=1),
    )
    assert (found.num_leaks, found.num_generations) == (3, 3)
    titled = start(dataclasses.replace(QUESTIONS[0], metadata={"supporting_titles": ("Big Ben",)}), SPEC)
    assert leaks("look at big ben.", titled)
    assert not leaks("look at bigger bens", titled)


def test_the_evidence_critic_names_the_first_missing_hop(world: Task) -> None:
    question = next(q for q in world.split("train") if all(q.evidence[0]))
    episode = start(question, world.spec)
    assert "step 1" in CRITICS["missing_hop"](episode)
    kind, (relation, entity) = (
        "ledger charter scroll",
        (question.metadata["world"][k][0] for k in ("relations", "entities")),
    )
    for name in kind.split():
        advance([episode], [Draft(f"<search> {name} {relation} {entity} </search>")], world.searcher)
    assert "step 2" in CRITICS["missing_hop"](episode)


def test_a_debate_trains_generators_on_first_answers_and_critics_on_repairs(world: Task) -> None:
    def says(right_at_first: str) -> Callable[[str, int], str]:
        def answer(text: str, seed: int) -> str:
            number = text.split()[1]
            return f"name{number}" if number in right_at_first or "others say" in text else "nothing"

        return answer

    agents = [Actor(says(numbers)) for numbers in ("01", "0", "02")]
    found = debate(agents, agents, QUESTIONS, SPEC, world.searcher, DebateConfig(rounds=2))
    assert found.votes == ("name0", "name1", "name2")
    assert found.vote_accuracy == 1
    ids = [[episode.question.id for episode in own] for own in found.generator_data]
    assert ids == [["q0", "q1"], ["q0"], ["q0", "q2"]]
    repaired = [{"q2"}, {"q1", "q2"}, {"q1"}]
    for own, wanted in zip(found.critic_data, repaired):
        learned = {episode.question.id for episode in own}
        assert wanted <= learned
        assert len(own) <= 2 * len(wanted)
    assert "question 1 ?\nothers say: nothing, nothing" in agents[0].heard
    wrong = debate(agents[:1], agents[:1], QUESTIONS, SPEC, world.searcher, DebateConfig(rounds=1, label="truth"))
    assert [episode.question.id for episode in wrong.generator_data[0]] == ["q0", "q1"]
    assert wrong.vote_accuracy == pytest.approx(2 / 3)


def test_the_controls_of_multiagent_data_are_what_they_say(world: Task) -> None:
    data = [[start(QUESTIONS[i % 3], SPEC) for _ in range(n)] for i, n in enumerate((3, 1, 2))]
    union = [id(episode) for own in data for episode in own]
    assert [len(own) for own in split_data(data, "own")] == [3, 1, 2]
    assert all([id(e) for e in own] == union for own in split_data(data, "union"))
    parts = split_data(data, "random")
    assert sorted(id(e) for own in parts for e in own) == sorted(union)
    assert [len(own) for own in parts] == [2, 2, 2]
    matched = split_data(data, "size_matched")
    assert len(matched[0]) == 2
    assert [id(e) for e in matched[0]] == [id(e) for e in matched[2]]
