"""Episodes as the JSON of a page: every text once, all else as numbers, and never more than a page can hold."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...envs.questions import passages_of
from ...envs.world.facts import WorldFacts
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text
from ..measures.contradictions import contradicts
from .packed_episode import PageEpisode, PageTurn, turns_of
from .palette import arm_colours

__all__ = ["MOST_BYTES", "PageData", "page_data"]

MOST_BYTES = 40_000_000
"""Size of the episodes' JSON. Longer texts are cut first; then the last episodes are left out."""

MOST_PACKED = 15_000_000
"""Size of the episodes on a page, packed."""

_LIMITS = (20_000, 4_000, 1_000, 300)
"""Lengths that a text may have, in characters; the first at which all episodes fit is used."""

_PARTS = re.compile(r"(\[\d+\] |Doc \d+(?=\()|\s*</?information>\s*|\n+)")
"""Where an observation is divided, so that a passage that was shown many times is stored once."""


@dataclass(frozen=True, slots=True)
class PageData:
    """The episodes of a page.

    Attributes:
        json: the document that page.js reads.
        packed: the same as `base64(zlib(json))`.
        text_limit: characters after which a text is cut, with a mark.
        texts_cut: whether any text was cut.
        kept: number of episodes on the page, the first ones in the order of the questions.
        total: number of episodes.
    """

    json: str
    packed: str
    text_limit: int
    texts_cut: bool
    kept: int
    total: int


def page_data(
    arms: Mapping[str, Sequence[PageEpisode]], *, most_bytes: int = MOST_BYTES, most_packed: int = MOST_PACKED
) -> PageData:
    """Builds the episodes of a page.

    Args:
        arms: rollouts by arm.
        most_bytes: size of the JSON at most, give or take the list of arms.
        most_packed: size of the packed JSON at most; texts that hardly compress leave room for fewer episodes.
    """
    data = _of_size(arms, most_bytes)
    while len(data.packed) > most_packed and data.kept:
        most_bytes = int(0.9 * most_packed / len(data.packed) * len(data.json))
        data = _of_size(arms, most_bytes)
    return data


def _of_size(arms: Mapping[str, Sequence[PageEpisode]], most_bytes: int) -> PageData:
    episodes = list(_in_order(arms))
    for limit in _LIMITS:
        builder = _Builder(limit)
        kept = 0
        for arm, record in episodes:
            if not builder.add(arm, record, most_bytes):
                break
            kept += 1
        if kept == len(episodes) or limit == _LIMITS[-1]:
            text = builder.document(arms)
            packed = base64.b64encode(zlib.compress(text.encode("ascii"), 6)).decode("ascii")
            return PageData(text, packed, limit, builder.texts.cut, kept, len(episodes))
    raise AssertionError("the last limit always returns")


def _in_order(arms: Mapping[str, Sequence[PageEpisode]]) -> Iterator[tuple[int, PageEpisode]]:
    """Every episode with the number of its arm: question by question, arm by arm, sample by sample."""
    questions: dict[str, int] = {}
    for records in arms.values():
        for record in records:
            questions.setdefault(record.question.id, len(questions))
    rows = [(arm, record) for arm, records in enumerate(arms.values()) for record in records]
    yield from sorted(rows, key=lambda row: (questions[row[1].question.id], row[0], row[1].sample_index))


class _Table:
    """Distinct values as JSON, each with its number; counts the bytes of new ones."""

    def __init__(self, limit: int | None = None) -> None:
        self.rows: list[str] = []
        self.size, self.cut = 0, False
        self._limit = limit
        self._numbers: dict[object, int] = {}

    def text(self, text: str) -> int:
        """The number of a text, made harmless and, if it is too long, cut with a mark."""
        number = self._numbers.get(text)
        if number is None:
            shown = text
            if self._limit is not None and len(text) > self._limit:
                shown = f"{text[: self._limit]} … [{len(text) - self._limit:,} more characters]"
                self.cut = True
            number = self.value(text, safe_text(shown))
        return number

    def value(self, key: object, value: object) -> int:
        """The number of any value, by a key that tells it from others."""
        if key not in self._numbers:
            self._numbers[key] = len(self.rows)
            self.rows.append(_json(value))
            self.size += len(self.rows[-1]) + 1
        return self._numbers[key]

    def forget_after(self, length: int) -> None:
        """Removes all values but the first ones."""
        while len(self.rows) > length:
            self.size -= len(self.rows.pop()) + 1
            self._numbers.popitem()  # a dictionary keeps the order in which its keys came

    def __contains__(self, key: object) -> bool:
        return key in self._numbers


