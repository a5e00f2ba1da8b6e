"""The fused forward of updates against the models' own, in logits and in the gradients of LoRA's matrices."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from berrypick.policies.language import fused_update as module
from berrypick.policies.language.batches import TokenRows, log_probs_of, micro_batches
from berrypick.policies.language.fused_update import FusedUpdate, fused_update
from berrypick.policies.language.precision import compute_in
from peft import LoraConfig, get_peft_model

from .test_fused import model_of

_IDS = torch.from_numpy(np.random.default_rng(0).integers(1, 320, (3, 75)))
_WANTED = torch.from_numpy(np.random.default_rng(1).random((3, 75)) < 0.4)


def with_lora(model: Any, *, targets: str | list[str] = "all-linear", dropout: float = 0.0) -> Any:
    """LoRA whose second matrices are not 0, so that all of its gradients count."""
    state = torch.get_rng_state()
    torch.manual_seed(5)
    config = LoraConfig(r=3, lora_alpha=6, lora_dropout=dropout, target_modules=targets, task_type="CAUSAL_LM")
    with warnings.catch_warnings():  # peft still uses a name that transformers has deprecated
        warnings.simplefilter("ignore", FutureWarning)
        wrapped = get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.data = torch.randn(parameter.shape, dtype=model.dtype) * 0.2
    torch.set_rng_state(state)
    return wrapped


def trained_of(model: Any) -> list[torch.Tensor]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


@pytest.mark.parametrize("kind", ["llama", "llama with biases", "mistral", "qwen2"])
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj", "down_proj"]])
def test_logits_and_gradients_are_those_of_the_model(kind: str, targets: str | list[str]) -> None:
    model = with_lora(model_of(kind), targets=targets)
    wanted = model(input_ids=_IDS).logits[_WANTED]
    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.autograd.grad(wanted, trained_of(model), upstream)
    found = FusedUpdate(model, torch.float64).logits(_IDS, _WANTED)
    # `transformers` computes its norms in float32 also for weights in float64
    torch.testing.assert_close(found, wanted, atol=5e-5, rtol=1e-4)
    for ours, theirs in zip(torch.autograd.grad(found, trained_of(model), upstream), expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def _rounded(kind: str = "llama", **options: Any) -> Any:
    model = with_lora(model_of(kind), **options).float()
    compute_in(model, torch.bfloat16)
    return model


def test_rounding_is_no_worse_than_that_of_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = _IDS.numpy().astype(np.int32)
    rows = TokenRows(list(ids), list(_WANTED.numpy()))

    def gradient(model: Any) -> torch.Tensor:
        total = torch.zeros((), dtype=model.dtype)
        for micro in micro_batches(rows, 4096):
            total = total - log_probs_of(model, micro)[0].sum()
        return torch.cat([part.flatten().double() for part in torch.autograd.grad(total, trained_of(model))])

    exact = gradient(with_lora(model_of("llama")))
    calls = []
    monkeypatch.setattr(FusedUpdate, "logits", _counted(FusedUpdate.logits, calls))
    ours = gradient(_rounded())
    assert calls
    monkeypatch.setattr("berrypick.policies.language.batches.fused_update", lambda *_: None)
    theirs = gradient(_rounded())
    assert (ours - exact).norm() <= 1.5 * (theirs - exact).norm()
    assert torch.nn.functional.cosine_similarity(ours, exact, dim=0) > 0.98


def _counted(call: Callable[..., Any], calls: list[int]) -> Callable[..., Any]:
    def counting(*args: Any) -> Any:
        calls.append(1)
        return call(*args)

    return counting


def _unfrozen() -> Any:
    model = _rounded()
    model.get_base_model().model.norm.weight.requires_grad_(True)
    return model


def _plain() -> Any:
    model = model_of("llama").float()
    compute_in(model, torch.bfloat16)
    return model


_LEFT_ALONE: dict[str, Callable[[], Any]] = {
    "float32": lambda: with_lora(model_of("llama")).float(),
    "without LoRA": _plain,
    "norms of heads": lambda: _rounded("qwen3"),
    "dropout": lambda: _rounded(dropout=0.1),
    "a norm that trains": _unfrozen,
}


@pytest.mark.parametrize("case", _LEFT_ALONE)
def test_what_it_does_not_compute_is_left_to_the_model(case: str) -> None:
    assert fused_update(_rounded(), 3, 75) is not None
    assert fused_update(_LEFT_ALONE[case](), 3, 75) is None


def test_a_batch_with_too_many_weights_of_attention_is_left_to_the_model() -> None:
    model = _rounded()
    heads = model.config.num_attention_heads
    assert fused_update(model, 1, int((2 * (1 << 23) / heads) ** 0.5)) is not None
    assert fused_update(model, 1, int((2 * (1 << 23) / heads) ** 0.5) + 2) is None


def test_it_is_kept_until_a_frozen_weight_changes() -> None:
    model = _rounded()
    first = fused_update(model, 3, 75)
    assert first is not None
    before = first.logits(_IDS, _WANTED)
    with torch.no_grad():
        trained_of(model)[0].add_(0.5)  # LoRA's are read in every forward
    assert fused_update(model, 3, 75) is first
    after = first.logits(_IDS, _WANTED)
    assert not torch.equal(before, after)
    with torch.no_grad():
        model.get_base_model().model.layers[0].self_attn.q_proj.base_layer.weight.mul_(1.5)
    second = fused_update(model, 3, 75)
    assert second is not None and second is not first
    assert not torch.equal(second.logits(_IDS, _WANTED), after)


def test_a_copied_model_has_its_own() -> None:
    model = _rounded()
    mine = fused_update(model, 3, 75)
    copied = copy.deepcopy(model)
    other = fused_update(copied, 3, 75)
    assert mine is not None and other is not None and other is not mine
    assert torch.equal(mine.logits(_IDS, _WANTED), other.logits(_IDS, _WANTED))
    with torch.no_grad():
        for parameter in trained_of(copied):
            parameter.zero_()
    assert not torch.equal(mine.logits(_IDS, _WANTED), other.logits(_IDS, _WANTED))
    assert module.fused_update(model, 3, 75) is mine
