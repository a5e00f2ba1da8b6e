"""A recorded episode as pages to read one after another: the question, then each turn with what it brought."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.text import Text

from ...envs.record import EpisodeRecord, HitRecord, TurnRecord
from ...retrieval_index.json_text import parse_json
from ...retrieval_index.plain_text import counted, safe_text
from ..measures.contradictions import contradicts
from .format import number

__all__ = ["episode_pages", "question_page", "turn_page", "verdict"]

_SUPPORTS = "✓"
_TAIL = re.compile(r"\s*</(?:information|tool_response)>\s*$")


def episode_pages(record: EpisodeRecord, place: str) -> list[Text]:
    """The pages of an episode. The last one says how it ended; text of policies and passages is made safe.

    Args:
        record: the episode.
        place: where it stands, e.g. "episode 3 of rollouts.jsonl".
    """
    pages = [question_page(record, place), *(turn_page(record, at) for at in range(len(record.turns)))]
    pages[-1].append("\n").append_text(verdict(record))
    return pages


def question_page(record: EpisodeRecord, place: str, *, live: bool = False) -> Text:
    """The question, and what is known about its evidence; of a live episode the number of turns is not known."""
    facts = [f"question {record.question.id}", f"sample {record.sample_index}", record.env_id, record.policy_id]
    page = Text(safe_text(place), style="bold")
    page.append(safe_text("; " + "; ".join(filter(None, facts))) + "\n", style="dim")
    page.append(safe_text(record.question.text.strip()) + "\n")
    hops = _hop_counts(record)
    known = f"{hops} to find" if hops else "the passages that support the answer are not known"
    turns = "" if live else f"{counted(len(record.turns), 'turn')}; "
    page.append(turns + known, style="dim")
    return page


def _hop_counts(record: EpisodeRecord) -> str:
    counts = sorted({len(path) for path in record.evidence_sets if path})
    return " or ".join(counted(count, "hop") for count in counts)


def turn_page(record: EpisodeRecord, at: int, *, live: bool = False) -> Text:
    """A turn, counted from 0, with what it brought."""
    turn = record.turns[at]
    first_number = 1 + sum(len(ranking) for earlier in record.turns[:at] for ranking in earlier.hits)
    place = f"turn {at + 1}" if live else f"turn {at + 1} of {len(record.turns)}"
    page = Text(f"{place}: {turn.action}", style="bold")
    if turn.stopped_by == "length":
        page.append(" (cut at the token limit)", style="yellow")
    page.append("\n" + _indented(turn.text.strip() or "(no text)"))
    for query in turn.queries:
        page.append("\nquery: ", style="bold").append(safe_text(query))
    if turn.error is not None:
        page.append(f"\nerror: {safe_text(turn.error)}", style="red")
    if turn.action == "answer":
        return page
    page.append_text(_passages(record, turn, first_number))
    if turn.action == "search" and _hop_counts(record):
        seen = frozenset(hit.id for earlier in record.turns[: at + 1] for ranking in earlier.hits for hit in ranking)
        # the path of evidence that is nearest to its end
        found, hops = max(
            ((sum(bool(hop & seen) for hop in path), len(path)) for path in record.evidence_sets if path),
            key=lambda path: path[0] / path[1],
        )
        page.append(f"\nsupported so far: {found} of {counted(hops, 'hop')}", style="dim")
    return page


def _passages(record: EpisodeRecord, turn: TurnRecord, first_number: int) -> Text:
    """The hits with their texts, supporting ones marked; the observation as it is where it cannot be split."""
    hits = [hit for ranking in turn.hits for hit in ranking]
    texts = _texts(turn.observation, hits, first_number)
    out = Text()
    for at, hit in enumerate(hits):
        hops = _supported_hops(record, hit)
        mark = f" {_SUPPORTS} supports hop {', '.join(map(str, hops))}" if hops else ""
        line = f"\n[{first_number + at}] {safe_text(hit.id)} ({number(hit.score, 2)})"
        out.append(line, style="bold green" if hops else "").append(mark, style="bold green")
        if texts is not None:
            out.append("\n" + _indented(texts[at]))
    if texts is None and turn.observation.strip():
        out.append("\n" + _indented(turn.observation.strip()), style="dim")
    return out


def _supported_hops(record: EpisodeRecord, hit: HitRecord) -> list[int]:
    """Numbers of the hops, from 1, that a passage supports on any path."""
    return sorted({at for path in record.evidence_sets for at, hop in enumerate(path, 1) if hit.id in hop})


def _texts(observation: str, hits: Sequence[HitRecord], first_number: int) -> list[str] | None:
    """The text of each hit: as recorded with it, else cut out of the observation; None if it cannot be cut."""
    recorded = [(hit.model_extra or {}).get("text") for hit in hits]
    if hits and all(isinstance(text, str) for text in recorded):
        return [str(text) for text in recorded]
    shown = _TAIL.sub("", _unwrapped(observation))
    for marks in (
        [f"[{first_number + at}] " for at in range(len(hits))],  # numbered over the episode
        [f"Doc {at}" for at in range(1, len(hits) + 1)],  # numbered within the turn (Search-R1)
    ):
        starts, at = list[tuple[int, int]](), 0
        for mark in marks:
            at = shown.find(mark, at)
            if at < 0:
                break
            starts.append((at, at + len(mark)))
            at += len(mark)
        if hits and len(starts) == len(hits):
            ends = [*(start for start, _ in starts[1:]), len(shown)]
            return [shown[start:end].strip() for (_, start), end in zip(starts, ends)]
    return None


def _unwrapped(observation: str) -> str:
    """The passages of a tool response, which holds them as JSON; any other observation unchanged."""
    body = observation.strip().removeprefix("<tool_response>").removesuffix("</tool_response>").strip()
    if body.startswith("{"):
        try:
            found = parse_json(body)
        except ValueError:
            return observation
        text = found.get("result", found.get("error")) if isinstance(found, dict) else None
        return text if isinstance(text, str) else observation
    return observation


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in safe_text(text).split("\n"))


def verdict(record: EpisodeRecord) -> Text:
    """How the episode ended."""
    if record.answer_raw is None:
        out = Text("no answer", style="bold red")
    else:
        out = Text("answer: ", style="bold").append(safe_text(record.answer_raw))
        graded = {1.0: ("right", "bold green"), None: ("not graded", "bold")}
        word, style = graded.get(record.em, ("not right", "bold red"))
        if contradicts(record.em, record.reward):
            word, style = f"{word} by exact match, which the reward contradicts", "bold"
        out.append(": ").append(word, style=style)
    if record.truncated:
        out.append("; cut off by a limit")
    if record.reward is not None:
        out.append(f"; reward {record.reward:g}")
    wanted = safe_text(" | ".join(record.question.answers)) or "not known"
    return out.append(f"; right answer: {wanted}")
