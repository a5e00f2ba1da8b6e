"""The probabilities of the World's kind words, read from a model's logits where a query has its kind.

A draw says one of K kinds; the logits behind it say the whole distribution. The contexts are the very tokens that the
policy saw and wrote in played episodes, so what is read is what was sampled from.

Where the World has one query format, the kind is the first word. Where it has several, the kind stands where the
sampled query has it, and its probability is read given the words before it. A query is sampled in a format as often as
the policy writes that format, so the mean of the readings is the policy's choice of a kind over all its formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ...envs.episode import Episode, Turn
from ...envs.formats.turn_format import Search
from ...envs.world.closed_voice import parse_query
from ...envs.world.facts import WorldFacts
from ...retrieval_index.errors import BerrypickError
from ..tabular.histories import State, next_state
from ..tabular.readings import KindReading
from .batches import TokenRows, logits_of, micro_batches
from .encoding import encode, encode_prompt
from .model import LanguageModelPolicy

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["kind_tokens", "read_kinds"]

_TAG = "<search>"
_MAX_TOKENS = 4096


def kind_tokens(tokenizer: PreTrainedTokenizerFast, kinds: Sequence[str]) -> list[int]:
    """The token of each kind word after a space, as a query begins with it.

    Raises:
        BerrypickError: a kind word is not a single token.
    """
    ids = [encode(tokenizer, f" {kind}") for kind in kinds]
    split = [kind for kind, tokens in zip(kinds, ids) if len(tokens) != 1]
    if split:
        raise BerrypickError(
            f"kind probabilities need one token per kind word, but {', '.join(split)} has several; use the tiny policy"
        )
    return [tokens[0] for tokens in ids]


@dataclass(frozen=True, slots=True)
class _Decision:
    """One choice of a kind: `position` is the index of the kind word's token among the tokens of the episode."""

    position: int
    state: State
    kind: int | None


def read_kinds(
    policy: LanguageModelPolicy, episodes: Sequence[Episode], *, max_tokens: int = _MAX_TOKENS
) -> list[KindReading]:
    """Reads every choice of a kind in played World episodes.

    An episode is read up to the first turn that leaves the tree of histories that `tabular/histories.py` walks: an
    answer, an invalid or refused turn, and after a query that names no untried kind or whose top passage is not that
    kind's record of the wanted fact. Equal contexts, as among the samples of one question, are computed once. In a
    World with several query formats, a query without a kind word has no place to read and ends the reading, too.

    Args:
        policy: its model is asked; it should be the one that played.
        episodes: of one World.
        max_tokens: padded tokens of a forward.

    Returns:
        The readings, episode by episode and in the order of the turns.

    Raises:
        BerrypickError: turns are not in tags, a kind word is not a single token, or an episode is not of a World.
    """
    if not episodes:
        return []
    worlds = [WorldFacts.required(episode.question, "reading kinds") for episode in episodes]
    _check(episodes, worlds)
    tokens = kind_tokens(policy.tokenizer, worlds[0].kinds)
    encoded = [_decisions(policy, episode, world, tokens) for episode, world in zip(episodes, worlds)]
    masses = _masses(policy, encoded, tokens, max_tokens)
    return [
        KindReading(episode.question.id, one.state, masses[ids[: one.position].tobytes()], one.kind)
        for episode, (ids, decisions) in zip(episodes, encoded)
        for one in decisions
    ]


def _check(episodes: Sequence[Episode], worlds: Sequence[WorldFacts]) -> None:
    formats = {episode.spec.turn_format for episode in episodes} - {"tags"}
    if formats:
        raise BerrypickError(
            f'kind probabilities are read from turns in tags, not {formats.pop()}; use turn_format="tags"'
        )
    if len({world.kinds for world in worlds}) > 1:
        raise BerrypickError("these episodes are of Worlds with different kinds; read each World apart")


