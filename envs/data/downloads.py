"""`berrypick data get`: downloads public question sets from the hub into a local folder with checksums."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...retrieval_index.corpus import Passage, write_corpus
from ...retrieval_index.errors import BerrypickError, MissingExtraError, UnknownNameError
from ...retrieval_index.files import FolderTakenError, whole_folder, writing
from ...retrieval_index.json_text import read_json
from ...retrieval_index.manifest import sha256
from .questions_file import cache_folder
from .upstream_records import FORMATS

__all__ = ["SOURCES", "HubSource", "check_download", "get_dataset"]

MANIFEST = "manifest.json"
_CURE = "free some space, or set BERRYPICK_CACHE to another folder"
Rows = Callable[[str, str | None, str], Iterable[Mapping[str, Any]]]
"""(repository, configuration, split) -> rows."""


@dataclass(frozen=True, slots=True)
class HubSource:
    """Source of a set: repository, configuration, splits, and whether its rows contain passages."""

    repository: str
    configuration: str | None
    splits: tuple[str, ...]
    carries_passages: bool


_FLASHRAG = "RUC-NLPIR/FlashRAG_datasets"
SOURCES: Mapping[str, HubSource] = {
    "hotpotqa": HubSource("hotpotqa/hotpot_qa", "distractor", ("train", "validation"), True),
    "2wikimultihopqa": HubSource(_FLASHRAG, "2wikimultihopqa", ("train", "dev"), True),
    "musique": HubSource("dgslibisey/MuSiQue", None, ("train", "validation"), True),
    "bamboogle": HubSource(_FLASHRAG, "bamboogle", ("test",), False),
    "strategyqa": HubSource(_FLASHRAG, "strategyqa", ("train",), False),
    "nq": HubSource(_FLASHRAG, "nq", ("train", "dev", "test"), False),
    "triviaqa": HubSource(_FLASHRAG, "triviaqa", ("train", "dev", "test"), False),
    "popqa": HubSource(_FLASHRAG, "popqa", ("test",), False),
}
"""Name of a set -> where `get_dataset` finds it."""


def get_dataset(name: str, *, rows: Rows | None = None) -> Path:
    """Downloads a set into the cache folder, or checks the copy that is already there.

    The folder contains questions.jsonl, corpus.jsonl.gz if the rows contain passages, and manifest.json with the
    source, counts and the SHA-256 of each file. It is renamed into place when it is complete. If several processes
    download the same set, the first to finish wins and all of them use its folder.

    Args:
        name: a name of `SOURCES`.
        rows: returns the rows of a split; uses the `datasets` library by default.

    Raises:
        BerrypickError: unknown set, no network, rows of an unexpected shape, or a damaged download.
    """
    if name not in SOURCES:
        raise UnknownNameError("data set", name, SOURCES)
    folder = cache_folder() / "data" / name
    with writing(folder, _CURE):
        if folder.exists() or not _download(name, folder, rows or _hub_rows):
            check_download(folder)
    return folder


def _download(name: str, folder: Path, rows: Rows) -> bool:
    """Whether this download is the one in use; False if another process finished first."""
    try:
        with whole_folder(folder, _CURE) as work:
            _write(name, SOURCES[name], work, rows)
    except FolderTakenError:
        return False
    return True


def check_download(folder: Path) -> None:
    """Compares the files of a download with its manifest; raises `BerrypickError` if they differ."""
    cure = f"delete {folder} and get it again"
    try:
        sums = read_json(folder / MANIFEST)["sha256"]
        wrong = [name for name, digest in sums.items() if sha256(folder / Path(name).name) != digest]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BerrypickError(f"{folder} is not a complete download ({error}); {cure}") from error
    if wrong:
        raise BerrypickError(f"{folder}: {', '.join(wrong)} changed since the download; {cure}")


def _write(name: str, source: HubSource, work: Path, rows: Rows) -> None:
    passages: dict[str, Passage] = {}
    counts: dict[str, int] = {}
    with (work / "questions.jsonl").open("w", encoding="utf-8") as file:
        for split in source.splits:
            counts[split] = 0
            for row in rows(source.repository, source.configuration, split):
                upstream = next((known for known in FORMATS if known.recognise(row)), None)
                if upstream is None:
                    raise BerrypickError(
                        f"{source.repository} has rows of another shape now; get {name} by hand, see docs/data.md"
                    )
                line, carried = upstream.convert(row)
                line["metadata"] = {**(line.get("metadata") or {}), "split": split, "dataset": name}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                counts[split] += 1
                passages.update((passage.id, passage) for passage in carried)
    if source.carries_passages:
        write_corpus(work / "corpus.jsonl.gz", [passages[key] for key in sorted(passages)])
    files = sorted(path.name for path in work.iterdir())
    manifest = {
        "source": source.repository,
        "configuration": source.configuration,
        "questions": counts,
        "passages": len(passages),
        "sha256": {file_name: sha256(work / file_name) for file_name in files},
    }
    (work / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _hub_rows(repository: str, configuration: str | None, split: str) -> Iterable[Mapping[str, Any]]:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("berrypick data get", "data", error) from error
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)  # it logs each retry twice
    try:
        _ask_for(repository)
        rows: Iterable[Mapping[str, Any]] = datasets.load_dataset(repository, configuration, split=split)
    except Exception as error:  # the library raises whatever its transport raises
        reason = (str(error).splitlines() or [""])[0]
        raise BerrypickError(
            f"cannot download {repository}: {type(error).__name__}: {reason}; "
            "check the network, or put the files below BERRYPICK_DATA as docs/data.md describes"
        ) from error
    finally:
        log.setLevel(level)
    return rows


def _ask_for(repository: str) -> None:
    """One request that fails at once. Without it the library retries for half a minute and logs each attempt."""
    from huggingface_hub import HfApi, constants

    if not constants.HF_HUB_OFFLINE and not Path(repository).is_dir():
        HfApi().dataset_info(repository, timeout=20)
