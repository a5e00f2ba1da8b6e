"""The tiny preset: a lossless tokenizer, seeded weights, copying rows."""

from __future__ import annotations

import torch
from berrypick.envs.tasks.registry import Task
from berrypick.envs.world import closed_voice
from berrypick.policies.language.encoding import encode
from berrypick.policies.language.tiny import copying_rows, tiny_model, tiny_vocabulary
from fixtures.demonstrations import demonstrate
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.random import default_rng
from transformers import PreTrainedTokenizerFast


@settings(max_examples=200, deadline=None)
@given(st.text())
@example("<0x41><0xFF> <unk> <|end|>")
@example("\x00\r\n\t  \U0001f600 é ﷺ ḁ̈")
@example("ledger: the founder of kizunba is tovenra.")
def test_tokenizer_gives_any_text_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(encode(tokenizer, text)) == text


def test_text_that_spells_a_special_token_is_plain_text(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.eos_token_id not in encode(tokenizer, "a <|end|> b")


def test_special_tokens_of_the_template_survive_a_plain_encoding_in_between(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    encode(tokenizer, "<|end|>")
    assert tokenizer.encode("<|end|>", add_special_tokens=False) == [tokenizer.eos_token_id]


def test_names_are_one_token_a_syllable_and_closed_words_one_token(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(encode(tokenizer, " kizunba")) == 3
    words = [
        *closed_voice.KINDS,
        *(word for layer in closed_voice.RELATIONS for word in layer),
        "<search>",
        "</answer>",
    ]
    assert all(len(encode(tokenizer, f" {word}")) == 1 for word in words)


def test_text_of_the_closed_voice_needs_no_bytes(tokenizer: PreTrainedTokenizerFast, world: Task) -> None:

    groups = demonstrate(world, samples=2)
    texts = [message["content"] for group in groups for episode in group for message in episode.messages]
    pieces = {piece for text in texts for piece in tokenizer.convert_ids_to_tokens(encode(tokenizer, text))}
    assert pieces <= set(tiny_vocabulary())


def test_vocabulary_is_distinct_and_tags_are_whole_pieces() -> None:
    vocabulary = tiny_vocabulary()
    assert len(set(vocabulary)) == len(vocabulary)
    assert {"</search>", " </search>", "<answer>", "[12]"} <= set(vocabulary)


def test_weights_follow_from_the_seed_and_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = tiny_model(300, 1), tiny_model(300, 1), tiny_model(300, 2)
    assert torch.equal(before, torch.get_rng_state())
    weights = [model.get_input_embeddings().weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_copying_rows_say_their_first_half_again(tokenizer: PreTrainedTokenizerFast) -> None:
    counts = set()
    for ids, mask in copying_rows(tokenizer, 40, default_rng(0), max_words=4):
        half = len(ids) // 2
        assert ids[:half].tolist() == ids[half:].tolist()
        assert mask.tolist() == [False] * half + [True] * half
        names = tokenizer.decode(ids[:half]).split()
        counts.add(len(names))
        assert all(closed_voice.syllables_of(name) for name in names)
    assert counts == {2, 3, 4}
