"""Checkpoints: whole or not at all, and the same numbers back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from berrypick.policies.language.model import LanguageModelPolicy, load_language_model
from berrypick.policies.language.tiny import tiny_model
from berrypick.policies.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint, truncate_log
from berrypick.policies.training.rl import RlConfig, rl_optimizer
from berrypick.retrieval_index.errors import BerrypickError
from transformers import PreTrainedTokenizerFast

Pair = tuple[LanguageModelPolicy, torch.optim.Optimizer]


@pytest.fixture
def make_pair(tokenizer: PreTrainedTokenizerFast) -> Callable[[int], Pair]:
    """A tiny policy with tied weights, and an optimizer that has taken two steps."""

    def make(seed: int) -> Pair:
        policy = LanguageModelPolicy(tiny_model(len(tokenizer), seed), tokenizer, "tiny")
        optimizer = rl_optimizer(policy, RlConfig(learning_rate=1e-3))
        for step in range(2):
            policy.model(torch.tensor([[1, 2, 3 + step + seed]])).logits.square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        return policy, optimizer

    return make


def weights(policy: LanguageModelPolicy) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in policy.model.state_dict().items()}


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_what_is_loaded_is_what_was_saved(tmp_path: Path, make_pair: Callable[[int], Pair]) -> None:
    policy, optimizer = make_pair(0)
    path = save_checkpoint(tmp_path, policy, optimizer, {"phase": "rl", "step": 2, "metrics_bytes": 17})
    other, other_optimizer = make_pair(1)
    state = load_checkpoint(path, other, other_optimizer)
    assert state == {"phase": "rl", "step": 2, "metrics_bytes": 17}
    assert_equal(weights(policy), weights(other))
    ours, theirs = optimizer.state_dict(), other_optimizer.state_dict()
    for index, slots in ours["state"].items():
        assert_equal(slots, theirs["state"][index])
    as_json = [json.dumps(each["param_groups"], sort_keys=True) for each in (ours, theirs)]
    assert as_json[0] == as_json[1]


def test_a_step_after_loading_is_the_step_that_would_have_been_taken(
    tmp_path: Path, make_pair: Callable[[int], Pair]
) -> None:
    def step(policy: LanguageModelPolicy, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
        policy.model(torch.tensor([[5, 6, 7]])).logits.square().mean().backward()
        optimizer.step()
        return weights(policy)

    policy, optimizer = make_pair(0)
    path = save_checkpoint(tmp_path, policy, optimizer, {"phase": "rl", "step": 2})
    other, other_optimizer = make_pair(1)
    load_checkpoint(path, other, other_optimizer)
    other_optimizer.zero_grad()
    assert_equal(step(policy, optimizer), step(other, other_optimizer))


def test_a_model_whose_generation_config_sets_a_temperature_alone_is_written(
    tmp_path: Path, make_pair: Callable[[int], Pair]
) -> None:
    policy, optimizer = make_pair(0)
    config = policy.model.generation_config
    config.temperature, config.top_p = 0.6, 0.9
    path = save_checkpoint(tmp_path, policy, optimizer, {"phase": "rl", "step": 1})
    written = load_language_model(str(path)).model.generation_config
    assert (written.temperature, written.top_p, written.do_sample) == (0.6, 0.9, True)
    assert policy.model.generation_config is config
    assert config.do_sample is not True


def test_a_checkpoint_opens_as_a_policy(tmp_path: Path, make_pair: Callable[[int], Pair]) -> None:
    policy, optimizer = make_pair(0)
    path = save_checkpoint(tmp_path, policy, optimizer, {"phase": "sft", "step": 1})
    opened = load_language_model(str(path))
    assert_equal(weights(policy), weights(opened))
    assert opened.tokenizer.decode(opened.tokenizer.encode("é <0x41> kizunba")) == "é <0x41> kizunba"
    assert opened.template_hash == policy.template_hash


def test_the_newest_is_the_highest_step_and_rl_comes_after_sft(
    tmp_path: Path, make_pair: Callable[[int], Pair]
) -> None:
    policy, optimizer = make_pair(0)
    assert latest_checkpoint(tmp_path) is None
    for phase, step in (("sft", 999_999), ("sft", 1_000_000), ("rl", 3)):
        save_checkpoint(tmp_path, policy, optimizer, {"phase": phase, "step": step})
        found = latest_checkpoint(tmp_path)
        assert found is not None
        assert found.name == f"{phase}-{step:06d}"


def test_only_the_newest_of_a_phase_stay(tmp_path: Path, make_pair: Callable[[int], Pair]) -> None:
    policy, optimizer = make_pair(0)
    save_checkpoint(tmp_path, policy, optimizer, {"phase": "sft", "step": 9})
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, policy, optimizer, {"phase": "rl", "step": step}, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rl-000002", "rl-000003", "sft-000009"]


class Killed(BaseException):
    """Stands for a process that stops."""


@pytest.mark.parametrize("call", range(16))
def test_a_save_killed_anywhere_leaves_a_good_checkpoint(
    tmp_path: Path, make_pair: Callable[[int], Pair], monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    old, new = make_pair(0), make_pair(1)
    save_checkpoint(tmp_path, *old, {"phase": "rl", "step": 1})
    save_checkpoint(tmp_path, *old, {"phase": "rl", "step": 2})
    count = 0

    def killing(function: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            if count > call:  # a dead process does nothing more, not even cleaning up
                raise Killed
            return function(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killing(os.rename))
        patch.setattr(os, "fsync", killing(os.fsync))
        patch.setattr(shutil, "rmtree", killing(shutil.rmtree))
        try:
            save_checkpoint(tmp_path, *new, {"phase": "rl", "step": 3}, keep=2)
            finished = True
        except Killed:
            finished = False
    found = latest_checkpoint(tmp_path)
    assert found is not None
    target = make_pair(2)
    step = load_checkpoint(found, *target)["step"]
    assert step == 3 if finished else step in (2, 3)
    assert_equal(weights(target[0]), weights((new if step == 3 else old)[0]))
    save_checkpoint(tmp_path, *new, {"phase": "rl", "step": 4}, keep=2)
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(
    tmp_path: Path, make_pair: Callable[[int], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, optimizer = make_pair(0)
    good = save_checkpoint(tmp_path, policy, optimizer, {"phase": "rl", "step": 1})

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BerrypickError, match=r"No space left on device; free some space"):
            save_checkpoint(tmp_path, policy, optimizer, {"phase": "rl", "step": 2})
    assert [path.name for path in tmp_path.iterdir()] == [good.name]
    load_checkpoint(good, policy, optimizer)


def test_a_checkpoint_of_another_model_is_refused(
    tmp_path: Path, make_pair: Callable[[int], Pair], make_babbler: Callable[..., LanguageModelPolicy]
) -> None:
    path = save_checkpoint(tmp_path, *make_pair(0), {"phase": "rl", "step": 1})
    other = make_babbler()
    with pytest.raises(BerrypickError, match="does not fit this run"):
        load_checkpoint(path, other, rl_optimizer(other, RlConfig()))


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, make_pair: Callable[[int], Pair], name: str) -> None:
    pair = make_pair(0)
    path = save_checkpoint(tmp_path, *pair, {"phase": "rl", "step": 1})
    (path / name).write_bytes((path / name).read_bytes()[:20])
    with pytest.raises(BerrypickError, match="damaged"):
        load_checkpoint(path, *pair)


def test_a_log_is_cut_back_to_its_checkpoint(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(b"one\ntwo\n")
    truncate_log(log, 4)
    assert log.read_bytes() == b"one\n"
    with pytest.raises(BerrypickError, match="shorter"):
        truncate_log(log, 5)
    truncate_log(tmp_path / "none.jsonl", 0)
