"""The parts of one environment: questions by split, the rules of an episode, and a searcher."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...retrieval_index.corpus import Passage, corpus_sha256
from ...retrieval_index.errors import BerrypickError, UnknownNameError
from ...retrieval_index.searcher import Searcher
from ..data.questions_file import cache_folder
from ..data.splits import HOLDOUT
from ..questions import EpisodeSpec, Question
from ..world.config import WorldConfig

__all__ = ["BUILT_HERE", "UNLIMITED", "Task", "flag", "open_index"]

_log = logging.getLogger(__name__)

BUILT_HERE = ("bm25s", "lucene", "faiss", "hybrid")
"""Values of `index` that build an index of the task's passages. Any other value is a folder or an address."""

UNLIMITED = -1
"""`search_budget=-1`: only `max_turns` limits searches. `max_observation_tokens=-1`: characters limit observations."""


@dataclass(frozen=True, slots=True)
class Task:
    """Everything that is needed to play episodes of one environment.

    Attributes:
        env_id: the id of the environment.
        questions: split -> its questions.
        spec: the rules of an episode.
        searcher: answers queries; environments close it when they are closed.
        world: the configuration of a World; None on real corpora.
        passages: the searched passages, for controls that replace the searcher.
    """

    env_id: str
    questions: Mapping[str, tuple[Question, ...]]
    spec: EpisodeSpec
    searcher: Searcher
    world: WorldConfig | None = None
    passages: Sequence[Passage] = ()

    def split(self, name: str) -> tuple[Question, ...]:
        """The questions of a split; an unknown or empty one raises `BerrypickError`."""
        if name == HOLDOUT and name not in self.questions:
            raise BerrypickError(f"{self.env_id} holds out no questions; give the holdout=N of the training run")
        if not isinstance(name, str) or name not in self.questions:
            raise UnknownNameError("split", str(name), self.questions)
        if not self.questions[name]:
            raise BerrypickError(f"split {name!r} of {self.env_id} has no questions; choose another split or size")
        return self.questions[name]

    @property
    def default_split(self) -> str:
        """A split with questions: "train", or one whose name starts with it, otherwise the first."""
        filled = [name for name, questions in self.questions.items() if questions]
        if not filled:
            raise BerrypickError(f"{self.env_id} has no questions; choose sizes above 0")
        return next((name for name in ("train", *filled) if name in filled and name.startswith("train")), filled[0])

    def split_to_ask(self, name: str | None) -> str:
        """The named split, or the default split. Logs a default that replaces an empty training split.

        Raises:
            BerrypickError: the split is unknown or empty.
        """
        if name is None:
            name = self.default_split
            if not name.startswith("train") and "train" in self.questions:
                _log.warning(
                    "%s has no training questions; it asks split %r, split=NAME changes that", self.env_id, name
                )
        self.split(name)
        return name


def flag(value: object) -> Any:
    """A truth value for 0, 1, "true" and "false", which command lines pass; any other value unchanged."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), value)
    return bool(value) if value in (0, 1) else value


def open_index(passages: Sequence[Passage], index: str) -> Searcher:
    """A searcher over exactly these passages: a back end's name, the folder of an index, or a server's address.

    Without passages there is nothing to compare the folder or the server with, so it is used unchecked.
    """
    if not isinstance(index, str):
        raise BerrypickError(f"index must be bm25s, lucene, faiss, hybrid, a folder or an address, got {index!r}")
    if index.startswith(("http://", "https://")):
        from ...retrieval_index.remote import RemoteSearcher

        return RemoteSearcher(index, expected_corpus_sha256=corpus_sha256(passages) if passages else None)
    if index == "bm25s":
        from ...retrieval_index.bm25s_index import Bm25sSearcher

        return Bm25sSearcher.from_passages(passages)
    from ...retrieval_index.backends import BACKENDS, is_extension, source_digest
    from ...retrieval_index.store import FORMAT, ensure_index, open_searcher

    digest = corpus_sha256(passages)
    name = BACKENDS.load_files(index)  # FILE.py:NAME, or FILE.py:FOLDER
    folder = Path(name)
    if name in BUILT_HERE:
        folder = cache_folder() / "indexes" / f"{name}-{FORMAT}-{digest[:16]}"
        ensure_index(passages, name, folder)
    elif not folder.exists() and is_extension(name):
        folder = cache_folder() / "indexes" / f"{name}-{source_digest(BACKENDS[name])}-{FORMAT}-{digest[:16]}"
        ensure_index(passages, name, folder)
    elif not name or not folder.exists():
        raise BerrypickError(
            f"no index at {index!r}; give bm25s, lucene, faiss or a folder that `berrypick index build` made"
        )
    return open_searcher(folder, expected_corpus_sha256=digest if passages else None)
