"""Recognises that memory ran out, and says in one line what to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..retrieval_index.errors import BerrypickError

__all__ = ["memory_of_update", "ran_out_of_memory"]

_SAID = ("out of memory", "can't allocate memory", "not enough memory")
"""What torch says in such a `RuntimeError`, in lower case."""


def ran_out_of_memory(error: Exception) -> bool:
    """Whether an exception means that memory ran out; torch raises a `RuntimeError` for it, Python a `MemoryError`."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _SAID)


@contextmanager
def memory_of_update(what: str, max_tokens: int) -> Iterator[None]:
    """Turns running out of memory into one line.

    Args:
        what: the update, for example "SFT step 3".
        max_tokens: padded tokens of a micro-batch.

    Raises:
        BerrypickError: memory ran out in the block. Weights and optimizer are unchanged.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        raise BerrypickError(
            f"{what}: memory ran out; start a new run with a lower --max-tokens (now {max_tokens}), with --lora-rank 8 "
            "or with --dtype bfloat16, or free some memory and continue with --resume from the last checkpoint"
        ) from error
