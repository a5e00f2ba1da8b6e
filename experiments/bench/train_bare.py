"""The bare computations that `berrypick bench train` compares with: forwards, updates and `generate` alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...envs.episode import Episode
from ...policies.language.batches import TokenRows, log_probs_of, micro_batches
from ...policies.language.decoder import forward_rows
from ...policies.language.encoding import encode_prompt
from ...policies.language.model import LanguageModelPolicy
from ...policies.language.row_cache import RowCache

__all__ = ["bare_decode", "bare_update", "feed", "generate_turns", "left_padded"]


def bare_decode(policy: LanguageModelPolicy, episodes: Sequence[Episode]) -> None:
    """The cached forwards that these rollouts need at least: one prefill per turn, one forward per sampled token."""
    tokenizer = policy.tokenizer
    contexts = [encode_prompt(tokenizer, episode.question, episode.spec) for episode in episodes]
    with torch.inference_mode():
        device = policy.model.device
        cache = RowCache(torch.zeros(len(episodes), dtype=torch.int64, device=device))
        pending = [list(context) for context in contexts]
        live = list(range(len(episodes)))
        for number in range(max(len(episode.turns) for episode in episodes)):
            keep = [at for at, row in enumerate(live) if len(episodes[row].turns) > number]
            if len(keep) < len(live):
                cache, live = cache.select(torch.tensor(keep, device=device)), [live[at] for at in keep]
            turns = [episodes[row].turns[number] for row in live]
            tokens = [[] if turn.draft.tokens is None else turn.draft.tokens.ids.tolist() for turn in turns]
            feed(policy, cache, [pending[row] for row in live])
            for step in range(max(len(ids) for ids in tokens) - 1):
                column = torch.tensor([[ids[step] if step < len(ids) else 0] for ids in tokens])
                counts = torch.tensor([int(step + 1 < len(ids)) for ids in tokens])
                forward_rows(policy.model, cache, column.to(device), counts.to(device))
            for row, turn, ids in zip(live, turns, tokens):
                pending[row] = [*ids[-1:], *tokenizer.encode(turn.observation, add_special_tokens=False)]


def feed(policy: LanguageModelPolicy, cache: RowCache, rows: Sequence[Sequence[int]]) -> None:
    """One cached forward of rows of different lengths."""
    width = max(len(row) for row in rows)
    device = policy.model.device
    padded = torch.tensor([[*row, *([0] * (width - len(row)))] for row in rows], device=device)
    forward_rows(policy.model, cache, padded, torch.tensor([len(row) for row in rows], device=device))


def bare_update(
    policy: LanguageModelPolicy, optimizer: torch.optim.Optimizer, data: TokenRows, max_tokens: int
) -> None:
    """Forward, backward and optimizer step on the same tokens, without advantages, clips or metrics."""
    optimizer.zero_grad()
    for micro in micro_batches(data, max_tokens, policy.model.device):
        log_probs, _ = log_probs_of(policy.model, micro)
        log_probs.sum().mul(1e-4).backward()
    optimizer.step()


def generate_turns(policy: LanguageModelPolicy, episodes: Sequence[Episode], max_new_tokens: int) -> None:
    """`model.generate` on the whole context at each turn, for as many tokens as the longest turn has."""
    pad = int(policy.tokenizer.pad_token_id or 0)
    for number in range(max(len(episode.turns) for episode in episodes)):
        rows = [episode for episode in episodes if len(episode.turns) > number]
        contexts, most = [], 1
        for episode in rows:
            context = encode_prompt(policy.tokenizer, episode.question, episode.spec)
            for turn in episode.turns[:number]:
                if turn.draft.tokens is not None:
                    context += turn.draft.tokens.ids.tolist()
                context += policy.tokenizer.encode(turn.observation, add_special_tokens=False)
            contexts.append(context)
            now = episode.turns[number].draft.tokens
            most = max(most, 0 if now is None else len(now.ids))
        ids, mask = left_padded(contexts, pad)
        model: Any = policy.model
        model.generate(
            input_ids=ids.to(policy.model.device),
            attention_mask=mask.to(policy.model.device),
            do_sample=True,
            top_k=0,
            min_new_tokens=most,
            max_new_tokens=most,
            pad_token_id=pad,
        )


def left_padded(contexts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, attention mask), int64 [rows, longest], as `model.generate` takes them."""
    width = max(map(len, contexts))
    ids = torch.tensor([[pad] * (width - len(context)) + [*context] for context in contexts])
    return ids, torch.tensor([[0] * (width - len(context)) + [1] * len(context) for context in contexts])
