"""Counter-based random numbers: draw t of row i depends only on (seed_i, t), not on the other rows of the batch.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011), vectorised.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["philox4x32", "row_seed", "uniforms"]

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox4x32(counter: NDArray[np.uint64], key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Ten Philox rounds.

    Args:
        counter: uint64 [n, 4], each word below 2**32.
        key: uint64 [n, 2], each word below 2**32.

    Returns:
        uint64 [n, 4] random words below 2**32.
    """
    c0, c1, c2, c3 = (counter[:, i].copy() for i in range(4))
    k0, k1 = key[:, 0].copy(), key[:, 1].copy()
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + np.uint64(_W0)) & _LOW, (k1 + np.uint64(_W1)) & _LOW
    return np.stack([c0, c1, c2, c3], axis=1)


def uniforms(seeds: NDArray[np.uint64], steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """One uniform number in [0, 1) with 53 random bits for each (seed, step) pair.

    Args:
        seeds: uint64 [n].
        steps: int64 [n], at least 0.

    Returns:
        float64 [n].
    """
    at = steps.astype(np.uint64)
    counter = np.stack([at & _LOW, at >> _SHIFT, np.zeros_like(at), np.zeros_like(at)], axis=1)
    words = philox4x32(counter, np.stack([seeds & _LOW, seeds >> _SHIFT], axis=1))
    high, low = words[:, 0] >> np.uint64(5), words[:, 1] >> np.uint64(6)
    mixed: NDArray[np.float64] = (high * np.uint64(1 << 26) + low).astype(np.float64) / float(1 << 53)
    return mixed


def row_seed(seed: int, question_id: str, sample_index: int) -> int:
    """The 64-bit seed of one rollout: a hash of (seed, question id, sample index)."""
    text = f"{seed}|{question_id}|{sample_index}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
