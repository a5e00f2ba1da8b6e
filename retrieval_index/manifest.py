"""The manifest of an index folder, and the checks of the folder against it."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .errors import BerrypickError, system_reason
from .files import aside_of
from .json_text import read_json
from .sealed import digest_of

__all__ = [
    "FORMAT",
    "MANIFEST",
    "IndexFolderError",
    "Manifest",
    "file_sums",
    "library_versions",
    "read_manifest",
    "sha256",
    "verify_files",
]

FORMAT = 2
MANIFEST = "manifest.json"
_LIVE = "milvus.db"  # Milvus writes into its database when it opens it
_FULL_CHECK_BYTES = 32 << 20  # opening checks the digests of all files up to this size, and the sizes of larger ones


class _Stored(BaseModel):
    """A manifest as it was read: a valid digest proves that nothing was damaged, not who wrote it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: int
    backend: str
    corpus_sha256: str
    num_passages: int = Field(ge=0)
    parameters: dict[str, Any]
    libraries: dict[str, str | None]
    files: dict[str, tuple[int, str]]

    @field_validator("files")
    @classmethod
    def inside(cls, files: dict[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
        for name in files:
            if ".." in Path(name).parts or "\0" in name:
                raise ValueError("a path leads out of the folder")
        return files

    def manifest(self) -> Manifest:
        return Manifest(**dict(self))


class IndexFolderError(BerrypickError):
    """An index that is missing, damaged, or of another version or corpus."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index folder contains and how it was built.

    Attributes:
        format: version of the folder layout.
        backend: a name of `backends.BACKENDS`.
        corpus_sha256: digest of the passages, see `corpus_sha256`.
        num_passages: number of passages.
        parameters: parameters of the back end.
        libraries: distribution -> version that built the index; None if it was not installed.
        files: path -> (bytes, SHA-256); paths are relative to the folder, or absolute for imported files.
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
        """SHA-256 of everything that determines the hits: back end, corpus, parameters, library versions.

        File digests are excluded: Lucene writes a random id into its files, so they differ between equal builds.
        """
        key = [self.format, self.backend, self.corpus_sha256, dict(self.parameters), dict(self.libraries)]
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()

    def as_json(self) -> str:
        """The text of manifest.json, which includes a digest of itself."""
        value = {name: getattr(self, name) for name in Manifest.__slots__}
        return json.dumps({**value, "manifest_sha256": digest_of(value)}, indent=1, sort_keys=True) + "\n"

    def refused(self, folder: Path, reason: str) -> IndexFolderError:
        """The error for an index that fails a check; ends with the command that rebuilds it."""
        return _refused(folder, self.backend, reason)


def library_versions(names: Sequence[str]) -> dict[str, str | None]:
    """Installed versions; None for a distribution that is not installed."""
    out: dict[str, str | None] = {}
    for name in names:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = None
    return out


def file_sums(folder: Path) -> dict[str, tuple[int, str]]:
    """Path -> (bytes, SHA-256) of all files below a folder, except those that change when they are opened."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and _LIVE not in path.parts)
    return {path.relative_to(folder).as_posix(): (path.stat().st_size, sha256(path)) for path in paths}


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of an index folder; raises if it is missing, damaged or of another version."""
    path = folder / MANIFEST
    if not path.is_file():
        aside = aside_of(folder)
        if not folder.exists() and aside.is_dir():
            raise IndexFolderError(
                f"{folder} was being replaced by a build that was killed; restore it: "
                f"mv {shlex.quote(str(aside))} {shlex.quote(str(folder))}"
            )
        raise IndexFolderError(
            f"{folder} is not a berrypick index (it has no {MANIFEST}); build one: {_first_build(folder)}"
        )
    try:
        value = read_json(path)
        if not isinstance(value, dict):
            raise TypeError("not an object")
    except (OSError, ValueError, TypeError) as error:
        raise _refused(folder, "bm25s", "its manifest cannot be read") from error
    backend = value.get("backend") if isinstance(value.get("backend"), str) else "bm25s"
    if value.get("format") != FORMAT:
        raise _refused(folder, str(backend), _other_format(value.get("format")))
    stated = value.pop("manifest_sha256", None)
    if stated != digest_of(value):
        raise _refused(folder, str(backend), "its manifest was changed or damaged")
    try:
        return _Stored.model_validate_json(json.dumps(value)).manifest()
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise _refused(folder, str(backend), f"its manifest is wrong at {place}: {wrong['msg']}") from error


def verify_files(folder: Path, manifest: Manifest, *, full: bool) -> list[str]:
    """Checks presence and size of every file, and digests if `full` or if the file is small.

    Returns:
        One line per checked file.

    Raises:
        IndexFolderError: at the first file that fails.
    """
    lines = []
    for name, (size, digest) in sorted(manifest.files.items()):
        path = folder / name
        try:
            if not path.is_file():
                raise manifest.refused(folder, f"{name} is missing")
            found = path.stat().st_size
            damaged = found == size and (full or size <= _FULL_CHECK_BYTES) and sha256(path) != digest
        except OSError as error:  # such as a name that is too long for a file
            raise manifest.refused(folder, f"{name} cannot be read ({system_reason(error)})") from error
        if found != size:
            raise manifest.refused(folder, f"{name} has {found} bytes, not {size}")
        if damaged:
            raise manifest.refused(folder, f"{name} is damaged: its checksum is wrong")
        lines.append(f"{name}: {size} bytes, checksum right")
    return lines


def sha256(path: Path) -> str:
    """SHA-256 of a file; raises OSError if it cannot be read or is no regular file, such as a pipe that never ends."""
    if path.exists() and not path.is_file():
        raise OSError(0, "it is no file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _other_format(found: object) -> str:
    if isinstance(found, int) and not isinstance(found, bool) and found < FORMAT:
        return (
            f"its format {found} is older than this version's {FORMAT}; it cannot be converted, its passages are in "
            "corpus.jsonl.gz in that folder, so copy that file elsewhere and use it as FILE"
        )
    return f"its format is {found}, this version reads {FORMAT}; upgrade berrypick"


def _refused(folder: Path, backend: str, reason: str) -> IndexFolderError:
    return IndexFolderError(f"index {folder} refused: {reason}; rebuild it: {_command(folder, backend)}")


def _command(folder: Path, backend: str) -> str:
    return f"{_build(folder, backend)} --overwrite"


def _first_build(folder: Path) -> str:
    """The command that builds a first index; it never overwrites other files."""
    if not folder.exists():
        return _build(folder, "bm25s")
    if folder.is_dir() and not any(folder.iterdir()):
        return _command(folder, "bm25s")
    return _build("NEW_FOLDER", "bm25s")


def _build(folder: Path | str, backend: str) -> str:
    return f"berrypick index build --corpus FILE --backend {shlex.quote(backend)} --out {shlex.quote(str(folder))}"
