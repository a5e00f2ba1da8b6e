"""What a search back end is: how it writes its files into an index folder, and how it opens them again.

Other packages add their own with `register_backend`; `backends.py` has the built-in ones.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .errors import BerrypickError
from .passages import PassageTable
from .plugins import Registry
from .searcher import Searcher

__all__ = ["BACKENDS", "Backend", "BuildSettings", "Progress", "register_backend", "source_digest"]

Progress = Callable[[int], None]
"""Called with the number of passages that were indexed since the last call."""


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Settings of a build; each back end reads those that concern it.

    Attributes:
        k1: BM25's term-frequency saturation.
        b: BM25's length normalisation.
        encoder: encoder of dense search, see `load_encoder`; None is "minilm".
        kind: kind of FAISS index, see `faiss_index.KINDS`.
        dtype: data type of the encoder's weights.
        batch_size: texts per encoder forward.
        uri: address of a Milvus server; "" for a database file in the index folder.
    """

    k1: float = 0.9
    b: float = 0.4
    encoder: str | None = None
    kind: str = "flat"
    dtype: str = "fp32"
    batch_size: int = 64
    uri: str = ""


Write = Callable[[PassageTable, Path, BuildSettings, Path, Progress], dict[str, Any]]
Open = Callable[[Path, Mapping[str, Any], PassageTable, str], Searcher]
OpenT = TypeVar("OpenT", bound=Open)


@dataclass(frozen=True, slots=True)
class Backend:
    """A search back end.

    Attributes:
        write: called as write(passages in id order, folder to write into, settings, scratch folder, progress); returns
            the parameters that the manifest records. The scratch folder survives a killed build.
        open: called as open(folder, parameters, passages in id order, index id); returns the searcher.
        libraries: distributions whose versions the manifest records.
        summary: one line for lists of back ends.
        reads: fields of `BuildSettings` that it reads; None where it does not say.
    """

    write: Write
    open: Open
    libraries: tuple[str, ...]
    summary: str
    reads: frozenset[str] | None = None


BACKENDS: Registry[Backend] = Registry("index backend", "berrypick.searchers", "my_search.py:overlap")
"""Name -> back end; filled by `backends.py` and by `register_backend`."""


def _write_nothing(
    table: PassageTable, out: Path, settings: BuildSettings, scratch: Path, progress: Progress
) -> dict[str, Any]:
    progress(len(table))
    return {}


def register_backend(
    name: str, summary: str, *, write: Write = _write_nothing, libraries: tuple[str, ...] = ()
) -> Callable[[OpenT], OpenT]:
    """Registers the decorated function or class as what opens an index of a new back end.

    It is called with (folder, parameters, passages, index id) and returns a `Searcher`; see `Backend`. The passages are
    stored in every index folder, so a back end that needs no other file leaves `write` out.

    Args:
        name: what users give as `--backend` and `index`.
        summary: one line for lists of back ends.
        write: writes the back end's files and returns the parameters that the manifest records.
        libraries: distributions whose versions the manifest records, so that equal ids mean equal hits.

    Raises:
        BerrypickError: the name is taken, or contains a character that paths and specs use.
    """
    if not name or not name.replace("_", "").replace("-", "").isalnum():
        raise BerrypickError(f"{name!r} cannot name a search back end; use letters, digits and underscores")

    def register(opens: OpenT) -> OpenT:
        BACKENDS.register(name, Backend(write, opens, libraries, summary), opens.__module__)
        return opens

    return register


def source_digest(backend: Backend) -> str:
    """Digest of the file that defines a back end, so that caches notice when it changes; "" if it cannot be read."""
    try:
        return hashlib.sha256(Path(inspect.getfile(backend.open)).read_bytes()).hexdigest()[:8]
    except (OSError, TypeError):
        return ""
