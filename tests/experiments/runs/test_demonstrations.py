"""Demonstrations on a corpus: filtered and counted, narrow and diverse ones of the same questions, or from a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.envs.record import read_records
from berrypick.envs.tasks.registry import Task, make_task
from berrypick.experiments.runs.demonstrations import demonstrate, long_turns, play_demonstrations
from berrypick.experiments.runs.training_config import TrainConfig
from berrypick.policies.language.batches import TokenRows
from berrypick.policies.language.model import LanguageModelPolicy
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.films import films_folder


def setup(folder: Path, demonstrator: str, demonstrations: int = 1, **rules: object) -> tuple[Task, TrainConfig]:
    films_folder(folder)
    arguments = {"corpus": str(folder / "corpus.jsonl"), "questions": str(folder / "questions.jsonl"), "top_k": 1}
    task = make_task("berrypick/Custom-v0", **arguments, template="bare", **rules)
    return task, TrainConfig("berrypick/Custom-v0", demonstrator=demonstrator, demonstrations=demonstrations)


def test_narrow_and_diverse_sets_have_equally_many_demonstrations_of_the_same_questions(tmp_path: Path) -> None:
    sets = {}
    for demonstrator in ("bridge", "bridge:ways=2", "bridge:ways=4"):
        episodes, counts = play_demonstrations(*setup(tmp_path, demonstrator, 4))
        assert counts is not None
        assert [episode.question.id for episode in episodes] == ["q1"] * 4 + ["q2"] * 4 + ["q3"] * 4
        assert all(episode.correct for episode in episodes)
        sets[demonstrator] = counts
        different = {tuple(episode.queries) for episode in episodes if episode.question.id == "q1"}
        assert len(different) == {"bridge": 1, "bridge:ways=2": 2, "bridge:ways=4": 4}[demonstrator]
    assert {counts.demonstrated for counts in sets.values()} == {3}
    assert {counts.demonstrations for counts in sets.values()} == {12}
    assert sets["bridge"].distinct == 3
    assert sets["bridge:ways=4"].distinct == 12
    assert sets["bridge"].left_out == {"answer not in the text shown": 1, "query not readable": 1}
    assert (sets["bridge"].with_retry, sets["bridge:ways=4"].with_retry) == (0, 1)  # q1, the fourth way
    assert sets["bridge"].searches == 2


@pytest.mark.parametrize(("demonstrator", "played"), [("bridge:ways=2", 5 * 4), ("oracle", 5 * 2)])
def test_every_demonstration_is_counted_as_it_ends(tmp_path: Path, demonstrator: str, played: int) -> None:
    """Five questions, which the bridge demonstrator plays in its four ways."""
    seen: list[tuple[int, int]] = []
    play_demonstrations(*setup(tmp_path, demonstrator, 2), lambda *counts: seen.append(counts))
    assert {total for _, total in seen} == {played}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[0][0] < played and seen[-1][0] == played


def test_fewer_demonstrations_than_ways_are_different_ways_over_the_questions(tmp_path: Path) -> None:
    episodes, counts = play_demonstrations(*setup(tmp_path, "bridge:ways=4", 1))
    assert counts is not None and counts.demonstrations == counts.distinct == 3
    again, _ = play_demonstrations(*setup(tmp_path, "bridge:ways=4", 1))
    assert [episode.queries for episode in episodes] == [episode.queries for episode in again]


def test_counts_and_episodes_are_written_and_can_be_imitated_again(
    tmp_path: Path, make_babbler: Callable[..., LanguageModelPolicy], caplog: pytest.LogCaptureFixture
) -> None:
    policy = make_babbler()
    task, config = setup(tmp_path / "films", "bridge:ways=2", 2)
    with caplog.at_level("INFO"):
        rows = demonstrate(policy, task, config, out=tmp_path)
    assert "3 of 5 questions (60%) have a demonstration: 6 in all, 6 different" in caplog.text
    assert "left out: 1 answer not in the text shown, 1 query not readable" in caplog.text
    written = json.loads((tmp_path / "demonstrations.json").read_text())
    assert (written["questions"], written["demonstrated"], written["demonstrations"]) == (5, 3, 6)
    assert written["tokens_per_demonstration"] == pytest.approx(sum(map(len, rows.ids)) / 6, abs=0.1)
    assert len(read_records(tmp_path / "demonstrations.jsonl")) == 6
    task, config = setup(tmp_path / "films", f"file:{tmp_path / 'demonstrations.jsonl'}", 2)
    again = demonstrate(policy, task, config)
    key = {tuple(ids.tolist()) for ids in rows.ids}
    assert {tuple(ids.tolist()) for ids in again.ids} == key and len(again.ids) == 6


def test_a_file_that_names_other_passages_is_one_line(tmp_path: Path) -> None:
    task, config = setup(tmp_path / "films", "bridge")
    episodes, _ = play_demonstrations(task, config)
    assert episodes
    main(
        ["eval", "--env", "berrypick/Custom-v0", "--policy", "bridge", "--split", "train", "--samples", "1"]
        + ["--out", str(tmp_path / "run"), "--no-html", "--env-arg"]
        + [f"{name}={tmp_path / 'films' / name}.jsonl" for name in ("corpus", "questions")]
    )
    name = f"file:{tmp_path / 'run' / 'rollouts.jsonl'}"
    corpus = tmp_path / "films" / "corpus.jsonl"
    kept = [line for line in corpus.read_text().splitlines() if '"x1"' not in line]
    task, config = setup(tmp_path / "films", name)
    _, counts = play_demonstrations(task, config)
    assert counts is not None and counts.left_out == {"wrong answer": 2}
    corpus.write_text("\n".join(kept))
    with pytest.raises(
        BerrypickError, match=r"1 of its \d passages are not in the corpus .* the first x1; give the data"
    ):
        play_demonstrations(make_task("berrypick/Custom-v0", **_files(tmp_path / "films")), config)


def _files(folder: Path) -> dict[str, str]:
    return {name: str(folder / f"{name}.jsonl") for name in ("corpus", "questions")}


def test_a_demonstrator_of_another_system_is_written_in_the_words_of_the_environment(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "Where did the director of film Amber Road die?"},
        {"role": "assistant", "content": "<search> Amber Road </search>"},
        {"role": "user", "content": "<information> [1] (Title: Amber Road) a film </information>"},
        {"role": "assistant", "content": "<search> Lena Mary Ohm </search>"},
        {"role": "user", "content": "<information> [2] (Title: Lena Ohm) died </information>"},
        {"role": "assistant", "content": "<answer> Oslo </answer>"},
    ]
    file = tmp_path / "chat.jsonl"
    file.write_text(json.dumps({"messages": turns, "answer": "Oslo"}) + "\n")
    task, config = setup(tmp_path / "films", f"file:{file}", turn_format="tool_call")
    ((episode,), counts) = play_demonstrations(task, config)
    assert episode.queries == ["Amber Road", "Lena Mary Ohm"]
    assert episode.turns[0].draft.text.startswith("<tool_call>")
    assert episode.shown_ids == {"f1", "d1"}  # searched here, not copied from the file
    assert counts is not None and counts.left_out == {"not in the file": 4}


def test_no_demonstration_at_all_is_one_line_with_the_reasons(tmp_path: Path) -> None:
    task, config = setup(tmp_path, "bridge", search_budget=1)
    with pytest.raises(BerrypickError, match=r"no demonstration for any of 5 .*5 more hops than searches"):
        play_demonstrations(task, config)


def test_turns_longer_than_a_turn_may_be_are_counted() -> None:
    masks = [np.array([0, 1, 1, 0, 1], bool), np.array([0, 0, 1, 1, 1], bool), np.zeros(3, bool)]
    rows = TokenRows([np.arange(len(mask), dtype=np.int32) for mask in masks], masks)
    assert long_turns(rows, 2) == (1, 3, 3)
    assert long_turns(rows, 3) == (0, 3, 3)


@pytest.mark.filterwarnings("ignore")
def test_train_says_what_does_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    films_folder(tmp_path / "films")
    arguments = [f"{name}={tmp_path / 'films' / name}.jsonl" for name in ("corpus", "questions")]
    command = ["train", "--env", "berrypick/Custom-v0", "--policy", "tiny", "--steps", "0", "--sft-steps", "1"]
    rest = ["--sft-batch-size", "1", "--demonstrator", "bridge", "--out", str(tmp_path / "run")]

    def error(*more: str) -> str:
        assert main([*command, *rest, *more]) == 2
        return capsys.readouterr().err.splitlines()[-1]

    passages = [{"id": "l", "title": "Long", "text": "road " * 3000}]
    (tmp_path / "long.jsonl").write_text("".join(json.dumps(line) + "\n" for line in passages))
    question = {"id": "q", "question": "Which road?", "golden_answers": ["road"], "metadata": {"split": "train"}}
    (tmp_path / "one.jsonl").write_text(json.dumps(question) + "\n")
    long = [f"corpus={tmp_path / 'long.jsonl'}", f"questions={tmp_path / 'one.jsonl'}", "max_observation_chars=100000"]
    assert "the window of tiny has 1024 tokens, but a search and an answer take" in error("--env-arg", *long)
    assert "holdout=9 needs more than 9 questions" in error("--holdout", "9", "--env-arg", *arguments)
    assert "--holdout is for corpora" in error("--holdout", "9", "--env", "berrypick/World-v0")
    assert not (tmp_path / "run").exists()
    assert main([*command, *rest, "--max-new-tokens", "4", "--holdout", "2", "--env-arg", *arguments]) == 0
    assert "turns of the demonstrations have more than the 4 tokens" in caplog.text
    assert "--holdout 2" in " ".join(capsys.readouterr().out.split())


def test_progress_counts_demonstrations_while_they_are_played():
    """Rows are played some hundreds at a time: all at once would end at once, and the count would stand at 0."""
    arguments = {"preset": "priced", "num_train": 700, "num_validation": 0, "num_test": 0}
    task = make_task("berrypick/World-v0", **arguments)
    config = TrainConfig(env="berrypick/World-v0", env_args=arguments, demonstrator="random_order", demonstrations=1)
    counts = []
    episodes, _ = play_demonstrations(task, config, lambda done, total: counts.append((done, total)))
    assert len(episodes) == 700 and counts[-1] == (700, 700)
    assert any(0 < done < 700 for done, _ in counts)
    assert counts == sorted(counts)