def _decisions(
    policy: LanguageModelPolicy, episode: Episode, world: WorldFacts, tokens: Sequence[int]
) -> tuple[NDArray[np.int32], list[_Decision]]:
    """Token ids int32 [T] up to the last choice of a kind, and all choices."""
    ids = encode_prompt(policy.tokenizer, episode.question, episode.spec)
    anywhere = sum(world.query_formats[1:]) > 0
    state = State(world.cue)
    found: list[_Decision] = []
    for turn in episode.turns:
        if not isinstance(turn.action, Search) or turn.error is not None or state.hop == world.hops:
            break
        written, start = _written(policy.tokenizer, turn)
        kind = _first_kind(turn, world.kinds)
        if anywhere:
            kind, first = _named_kind(turn, world.kinds)
            if first is None or tokens[first] not in written[start:]:
                break
            start = written.index(tokens[first], start)
        found.append(_Decision(len(ids) + start, state, kind))
        ids += written
        top = turn.hits[0][0].id if turn.hits and turn.hits[0] else None
        step = next_state(state, world, top)
        if step is None or step[0] != kind:
            break
        ids += encode(policy.tokenizer, turn.observation)
        state = step[1]
        if len(state.tried) == len(world.kinds):
            break
    return np.asarray(ids[: found[-1].position] if found else [], np.int32), found


def _written(tokenizer: PreTrainedTokenizerFast, turn: Turn) -> tuple[list[int], int]:
    """The tokens of a turn, and the index of the first one after its opening search tag."""
    assert isinstance(turn.action, Search)
    text = turn.draft.text
    body = text.rindex(_TAG, 0, turn.action.spans[0][0]) + len(_TAG)
    if turn.draft.tokens is not None:
        return turn.draft.tokens.ids.tolist(), int(np.searchsorted(turn.draft.tokens.char_starts, body))
    return encode(tokenizer, text), len(encode(tokenizer, text[:body]))


def _first_kind(turn: Turn, kinds: Sequence[str]) -> int | None:
    """The kind that a query begins with, if it names no other one."""
    assert isinstance(turn.action, Search)
    (query,) = turn.action.queries
    named = parse_query(query).kinds
    return kinds.index(named[0]) if len(named) == 1 and named[0] in kinds and query.split()[0] == named[0] else None


def _named_kind(turn: Turn, kinds: Sequence[str]) -> tuple[int | None, int | None]:
    """The only kind that a query names, and the kind that it names first; None without one."""
    assert isinstance(turn.action, Search)
    named = parse_query(turn.action.queries[0]).kinds
    known = [kinds.index(kind) for kind in named if kind in kinds]
    return (known[0] if len(named) == 1 and known else None), (known[0] if known else None)


def _masses(
    policy: LanguageModelPolicy,
    encoded: Sequence[tuple[NDArray[np.int32], list[_Decision]]],
    tokens: Sequence[int],
    max_tokens: int,
) -> dict[bytes, NDArray[np.float64]]:
    """Context (the bytes of its token ids) -> float64 [K], the model's probability of each kind word as next token."""
    rows, masks = _distinct(encoded)
    out: dict[bytes, NDArray[np.float64]] = {}
    for micro in micro_batches(TokenRows(rows, masks), max_tokens, policy.model.device):
        with torch.inference_mode():
            chances = logits_of(policy.model, micro).double().softmax(-1)[:, list(tokens)].cpu().numpy()
        contexts = [rows[row][:at].tobytes() for row in micro.rows for at in np.flatnonzero(masks[row])]
        out.update(zip(contexts, chances, strict=True))
    return out


def _distinct(
    encoded: Sequence[tuple[NDArray[np.int32], list[_Decision]]],
) -> tuple[list[NDArray[np.int32]], list[NDArray[np.bool_]]]:
    """Rows that have every context once, and masks of the positions to read: int32 [T_i] and bool [T_i].

    One causal forward serves all choices of an episode. Episodes with the most choices come first, so that the shorter
    ones of the same question, which are often their beginnings, add no row.
    """
    rows: list[NDArray[np.int32]] = []
    masks: list[NDArray[np.bool_]] = []
    seen: set[bytes] = set()
    for ids, decisions in sorted(encoded, key=lambda pair: -len(pair[1])):
        new = [one.position for one in decisions if ids[: one.position].tobytes() not in seen]
        if new:
            seen.update(ids[:at].tobytes() for at in new)
            rows.append(np.append(ids[: new[-1]], 0).astype(np.int32))  # whatever kind was drawn is not looked at
            masks.append(np.isin(np.arange(new[-1] + 1), new))
    return rows, masks
