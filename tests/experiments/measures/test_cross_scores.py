"""`berrypick report --policy`: what first turns tell of their question."""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, write_records
from berrypick.envs.recording import record_of
from berrypick.envs.tasks.registry import make_task
from berrypick.experiments.measures.cross_scores import FirstTurns, add_question_information
from berrypick.experiments.measures.rollout import Rollout, rollouts_of
from berrypick.experiments.measures.summary import summarize
from fixtures.demonstrations import demonstrate

WORLD = {"num_train": 6, "num_validation": 0, "num_test": 0, "index": "bm25s"}


@pytest.fixture(scope="module")
def played() -> list[EpisodeRecord]:
    groups = demonstrate(make_task("berrypick/World-v0", **WORLD), samples=3)
    return [record_of(episode, sample_index=n, seed=0) for group in groups for n, episode in enumerate(group)]


@pytest.fixture(scope="module")
def policy():
    from berrypick.policies.language import load_language_model

    return load_language_model("tiny")


def scored(records: list[EpisodeRecord], policy, **options) -> list[Rollout]:
    turns, rollouts = FirstTurns(), rollouts_of(records)
    assert list(turns.watch(records)) == records
    add_question_information([(rollouts, turns)], policy, **options)
    return rollouts


def test_the_values_are_those_of_the_training_forward(played: list[EpisodeRecord], policy) -> None:
    """Independently: whole episodes whose question is exchanged, through `score_again`."""
    from berrypick.experiments.measures.score_again import score_again

    rollouts = scored(played, policy)
    questions = list({record.question.id: record.question for record in played}.values())
    for record, rollout in zip(played, rollouts, strict=True):
        if record.sample_index >= 2:
            assert rollout.query_information is None  # two turns of a question are scored
            continue
        others = [record.model_copy(update={"question": question}) for question in questions]
        sums = [sum(other.turns[0].tokens.log_probs) for other in score_again(others, policy)]
        own = questions.index(record.question)
        assert rollout.query_information == pytest.approx(sums[own] - np.log(np.mean(np.exp(sums))), abs=1e-4)
        assert rollout.question_identified == float(sums[own] == max(sums))


def test_the_same_turn_for_every_question_tells_nothing(played, policy) -> None:
    one = played[0].turns
    collapsed = [record.model_copy(update={"turns": one}) for record in played]
    value = summarize(scored(collapsed, policy))["measures"]["query_information"]
    assert value["value"] <= 1e-9  # the mean of logarithms is at most the logarithm of the mean
    assert value["n"] == 6


def test_questions_are_chosen_alike_in_any_order_and_bounded(played: list[EpisodeRecord]) -> None:
    def chosen(records: list[EpisodeRecord]) -> set[str]:
        turns = FirstTurns(most=3)
        list(turns.watch(records))
        return {group[0].question.id for group in turns.groups()}

    assert len(chosen(played)) == 3
    assert chosen(played) == chosen(played[::-1])
    twins = [r.model_copy(update={"question": r.question.model_copy(update={"text": "?"})}) for r in played]
    assert len(chosen(twins)) == 1, "questions with equal texts have equal prompts"


def test_few_tokens_use_fewer_questions(played: list[EpisodeRecord], policy) -> None:
    known = [rollout for rollout in scored(played, policy, most_tokens=1) if rollout.query_information is not None]
    assert len({rollout.question.id for rollout in known}) == 2


