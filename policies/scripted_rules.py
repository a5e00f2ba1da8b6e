"""The rules of scripted policies: demonstrators for SFT and reference points in reports.

They follow the facts in the passages they are shown. Beforehand they know only their rule: an order of record kinds,
the kinds' mean availabilities (best_order), or which records contain the facts (oracle).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..envs.episode import Draft
from ..envs.questions import EpisodeSpec, Question
from ..envs.world import closed_voice, english_voice
from ..envs.world.facts import WorldFacts
from ..retrieval_index.errors import BerrypickError
from .kind_shares import shares_of
from .policy import Sampling

__all__ = ["ScriptedPolicy", "best_orders", "present_first", "shares_policy", "uniform_orders"]

UNKNOWN = "unknown"


@dataclass(slots=True)
class _Row:
    question: Question
    spec: EpisodeSpec
    generator: np.random.Generator
    observations: list[str] = field(default_factory=list)
    script: Callable[[_Row], str] | None = None
    followed: set[str] = field(default_factory=set)
    # World only: the planted facts and the state of the search
    world: WorldFacts | None = None
    entity: str = ""
    hop: int = 0
    tried: int = 0
    num_queries: int = 0
    form: int = 0
    orders: list[list[int]] = field(default_factory=list)

    @property
    def budget(self) -> int:
        limit, turns = self.spec.search_budget, self.spec.max_turns - 1
        return turns if limit is None else min(limit, turns)


def _turn(thought: str, tag: str, body: str) -> str:
    think = f"<think> {thought} </think> " if thought else ""
    return f"{think}<{tag}> {body} </{tag}>"


def _search_world(row: _Row) -> str:
    """Tries the kinds of a hop in the row's order until one has the fact, then continues with the next hop."""
    world = row.world
    assert world is not None, "only World questions have this script"
    parsed = english_voice.read_question(row.question.text)
    if parsed is None:
        raise BerrypickError(f"question {row.question.id} is not a World question; play berrypick/World-v0")
    start, relations = parsed
    thought = ""
    if row.observations:
        fact = english_voice.find_fact(_shown_text(row.observations[-1]), row.entity, relations[row.hop])
        if fact is not None:
            tried = [world.kinds[kind] for kind in row.orders[row.hop][: row.tried]]
            thought = closed_voice.restate(fact.relation, row.entity, fact.obj, tried)
            if fact.obj is not None:
                row.entity, row.hop, row.tried = fact.obj, row.hop + 1, 0
    else:
        row.entity = start
    if row.hop == len(relations):
        return _turn(thought, "answer", row.entity)
    if row.num_queries >= row.budget or row.tried >= len(world.kinds):
        return _turn(thought, "answer", UNKNOWN)
    kind = world.kinds[row.orders[row.hop][row.tried]]
    row.tried += 1
    row.num_queries += 1
    return _turn(thought, "search", closed_voice.query_text(kind, relations[row.hop], row.entity, row.form))


def _shown_text(observation: str) -> str:
    """The text of an observation's first passage, without tags and number."""
    body = observation.replace("<information>", "").replace("</information>", "").strip().splitlines()
    return body[0].split("] ", 1)[-1].strip() if body else ""


def _search_titles(row: _Row) -> str:
    """Searches for the title of each supporting passage, then answers: the oracle of annotated corpora."""
    titles = list(row.question.metadata.get("supporting_titles", ()))[: row.budget]
    if row.num_queries < len(titles):
        row.num_queries += 1
        return _turn(f"I need {titles[row.num_queries - 1]}", "search", titles[row.num_queries - 1])
    return _turn("", "answer", row.question.answers[0])


def _search_question(row: _Row) -> str:
    """Searches once, for the question itself, and answers with the first title found."""
    if row.num_queries < min(1, row.budget):
        row.num_queries += 1
        return _turn("", "search", row.question.text)
    titles = _titles(row.observations)
    return _turn("", "answer", titles[0] if titles else UNKNOWN)


def _follow_titles(row: _Row) -> str:
    """Searches for the question, then for random titles of passages it was shown; answers with a random title."""
    titles = _titles(row.observations)
    if row.num_queries < row.budget:
        row.num_queries += 1
        unseen = [title for title in dict.fromkeys(titles) if title not in row.followed]
        query = str(row.generator.choice(unseen)) if unseen else row.question.text
        row.followed.add(query)
        return _turn("", "search", query)
    return _turn("", "answer", str(row.generator.choice(titles)) if titles else UNKNOWN)


def _titles(observations: Sequence[str]) -> list[str]:
    return [title for text in observations for title in re.findall(r"\[\d+\] \(Title: (.+?)\) ", text)]


