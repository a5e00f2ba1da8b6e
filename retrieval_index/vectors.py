"""Passage vectors on disk: encoded chunk by chunk, never all in memory; a killed build resumes where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .corpus import Passage
from .encoder import Encoder
from .json_text import parse_json

__all__ = ["VECTORS", "encode_passages", "open_vectors"]

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
    state = {"key": key, "encoder": encoder.name, "revision": encoder.revision, "rows": len(passages), "chunk": chunk}
    done = _done(folder, state)
    path = folder / VECTORS
    shape = (len(passages), encoder.dim)
    out = np.lib.format.open_memmap(path, "r+" if done else "w+", np.float32, None if done else shape)
    if progress is not None and done:
        progress(done)
    for at in range(done, len(passages), chunk):
        texts = [passage.contents for passage in passages[at : at + chunk]]
        out[at : at + len(texts)] = encoder.encode(texts, is_query=False)
        out.flush()
        _note(folder, state, at + len(texts))
        if progress is not None:
            progress(len(texts))
    return out


def open_vectors(path: Path) -> NDArray[np.float32]:
    """The vectors that `encode_passages` wrote, float32 [passages, dim], memory-mapped, read only."""
    return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]


def _done(folder: Path, state: dict[str, object]) -> int:
    try:
        noted = parse_json((folder / _STATE).read_bytes())
    except (OSError, ValueError):
        return 0
    done = noted.pop("done", 0) if isinstance(noted, dict) else 0
    return int(done) if noted == state and (folder / VECTORS).is_file() else 0


def _note(folder: Path, state: dict[str, object], done: int) -> None:
    """Records progress atomically, so that a kill leaves the old record or the new one."""
    work = folder / (_STATE + ".new")
    work.write_text(json.dumps({**state, "done": done}), encoding="utf-8")
    os.replace(work, folder / _STATE)