class _Builder:
    """Collects episodes until they no longer fit."""

    def __init__(self, limit: int) -> None:
        self.texts, self.passages, self.questions, self.kinds = _Table(limit), _Table(), _Table(), _Table()
        self._episodes: list[str] = []
        self._size = 0

    def add(self, arm: int, record: PageEpisode, most_bytes: int) -> bool:
        """Adds an episode; False, and nothing is added, if the page would become too large."""
        tables = (self.texts, self.passages, self.questions, self.kinds)
        before = [len(table.rows) for table in tables]
        question, taken = self._question(record), turns_of(record)
        kinds = self.kinds.text(_kind_path(record, taken))
        answer = -1 if record.answer_raw is None else self.texts.text(record.answer_raw)
        result = -1 if record.em is None else int(record.em == 1)
        turns = [self._turn(turn) for turn in taken]
        reward = None if record.reward == record.em else record.reward  # an equal reward says nothing more
        against = int(contradicts(record.em, record.reward))
        row = _json([question, arm, record.sample_index, result, answer, kinds, turns, reward, against])
        size = self._size + len(row) + 1
        if size + sum(table.size for table in tables) > most_bytes:
            for table, length in zip(tables, before):
                table.forget_after(length)
            return False
        self._episodes.append(row)
        self._size = size
        return True

    def document(self, arms: Mapping[str, object]) -> str:
        """The whole JSON."""
        colours = arm_colours(arms)
        names = _json([[safe_text(name), colours[name]] for name in arms])
        tables = {
            "texts": self.texts,
            "passages": self.passages,
            "questions": self.questions,
            "kinds": self.kinds,
        }
        parts = [f'"{name}":[{",".join(table.rows)}]' for name, table in tables.items()]
        return f'{{"arms":{names},{",".join(parts)},"episodes":[{",".join(self._episodes)}]}}'

    def _question(self, record: PageEpisode) -> int:
        asked = record.question
        if asked.id in self.questions:
            return self.questions.value(asked.id, None)
        evidence = sorted(passages_of(asked.evidence))
        answers = [self.texts.text(answer) for answer in asked.answers]
        supports = [self.passages.text(passage) for passage in evidence]
        return self.questions.value(asked.id, [safe_text(asked.id), self.texts.text(asked.text), answers, supports])

    def _turn(self, turn: PageTurn) -> list[object]:
        """[text, first letter of the action, queries, passages of each query, parts of the observation, error]."""
        return [
            self.texts.text(turn.text),
            turn.action[0],
            [self.texts.text(query) for query in turn.queries],
            [[self.passages.text(name) for name in ranking] for ranking in turn.hits],
            [self.texts.text(part) for part in _PARTS.split(turn.observation) if part],
            -1 if turn.error is None else self.texts.text(turn.error),
        ]


def _kind_path(record: PageEpisode, turns: Sequence[PageTurn]) -> str:
    """The record kinds of a World episode's searches in order, such as "scroll → ledger"; "" elsewhere."""
    try:
        world = WorldFacts.of(record.question)
    except BerrypickError:
        return ""
    if world is None:
        return ""
    kinds = {passage: world.kinds[kind] for hop in world.passages for kind, passage in enumerate(hop)}
    tops = [ranking[0] if ranking else "" for turn in turns for ranking in turn.hits]
    return " → ".join(kinds.get(top, "other") for top in tops) or "no search"


def _json(value: object) -> str:
    """JSON of ASCII characters in which nothing can end a script element or a line."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
