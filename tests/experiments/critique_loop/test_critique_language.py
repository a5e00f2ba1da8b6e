"""The critique loop with language models: what is demonstrated and what a comment says, and cells end to end."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from berrypick.envs.tasks.registry import make_task
from berrypick.envs.world.facts import WorldFacts
from berrypick.experiments.critique_loop import EXPERIMENT, PLAIN
from berrypick.experiments.grid.commented import commented_demonstrations
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.critique_language import CRITIQUE_LANGUAGE_MEASURES
from berrypick.experiments.grid.experiment import Results
from berrypick.experiments.runs import recipes
from berrypick.policies.language.encoding import encode
from berrypick.policies.language.tiny import tiny_tokenizer
from berrypick.policies.training.critique import CRITICS, leaks, void_kinds
from berrypick.retrieval_index.errors import BerrypickError

PLACE = Condition.of(PLAIN)


@pytest.fixture(scope="module")
def demonstrations():
    task = make_task("berrypick/World-v0", **PLACE.env_args(5, 300))
    return commented_demonstrations(task, PLACE.start, 0)


def split_comment(episode):
    question, _, comment = episode.question.text.partition("\n")
    return question, comment


def named_in(comment, relations, kinds):
    """[hop] -> kinds that a comment names, read word by word."""
    found = [set() for _ in relations]
    for part in filter(None, comment.split(". ")):
        words = part.rstrip(".").split()
        found[relations.index(words[0])] = set(words[4:])
        assert words[1:4] == ["is", "lost", "in"] and set(words[4:]) <= set(kinds)
    return found


def test_a_comment_names_what_the_failed_episode_searched_and_no_answer(demonstrations):
    first, seen = demonstrations[:300], 0
    for episode in first:
        comment, facts = CRITICS["void_records"](episode), WorldFacts.required(episode.question, "a test")
        assert not leaks(comment, episode)
        if comment == "unknown":
            assert not any(void_kinds(episode))
            continue
        seen += 1
        for hop, kinds in enumerate(named_in(comment, list(facts.relations), facts.kinds)):
            for kind in kinds:
                at = facts.kinds.index(kind)
                assert at not in facts.present[hop] and facts.passages[hop][at] in episode.shown_ids
    assert seen > 100


def test_every_word_of_a_comment_is_a_word_of_the_tiny_vocabulary(demonstrations):
    tokenizer = tiny_tokenizer()
    for episode in demonstrations[300:400]:
        _, comment = split_comment(episode)
        pieces = tokenizer.convert_ids_to_tokens(encode(tokenizer, f"\n{comment}"))
        assert not [piece for piece in pieces if piece.startswith("<0x")]


def test_nine_demonstrated_retries_of_ten_avoid_named_kinds_and_others_are_drawn_as_ever(demonstrations):
    first, retries = demonstrations[:300], demonstrations[300:]
    assert len(retries) == sum(not episode.correct for episode in first)
    again = [0, 0]
    silent = sum(split_comment(episode)[1] == "unknown" for episode in retries)
    for episode in retries:
        question, comment = split_comment(episode)
        facts = WorldFacts.required(episode.question, "a test")
        assert question.endswith("?") and comment
        if comment != "unknown":
            named = named_in(comment, list(facts.relations), facts.kinds)
            if named[0] and episode.queries:
                again[episode.queries[0].split()[0] in named[0]] += 1
    assert 0.8 < again[0] / sum(again) < 1 and sum(again) > 80
    assert 0.2 < silent / len(retries) < 0.5


@pytest.mark.slow
def test_cells_train_in_rounds_from_one_base_and_are_bit_identical(tmp_path, monkeypatch):
    monkeypatch.setitem(recipes.WORLD_DEMONSTRATIONS, "num_train", 64)
    grid = replace(
        EXPERIMENT.language, questions=4, attempts=1, rounds=1, base_steps=3, round_steps=2, label_rollouts=1,
        samples=2, least=0.0,
    )  # fmt: skip
    cells = grid.cells(1)
    assert [cell.config["arm"] for cell in cells] == list(grid.arms)
    cells = cells[-1:]

    def run(cell, folder, grid=grid):
        work = tmp_path / folder / "work" / cell.key
        work.mkdir(parents=True, exist_ok=True)
        return grid.run(cell, work)

    results = [run(cell, "a") for cell in cells]
    for found in results:
        assert list(found["checkpoints"]) == ["0", "1"]
        assert set(found["checkpoints"]["1"]) == set(CRITIQUE_LANGUAGE_MEASURES)
        assert found["checkpoints"]["0"] == results[0]["checkpoints"]["0"]
    assert json.dumps(run(cells[0], "b")) == json.dumps(results[0])
    with pytest.raises(BerrypickError, match=r"the base answers 0\.000 of .* raise CritiqueGrid\.base_steps of the"):
        run(cells[0], "a", replace(grid, least=0.2))


def test_claims_about_language_models_are_judged_from_eight_worlds():
    cells = [cell for cell in EXPERIMENT.cells("full", 24) if cell.config["policy"] != "tabular"]
    assert len(cells) == 4 * 8

    def made_up(arm, seed):
        share = {"critique": 0.15, "shuffled": 0.145}.get(arm, 0.05) + 0.001 * (seed % 3) * (arm == "critique")
        values = {
            **dict.fromkeys(CRITIQUE_LANGUAGE_MEASURES, 0.2),
            "hard_share": share,
            "test_gain": 0.1 + 0.001 * seed,
        }
        return {"checkpoints": {"0": {"pass@1": 0.2}, "1": values}}

    done = {cell.key: made_up(cell.config["arm"], cell.config["seed"]) for cell in cells}
    report = EXPERIMENT.report(Results(done=done), "full", 24)
    verdicts = {row["claim"]["id"]: row["verdict"] for row in report["verdicts"]}
    assert [verdicts[f"lm-{name}"] for name in ("share", "shuffled", "test")] == [
        "supported", "contradicted", "supported",
    ]  # fmt: skip
    row = report["language_model"][PLAIN]["critique"]
    assert len(row["worlds"]) == 8 and row["measures"]["hard_share"]["value"] == pytest.approx(0.1509, abs=1e-4)
    assert set(verdicts.values()) == {"supported", "contradicted", "inconclusive"}