def _search_words(row: _Row) -> str:
    """Searches for random words of the question; answers with a random word of the last passage."""
    if row.num_queries < row.budget:
        row.num_queries += 1
        words = row.question.text.split()
        return _turn("", "search", " ".join(row.generator.choice(words, size=min(3, len(words)))))
    passages = [text for text in row.observations if "[" in text]  # not the note that nothing was found
    words = (_shown_text(passages[-1]).split() if passages else []) or [UNKNOWN]
    return _turn("", "answer", str(row.generator.choice(words)).strip(".?,") or UNKNOWN)


def uniform_orders(row: _Row) -> list[list[int]]:
    """Kinds in a random order, drawn anew for each hop."""
    world = row.world
    assert world is not None, "only World questions have this script"
    return [row.generator.permutation(len(world.kinds)).tolist() for _ in world.relations]


def best_orders(row: _Row) -> list[list[int]]:
    """Kinds by falling mean availability, the same at every hop."""
    world = row.world
    assert world is not None, "only World questions have this script"
    order = sorted(range(len(world.kinds)), key=lambda kind: (-world.availability[kind], kind))
    return [list(order) for _ in world.relations]


def present_first(row: _Row) -> list[list[int]]:
    """Kinds that hold the fact first, at each hop."""
    world = row.world
    assert world is not None, "only World questions have this script"
    every = range(len(world.kinds))
    return [sorted(every, key=lambda kind: (kind not in present, kind)) for present in world.present]


_ANYWHERE: dict[str, Callable[[_Row], str]] = {
    "question": _search_question,
    "follow_titles": _follow_titles,
    "random_words": _search_words,
}
"""Rules that work on any corpus."""


@dataclass(frozen=True, slots=True)
class ScriptedPolicy:
    """A policy that follows a rule.

    Attributes:
        policy_id: its name.
        summary: one line for `berrypick list`.
        orders: on World, returns the order of kinds to try at each hop.
        exact_tokens: always False.
    """

    policy_id: str
    summary: str
    orders: Callable[[_Row], list[list[int]]] | None = None
    exact_tokens: bool = False

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> _ScriptedSession:
        """Opens a session with one row per question; the draws of row i depend only on seeds[i]."""
        rows = []
        for question, seed in zip(questions, seeds, strict=True):
            row = _Row(question, spec, np.random.default_rng(seed))
            row.script = self._script(row)
            rows.append(row)
        return _ScriptedSession(rows)

    def _script(self, row: _Row) -> Callable[[_Row], str]:
        if self.policy_id in _ANYWHERE:
            return _ANYWHERE[self.policy_id]
        row.world = world = WorldFacts.of(row.question)
        if world is not None and self.orders is not None:
            row.orders = self.orders(row)
            shares = world.query_formats
            row.form = int(row.generator.choice(len(shares), p=shares)) if shares else 0
            return _search_world
        if self.policy_id == "oracle":
            if not row.question.answers:
                raise BerrypickError(f"oracle needs a question with a known answer; use one of {', '.join(_ANYWHERE)}")
            return _search_titles
        raise BerrypickError(
            f"policy {self.policy_id} works only on the own questions of berrypick/World-v0, not on this one; use "
            f"bridge, oracle or {', '.join(_ANYWHERE)}"
        )


@dataclass(slots=True)
class _ScriptedSession:
    rows: list[_Row]

    def act(self, rows: Sequence[int]) -> list[Draft]:
        drafts = []
        for index in rows:
            row = self.rows[index]
            assert row.script is not None
            drafts.append(Draft(row.script(row)))
        return drafts

    def observe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        for index, text in zip(rows, texts, strict=True):
            self.rows[index].observations.append(text)

    def finish(self, rows: Sequence[int]) -> None:
        for index in rows:
            self.rows[index].script = None

    def token_ids(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        raise BerrypickError("a scripted policy has no tokens, so it cannot be trained; use a language model")


def shares_policy(name: str) -> ScriptedPolicy:
    """The policy "shares-80-10-10", which draws each next kind among the untried ones in these proportions (World)."""
    shares = np.array(shares_of(name))

    def orders(row: _Row) -> list[list[int]]:
        world = row.world
        assert world is not None, "only World questions have this script"
        if len(shares) != len(world.kinds):
            raise BerrypickError(f"{name} has {len(shares)} shares, the World {len(world.kinds)} kinds; give as many")
        draw = row.generator.choice
        return [draw(len(shares), len(shares), False, shares / shares.sum()).tolist() for _ in world.relations]

    return ScriptedPolicy(name, "draws kinds in given proportions (World)", orders)
