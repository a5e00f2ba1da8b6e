"""Indexes on disk: built whole or not at all, refused when they are not what they say."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .corpus import Corpus, Passage, corpus_sha256, read_corpus, write_corpus
from .errors import BerrypickError, UnknownNameError
from .searcher import Searcher

__all__ = [
    "BACKENDS",
    "IndexFolderError",
    "Manifest",
    "build_index",
    "check_index",
    "open_searcher",
    "read_manifest",
]

FORMAT = 1
BACKENDS = ("bm25s", "lucene", "faiss")
_MANIFEST = "manifest.json"
_CORPUS = "corpus.jsonl.gz"
_LIBRARIES = {
    "bm25s": ("bm25s", "PyStemmer"),
    "lucene": ("pyserini",),
    "faiss": ("faiss-cpu", "transformers"),
}


class IndexFolderError(BerrypickError):
    """An index that is missing, damaged, of another version or of another corpus."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index folder says of itself.

    Attributes:
        format: version of the layout.
        backend: "bm25s", "lucene" or "faiss".
        corpus_sha256: digest of the passages, see `corpus_sha256`.
        num_passages: how many there are.
        parameters: of the back end.
        libraries: versions that built it.
        files: path -> [bytes, SHA-256].
    """

    format: int
    backend: str
    corpus_sha256: str
    num_passages: int
    parameters: Mapping[str, Any]
    libraries: Mapping[str, str | None]
    files: Mapping[str, tuple[int, str]]

    @property
    def index_id(self) -> str:
        """SHA-256 of what decides the hits: back end, corpus, parameters, library versions."""
        key = [self.format, self.backend, self.corpus_sha256, dict(self.parameters), dict(self.libraries)]
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def build_index(
    corpus: Corpus | Sequence[Passage],
    backend: str,
    out: Path,
    *,
    encoder: str | None = None,
    k1: float = 0.9,
    b: float = 0.4,
    overwrite: bool = False,
) -> Manifest:
    """Builds an index folder.

    All is written into a temporary sibling, fsynced, the manifest last, and renamed; a build that dies leaves nothing
    that opens.

    Args:
        corpus: what to index.
        backend: one of `BACKENDS`.
        out: the folder; must not exist, unless `overwrite`.
        encoder: for "faiss", see `encoder.py`.
        k1: BM25's term-frequency saturation.
        b: BM25's length normalisation.
        overwrite: replace an existing index.
    """
    if backend not in BACKENDS:
        raise UnknownNameError("index backend", backend, BACKENDS)
    passages = corpus.passages if isinstance(corpus, Corpus) else tuple(corpus)
    if not passages:
        raise BerrypickError("nothing to index: the corpus is empty")
    if out.exists() and not overwrite:
        raise BerrypickError(f"{out} exists; choose another --out, or add --overwrite")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    except OSError as error:
        raise BerrypickError(f"cannot write to {out.parent}: {error.strerror}; choose another --out") from error
    try:
        parameters = _write(passages, backend, work, encoder, k1, b)
        manifest = _manifest(work, backend, passages, parameters)
        for path in sorted(work.rglob("*")):
            _fsync(path)
        (work / _MANIFEST).write_text(json.dumps(_as_json(manifest), indent=1, sort_keys=True))
        _fsync(work / _MANIFEST)
        _fsync(work)
        if out.exists():
            shutil.rmtree(out)
        os.rename(work, out)
        _fsync(out.parent)
    except OSError as error:
        raise BerrypickError(
            f"cannot build {out}: {error.strerror or error}; free some space or choose another --out"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def open_searcher(folder: Path, *, expected_corpus_sha256: str | None = None) -> Searcher:
    """Opens an index after cheap checks: version, presence and size of all files.

    Raises:
        IndexFolderError: says which check failed and how to rebuild.
    """
    manifest = read_manifest(folder)
    for name, (size, _) in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise _refused(folder, manifest.backend, f"{name} is missing")
        if path.stat().st_size != size:
            raise _refused(folder, manifest.backend, f"{name} has {path.stat().st_size} bytes, not {size}")
    if expected_corpus_sha256 not in (None, manifest.corpus_sha256):
        raise _refused(folder, manifest.backend, "it indexes another corpus")
    passages = read_corpus(folder / _CORPUS).passages
    parameters = manifest.parameters
    if manifest.backend == "bm25s":
        from .bm25s_index import Bm25sSearcher

        return Bm25sSearcher.load(folder, passages, manifest.index_id)
    if manifest.backend == "lucene":
        from .lucene_index import LuceneSearcher

        return LuceneSearcher(folder / "lucene", passages, manifest.index_id, k1=parameters["k1"], b=parameters["b"])
    from .encoder import load_encoder
    from .faiss_index import FaissSearcher

    return FaissSearcher.load(folder / "flat.faiss", passages, manifest.index_id, load_encoder(parameters["encoder"]))


def check_index(folder: Path) -> list[str]:
    """Full integrity: every checksum and the corpus digest. Returns what was checked; raises at the first fault."""
    manifest = read_manifest(folder)
    lines = []
    for name, (size, digest) in sorted(manifest.files.items()):
        path = folder / name
        if not path.is_file() or path.stat().st_size != size or _sha256(path) != digest:
            raise _refused(folder, manifest.backend, f"{name} is damaged or missing")
        lines.append(f"{name}: {size} bytes, checksum right")
    passages = read_corpus(folder / _CORPUS).passages
    if corpus_sha256(passages) != manifest.corpus_sha256 or len(passages) != manifest.num_passages:
        raise _refused(folder, manifest.backend, "its corpus is not the one it names")
    return [*lines, f"{len(passages)} passages, corpus digest right"]


def read_manifest(folder: Path) -> Manifest:
    """Reads a manifest; refuses folders that hold none and other versions."""
    path = folder / _MANIFEST
    if not path.is_file():
        raise IndexFolderError(
            f"{folder} is no berrypick index (no {_MANIFEST}); build one: {_command(folder, 'bm25s')}"
        )
    try:
        value = json.loads(path.read_text())
        files = {name: (int(size), str(digest)) for name, (size, digest) in value["files"].items()}
        manifest = Manifest(**{**value, "files": files})
    except (ValueError, TypeError, KeyError) as error:
        raise _refused(folder, "bm25s", "its manifest cannot be read") from error
    if manifest.format != FORMAT:
        raise _refused(folder, manifest.backend, f"its format is {manifest.format}, this version reads {FORMAT}")
    return manifest


def _write(
    passages: Sequence[Passage], backend: str, work: Path, encoder: str | None, k1: float, b: float
) -> dict[str, Any]:
    write_corpus(work / _CORPUS, passages)
    if backend == "bm25s":
        from .bm25s_index import Bm25sSearcher

        Bm25sSearcher.from_passages(passages, k1=k1, b=b, index_id="").save(work)
        return {"k1": k1, "b": b}
    if backend == "lucene":
        from .lucene_index import build_lucene

        build_lucene(passages, work / "lucene")
        return {"k1": k1, "b": b}
    from .encoder import load_encoder
    from .faiss_index import FaissSearcher

    model = load_encoder(encoder or "minilm")
    FaissSearcher.from_passages(passages, model, index_id="").save(work / "flat.faiss")
    return {"encoder": model.name, "dim": model.dim, "kind": "flat"}


def _manifest(work: Path, backend: str, passages: Sequence[Passage], parameters: dict[str, Any]) -> Manifest:
    paths = sorted(path for path in work.rglob("*") if path.is_file())
    files = {str(path.relative_to(work)): (path.stat().st_size, _sha256(path)) for path in paths}
    libraries: dict[str, str | None] = {}
    for name in _LIBRARIES[backend]:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            libraries[name] = None
    return Manifest(FORMAT, backend, corpus_sha256(passages), len(passages), parameters, libraries, files)


def _as_json(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in Manifest.__slots__}


def _command(folder: Path, backend: str) -> str:
    return f"berrypick index build --corpus FILE --backend {backend} --out {folder} --overwrite"


def _refused(folder: Path, backend: str, reason: str) -> IndexFolderError:
    return IndexFolderError(f"index {folder} refused: {reason}; rebuild it: {_command(folder, backend)}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
