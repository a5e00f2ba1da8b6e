"""What an environment id stands for: questions by split, episode rules and a searcher."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..retrieval_index.corpus import Passage, corpus_sha256, read_corpus
from ..retrieval_index.errors import BerrypickError, UnknownNameError
from ..retrieval_index.searcher import Searcher
from .datasets import data_folder, read_questions
from .questions import EpisodeSpec, Question
from .rewards import parse_reward
from .turn_format import get_turn_format
from .world import WorldConfig, build_world

__all__ = ["TASKS", "Task", "TaskKind", "make_task"]


@dataclass(frozen=True, slots=True)
class Task:
    """Everything that plays episodes of one environment.

    Attributes:
        env_id: the registered id.
        questions: by split.
        spec: the rules of an episode.
        searcher: answers queries; owned by the task.
        world: the World's configuration, None on real corpora.
    """

    env_id: str
    questions: Mapping[str, tuple[Question, ...]]
    spec: EpisodeSpec
    searcher: Searcher
    world: WorldConfig | None = None

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
        return next((name for name in ("train", *filled) if name in filled and name.startswith("train")), filled[0])


def world_task(
    *,
    preset: str = "priced",
    index: str = "bm25s",
    hops: int = 2,
    budget: int | None = None,
    availability: str = "",
    cue: float = 0.0,
    clauses: int = 1,
    aliases: bool | int = False,
    distractors: int = 0,
    voice: str = "closed",
    query_formats: str = "",
    num_answers: int = 1,
    num_train: int = 256,
    num_validation: int = 128,
    num_test: int = 512,
    world_seed: int = 0,
    max_turns: int | None = None,
    reward: str = "em",
    turn_format: str = "tags",
    template: str = "",
    top_k: int = 1,
    max_observation_chars: int = 4000,
) -> Task:
    """The planted world; see `envs/world_config.py`.

    `availability` and `query_formats` are numbers joined by commas, "0.6,0.5,0.4". `max_turns` defaults to budget + 3,
    `template` to "bare" in the closed voice and "instruct" in English.
    """
    overrides: dict[str, Any] = {} if budget is None else {"budget": budget}
    for name, text in (("availability", availability), ("query_formats", query_formats)):
        if text != "":
            overrides[name] = _numbers(name, text)
    config = WorldConfig.from_preset(
        preset,
        hops=hops,
        cue=cue,
        clauses=clauses,
        aliases=bool(aliases) if aliases in (0, 1) else aliases,
        distractors=distractors,
        voice=voice,
        num_answers=num_answers,
        num_train=num_train,
        num_validation=num_validation,
        num_test=num_test,
        seed=world_seed,
        **overrides,
    )
    spec = EpisodeSpec(
        turn_format=turn_format,
        template=template or ("bare" if voice == "closed" else "instruct"),
        top_k=top_k,
        max_turns=config.budget + 3 if max_turns is None else max_turns,
        search_budget=config.budget,
        num_answers=num_answers,
        reward=reward,
        max_observation_chars=max_observation_chars,
    )
    world = build_world(config)
    questions = {split: world.questions(split) for split in ("train", "validation", "test")}
    return Task("berrypick/World-v0", questions, spec, _searcher(world.passages(), index), config)


def _numbers(name: str, text: object) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in str(text).split(","))
    except ValueError:
        raise BerrypickError(f'{name} must be numbers joined by commas such as "0.6,0.5,0.4", got {text!r}') from None


def hotpotqa_task(*, data: str = "", index: str = "bm25s", **rules: Any) -> Task:
    """HotpotQA from `data`, or from the folder `hotpotqa` below BERRYPICK_DATA."""
    folder = Path(data) if data else data_folder("hotpotqa")
    return _corpus_task("berrypick/HotpotQA-v0", folder / "corpus.jsonl.gz", folder / "questions.jsonl", index, **rules)


def custom_task(*, corpus: str = "", questions: str = "", index: str = "bm25s", **rules: Any) -> Task:
    """Your corpus and questions, JSONL files in the layout that docs/data.md describes."""
    if not corpus or not questions:
        raise BerrypickError(
            "berrypick/Custom-v0 needs corpus=FILE and questions=FILE; see docs/data.md for their layout"
        )
    return _corpus_task("berrypick/Custom-v0", Path(corpus), Path(questions), index, **rules)


def _corpus_task(
    env_id: str,
    corpus_file: Path,
    questions_file: Path,
    index: str,
    *,
    max_turns: int = 4,
    search_budget: int = 3,
    top_k: int = 3,
    reward: str = "em",
    turn_format: str = "tags",
    max_observation_chars: int = 2000,
) -> Task:
    corpus = read_corpus(corpus_file)
    questions = read_questions(questions_file, {passage.id: passage.title for passage in corpus.passages})
    spec = EpisodeSpec(
        turn_format=turn_format,
        top_k=top_k,
        max_turns=max_turns,
        search_budget=search_budget,
        reward=reward,
        max_observation_chars=max_observation_chars,
    )
    return Task(env_id, questions, spec, _searcher(corpus.passages, index))


def _searcher(passages: Sequence[Passage], index: str) -> Searcher:
    """A searcher over exactly these passages: a back end's name, or the folder of an index."""
    if index.startswith(("http://", "https://")):
        from ..retrieval_index.remote import RemoteSearcher

        return RemoteSearcher(index, expected_corpus_sha256=corpus_sha256(passages))
    if index == "bm25s":
        from ..retrieval_index.bm25s_index import Bm25sSearcher

        return Bm25sSearcher.from_passages(passages)
    from ..retrieval_index.store import FORMAT, ensure_index, open_searcher

    digest = corpus_sha256(passages)
    folder = Path(index)
    if index in ("lucene", "faiss"):
        folder = _cache() / "indexes" / f"{index}-{FORMAT}-{digest[:16]}"
        ensure_index(passages, index, folder)
    elif not folder.exists():
        raise BerrypickError(
            f"no index at {index!r}; give bm25s, lucene, faiss or a folder that `berrypick index build` made"
        )
    return open_searcher(folder, expected_corpus_sha256=digest)


