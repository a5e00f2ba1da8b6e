"""Draws tokens from logits: inverse CDF, one uniform number per draw."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..policy import Sampling

__all__ = ["sample_tokens"]

_BLOCK = 256
"""Tokens of the vocabulary whose probabilities are summed at a time."""


def sample_tokens(
    logits: Tensor, draws: NDArray[np.float64], sampling: Sampling, of: Tensor | None = None
) -> tuple[list[int], list[float], list[float]]:
    """Inverse-CDF sampling, one uniform number per draw.

    Args:
        logits: [contexts, vocab].
        draws: float64 [draws] in [0, 1).
        sampling: temperature 0 is greedy; top_p cuts the tail.
        of: int64 [draws], the context of each draw; if None, draw i belongs to context i.

    Returns:
        For each draw: token id, its log-probability and the entropy of its distribution, in nats. The latter two are
        always those of the full softmax at temperature 1, whatever the sampling.
    """
    wide = logits if logits.dtype == torch.float64 else logits.float()
    shifted = wide - wide.amax(-1, keepdim=True)
    weights = shifted.exp()
    mass = weights.sum(-1, keepdim=True)
    # H = log Z - E[shifted]; a token of probability 0 adds 0, not 0 * -inf.
    entropies = mass.log()[:, 0] - (weights * shifted.clamp_min(-1e4)).sum(-1) / mass[:, 0]
    if sampling.temperature == 0:
        ids = _of_each(logits.argmax(-1), of)
    else:
        if sampling.temperature != 1:
            weights = (shifted / sampling.temperature).exp_()
        if sampling.top_p < 1:
            weights = _nucleus(weights / weights.sum(-1, keepdim=True), sampling.top_p)
        ids = _inverse_cdf(weights, torch.from_numpy(draws).to(weights.device), of)
    chosen = shifted.gather(1, ids[:, None])[:, 0] if of is None else shifted[of, ids]
    log_probs = chosen - _of_each(mass.log()[:, 0], of)
    return ids.tolist(), log_probs.tolist(), _of_each(entropies, of).tolist()


def _inverse_cdf(weights: Tensor, draws: Tensor, of: Tensor | None) -> Tensor:
    """The tokens at which the cumulative weights reach the draws' shares of the total, int64 [draws].

    The vocabulary is searched by blocks and then within one block, so that only the sums of blocks are accumulated over
    all of it. Sums are float64: in float32 rare tokens at the end would be lost.
    """
    num_contexts, vocab = weights.shape
    padded = F.pad(weights, (0, -vocab % _BLOCK)).view(num_contexts, -1, _BLOCK)
    ends = padded.sum(-1, dtype=torch.float64).cumsum(-1)  # [contexts, blocks]
    ends = _of_each(ends, of)
    wanted = _below(draws[:, None] * ends[:, -1:], ends[:, -1:])
    block = torch.searchsorted(ends, wanted, right=True).clamp_(max=ends.shape[1] - 1)
    before = torch.where(block > 0, ends.gather(1, (block - 1).clamp_min(0)), 0.0)
    context = torch.arange(len(draws), device=draws.device) if of is None else of
    within = padded[context, block[:, 0]].double().cumsum(-1) + before  # [draws, block]
    ids = block * _BLOCK + torch.searchsorted(within, _below(wanted, within[:, -1:]), right=True)
    return ids[:, 0].clamp_(max=vocab - 1)


def _below(wanted: Tensor, total: Tensor) -> Tensor:
    """`wanted`, but less than the total, so that rounding never finds a token of probability 0."""
    return torch.minimum(wanted, torch.nextafter(total, torch.zeros_like(total)))


def _of_each(values: Tensor, of: Tensor | None) -> Tensor:
    """Repeats the values of contexts, [contexts, ...], for each draw, [draws, ...]."""
    return values if of is None else values[of]


def _nucleus(weights: Tensor, top_p: float) -> Tensor:
    """Keeps the fewest tokens whose mass reaches top_p and zeroes the others, [rows, vocab]."""
    ordered, order = weights.sort(dim=-1, descending=True, stable=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    return weights.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), 0.0)
