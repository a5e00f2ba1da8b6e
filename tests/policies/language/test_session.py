"""Rollouts of a language model: token in, token out, the training forward's numbers, one row's business only."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from berrypick.envs.episode import Episode
from berrypick.envs.formats.turn_format import Search
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.envs.tasks.registry import Task
from berrypick.policies.language.batches import TokenRows, log_probs_of, micro_batches
from berrypick.policies.language.encoding import encode, encode_episode, encode_prompt
from berrypick.policies.language.model import LanguageModelPolicy, load_language_model
from berrypick.policies.language.session import LanguageModelSession
from berrypick.policies.language.vllm_engine import VllmPolicy, VllmSession
from berrypick.policies.objectives import get_objective
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import SEARCH_FAILED, WINDOW_FULL, rollout
from berrypick.policies.scripted import scripted_policy
from berrypick.policies.training.group_metrics import group_metrics
from berrypick.policies.training.rl import RlConfig, rl_optimizer, rl_update
from berrypick.retrieval_index.errors import BerrypickError, SearchUnavailableError
from berrypick.retrieval_index.searcher import Hit
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

MakeBabbler = Callable[..., LanguageModelPolicy]
SAMPLING = Sampling(max_new_tokens=12)
RL = RlConfig(group_size=2, max_new_tokens=12)


class Watched:
    """A policy that keeps the sessions it opens."""

    exact_tokens = True

    def __init__(self, policy: LanguageModelPolicy | VllmPolicy) -> None:
        self.policy, self.policy_id, self.sessions = policy, policy.policy_id, list[Any]()

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> LanguageModelSession | VllmSession:
        self.sessions.append(self.policy.start(questions, spec, seeds, sampling))
        return self.sessions[-1]

    def complete(self, episodes: Sequence[Episode]) -> None:
        if isinstance(self.policy, VllmPolicy):
            self.policy.complete(episodes)


def play(policy: LanguageModelPolicy | Watched, task: Task, questions: int = 6, samples: int = 4, **options: object):
    options = {"sampling": SAMPLING, "seed": 3, **options}
    groups = rollout(policy, task.split("train")[:questions], task.spec, task.searcher, num_samples=samples, **options)
    return [episode for group in groups for episode in group]


def tokens_of(episode: Episode) -> list[int]:
    return [token for turn in episode.turns for token in turn.draft.tokens.ids.tolist()]


@pytest.fixture(scope="module", params=["in process", "vllm"])
def policy(make_babbler: MakeBabbler, request: pytest.FixtureRequest) -> LanguageModelPolicy | VllmPolicy:
    """Both back ends keep one contract; vLLM is its stand-in here.

    In float64: kernels add in another order in another batch, and in float32 the last bit of a logit, which differs
    between processors, could then decide about a token.
    """
    if request.param == "in process":
        return make_babbler(dtype=torch.float64)
    request.getfixturevalue("stand_in_vllm")
    return VllmPolicy(make_babbler(dtype=torch.float64))


@pytest.fixture(scope="module")
def babbling(make_babbler: MakeBabbler) -> LanguageModelPolicy:
    return make_babbler(dtype=torch.float64)


@pytest.fixture(scope="module")
def episodes(policy: LanguageModelPolicy, world: Task) -> list[Episode]:
    return play(policy, world)


def assert_training_forward_agrees(policy: LanguageModelPolicy | VllmPolicy, episodes: Sequence[Episode]) -> None:
    policy = getattr(policy, "weights", policy)
    encoded = [encode_episode(policy.tokenizer, episode) for episode in episodes]
    data = TokenRows([ids for ids, _ in encoded], [mask for _, mask in encoded])
    for batch in micro_batches(data, 2000):
        with torch.no_grad():
            log_probs, entropies = log_probs_of(policy.model, batch)
        turns = [turn.draft.tokens for row in batch.rows for turn in episodes[row].turns]
        np.testing.assert_allclose(np.concatenate([t.log_probs for t in turns]), log_probs, atol=1e-4)
        np.testing.assert_allclose(np.concatenate([t.entropies for t in turns]), entropies, atol=1e-4)


def test_the_babbler_ends_turns_in_every_way_and_episodes_at_different_times(episodes: list[Episode]) -> None:
    stops = {turn.draft.stopped_by for episode in episodes for turn in episode.turns}
    assert stops == {"tag", "eos", "length"}
    assert len({len(episode.turns) for episode in episodes}) > 2
    assert any(episode.queries for episode in episodes)


def test_log_probs_and_entropies_equal_the_training_forward(
    policy: LanguageModelPolicy, episodes: list[Episode]
) -> None:
    assert_training_forward_agrees(policy, episodes)


@pytest.mark.slow
def test_log_probs_of_a_pretrained_model_equal_the_training_forward(
    shared_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from berrypick.envs.tasks.registry import make_task

    pretrained = load_language_model("smollm2")
    assert capfd.readouterr().err == ""  # reading GGUF draws no progress bar
    task = make_task("berrypick/HotpotQA-v0", data=str(shared_data / "hotpotqa"), max_turns=3, top_k=1)
    groups = rollout(
        pretrained,
        list(next(iter(task.questions.values())))[:2],
        task.spec,
        task.searcher,
        num_samples=2,
        sampling=Sampling(max_new_tokens=24),
        seed=0,
    )
    assert_training_forward_agrees(pretrained, [episode for group in groups for episode in group])


@pytest.mark.parametrize("max_rows", [1, 5, 512])
def test_a_rollout_does_not_depend_on_its_batch_mates(
    policy: LanguageModelPolicy, world: Task, episodes: list[Episode], max_rows: int
) -> None:
    again = play(policy, world, max_rows=max_rows)
    assert [tokens_of(episode) for episode in again] == [tokens_of(episode) for episode in episodes]


def test_a_rollout_does_not_depend_on_the_order_or_number_of_questions(
    policy: LanguageModelPolicy, world: Task, episodes: list[Episode]
) -> None:
    questions = [world.split("train")[i] for i in (4, 1)]
    groups = rollout(policy, questions, world.spec, world.searcher, num_samples=2, sampling=SAMPLING, seed=3)
    got = [[tokens_of(episode) for episode in group] for group in groups]
    assert got == [[tokens_of(episodes[i * 4 + j]) for j in range(2)] for i in (4, 1)]


@pytest.mark.slow
def test_rows_that_share_contexts_draw_what_each_draws_alone(
    policy: LanguageModelPolicy | VllmPolicy, world: Task
) -> None:
    sampling = dataclasses.replace(SAMPLING, temperature=0.4)
    together = play(policy, world, samples=12, sampling=sampling)
    alone = play(policy, world, samples=12, sampling=sampling, max_rows=1)
    assert [tokens_of(episode) for episode in together] == [tokens_of(episode) for episode in alone]
    assert_training_forward_agrees(policy, together)
    first = [tuple(episode.turns[0].draft.tokens.ids.tolist()) for episode in together]
    assert len(set(first)) < len(first)  # some wrote the same turn
    assert len({turn[:2] for turn in first}) < len(set(first))  # and some parted within one


@given(
    rows=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=10),
    turns=st.lists(st.tuples(st.sets(st.integers(0, 9)), st.sampled_from(["", "ab", "a b c"])), min_size=1, max_size=3),
    temperature=st.sampled_from([0.0, 0.3, 1.0]),
)
@example([(0, 3), (0, 3), (0, 0), (0, 1), (0, 2)], [(set(), "")], 1.0)
@settings(max_examples=40, deadline=None)
@pytest.mark.slow
def test_a_row_writes_what_it_writes_alone_whatever_stands_beside_it(
    babbling: LanguageModelPolicy,
    world: Task,
    rows: list[tuple[int, int]],
    turns: list[tuple[set[int], str]],
    temperature: float,
) -> None:
    """Rows of one question and seed stay identical; some pause while others write, and then catch up."""

    def written(rows: Sequence[tuple[int, int]], turns: Sequence[tuple[set[int], str]]) -> list[list[int]]:
        questions = [world.split("train")[question] for question, _ in rows]
        sampling = dataclasses.replace(SAMPLING, temperature=temperature)
        session = babbling.start(questions, world.spec, [seed for _, seed in rows], sampling)
        for resting, text in turns:
            going = [row for row in range(len(rows)) if row not in resting]
            if going:
                session.act(going)
                session.observe(going, [text] * len(going))
        return [session.token_ids(row)[0].tolist() for row in range(len(rows))]

    alone = [
        written([row], [({0} if at in resting else set(), text) for resting, text in turns])
        for at, row in enumerate(rows)
    ]
    assert written(rows, turns) == [tokens for (tokens,) in alone]


def test_a_context_that_several_rows_share_is_computed_once(make_babbler: MakeBabbler, world: Task) -> None:
    policy = make_babbler()
    widths: list[int] = []
    policy.model.get_input_embeddings().register_forward_hook(lambda _, ids, __: widths.append(len(ids[0])))
    greedy = play(policy, world, questions=2, samples=8, sampling=dataclasses.replace(SAMPLING, temperature=0.0))
    assert len(greedy) == 16
    assert max(widths) == 2


def test_another_seed_gives_other_rollouts(policy: LanguageModelPolicy, world: Task, episodes: list[Episode]) -> None:
    again = play(policy, world, seed=4)
    assert all(tokens_of(a) != tokens_of(b) for a, b in zip(again, episodes))


def test_a_session_holds_what_encode_episode_rebuilds(
    tokenizer: PreTrainedTokenizerFast, policy: LanguageModelPolicy, world: Task, episodes: list[Episode]
) -> None:
    watched = Watched(policy)
    play(watched, world)
    (session,) = watched.sessions
    for row, episode in enumerate(episodes):
        for built, rebuilt in zip(session.token_ids(row), encode_episode(tokenizer, episode), strict=True):
            np.testing.assert_array_equal(built, rebuilt)


def test_the_mask_covers_the_sampled_tokens_and_nothing_else(
    tokenizer: PreTrainedTokenizerFast, episodes: list[Episode]
) -> None:
    for episode in episodes:
        ids, mask = encode_episode(tokenizer, episode)
        assert ids[mask].tolist() == tokens_of(episode)
        others = encode_prompt(tokenizer, episode.question, episode.spec)
        for turn in episode.turns[:-1]:
            others = others + encode(tokenizer, turn.observation)
        assert ids[~mask].tolist() == others


def test_sampled_tokens_are_kept_although_their_text_would_be_encoded_otherwise(
    tokenizer: PreTrainedTokenizerFast, episodes: list[Episode]
) -> None:
    turns = [turn.draft for episode in episodes for turn in episode.turns]
    assert any(encode(tokenizer, draft.text) != draft.tokens.ids.tolist() for draft in turns)


def test_char_starts_locate_each_token_in_the_text(tokenizer: PreTrainedTokenizerFast, episodes: list[Episode]) -> None:
    checked = 0
    for draft in (turn.draft for episode in episodes for turn in episode.turns):
        starts = draft.tokens.char_starts.tolist()
        assert starts == sorted(starts)
        assert starts[0] == 0
        pieces = tokenizer.convert_ids_to_tokens(draft.tokens.ids.tolist())
        for start, end, piece in zip(starts, [*starts[1:], len(draft.text)], pieces):
            if not piece.startswith("<0x") and piece != tokenizer.eos_token:
                assert draft.text[start:end].endswith(piece)
                checked += draft.text[start:end] == piece
    assert checked > 100


def test_a_stop_tag_is_the_last_thing_a_turn_says(episodes: list[Episode]) -> None:
    for draft in (turn.draft for episode in episodes for turn in episode.turns):
        tagged = [tag for tag in ("</search>", "</answer>") if tag in draft.text]
        assert bool(tagged) == (draft.stopped_by == "tag")
        assert not tagged or draft.text.endswith(tuple(tagged))


def test_a_turn_ends_at_its_token_limit(episodes: list[Episode]) -> None:
    for draft in (turn.draft for episode in episodes for turn in episode.turns):
        assert len(draft.tokens.ids) <= SAMPLING.max_new_tokens
        assert (draft.stopped_by == "length") <= (len(draft.tokens.ids) == SAMPLING.max_new_tokens)


@pytest.mark.parametrize("back_end", ["in process", "vllm"])
def test_contexts_never_outgrow_the_window_and_such_episodes_end(
    make_babbler: MakeBabbler, world: Task, stand_in_vllm: ModuleType, back_end: str
) -> None:
    narrow = make_babbler(window=48) if back_end == "in process" else VllmPolicy(make_babbler(window=48))
    watched = Watched(narrow)
    ended = play(watched, world)
    assert all(episode.done for episode in ended)
    written = [np.flatnonzero(watched.sessions[0].token_ids(row)[1]) for row in range(len(ended))]
    assert max(at[-1] for at in written if len(at)) < 48
    full = [episode for episode in ended if episode.turns[-1].error == WINDOW_FULL]
    assert full
    assert all(episode.truncated and not len(episode.turns[-1].draft.tokens.ids) for episode in full)
    assert group_metrics([ended])["env/window_full"] == len(full) / len(ended)
    assert_training_forward_agrees(narrow, ended)


def test_a_prompt_without_room_for_a_turn_is_refused(make_babbler: MakeBabbler, world: Task) -> None:
    with pytest.raises(BerrypickError, match=r"exceeds the window of 20 .*shorten"):
        play(make_babbler(window=20), world)


def test_one_prompt_without_room_for_a_turn_ends_its_own_episode_and_is_counted(
    make_babbler: MakeBabbler, world: Task
) -> None:
    policy = make_babbler(window=64, dtype=torch.float64)
    short, long = world.split("train")[:2]
    questions = [short, dataclasses.replace(long, text=" ".join(["of"] * 60))]
    groups = rollout(policy, questions, world.spec, world.searcher, num_samples=2, sampling=SAMPLING, seed=0)
    for episode in groups[1]:
        assert episode.truncated
        assert [turn.error for turn in episode.turns] == [WINDOW_FULL]
    alone = rollout(policy, [short], world.spec, world.searcher, num_samples=2, sampling=SAMPLING, seed=0)
    assert [tokens_of(a) for a in groups[0]] == [tokens_of(b) for b in alone[0]]
    assert group_metrics(groups[1:])["env/window_full"] == 1
    groups[0][0].reward = 1.0
    metrics = rl_update(policy, rl_optimizer(policy, RL), groups, get_objective("grpo"), RL)
    assert metrics["rl/policy_tokens"] == sum(len(tokens_of(episode)) for episode in groups[0])


def test_a_question_that_stands_twice_is_refused(policy: LanguageModelPolicy, world: Task) -> None:
    question = world.split("train")[0]
    with pytest.raises(BerrypickError, match="occurs twice"):
        rollout(policy, [question] * 2, world.spec, world.searcher, num_samples=1, sampling=SAMPLING, seed=0)


def test_a_model_that_returns_nan_is_named(make_babbler: MakeBabbler, world: Task) -> None:
    broken = make_babbler()
    with torch.no_grad():
        broken.model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(BerrypickError, match="non-finite"):
        play(broken, world, questions=1, samples=1)


class Failing:
    """Fails for queries with a certain letter; so does a batch that holds one."""

    index_id = "failing"

    def __init__(self, letter: str, failure: Exception | None = None) -> None:
        self.letter, self.failure = letter, failure or ConnectionError("no route")

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        if any(self.letter in query for query in queries):
            raise self.failure
        return [[Hit("p", "", "text", 1.0)] for _ in queries]

    def close(self) -> None:
        """Holds nothing."""


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionError("no route"),
        ValueError("no route"),
        json.JSONDecodeError("no route", "", 0),
        UnicodeDecodeError("utf-8", b"", 0, 1, "no route"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_search_that_fails_ends_its_own_episode_and_is_counted(world: Task, failure: Exception) -> None:
    name = world.split("train")[1].metadata["world"]["entities"][0]
    groups = rollout(
        scripted_policy("random_order"),
        world.split("train")[:4],
        world.spec,
        Failing(name, failure),
        num_samples=4,
        sampling=Sampling(),
        seed=0,
    )
    flat = [episode for group in groups for episode in group]
    failed = [episode for episode in flat if str(episode.turns[-1].error).startswith(SEARCH_FAILED)]
    assert len(failed) == 4
    for episode in flat:
        asked = [turn.action.queries[0] for turn in episode.turns if isinstance(turn.action, Search)]
        assert episode.done
        assert (episode in failed) == any(name in query for query in asked)
    assert all(episode.truncated and "no route" in episode.turns[-1].error for episode in failed)
    assert group_metrics(groups)["search/failed"] == len(failed) / 16


def test_what_fails_after_the_search_is_not_put_on_the_searcher(world: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> Callable[[object], float]:
        raise ValueError("no such reward")

    monkeypatch.setattr("berrypick.envs.episode.parse_reward", broken)
    with pytest.raises(ValueError, match="no such reward"):
        play(scripted_policy("random_order"), world)


def test_a_searcher_that_always_fails_stops_the_rollout(world: Task) -> None:
    with pytest.raises(BerrypickError, match=r"every query of a rollout failed .*no route.* repair"):
        rollout(
            scripted_policy("best_order"),
            world.split("train")[:2],
            world.spec,
            Failing(""),
            num_samples=1,
            sampling=Sampling(),
            seed=0,
        )


def test_a_searcher_that_is_gone_is_not_waited_for_once_an_episode(world: Task) -> None:
    class Gone(Failing):
        calls = 0

        def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
            self.calls += 1
            if self.calls > 1:
                raise SearchUnavailableError("no server; start it")
            return super().search(queries, k)

    gone = Gone("?")
    groups = rollout(
        scripted_policy("best_order"),
        world.split("train")[:4],
        world.spec,
        gone,
        num_samples=1,
        sampling=Sampling(),
        seed=0,
    )
    assert gone.calls == 2
    assert all(episode.truncated for (episode,) in groups)
