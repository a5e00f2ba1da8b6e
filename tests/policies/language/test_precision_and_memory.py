"""Formats of weights and products; rows bounded by memory; memory that runs out all the same."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.envs.tasks.registry import Task
from berrypick.policies.language import memory, precision
from berrypick.policies.language.batches import TokenRows, log_probs_of_rows
from berrypick.policies.language.memory import bytes_of_row, longest_row, play_budget
from berrypick.policies.language.model import LanguageModelPolicy, load_language_model
from berrypick.policies.objectives import get_objective
from berrypick.policies.open_policy import open_policy
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.policies.scripted import scripted_policy
from berrypick.policies.training.rl import RlConfig, rl_optimizer, rl_rollout, rl_update
from berrypick.policies.training.sft import SftConfig, sft_optimizer, sft_update
from berrypick.policies.training.update_step import NonFiniteLossError
from berrypick.retrieval_index.errors import BerrypickError

MakeBabbler = Callable[..., LanguageModelPolicy]
CONFIG = RlConfig(questions_per_step=2, group_size=3, max_new_tokens=8, learning_rate=1e-5)


def test_a_policy_that_trains_has_float32_weights_whatever_it_computes_in() -> None:
    policy = load_language_model("tiny", dtype="bfloat16", trains=True)
    assert (policy.dtype, policy.model.dtype) == ("bfloat16", torch.float32)
    played = open_policy("tiny", dtype="bfloat16")
    assert (played.dtype, played.model.dtype) == ("bfloat16", torch.bfloat16)
    assert played.model.model.rotary_emb.inv_freq.dtype == torch.float32
    assert load_language_model("tiny").dtype == "float32"


def test_auto_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for has, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device, has=has: has)
        assert precision.choose_dtype("auto", cpu) == expected
    with pytest.raises(BerrypickError, match='dtype \'float16\' is not supported; choose "float32", "bfloat16" or'):
        load_language_model("tiny", dtype="float16")


def test_an_update_in_bfloat16_moves_float32_weights_by_less_than_bfloat16_could(world: Task) -> None:
    policy = load_language_model("tiny", dtype="bfloat16", trains=True)
    before = [parameter.detach().clone() for parameter in policy.model.parameters()]
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    groups[0][0].reward = 1.0
    optimizer = rl_optimizer(policy, CONFIG)
    metrics = rl_update(policy, optimizer, groups, get_objective("grpo"), CONFIG)
    assert abs(metrics["rl/kl_to_sampler_nats"]) < 1e-3  # play and update round alike
    moved = [(a - b).abs().max().item() for a, b in zip(policy.model.parameters(), before)]
    assert all(0 < step < 1.1e-5 for step in moved)
    states = [value for slots in optimizer.state_dict()["state"].values() for value in slots.values()]
    assert all(value.dtype == torch.float32 for value in states)


def test_weights_stored_in_bfloat16_are_widened_before_they_train(
    make_babbler: MakeBabbler, caplog: pytest.LogCaptureFixture
) -> None:
    policy = make_babbler(dtype=torch.bfloat16)
    with caplog.at_level(logging.WARNING):
        rl_optimizer(policy, CONFIG)
    assert "weights stored in bfloat16 are trained in float32" in caplog.text
    assert (policy.dtype, policy.model.dtype) == ("bfloat16", torch.float32)
    caplog.clear()
    rl_optimizer(policy, CONFIG)
    assert not caplog.text


def test_forwards_in_bfloat16_are_close_to_float32_and_not_equal() -> None:
    import numpy as np

    ids = np.arange(2, 60, dtype=np.int32)
    data = TokenRows([ids], [np.arange(len(ids)) > 3])
    exact, rounded = (
        log_probs_of_rows(load_language_model("tiny", dtype=dtype, trains=True).model, data, 4096)[0][0]
        for dtype in ("float32", "bfloat16")
    )
    assert 0 < (exact - rounded).abs().max() < 0.1


def test_nan_in_bfloat16_names_the_other_format(world: Task) -> None:
    policy = load_language_model("tiny", dtype="bfloat16", trains=True)
    groups = rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)
    groups[0][0].reward = 1.0
    with torch.no_grad():
        policy.model.get_input_embeddings().weight[5:].fill_(torch.nan)
    with pytest.raises(NonFiniteLossError, match="lower learning rate or --dtype float32 in another"):
        rl_update(policy, rl_optimizer(policy, CONFIG), groups, get_objective("grpo"), CONFIG)
    with pytest.raises(BerrypickError, match=r"non-finite probabilities; .* --dtype float32"):
        rl_rollout(policy, world.split("train")[:2], world.spec, world.searcher, CONFIG, 0)


def test_bytes_and_tokens_of_a_row_by_hand(make_babbler: MakeBabbler) -> None:
    model = make_babbler().model  # two layers, four heads of 8
    vocab = model.config.vocab_size
    assert bytes_of_row(model, 100, torch.float32) == 2 * 2 * 4 * 8 * 4 * 100 + 4 * 6 * vocab
    assert bytes_of_row(model, 100, torch.bfloat16) == 2 * 2 * 4 * 8 * 2 * 100 + 4 * 6 * vocab
    spec = EpisodeSpec(max_turns=3, max_observation_chars=400)
    assert longest_row(50, spec, Sampling(max_new_tokens=10), 10_000) == 50 + 3 * 10 + 2 * 100
    assert longest_row(50, spec, Sampling(max_new_tokens=10), 128) == 128
    limited = dataclasses.replace(spec, max_observation_tokens=60)
    assert longest_row(50, limited, Sampling(max_new_tokens=10), 10_000) == 50 + 3 * 10 + 2 * 60


def test_the_budget_is_half_of_the_free_memory_and_bounded_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for free, expected in ((1 << 30, 1 << 29), (1 << 40, 2 << 30), (None, 2 << 30)):
        monkeypatch.setattr(memory, "available_bytes", lambda device, free=free: free)
        assert play_budget(cpu) == expected


def test_free_memory_is_that_of_the_machine_or_of_its_control_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = memory.available_bytes(torch.device("cpu"))
    assert found is None or found > 0
    monkeypatch.setattr(memory, "_of_machine", lambda: 800)
    monkeypatch.setattr(memory, "_of_group", lambda: 300)
    assert memory.available_bytes(torch.device("cpu")) == 300
    monkeypatch.setattr(memory, "_of_group", lambda: None)
    assert memory.available_bytes(torch.device("cpu")) == 800


class Batches:
    """A policy that notes the rows of its sessions, and that memory holds so many of."""

    policy_id, exact_tokens = "batches", False

    def __init__(self, fits: int, breaks_above: int = 1 << 30, failure: Exception | None = None) -> None:
        self.fits, self.breaks_above, self.rows = fits, breaks_above, list[int]()
        self.failure = failure or RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")

    def rows_that_fit(self, questions: Sequence[Question], spec: EpisodeSpec, sampling: Sampling) -> int:
        return self.fits

    def start(self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling) -> Any:
        if len(questions) > self.breaks_above:
            raise self.failure
        self.rows.append(len(questions))
        return scripted_policy("random_order").start(questions, spec, seeds, sampling)


def play(policy: Any, world: Task, **options: Any) -> list[list[Any]]:
    return rollout(
        policy,
        world.split("train"),
        world.spec,
        world.searcher,
        num_samples=3,
        sampling=Sampling(),
        seed=0,
        **options,
    )


def texts(groups: list[list[Any]]) -> list[list[str]]:
    return [[turn.draft.text for turn in episode.turns] for group in groups for episode in group]


def test_memory_decides_how_many_rows_are_played_at_a_time_and_nothing_else(world: Task) -> None:
    everything = texts(play(Batches(1000), world))
    bounded = Batches(7)
    assert texts(play(bounded, world)) == everything
    assert bounded.rows == [6, 6, 6, 6]  # whole groups of three
    capped = Batches(1000)
    play(capped, world, max_rows=10)
    assert capped.rows == [9, 9, 6]
    single = Batches(0)
    play(single, world)
    assert set(single.rows) == {1}


@pytest.mark.parametrize("failure", [None, MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate")])
def test_when_memory_runs_out_half_of_the_rows_go_on(
    world: Task, caplog: pytest.LogCaptureFixture, failure: Exception | None
) -> None:
    policy = Batches(1000, breaks_above=6, failure=failure)
    with caplog.at_level(logging.WARNING):
        groups = play(policy, world)
    assert texts(groups) == texts(play(Batches(1000), world))
    assert policy.rows == [6, 6, 6, 6]
    assert "memory ran out with 24 episodes at a time; playing 12" in caplog.text
    assert "--max-rows 6 avoids this" in caplog.text


def test_an_episode_that_does_not_fit_alone_is_one_line(world: Task) -> None:
    with pytest.raises(BerrypickError, match="while one episode was played; shorten episodes"):
        play(Batches(1000, breaks_above=0), world)


def test_another_error_is_not_taken_for_memory(world: Task) -> None:
    with pytest.raises(RuntimeError, match="no such kernel"):
        play(Batches(1000, breaks_above=6, failure=RuntimeError("no such kernel")), world)


def test_a_language_model_says_how_many_rows_fit(
    make_babbler: MakeBabbler, world: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_babbler()
    questions, sampling = world.split("train"), Sampling(max_new_tokens=12)
    monkeypatch.setattr(memory, "play_budget", lambda device: 10 * bytes_of_row(policy.model, 512, torch.float32))
    assert policy.rows_that_fit(questions, world.spec, sampling) == 10  # episodes may fill the window of 512
    monkeypatch.setattr(memory, "play_budget", lambda device: 1)
    assert policy.rows_that_fit(questions, world.spec, sampling) == 1


TORCH_SAYS = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"


@pytest.mark.parametrize("failure", [MemoryError(), RuntimeError(TORCH_SAYS), RuntimeError("no such kernel")])
def test_memory_that_runs_out_in_an_update_is_one_line_and_changes_no_weight(
    make_babbler: MakeBabbler, world: Task, failure: Exception
) -> None:
    policy = make_babbler()
    before = {name: value.clone() for name, value in policy.model.state_dict().items()}
    broken = iter([None, None])  # the first micro-batches succeed

    def fails(*_: object) -> None:
        if next(broken, failure) is not None:
            raise failure

    groups = rl_rollout(policy, world.split("train"), world.spec, world.searcher, CONFIG, 0)
    for group in groups:
        group[0].reward = 1.0  # else no rollout would have an advantage
    rows = TokenRows([np.arange(5, 25, dtype=np.int32)] * 4, [np.ones(20, bool)] * 4)
    sft = SftConfig(steps=1, batch_size=4, max_tokens=20)
    updates = {
        "SFT step 1": lambda: sft_update(policy, sft_optimizer(policy, sft), rows, sft, 0),
        "RL step 1": lambda: rl_update(policy, rl_optimizer(policy, CONFIG), groups, get_objective("grpo"), CONFIG),
    }
    policy.model.model.layers[0].register_forward_pre_hook(fails)
    for what, update in updates.items():
        if str(failure) == "no such kernel":
            with pytest.raises(RuntimeError, match="no such kernel"):
                update()
        else:
            with pytest.raises(BerrypickError, match=f"{what}: memory ran out; .*lower --max-tokens .now"):
                update()
    assert all(torch.equal(before[name], value) for name, value in policy.model.state_dict().items())


def test_memory_is_given_back_where_the_c_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    for library in (SimpleNamespace(malloc_trim=asked.append), SimpleNamespace()):
        monkeypatch.setattr("berrypick.policies.language.memory.ctypes.CDLL", lambda _, found=library: found)
        memory.give_back()
    assert asked == [0]
