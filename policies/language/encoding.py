"""Text to token ids: prompts, observations, whole episodes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...envs.episode import Episode
from ...envs.formats.control_text import break_control_text
from ...envs.formats.turn_format import get_turn_format
from ...envs.questions import EpisodeSpec, Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["encode", "encode_episode", "encode_prompt"]

_OPENING = re.compile(r"[<\[\uff1c\ufe64\uff3b]")


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Token ids of an observation or a demonstrated turn, encoded by itself.

    Text that looks like a special token is encoded as plain text, so no passage can end a turn or open another role.
    """
    return list(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))


def encode_prompt(tokenizer: PreTrainedTokenizerFast, question: Question, spec: EpisodeSpec) -> list[int]:
    """Token ids of the opening messages under the tokenizer's chat template, or joined by newlines without one.

    The text of the question is plain text, as that of passages is: no part of it becomes a special token. Where it
    spells one, or another added token with a control spelling such as `<tool_call>`, the prompt is encoded in pieces.
    """
    words, mark = _marked(tokenizer, question.text)
    messages = get_turn_format(spec.turn_format).prompt(replace(question, text=words), spec)
    if tokenizer.chat_template:
        text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    else:
        text = "\n".join(message["content"] for message in messages) + "\n"
    pieces = text.split(mark) if mark else [text]
    return [token for piece in pieces for token in tokenizer.encode(piece, add_special_tokens=False)]


def _marked(tokenizer: PreTrainedTokenizerFast, text: str) -> tuple[str, str]:
    """The text with a mark inside every spelling that the tokenizer would read as one token, and the mark; "" if none.

    The mark is a character of the private use area that the text does not contain.
    """
    added = tokenizer.added_tokens_decoder.values()
    spellings = {t.content for t in added if t.special or break_control_text(t.content) != t.content}
    found = sorted((s for s in spellings if len(s) > 1 and s in text), key=len, reverse=True)
    if not found and not _spells_special(tokenizer, text):
        return text, ""
    mark = next(char for char in map(chr, range(0xE000, 0xF900)) if char not in text)
    if found:
        pattern = re.compile("|".join(map(re.escape, found)))
        while pattern.search(text):
            text = pattern.sub(lambda match: match[0][0] + mark + match[0][1:], text)
    if any(_spells_special(tokenizer, part) for part in text.split(mark)):
        text = _OPENING.sub(lambda match: match[0] + mark, text)  # a spelling that only the normaliser makes one
    return text, mark


def _spells_special(tokenizer: PreTrainedTokenizerFast, text: str) -> bool:
    return list(tokenizer.encode(text, add_special_tokens=False)) != encode(tokenizer, text)


def encode_episode(tokenizer: PreTrainedTokenizerFast, episode: Episode) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Token ids of an episode, turn by turn, exactly as a session would have built them.

    The observation after the last turn is left out, because the policy never read it.

    Returns:
        Token ids int32 [T] and the policy mask bool [T], True where the policy wrote the token.
    """
    ids = encode_prompt(tokenizer, episode.question, episode.spec)
    mask = [False] * len(ids)
    for number, turn in enumerate(episode.turns, 1):
        written = turn.draft.tokens.ids.tolist() if turn.draft.tokens else encode(tokenizer, turn.draft.text)
        unread = episode.done and number == len(episode.turns)
        answered = encode(tokenizer, turn.observation) if turn.observation and not unread else []
        ids += written + answered
        mask += [True] * len(written) + [False] * len(answered)
    return np.asarray(ids, dtype=np.int32), np.asarray(mask, dtype=np.bool_)
