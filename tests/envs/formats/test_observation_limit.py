"""Observations are cut to tokens where the policy has a tokenizer, else to characters; the record says which."""

from __future__ import annotations

import functools
import json

import pytest
from berrypick.envs.episode import Draft, advance, start
from berrypick.envs.formats.observation_limit import leading_chars
from berrypick.envs.formats.turn_format import turn_format_names
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.envs.recording import record_of
from berrypick.envs.tasks.presets import evaluation_preset
from berrypick.envs.tasks.registry import make_task
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.searcher import Hit
from hypothesis import given, settings
from hypothesis import strategies as st

QUESTION = Question("q1", "Who built it?", ("Babbage",))
SEARCHES = {
    "tags": "<search> q </search>",
    "search_r1": "<search> q </search>",
    "tool_call": '<tool_call>{"name": "search", "arguments": {"query_list": ["q"]}}</tool_call>',
}


class Long:
    index_id = "long"

    def search(self, queries, k):
        text = "The analytical engine, Zürich — “naïve” 東京 🫐 " * 60
        return [[Hit(f"p{n}", f"Title {n}", text, 1.0) for n in range(3)] for _ in queries]

    def close(self):
        pass


@functools.cache
def tokenizer():
    """Byte-level BPE with merges, so that tokens hold several characters and characters several tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(
        ["The analytical engine of Charles Babbage", "engineer analysis"] * 20,
        trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def num_tokens(text):
    return len(tokenizer().encode(text, add_special_tokens=False))


@given(st.text(max_size=80), st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_the_beginning_that_fits_has_no_more_tokens_and_is_not_shorter_than_need_be(text, limit):
    text = text.encode("utf-8", "replace").decode()
    fits = leading_chars(tokenizer(), text, limit)
    assert num_tokens(text[:fits]) <= limit
    assert fits == len(text) or num_tokens(text) > limit
    # a character is at most four tokens here, so nothing much shorter would do
    assert fits == len(text) or num_tokens(text[: fits + 5]) + 4 >= limit


@pytest.mark.parametrize("name", turn_format_names())
def test_a_policy_with_a_tokenizer_is_shown_so_many_tokens_and_others_so_many_characters(name):
    spec = EpisodeSpec(turn_format=name, max_observation_tokens=200, max_observation_chars=150)
    with_tokens, without = start(QUESTION, spec), start(QUESTION, spec)
    advance([with_tokens], [Draft(SEARCHES[name])], Long(), leading=functools.partial(leading_chars, tokenizer()))
    advance([without], [Draft(SEARCHES[name])], Long())
    shown = with_tokens.turns[0].observation
    assert 160 <= num_tokens(shown) <= 200 and len(shown) > 150  # whole words of each passage
    assert len(without.turns[0].observation) <= 150
    endings = {"tags": " ... </information>\n", "tool_call": "\n</tool_response>\n", "search_r1": ""}
    assert shown.endswith(endings[name])
    if name == "tool_call":
        assert json.loads(shown.split("\n")[2])["result"].endswith(" ...")
    limits = [record_of(episode, sample_index=0, seed=0).observation_limit for episode in (with_tokens, without)]
    assert limits == ["200 tokens", "150 characters"]


def test_search_r1s_cut_is_the_first_tokens_of_the_whole_observation():
    """As its trainer does it: the rendered block is encoded alone and sliced, wherever that is."""
    spec = EpisodeSpec(turn_format="search_r1", max_observation_tokens=150)
    whole, cut = (
        start(QUESTION, EpisodeSpec(turn_format="search_r1", max_observation_chars=10**6)),
        start(QUESTION, spec),
    )
    advance([whole], [Draft(SEARCHES["search_r1"])], Long())
    advance([cut], [Draft(SEARCHES["search_r1"])], Long(), leading=functools.partial(leading_chars, tokenizer()))
    ids = tokenizer().encode(whole.turns[0].observation, add_special_tokens=False)[:150]
    half_a_character = "\ufffd"
    assert cut.turns[0].observation == tokenizer().decode(ids).rstrip(half_a_character)


def test_without_a_limit_in_tokens_characters_hold_for_all():
    episode = start(QUESTION, EpisodeSpec(max_observation_chars=200))
    advance([episode], [Draft(SEARCHES["tags"])], Long(), leading=functools.partial(leading_chars, tokenizer()))
    assert len(episode.turns[0].observation) <= 200
    assert record_of(episode, sample_index=0, seed=0).observation_limit == "200 characters"


def test_the_search_r1_preset_asks_for_500_tokens():
    arguments = evaluation_preset("search-r1").arguments_for("berrypick/World-v0")
    spec = make_task("berrypick/World-v0", num_train=2, num_test=2, **arguments).spec
    assert (spec.max_observation_tokens, spec.max_observation_chars) == (500, 2000)
    assert make_task("berrypick/World-v0", num_train=2, num_test=2).spec.max_observation_tokens is None


@pytest.mark.parametrize("bad", [0, 31, True, 1.5, "500"])
def test_a_limit_without_room_for_the_tags_is_refused(bad):
    with pytest.raises(BerrypickError, match="max_observation_tokens must be a whole number of at least 32"):
        EpisodeSpec(max_observation_tokens=bad)


def test_the_rollout_engine_lets_a_language_model_count_and_a_script_not():
    from berrypick.policies.language.model import load_language_model
    from berrypick.policies.policy import Sampling
    from berrypick.policies.rollout import rollout
    from berrypick.policies.scripted import scripted_policy

    task = make_task("berrypick/World-v0", num_train=2, num_test=2, max_observation_tokens=64)
    limits = []
    for policy in (load_language_model("tiny"), scripted_policy("oracle")):
        ((episode,),) = rollout(
            policy, task.split("test")[:1], task.spec, task.searcher, num_samples=1, seed=0,
            sampling=Sampling(max_new_tokens=4),
        )  # fmt: skip
        limits.append(record_of(episode, sample_index=0, seed=0).observation_limit)
    assert limits == ["64 tokens", "4000 characters"]


@given(st.integers(1, 80))
@settings(max_examples=30, deadline=None)
def test_a_passage_is_cut_after_whole_words(max_words):
    episode = start(QUESTION, EpisodeSpec(max_passage_words=max_words, max_observation_chars=10**6))
    advance([episode], [Draft(SEARCHES["tags"])], Long())
    (whole,) = {hit.text for hit in Long().search(["q"], 3)[0]}
    for number, line in enumerate(episode.turns[0].observation.strip().splitlines()):
        text = line.split(") ", 1)[1].removesuffix(" </information>")
        assert text == " ".join(whole.split()[:max_words]) + " ...", number
    assert episode.turns[0].hits[0][0].text == whole  # the record keeps what was found


@given(st.integers(150, 4000), st.sampled_from(["tags", "tool_call"]))
@settings(max_examples=60, deadline=None)
def test_an_observation_that_is_too_long_is_cut_in_all_its_passages_and_after_whole_words(limit, name):
    episode = start(QUESTION, EpisodeSpec(turn_format=name, max_observation_chars=limit))
    advance([episode], [Draft(SEARCHES[name])], Long())
    shown = episode.turns[0].observation
    assert limit - 60 <= len(shown) <= limit
    body = json.loads(shown.split("\n")[2])["result"] if name == "tool_call" else shown.strip()
    lines = [line.removesuffix(" </information>").split(") ", 1)[1] for line in body.splitlines()]
    whole = Long().search(["q"], 1)[0][0].text.split()
    assert len(lines) == 3
    for line in lines:
        assert line.endswith(" ...")
        words = line.removesuffix(" ...").split()
        assert words == whole[: len(words)]
    assert max(map(len, lines)) - min(map(len, lines)) <= 40


def test_short_passages_are_shown_whole_beside_one_that_is_cut():
    class Mixed(Long):
        def search(self, queries, k):
            long = super().search(queries, k)[0][0]
            return [[long, Hit("s", "Short", "Three short words", 0.5)] for _ in queries]

    episode = start(QUESTION, EpisodeSpec(max_observation_chars=300))
    advance([episode], [Draft(SEARCHES["tags"])], Mixed())
    assert episode.turns[0].observation.endswith(" ...\n[2] (Title: Short) Three short words </information>\n")


@pytest.mark.parametrize("bad", [0, -2, True, 1.5, "60"])
def test_a_limit_of_words_that_cannot_be_is_refused(bad):
    with pytest.raises(BerrypickError, match="max_passage_words must be a whole number of at least 1"):
        EpisodeSpec(max_passage_words=bad)