def test_report_shows_it_and_says_how_large_it_can_be(
    played: list[EpisodeRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "r.jsonl"
    write_records(file, played)
    assert main(["report", str(file), "--json"]) == 0
    arm = json.loads(capsys.readouterr().out)["arms"]["r.jsonl"]
    for key in ("query_information", "question_identified"):
        assert "berrypick report --policy" in arm["absent"][key] and key not in arm["measures"]
    assert main(["report", str(file), "--json", "--policy", "tiny"]) == 0
    arm = json.loads(capsys.readouterr().out)["arms"]["r.jsonl"]
    assert arm["measures"]["query_information"]["n"] == arm["measures"]["question_identified"]["n"] == 6
    assert main(["report", str(file), "--policy", "tiny"]) == 0
    assert "from 6 questions, at most log 6 = 1.79 nats" in " ".join(capsys.readouterr().out.split())


def test_an_arm_of_one_question_does_not_silence_the_others(played: list[EpisodeRecord], policy) -> None:
    alone = [record for record in played if record.question.id == played[0].question.id]
    arms = []
    for records in (played, alone):
        turns, rollouts = FirstTurns(), rollouts_of(records)
        list(turns.watch(records))
        arms.append((rollouts, turns))
    add_question_information(arms, policy)
    known = [
        {rollout.question.id for rollout in rollouts if rollout.query_information is not None} for rollouts, _ in arms
    ]
    assert (len(known[0]), len(known[1])) == (6, 0)


def test_a_single_question_tells_nothing(played: list[EpisodeRecord], policy) -> None:
    alone = [record for record in played if record.question.id == played[0].question.id]
    assert "query_information" in summarize(scored(alone, policy))["absent"]


def turns_of(*rollouts: tuple[str, int, int | None], action: str = "search", text: str = "<search> x </search>"):
    """Records of (question, sample, step) with two turns."""
    return [
        EpisodeRecord.model_validate(
            {
                "question": {"id": name, "text": f"who is {name}?", "answers": ["x"]}, "group_id": f"{name}-{step}",
                "sample_index": sample, "checkpoint_step": step,
                "turns": [
                    {"text": text, "action": action, "queries": ["x"], "hits": [[{"id": "p", "score": 1.0}]],
                     "observation": "shown"},
                    {"text": "<answer> y </answer>", "action": "answer"},
                ],
            }
        )
        for name, sample, step in rollouts
    ]  # fmt: skip


def kept(records: list[EpisodeRecord], **options: int) -> list[list[EpisodeRecord]]:
    turns = FirstTurns(**options)
    list(turns.watch(records))
    return turns.groups()


def test_the_questions_with_the_smallest_hashes_are_kept_with_two_turns_a_step() -> None:
    names = [f"q{n}" for n in range(40)]
    for options, seed, most in (({}, 0, 32), ({"seed": 7, "most": 3}, 7, 3), ({"most": 50}, 0, 40)):
        ranked = sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())
        for order in (names, names[::-1], ranked, ranked[::-1]):
            found = kept(turns_of(*((name, 0, None) for name in order)), **options)
            assert [group[0].question.id for group in found] == ranked[:most]
    (group,) = kept(turns_of(*(("q", sample, step) for step in (None, 10) for sample in range(3))))
    assert [(r.checkpoint_step, r.sample_index) for r in group] == [(None, 0), (None, 1), (10, 0), (10, 1)]
    (turn,) = group[0].turns
    assert (turn.text, turn.observation, turn.hits, turn.tokens) == ("<search> x </search>", "", [], None)


def test_only_first_turns_that_search_are_kept() -> None:
    assert kept(turns_of(("q", 0, None), action="answer")) == kept(turns_of(("q", 0, None), text="")) == []
    silent = turns_of(("q", 0, None))[0].model_copy(update={"turns": []})
    assert kept([silent]) == []


def test_questions_are_dropped_until_their_tokens_fit(played: list[EpisodeRecord], policy) -> None:
    from berrypick.experiments.measures.score_again import episode_to_score
    from berrypick.policies.language.episode_rows import rows_of

    groups = kept(played)
    rows = rows_of(policy, [episode_to_score(group[0]) for group in groups])
    length = float(np.mean([len(ids) for ids in rows.ids]))

    def used(most_tokens: float) -> int:
        rollouts = scored(played, policy, most_tokens=most_tokens)
        return len({rollout.question.id for rollout in rollouts if rollout.query_information is not None})

    # n questions with two turns each, every turn under all of them: 2 n^2 turns
    assert [used(2 * 16 * length), used(2 * 16 * length - 1)] == [4, 3]


def test_two_questions_are_enough(played: list[EpisodeRecord], policy) -> None:
    names = sorted({record.question.id for record in played})[:2]
    two = scored([record for record in played if record.question.id in names], policy)
    known = [rollout.question_identified for rollout in two if rollout.query_information is not None]
    assert len(known) == 4


def test_the_page_states_how_many_tokens_are_scored() -> None:
    most = inspect.signature(add_question_information).parameters["most_tokens"].default
    page = (Path(__file__).resolve().parents[3] / "docs" / "measures.md").read_text(encoding="utf-8")
    assert f"At most {most:,} tokens per arm are scored" in page


def test_turns_that_do_not_fit_under_every_question_are_left_out(
    played: list[EpisodeRecord], policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from berrypick.experiments.measures.score_again import episode_to_score
    from berrypick.policies.language.batches import used_length
    from berrypick.policies.language.episode_rows import rows_of

    def searching(record: EpisodeRecord, words: int) -> EpisodeRecord:
        turn = record.turns[0].model_copy(update={"text": f"<search>{' ledger' * words} </search>"})
        return record.model_copy(update={"turns": [turn]})

    played = [searching(record, 1 + at % 4) for at, record in enumerate(played)]
    longest = {}
    for group in kept(played):
        for record in group:
            asked = [record.model_copy(update={"question": other[0].question}) for other in kept(played)]
            masks = rows_of(policy, [episode_to_score(one) for one in asked]).masks
            longest[record.question.id, record.sample_index] = max(map(used_length, masks))
    lengths = sorted(set(longest.values()))
    assert len(lengths) > 1
    for window in (lengths[-1], lengths[-1] - 1, lengths[0] - 1):
        monkeypatch.setattr(type(policy), "window", property(lambda self, window=window: window))
        known = {(r.question.id, r.sample_index) for r in scored(played, policy) if r.query_information is not None}
        fit = {key for key, length in longest.items() if length <= window}
        assert known == (fit if len({name for name, _ in fit}) > 1 else set())


def test_all_arms_use_as_many_questions_as_the_smallest(played: list[EpisodeRecord], policy) -> None:
    names = [group[0].question.id for group in kept(played)][:2]
    arms = []
    for records in (played, [record for record in played if record.question.id in names]):
        turns, rollouts = FirstTurns(), rollouts_of(records)
        list(turns.watch(records))
        arms.append((rollouts, turns))
    add_question_information(arms, policy)
    for rollouts, _ in arms:
        assert {r.question.id for r in rollouts if r.query_information is not None} == set(names)


def test_one_turn_of_each_question_is_enough(played: list[EpisodeRecord], policy) -> None:
    known = [r for r in scored([r for r in played if r.sample_index == 0], policy) if r.query_information is not None]
    assert len(known) == 6 and len(kept(played[:1])) == 1
