"""The task of `berrypick/Mixed-v0`: several data sets at once, over one index of all their passages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...retrieval_index.corpus import Passage
from ...retrieval_index.errors import BerrypickError
from ..data.questions_file import set_folder
from ..data.splits import HOLDOUT, held_out, with_shares, without_near_duplicates
from ..data.upstream import Dataset, read_dataset
from ..questions import Question
from .corpus import corpus_task, file_of
from .task import Task

__all__ = ["mixed_task"]


def mixed_task(*, sets: str = "", index: str = "bm25s", holdout: int = 0, split_seed: int = 0, **rules: Any) -> Task:
    """Several data sets over one index of all their passages.

    `sets` names them, joined by commas: folders, or folders below BERRYPICK_DATA, each with a weight if you like, such
    as "hotpotqa:2,2wikimultihopqa:1". Weights are shares of the training questions; without any, all questions of all
    sets are asked. `holdout` holds out so many questions of each set, the same as in an environment of that set alone.
    """
    wanted = _sets(sets)
    datasets = [_read(one.folder) for one in wanted]
    splits = [held_out(dataset.questions, holdout, split_seed) for dataset in datasets]
    train: Sequence[Question] = [question for own in splits for question in own.get("train", ())]
    if any(one.weight is not None for one in wanted):
        weights = [1.0 if one.weight is None else one.weight for one in wanted]
        empty = [one.name for one, own in zip(wanted, splits) if not own.get("train")]
        if empty:
            raise BerrypickError(f"{empty[0]} has no training questions; give holdout=N, which adds some")
        train = with_shares([own["train"] for own in splits], weights, split_seed)
    held = [question for own in splits for question in own.get(HOLDOUT, ())]
    names = dict.fromkeys(["train", *(name for own in splits for name in own)])
    questions = {name: tuple(question for own in splits for question in own.get(name, ())) for name in names}
    questions["train"] = tuple(without_near_duplicates(train, held) if held else train)
    passages = _joined(wanted, datasets)
    _check_ids(questions)
    joint = Dataset({name: asked for name, asked in questions.items() if asked}, passages, "several")
    return corpus_task("berrypick/Mixed-v0", joint, index, split_seed=split_seed, **rules)


class _Set(NamedTuple):
    name: str
    folder: Path
    weight: float | None


def _sets(text: object) -> list[_Set]:
    example = 'for example sets=hotpotqa,2wikimultihopqa or sets="hotpotqa:2,musique:1"'
    parts = [part.strip() for part in str(text).split(",") if part.strip()]
    if not parts:
        raise BerrypickError(f"berrypick/Mixed-v0 needs the names of data sets, {example}")
    out = []
    for part in parts:
        name, colon, number = part.rpartition(":")
        try:
            weight = float(number) if colon else None
        except ValueError:
            weight = 0.0
        if weight is not None and not 0 < weight < float("inf"):
            raise BerrypickError(f"the weight of {name} must be a number above 0, got {number!r}; {example}")
        name = name if colon else part
        out.append(_Set(name, set_folder(name), weight))
    return out


def _read(folder: Path) -> Dataset:
    return read_dataset(file_of(folder, "questions"), file_of(folder, "corpus"))


def _joined(wanted: Sequence[_Set], datasets: Sequence[Dataset]) -> tuple[Passage, ...]:
    """All passages, each once, sorted by id."""
    found: dict[str, Passage] = {}
    for one, dataset in zip(wanted, datasets):
        for passage in dataset.passages:
            if found.setdefault(passage.id, passage) != passage:
                raise BerrypickError(
                    f"passage {passage.id} of {one.name} is another one in the set before; give the ids of one of "
                    "the corpora a prefix of their own"
                )
    return tuple(found[key] for key in sorted(found))


def _check_ids(questions: dict[str, tuple[Question, ...]]) -> None:
    seen = set[str]()
    for asked in questions.values():
        for question in asked:
            if question.id in seen:
                raise BerrypickError(f"question {question.id} is in two of the sets; name each set once")
            seen.add(question.id)
