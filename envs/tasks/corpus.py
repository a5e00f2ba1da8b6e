"""Tasks over real corpora: the public question sets and your own files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import counted
from ..data.questions_file import data_folder
from ..data.upstream import Dataset, read_dataset
from ..questions import EpisodeSpec
from .own_splits import own_splits
from .task import BUILT_HERE, UNLIMITED, Task, flag, open_index

__all__ = ["RULES", "SETS", "PublicSet", "corpus_task", "custom_task", "file_of", "public_task"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A public question set.

    Attributes:
        name: its folder below BERRYPICK_DATA.
        summary: one line about it.
        shared_folder: a folder that mixes it with other sets; `metadata.dataset` tells the sets apart.
    """

    name: str
    summary: str
    shared_folder: str = ""


SETS: dict[str, PublicSet] = {
    "HotpotQA": PublicSet("hotpotqa", "two-hop questions over Wikipedia introductions"),
    "2WikiMultiHopQA": PublicSet("2wikimultihopqa", "two- and four-hop questions made from Wikidata paths"),
    "MuSiQue": PublicSet("musique", "two- to four-hop questions composed from single ones"),
    "Bamboogle": PublicSet("bamboogle", "two-hop questions that a search engine does not answer at once"),
    "StrategyQA": PublicSet("strategyqa", "yes/no questions whose steps are left to the reader"),
    "NQ": PublicSet("nq", "single-hop questions people asked a search engine", "wiki18_singlehop"),
    "TriviaQA": PublicSet("triviaqa", "single-hop trivia questions", "wiki18_singlehop"),
    "PopQA": PublicSet("popqa", "single-hop questions about entities of the long tail", "wiki18_singlehop"),
}
"""Title -> public question set; the environment is "berrypick/TITLE-v0"."""


def public_task(title: str) -> Callable[..., Task]:
    """The task factory of a public set."""

    def make(*, data: str = "", index: str = "bm25s", **rules: Any) -> Task:
        public = SETS[title]
        folder = Path(_text("data", data)) if data else _folder(public)
        corpus = None if _is_elsewhere(index) and not _files(folder, "corpus") else file_of(folder, "corpus")
        dataset = read_dataset(file_of(folder, "questions"), corpus, passages_elsewhere=_is_elsewhere(index))
        _tell_partial(dataset)
        return corpus_task(f"berrypick/{title}-v0", _only(dataset, public.name), index, **rules)

    make.__doc__ = f"{title} from the folder `data`, or from `{SETS[title].name}` below BERRYPICK_DATA."
    return make


def _only(dataset: Dataset, name: str) -> Dataset:
    """The questions of one set from a file that may mix several."""
    names = {question.metadata.get("dataset") for questions in dataset.questions.values() for question in questions}
    if len(names) == 1:
        return dataset
    wanted = {
        split: tuple(question for question in questions if question.metadata.get("dataset") == name)
        for split, questions in dataset.questions.items()
    }
    if not any(wanted.values()):
        raise BerrypickError(f"no question has the dataset {name!r}; give the folder of that set")
    return Dataset({split: qs for split, qs in wanted.items() if qs}, dataset.passages, dataset.format)


def _folder(public: PublicSet) -> Path:
    try:
        return data_folder(public.name)
    except BerrypickError:
        if not public.shared_folder:
            raise
        try:
            return data_folder(public.shared_folder)
        except BerrypickError:
            pass
        raise


def file_of(folder: Path, stem: str) -> Path:
    """The file called `stem` with any ending; the first by name if there are several."""
    found = _files(folder, stem)
    if not found:
        other = ", or give index=URL of a server or index=FOLDER of an index" if stem == "corpus" else ""
        raise BerrypickError(f"no {stem}.jsonl in {folder}; put one there, see docs/data.md for the layout{other}")
    return found[0]


def _files(folder: Path, stem: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"{stem}.*") if path.is_file())


def _is_elsewhere(index: object) -> bool:
    """Whether `index` has its own passages: a server, or the folder of an index."""
    if not isinstance(index, str) or index in BUILT_HERE:
        return False
    return index.startswith(("http://", "https://")) or Path(index).is_dir()


def custom_task(
    *, corpus: str = "", questions: str = "", index: str = "bm25s", skip_bad: bool | int = False, **rules: Any
) -> Task:
    """Your questions and corpus: files in the layout of docs/data.md or in an upstream format, recognised by content.

    Leave out `corpus` if the question file contains passages (HotpotQA, 2WikiMultiHopQA, MuSiQue, IRCoT), or if `index`
    is a server or the folder of an index. In the second case the passages are unknown, so there is no evidence either.
    """
    if not questions:
        raise BerrypickError(
            "berrypick/Custom-v0 needs questions=FILE, and corpus=FILE if that file contains no passages; "
            "see docs/data.md for their layout"
        )
    skip_bad = flag(skip_bad)
    if not isinstance(skip_bad, bool):
        raise BerrypickError(f"skip_bad must be true or false, got {skip_bad!r}")
    corpus_file = Path(_text("corpus", corpus)) if corpus else None
    skipped: list[str] | None = [] if skip_bad else None
    dataset = read_dataset(
        Path(_text("questions", questions)), corpus_file, skipped=skipped, passages_elsewhere=_is_elsewhere(index)
    )
    if skipped:
        _log.warning("left out %d bad records; the first: %s", len(skipped), skipped[0])
    _tell_partial(dataset)
    return corpus_task("berrypick/Custom-v0", dataset, index, **rules)


def _tell_partial(dataset: Dataset) -> None:
    if dataset.partial:
        _log.warning(
            "%s with a supporting passage that is in no known place, the first is %s; their evidence counts as "
            "unknown; give a corpus that holds these passages",
            counted(len(dataset.partial), "record"),
            dataset.partial[0],
        )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BerrypickError(f"{name} must be a path as text, got {value!r}; write str(...) around it")
    return value


def corpus_task(
    env_id: str,
    dataset: Dataset,
    index: str,
    *,
    max_turns: int = 4,
    search_budget: int = 3,
    top_k: int = 3,
    reward: str = "em",
    num_answers: int = 1,
    turn_format: str = "tags",
    template: str = "instruct",
    max_observation_chars: int = 2000,
    max_observation_tokens: int = UNLIMITED,
    escape_special_tokens: bool | int = False,
    max_passage_words: int = UNLIMITED,
    scoring: str = "english",
    holdout: int = 0,
    train_questions: str | int = "",
    split_seed: int = 0,
) -> Task:
    """The task of a corpus and its questions; `EpisodeSpec` and `own_splits` explain the arguments."""
    spec = EpisodeSpec(
        turn_format=turn_format,
        template=template,
        top_k=top_k,
        max_turns=max_turns,
        search_budget=None if search_budget == UNLIMITED else search_budget,
        num_answers=num_answers,
        reward=reward,
        max_observation_chars=max_observation_chars,
        max_observation_tokens=None if max_observation_tokens == UNLIMITED else max_observation_tokens,
        escape_special_tokens=flag(escape_special_tokens),
        max_passage_words=None if max_passage_words == UNLIMITED else max_passage_words,
        scoring=scoring,
    )
    questions = own_splits(dataset, holdout, train_questions, split_seed)
    return Task(env_id, questions, spec, open_index(dataset.passages, index), passages=dataset.passages)


RULES: Mapping[str, Any] = dict(corpus_task.__kwdefaults__ or {})
"""Arguments of all corpus tasks, with their defaults."""
