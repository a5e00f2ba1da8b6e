"""Limits the length of observations: in tokens if the policy has a tokenizer, otherwise in characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...retrieval_index.searcher import Hit
from ..questions import EpisodeSpec
from .actions import Invalid, Search
from .prompt_words import CUT_MARK
from .turn_format import TurnFormat

__all__ = ["LeadingChars", "first_words", "leading_chars", "render_within"]

LeadingChars = Callable[[str, int], int]
"""(text, number of tokens) -> how many leading characters of the text fit into so many tokens."""


def first_words(hits: Sequence[Sequence[Hit]], max_words: int | None) -> tuple[tuple[Hit, ...], ...]:
    """The same hits with the first `max_words` words of each text, and " ..." after a text that is longer."""
    if max_words is None:
        return tuple(map(tuple, hits))
    return tuple(tuple(_shortened(hit, max_words) for hit in ranking) for ranking in hits)


def _shortened(hit: Hit, max_words: int) -> Hit:
    words = hit.text.split(maxsplit=max_words)
    if len(words) <= max_words:
        return hit
    return Hit(hit.id, hit.title, " ".join(words[:max_words]) + CUT_MARK, hit.score)


def leading_chars(tokenizer: Any, text: str, max_tokens: int) -> int:
    """How many leading characters of a text fit into `max_tokens` tokens; all of them if the text is shorter.

    Args:
        tokenizer: a fast tokenizer of `transformers`; text is never read as a special token.
        text: encoded without its context.
        max_tokens: at least 1.
    """

    def encode(part: str) -> Any:
        return tokenizer(part, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)

    offsets = encode(text)["offset_mapping"]
    if len(offsets) <= max_tokens:
        return len(text)
    # A prefix encoded on its own may have more tokens than it has as part of the whole text, so the count is checked.
    for num_tokens in range(max_tokens, 0, -1):
        end = int(offsets[num_tokens - 1][1])
        if len(encode(text[:end])["input_ids"]) <= max_tokens:
            return end
    return 0


def render_within(
    turn_format: TurnFormat,
    action: Search | Invalid,
    hits: Sequence[Sequence[Hit]],
    first_number: int,
    note: str | None,
    spec: EpisodeSpec,
    leading: LeadingChars | None,
) -> str:
    """The observation, cut to `spec.max_observation_tokens` if `leading` can count tokens, otherwise to characters.

    The turn format decides how a cut observation ends; the text it adds counts towards the limit.
    """
    limit = spec.max_observation_tokens
    if limit is None or leading is None:
        return turn_format.render(action, hits, first_number, note, spec.max_observation_chars)
    text = turn_format.render(action, hits, first_number, note, None)
    allowed = fits = leading(text, limit)
    while fits < len(text) and allowed > 0:
        text = turn_format.render(action, hits, first_number, note, allowed)
        fits = leading(text, limit)
        allowed -= max(1, len(text) - fits)
    return text
