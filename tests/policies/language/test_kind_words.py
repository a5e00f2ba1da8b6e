"""Kind probabilities read from logits are those that the kinds were sampled from."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from berrypick import BerrypickError
from berrypick.envs.tasks.registry import make_task
from berrypick.envs.world.closed_voice import KINDS, query_format
from berrypick.envs.world.facts import WorldFacts
from berrypick.policies.language.encoding import encode, encode_prompt
from berrypick.policies.language.kind_words import kind_tokens, read_kinds
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.policies.tabular.histories import State
from fixtures.demonstrations import demonstrate


@pytest.fixture(scope="module")
def searcher(make_babbler):
    """A babbler that often writes kind words, with different probabilities in different contexts."""
    policy = make_babbler()
    bias = torch.zeros(len(policy.tokenizer))
    bias[kind_tokens(policy.tokenizer, KINDS[:3])] = 6.0
    policy.model.lm_head.register_forward_hook(lambda module, args, logits: logits + bias)
    return policy


@pytest.fixture(scope="module")
def played(searcher, world):
    groups = rollout(
        searcher,
        world.split("test"),
        replace(world.spec, max_turns=1),
        world.searcher,
        num_samples=600,
        sampling=Sampling(max_new_tokens=24),
        seed=3,
    )
    return [episode for group in groups for episode in group]


@pytest.fixture(scope="module")
def demonstrated(world):
    """Episodes that execute every query right, so that all depths of the tree are read."""
    groups = demonstrate(world, samples=6)
    return [episode for group in groups for episode in group]


def test_every_kind_word_is_one_token_after_a_space(tokenizer):
    tokens = kind_tokens(tokenizer, KINDS)
    assert [tokenizer.decode([token]) for token in tokens] == [f" {kind}" for kind in KINDS]
    with pytest.raises(BerrypickError, match="almanacs has several; use the tiny policy"):
        kind_tokens(tokenizer, ["ledger", "almanacs"])


def test_sampled_kinds_are_as_frequent_as_the_probabilities_that_were_read(searcher, played, tokenizer):
    readings = read_kinds(searcher, played)
    tokens = kind_tokens(tokenizer, KINDS[:3])
    firsts = []  # the sampled token at which each reading was taken
    for episode in played:
        turn = episode.turns[0]
        if type(turn.action).__name__ == "Search" and turn.error is None:
            at = turn.draft.text.rindex("<search>", 0, turn.action.spans[0][0]) + len("<search>")
            firsts.append(int(turn.draft.tokens.ids[np.searchsorted(turn.draft.tokens.char_starts, at)]))
    roots = [reading for reading in readings if not reading.state.history]
    assert len(roots) == len(firsts) > 200
    assert len({tuple(reading.masses) for reading in roots}) > 20  # contexts differ, and so do their probabilities
    drawn = [(reading.chances, tokens.index(first)) for reading, first in zip(roots, firsts) if first in tokens]
    for kind in range(3):
        chances = np.array([chance[kind] for chance, _ in drawn])
        sampled = np.array([drawn_kind == kind for _, drawn_kind in drawn])
        assert sampled.sum() > 20
        # each draw minus its probability has mean 0, also where it is weighted by that probability
        for weight in (np.ones_like(chances), chances):
            deviation = np.sqrt((weight**2 * chances * (1 - chances)).sum())
            assert abs((weight * (sampled - chances)).sum()) < 2.5 * deviation
    # probabilities of another context would not pass
    shifted = np.roll([chance[0] for chance, _ in drawn], 1)
    errors = [np.square([kind == 0 for _, kind in drawn] - said).sum() for said in (chances_of(drawn), shifted)]
    assert errors[0] < errors[1]


def chances_of(drawn):
    return np.array([chance[0] for chance, _ in drawn])


def test_a_context_read_by_hand_has_the_softmax_of_its_logits(searcher, demonstrated, tokenizer):
    readings = read_kinds(searcher, demonstrated)
    episode = next(episode for episode in demonstrated if len(episode.queries) == 3)
    mine = read_kinds(searcher, [episode])
    assert [reading.kind for reading in mine] == [KINDS.index(query.split()[0]) for query in episode.queries]
    ids = encode_prompt(tokenizer, episode.question, episode.spec)
    for turn, reading in zip(episode.turns, mine):
        text = turn.draft.text
        context = ids + encode(tokenizer, text[: text.index("<search>") + len("<search>")])
        logits = searcher.model(torch.tensor([context])).logits[0, -1].double()
        expected = logits.softmax(-1)[kind_tokens(tokenizer, KINDS[:3])]
        assert reading.masses == pytest.approx(expected.detach().numpy(), rel=1e-4)
        ids += encode(tokenizer, text) + encode(tokenizer, turn.observation)
    # and it does not matter which episodes share a forward, or how large it is
    at = [reading for reading in readings if reading.question == episode.question.id and reading.state == mine[2].state]
    assert any(reading.masses == pytest.approx(mine[2].masses, rel=1e-4) for reading in at)
    narrow = read_kinds(searcher, demonstrated, max_tokens=1)
    for wide, one in zip(readings, narrow, strict=True):
        assert wide.masses == pytest.approx(one.masses, rel=1e-4)


def test_states_are_the_hits_and_misses_of_the_episode(searcher, demonstrated):
    for episode in demonstrated:
        world = WorldFacts.required(episode.question, "a test")
        state, expected = State(world.cue), []
        for query in episode.queries:
            expected.append(state)
            kind = KINDS.index(query.split()[0])
            state = state.after(kind, hit=kind in world.present[state.hop])
        assert [reading.state for reading in read_kinds(searcher, [episode])] == expected


def test_an_episode_is_read_up_to_its_first_wrong_query(searcher, demonstrated):
    episode = next(episode for episode in demonstrated if len(episode.queries) == 3)
    turn = episode.turns[1]
    wrong = replace(turn, hits=((replace(turn.hits[0][0], id="another passage"),),))
    changed = type(episode)(episode.question, episode.spec, [episode.turns[0], wrong, *episode.turns[2:]])
    assert len(read_kinds(searcher, [changed])) == 2
    assert read_kinds(searcher, []) == []


def test_turns_that_are_not_in_tags_are_refused(searcher, demonstrated):
    episode = demonstrated[0]
    other = type(episode)(episode.question, replace(episode.spec, turn_format="search_r1"), episode.turns)
    with pytest.raises(BerrypickError, match="turn_format"):
        read_kinds(searcher, [other])


# Worlds with several query formats


@pytest.fixture(scope="module")
def formats():
    return make_task(
        "berrypick/World-v0", num_train=12, num_validation=0, num_test=4, query_formats="0.34,0.33,0.33", aliases=True
    )


def test_a_kind_is_read_where_the_query_has_it(searcher, formats, tokenizer):
    episodes = [episode for group in demonstrate(formats, samples=6) for episode in group]
    seen = set()
    for episode in episodes:
        mine = read_kinds(searcher, [episode])
        named = [next(KINDS.index(word) for word in query.split() if word in KINDS) for query in episode.queries]
        assert [reading.kind for reading in mine] == named
        turn, reading = episode.turns[0], mine[0]
        kind = KINDS[named[0]]
        text = turn.draft.text
        place = text.index(f" {kind}", text.index("<search>"))
        context = encode_prompt(tokenizer, episode.question, episode.spec) + encode(tokenizer, text[:place])
        chances = searcher.model(torch.tensor([context])).logits[0, -1].double().softmax(-1)
        expected = chances[kind_tokens(tokenizer, KINDS[:3])].detach().numpy()
        assert reading.masses == pytest.approx(expected, rel=1e-4)
        seen.add(query_format(episode.queries[0]))
    assert seen == {0, 1, 2}


@pytest.mark.slow
def test_a_query_that_begins_with_its_kind_is_read_as_in_a_world_of_one_format(searcher, demonstrated, played):
    # after two spaces the first token is a space, and the kind comes after it
    plain = [episode for episode in played if episode.queries and "<search>  " not in episode.turns[0].draft.text]
    begins = [episode for episode in plain if (read := read_kinds(searcher, [episode])) and read[0].kind is not None]
    assert len(begins) > 20
    for episode in [*demonstrated, *begins]:
        world = {**episode.question.metadata["world"], "query_formats": [0.5, 0.5]}
        question = replace(episode.question, metadata={**episode.question.metadata, "world": world})
        again = read_kinds(searcher, [type(episode)(question, episode.spec, episode.turns)])
        for old, new in zip(read_kinds(searcher, [episode]), again, strict=True):
            assert (old.state, old.kind, old.masses.tobytes()) == (new.state, new.kind, new.masses.tobytes())


@pytest.fixture(scope="module")
def closer(make_babbler):
    """The same babbler, which closes a query after its first kind: what follows a kind then selects no kind."""
    policy = make_babbler()
    kinds = kind_tokens(policy.tokenizer, KINDS[:3])
    bias = torch.zeros(len(policy.tokenizer))
    bias[kinds] = 6.0
    close = torch.zeros(len(policy.tokenizer))
    close[encode(policy.tokenizer, " </search>")] = 1000.0
    seen = []

    def remember(module, args):
        seen[:] = [args[0]]

    def favour(module, args, logits):
        (ids,) = seen
        if ids.shape[1] > 1:  # a prompt, or reading
            return logits + bias
        after_kind = torch.isin(ids, torch.tensor(kinds)).to(logits.dtype)  # [rows, 1]
        return logits + bias + (after_kind[..., None] if logits.dim() == 3 else after_kind) * close

    policy.model.model.embed_tokens.register_forward_pre_hook(remember)
    policy.model.lm_head.register_forward_hook(favour)
    return policy


@pytest.mark.slow
def test_sampled_kinds_at_any_place_are_as_frequent_as_what_was_read(closer, formats):
    groups = rollout(
        closer,
        formats.split("test"),
        replace(formats.spec, max_turns=1),
        formats.searcher,
        num_samples=600,
        sampling=Sampling(max_new_tokens=24),
        seed=3,
    )
    episodes = [episode for group in groups for episode in group if episode.queries]
    places, drawn = set(), []
    for episode in episodes:
        found = read_kinds(closer, [episode])
        turn = episode.turns[0]
        start, end = turn.action.spans[0]
        query = turn.draft.text[turn.draft.text.rindex("<search>", 0, start) : end]
        word = re.search(rf" ({'|'.join(KINDS[:3])})\b", query)
        assert bool(found) == bool(word)
        if word:
            places.add(query[: word.start()].count(" "))
            drawn.append((found[0].chances, KINDS.index(word[1])))
    assert len(drawn) > 200 and len(places) > 2
    for kind in range(3):
        chances = np.array([chance[kind] for chance, _ in drawn])
        sampled = np.array([name == kind for _, name in drawn])
        assert sampled.sum() > 20
        for weight in (np.ones_like(chances), chances):
            deviation = np.sqrt((weight**2 * chances * (1 - chances)).sum())
            assert abs((weight * (sampled - chances)).sum()) < 2.5 * deviation
