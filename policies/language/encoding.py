"""Text to token ids: prompts, observations, whole episodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...envs.episode import Episode
from ...envs.formats.turn_format import get_turn_format
from ...envs.questions import EpisodeSpec, Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["encode", "encode_episode", "encode_prompt"]


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Token ids of an observation or a demonstrated turn, encoded by itself.

    Text that looks like a special token is encoded as plain text, so no passage can end a turn or open another role.
    """
    return list(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))


def encode_prompt(tokenizer: PreTrainedTokenizerFast, question: Question, spec: EpisodeSpec) -> list[int]:
    """Token ids of the opening messages under the tokenizer's chat template, or joined by newlines without one."""
    messages = get_turn_format(spec.turn_format).prompt(question, spec)
    if tokenizer.chat_template:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    else:
        text = "\n".join(message["content"] for message in messages) + "\n"
    return list(tokenizer.encode(str(text), add_special_tokens=False))


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
