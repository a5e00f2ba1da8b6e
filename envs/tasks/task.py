"""What plays episodes of one environment: questions by split, rules and a searcher."""

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
from ..questions import EpisodeSpec, Question
from ..world.config import WorldConfig

__all__ = ["BUILT_HERE", "UNLIMITED", "Task", "flag", "open_index"]

_log = logging.getLogger(__name__)

BUILT_HERE = ("bm25s", "lucene", "faiss", "hybrid")
"""Names of `index` for which an index of the task's passages is built; anything else is a folder or an address."""

UNLIMITED = -1
"""`search_budget=-1`: only `max_turns` limits the searches; `max_observation_tokens=-1`: characters limit them."""


@dataclass(frozen=True, slots=True)
class Task:
    """Everything that plays episodes of one environment.

    Attributes:
        env_id: the registered id.
        questions: by split.
        spec: the rules of an episode.
        searcher: answers queries; owned by the task.
        world: the World's configuration, None on real corpora.
        passages: what is searched, for controls that look past the searcher.
    """

    env_id: str
    questions: Mapping[str, tuple[Question, ...]]
    spec: EpisodeSpec
    searcher: Searcher
    world: WorldConfig | None = None
    passages: Sequence[Passage] = ()

    def split(self, name: str) -> tuple[Question, ...]:
        """The questions of a split; an unknown or empty one raises `BerrypickError`."""
        if not isinstance(name, str) or name not in self.questions:
            raise UnknownNameError("split", str(name), self.questions)
        if not self.questions[name]:
            raise BerrypickError(f"split {name!r} of {self.env_id} has no questions; choose another split or size")
        return self.questions[name]

    @property
    def default_split(self) -> str:
        """ "train" or its like where there is one, else the first split that has questions."""
        filled = [name for name, questions in self.questions.items() if questions]
        if not filled:
            raise BerrypickError(f"{self.env_id} has no questions; choose sizes above 0")
        return next((name for name in ("train", *filled) if name in filled and name.startswith("train")), filled[0])

    def split_to_ask(self, name: str | None) -> str:
        """The named split, or the default; a default that is not the usual one, because that is empty, is logged.

        Raises:
            BerrypickError: the split is unknown or empty.
        """
        if name is None:
            name = self.default_split
            if not name.startswith("train") and "train" in self.questions:
                _log.warning("%s has no training questions: asks split %r; split=NAME chooses", self.env_id, name)
        self.split(name)
        return name


def flag(value: object) -> Any:
    """0 and 1, "true" and "false", as command lines give them, as a truth value; anything else as it is."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), value)
    return bool(value) if value in (0, 1) else value


def open_index(passages: Sequence[Passage], index: str) -> Searcher:
    """A searcher over exactly these passages: a back end's name, the folder of an index, or a server's address.

    Without passages the folder or the server is taken as it is.
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
