"""Passage vectors on disk: encoded chunk by chunk, never all in memory; a killed build resumes where it stopped."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .arrays import load_array
from .corpus import Passage
from .encoder import Encoder
from .files import whole_file
from .json_text import small_file
from .sealed import sealed, unsealed

__all__ = ["VECTORS", "encode_passages", "open_vectors"]

logger = logging.getLogger(__name__)

VECTORS = "vectors.npy"
_STATE = "encoded.json"


def encode_passages(
    passages: Sequence[Passage],
    encoder: Encoder,
    folder: Path,
    *,
    key: str,
    chunk: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Encodes passages into a memory-mapped file; a second call continues where the first one stopped.

    The record of progress has a digest of each chunk: chunks from the first damaged one on are encoded again.

    Args:
        passages: row -> passage.
        encoder: encodes the passages.
        folder: contains the vectors and a record of progress.
        key: identifies the corpus; vectors of another key, encoder or size are discarded.
        chunk: passages encoded between two records of progress.
        progress: called with the number of passages encoded since the last call.

    Returns:
        float32 [passages, dim], memory-mapped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state: dict[str, object] = {
        "key": key,
        "encoder": encoder.name,
        "revision": encoder.revision,
        "rows": len(passages),
        "chunk": chunk,
    }
    path, shape = folder / VECTORS, (len(passages), encoder.dim)
    sums = _whole_chunks(folder, state, shape)
    done = min(len(sums) * chunk, len(passages))
    out = np.lib.format.open_memmap(path, "r+" if done else "w+", np.float32, None if done else shape)
    if progress is not None and done:
        progress(done)
    for at in range(done, len(passages), chunk):
        texts = [passage.contents for passage in passages[at : at + chunk]]
        out[at : at + len(texts)] = encoder.encode(texts, is_query=False)
        out.flush()
        sums.append(_digest(out[at : at + len(texts)]))
        _note(folder, state, sums)
        if progress is not None:
            progress(len(texts))
    return out


def open_vectors(path: Path) -> NDArray[np.float32]:
    """The vectors that `encode_passages` wrote, float32 [passages, dim], memory-mapped, read only."""
    return load_array(path, np.float32, 2)


def _whole_chunks(folder: Path, state: Mapping[str, object], shape: tuple[int, int]) -> list[str]:
    """Digests of the first chunks that an earlier call encoded and that are as it left them."""
    chunk = state["chunk"]
    try:
        noted = unsealed(small_file(folder / _STATE))
        sums = noted.pop("sums")
        stored = load_array(folder / VECTORS, np.float32, 2)
    except (OSError, ValueError, KeyError):
        return []
    if not isinstance(sums, list) or noted != state or stored.shape != shape:
        return []
    assert isinstance(chunk, int)
    kept = []
    for number, digest in enumerate(sums):
        if _digest(stored[number * chunk : (number + 1) * chunk]) != digest:
            logger.warning("%s: chunk %d is damaged; encoding again from there", folder / VECTORS, number + 1)
            break
        kept.append(str(digest))
    return kept


def _digest(vectors: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()[:16]


def _note(folder: Path, state: Mapping[str, object], sums: Sequence[str]) -> None:
    """Records progress atomically, so that a kill leaves the old record or the new one."""
    with whole_file(folder / _STATE) as work:
        work.write_text(sealed({**state, "sums": list(sums)}), encoding="utf-8")
