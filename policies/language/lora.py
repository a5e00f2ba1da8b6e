"""LoRA through `peft`: small trainable matrices added to frozen weights."""

from __future__ import annotations

import warnings
from typing import Any

from ...retrieval_index.errors import BerrypickError, MissingExtraError
from .model import LanguageModelPolicy

__all__ = ["with_lora"]


def with_lora(
    policy: LanguageModelPolicy, rank: int, *, alpha: int | None = None, seed: int = 0
) -> LanguageModelPolicy:
    """The policy with LoRA on all linear layers; nothing else trains. No dropout, so updates are deterministic.

    Args:
        policy: its model is wrapped in place, not copied.
        rank: rank of the matrices.
        alpha: scale of the update; 2 * rank by default.
        seed: initialises the matrices; torch's global generator keeps its state.
    """
    if rank < 1:
        raise BerrypickError(f"the rank of LoRA must be at least 1, got {rank}")
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtraError("LoRA", "train", error) from error
    import torch

    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        config = LoraConfig(
            r=rank,
            lora_alpha=2 * rank if alpha is None else alpha,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        with warnings.catch_warnings():  # peft still uses a name that transformers has deprecated
            warnings.simplefilter("ignore", FutureWarning)
            model: Any = get_peft_model(policy.model, config)
    finally:
        torch.set_rng_state(state)
    return LanguageModelPolicy(model, policy.tokenizer, policy.policy_id)
