"""Builds, opens and checks index folders; a folder is complete or does not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .arrays import load_array
from .backends import BACKENDS, Backend, BuildSettings, backend_of, check_settings
from .corpus import Corpus, CorpusError, Passage, corpus_sha256
from .errors import BerrypickError, UnknownNameError, first_line
from .files import FolderTakenError, scratch_folder, whole_folder
from .left_overs import reclaim
from .manifest import (
    FORMAT,
    MANIFEST,
    IndexFolderError,
    Manifest,
    file_sums,
    library_versions,
    read_manifest,
    verify_files,
)
from .passages import OFFSETS, PASSAGES, PassageTable, write_passages
from .searcher import Searcher

__all__ = [
    "BACKENDS",
    "FORMAT",
    "BuildSettings",
    "IndexExistsError",
    "IndexFolderError",
    "Manifest",
    "build_index",
    "check_index",
    "check_settings",
    "ensure_index",
    "index_folder",
    "open_searcher",
    "read_manifest",
]


class IndexExistsError(BerrypickError):
    """The target folder is not empty, or another build wrote its index there first."""


def build_index(
    corpus: Corpus | Sequence[Passage],
    backend: str,
    out: Path,
    *,
    settings: BuildSettings | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Manifest:
    """Builds an index folder.

    Everything is written into a temporary folder next to `out`, the manifest last, and renamed, so a build that is
    killed leaves nothing that opens. Passages are stored in id order, so the order of the corpus file does not matter.
    Vectors that a killed build has encoded stay next to `out`, and the next build uses them.

    Args:
        corpus: the passages to index.
        backend: a name of `BACKENDS`, or FILE.py:NAME for one that a file registers.
        out: the folder; must not exist, unless `overwrite`.
        settings: settings of the back end.
        overwrite: replace an existing index; other folders are never replaced.
        progress: called with the number of passages indexed since the last call.
    """
    check_target(backend, out, overwrite=overwrite)
    reclaim(out.parent, f".{out.name}.scratch")  # what a build that was killed while it cleaned up left
    backend = backend_of(backend)
    passages = corpus.passages if isinstance(corpus, Corpus) else tuple(corpus)
    if not passages:
        raise BerrypickError("nothing to index: the corpus is empty; give a file with passages")
    ordered = sorted(passages, key=lambda passage: passage.id)

    def fill(work: Path) -> Manifest:
        write_passages(work, ordered)
        table = PassageTable.open(work)
        with scratch_folder(out.with_name(f".{out.name}.scratch")) as scratch:
            parameters = BACKENDS[backend].write(table, work, settings or BuildSettings(), scratch, progress)
        table.close()
        return manifest_of(work, backend, corpus_sha256(ordered), len(ordered), parameters)

    return write_folder(out, fill, overwrite=overwrite)


def ensure_index(
    corpus: Sequence[Passage], backend: str, out: Path, *, settings: BuildSettings | None = None
) -> Manifest:
    """Builds an index unless it exists. If several processes build it at once, all use the first that is complete."""
    if not out.exists():
        try:
            return build_index(corpus, backend, out, settings=settings)
        except IndexExistsError:
            pass
    return read_manifest(out)


def open_searcher(folder: Path, *, expected_corpus_sha256: str | None = None) -> Searcher:
    """Opens an index after cheap checks: version, presence and size of all files, digests of small ones.

    Args:
        folder: an index folder, or FILE.py:FOLDER if a file of yours registers its back end.
        expected_corpus_sha256: raise if the index is of another corpus.

    Raises:
        IndexFolderError: says which check failed and how to rebuild.
    """
    folder = index_folder(folder)
    manifest = read_manifest(folder)
    backend = _backend_of_index(folder, manifest)
    verify_files(folder, manifest, full=False)
    if expected_corpus_sha256 not in (None, manifest.corpus_sha256):
        raise manifest.refused(folder, "it indexes another corpus")
    table = open_table(folder, manifest)
    try:
        return backend.open(folder, manifest.parameters, table, manifest.index_id)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError) as error:
        reason = first_line(error)
        raise manifest.refused(folder, f"its files or parameters do not fit together ({reason})") from error


def index_folder(folder: Path) -> Path:
    """The folder in FILE.py:FOLDER, after loading the file, which registers the folder's back end."""
    return Path(BACKENDS.load_files(str(folder)))


def check_index(folder: Path) -> list[str]:
    """Verifies every checksum and the corpus digest. Returns one line per check; raises at the first failure."""
    folder = index_folder(folder)
    manifest = read_manifest(folder)
    lines = verify_files(folder, manifest, full=True)
    table = open_table(folder, manifest)
    try:
        digest = corpus_sha256(table)
    except CorpusError as error:
        raise manifest.refused(folder, "its passages cannot be read") from error
    finally:
        table.close()
    if digest != manifest.corpus_sha256:
        raise manifest.refused(folder, "its passages do not match its corpus digest")
    recall = manifest.parameters.get("recall_at_10")
    found = [] if recall is None else [f"recall@10 against exact search, measured when it was built: {recall:.3f}"]
    return [*lines, f"{manifest.num_passages} passages, corpus digest correct", *found]


def _backend_of_index(folder: Path, manifest: Manifest) -> Backend:
    try:
        return BACKENDS.find(manifest.backend)
    except UnknownNameError as error:
        raise IndexFolderError(
            f"index {folder} belongs to the back end {manifest.backend!r}, which is not registered; install the "
            f"package that brings it, or put the file that registers it before the folder: FILE.py:{folder}"
        ) from error


def open_table(folder: Path, manifest: Manifest) -> PassageTable:
    """The passages of an index; those of imported indexes may be outside the folder."""
    path = Path(manifest.parameters.get("passages", folder / PASSAGES))
    try:
        table = PassageTable(path, load_array(folder / OFFSETS, "int64", 2))
    except (OSError, ValueError) as error:
        raise manifest.refused(folder, "its passages cannot be read") from error
    if len(table) != manifest.num_passages:
        raise manifest.refused(folder, f"it contains {len(table)} passages, not {manifest.num_passages}")
    return table


def check_target(backend: str, out: Path, *, overwrite: bool) -> None:
    """Raises before a build starts if the back end is unknown or the target folder is taken."""
    backend_of(backend)
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / MANIFEST).is_file()):
        raise IndexExistsError(f"{out} is not a berrypick index and is not overwritten; choose another --out")
    if not overwrite:
        raise IndexExistsError(f"{out} exists; choose another --out, or add --overwrite")


def manifest_of(
    work: Path,
    backend: str,
    digest: str,
    num_passages: int,
    parameters: Mapping[str, Any],
    outside: Mapping[str, tuple[int, str]] | None = None,
) -> Manifest:
    """The manifest of a folder that was just filled; `outside` lists files outside the folder."""
    libraries = library_versions(BACKENDS[backend].libraries)
    return Manifest(
        FORMAT, backend, digest, num_passages, parameters, libraries, {**file_sums(work), **(outside or {})}
    )


def write_folder(out: Path, fill: Callable[[Path], Manifest], *, overwrite: bool) -> Manifest:
    """Fills a temporary folder next to `out`, writes the manifest last and renames the folder to `out`."""
    try:
        with whole_folder(out, "free some space or choose another --out", replaces=overwrite) as work:
            manifest = fill(work)
            (work / MANIFEST).write_text(manifest.as_json(), encoding="utf-8")
    except FolderTakenError as error:
        raise IndexExistsError(
            f"{out} was built by another process meanwhile; use that index, or add --overwrite"
        ) from error
    return manifest