def _cache() -> Path:
    return Path(os.environ.get("BERRYPICK_CACHE", Path.home() / ".cache" / "berrypick"))


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A registered environment: how to make its task, and one line about it."""

    make: Callable[..., Task]
    summary: str


TASKS: dict[str, TaskKind] = {
    "berrypick/World-v0": TaskKind(world_task, "planted multi-hop world with an exact frontier; needs no data"),
    "berrypick/HotpotQA-v0": TaskKind(
        hotpotqa_task, "HotpotQA questions over Wikipedia introductions (BERRYPICK_DATA)"
    ),
    "berrypick/Custom-v0": TaskKind(custom_task, "your own corpus and questions, JSONL"),
}


def make_task(env_id: str, **arguments: Any) -> Task:
    """Builds the task of an environment id.

    Args:
        env_id: e.g. "berrypick/World-v0".
        arguments: strings and numbers, as `gym.make` takes them.

    Raises:
        UnknownNameError: no such environment or argument; names the nearest.
    """
    if env_id not in TASKS:
        raise UnknownNameError("environment", env_id, TASKS)
    known = _arguments(TASKS[env_id].make)
    for name in arguments:
        if name not in known:
            raise UnknownNameError(f"argument of {env_id}", name, known)
    for name, check in (("reward", parse_reward), ("turn_format", get_turn_format)):
        if name in arguments:
            check(arguments[name])
    return TASKS[env_id].make(**arguments)


def _arguments(factory: Callable[..., Task]) -> set[str]:
    names = {
        name
        for name, parameter in inspect.signature(factory).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    return (
        names
        if factory is world_task
        else names
        | set(inspect.signature(_corpus_task).parameters) - {"env_id", "corpus_file", "questions_file", "index"}
        | {"index"}
    )
