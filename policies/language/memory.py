"""How many episodes fit into memory at a time."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...envs.questions import EpisodeSpec
from ..policy import Sampling
from .attention import below_lora

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["available_bytes", "bytes_of_row", "give_back", "longest_row", "play_budget"]

_CPU_BUDGET = 2 << 30
"""Most memory for the rows of a rollout on a CPU, whatever it has: beyond some 50 rows a core samples no faster.

Together with the free memory it decides how rollouts are cut into batches. The cut changes no draw, but products of
other shapes round the last bits differently; with a constant, a resumed run has the batches that it had."""

_SHARE = {"cpu": 0.5, "cuda": 0.8}
"""Share of the memory that is free now."""

_CHARS_PER_TOKEN = 4
"""Characters of a token of English text, on average."""

_LOGIT_COPIES = 6
"""Arrays of the size of the logits that sampling holds at a time, in float32."""


def play_budget(device: torch.device) -> int | None:
    """Bytes for the rows of a rollout on a device; None where the free memory is unknown."""
    free = available_bytes(device)
    if free is None:
        return None if device.type != "cpu" else _CPU_BUDGET
    share = int(free * _SHARE.get(device.type, 0.5))
    return min(share, _CPU_BUDGET) if device.type == "cpu" else share


def available_bytes(device: torch.device) -> int | None:
    """Bytes that are free now: of the GPU, or of the machine and of the control group it runs in."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = [value for value in (_of_machine(), _of_group()) if value is not None]
    return min(found) if found else None


def give_back() -> None:
    """Gives memory that is no longer used back to the system, where the C library can (glibc).

    After thousands of updates it keeps gigabytes of small free pieces, which the next phase of a run would add to.
    """
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return
    trim(0)


def _of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _of_group() -> int | None:
    """What a container's limit leaves (control groups, version 2); None without a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        most, now = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return max(0, most - now)


def longest_row(prompt: int, spec: EpisodeSpec, sampling: Sampling, window: int) -> int:
    """An upper estimate of the tokens of an episode.

    Args:
        prompt: tokens of the longest prompt.
        spec: its turns and the limit of its observations.
        sampling: the limit of a turn.
        window: the most tokens the model attends to.
    """
    shown = spec.max_observation_tokens or -(-spec.max_observation_chars // _CHARS_PER_TOKEN)
    return min(window, prompt + spec.max_turns * sampling.max_new_tokens + (spec.max_turns - 1) * shown)


def bytes_of_row(model: PreTrainedModel, tokens: int, dtype: torch.dtype) -> int:
    """Bytes that an episode of so many tokens needs while it is played: keys, values, and what sampling holds.

    Args:
        model: gives layers, heads and vocabulary.
        tokens: of the episode.
        dtype: of keys and values.
    """
    config: Any = below_lora(model).config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cached = 2 * config.num_hidden_layers * heads * dim * dtype.itemsize * tokens
    return int(cached + 4 * _LOGIT_COPIES * config.vocab_size)
