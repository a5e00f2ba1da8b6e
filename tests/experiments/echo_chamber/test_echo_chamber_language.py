"""Language-model cells with planted formats: how formats are counted, which cells share a start, and three sizes."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from berrypick.envs.tasks.registry import make_task
from berrypick.experiments.echo_chamber import EQUAL, EXPERIMENT, FAILS
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.grid.format_language import FORMAT_LANGUAGE_MEASURES, format_counts
from berrypick.experiments.runs import recipes
from berrypick.policies.language.tiny import TINY_SIZES, tiny_model, tiny_tokenizer
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.policies.scripted import scripted_policy
from berrypick.retrieval_index.errors import BerrypickError


def played(**arguments):
    task = make_task(
        "berrypick/World-v0",
        **{"query_formats": "0,0,0.6,0.25,0.15", "num_train": 300, "num_validation": 0, "num_test": 0, **arguments},
    )
    groups = rollout(
        scripted_policy("random_order"), task.split("train"), task.spec, task.searcher,
        num_samples=2, sampling=Sampling(), seed=0,
    )  # fmt: skip
    return [episode for group in groups for episode in group], task.world


def test_demonstrators_use_the_planted_formats_in_their_shares_and_one_an_episode():
    episodes, world = played()
    found = format_counts(episodes, world)
    assert [found[f"share_{form}"] for form in range(3)] == pytest.approx([0.6, 0.25, 0.15], abs=0.06)
    assert found["other"] == 0 and found["mixed"] == 0 and found["wins_0"] == 1
    for form in range(3):
        assert found[f"pass@1_{form}"] == pytest.approx(0.5, abs=0.15)


def test_queries_in_other_formats_are_counted_apart():
    episodes, world = played(query_formats="1.0")
    planted = replace(world, query_formats=(0, 0, 0.6, 0.25, 0.15))
    assert format_counts(episodes, planted) == {"other": 1.0, "mixed": 0.0}


def test_formats_are_counted_by_query_and_success_by_the_format_of_the_first():
    """Four episodes by hand; planted are the third to fifth of `QUERY_FORMATS`."""
    first, second, third = "founder of kizunba ledger", "kizunba founder in ledger", "the founder kizunba ledger"
    episodes = [
        SimpleNamespace(queries=queries, correct=correct)
        for queries, correct in (
            ([first, first], True), ([first, second, "ledger founder kizunba"], False), ([second], True), ([], False),
            (["what ?", third], True),
        )
    ]  # fmt: skip
    _, world = played(num_train=4)
    found = format_counts(episodes, world)
    assert [found[f"share_{form}"] for form in range(3)] == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert found["other"] == pytest.approx(2 / 8) and found["mixed"] == pytest.approx(1 / 5)
    assert (found["pass@1_0"], found["pass@1_1"]) == (0.5, 1.0) and "pass@1_2" not in found
    assert found["lead"] == pytest.approx(2 / 3) and found["takeover"] == 0


def test_a_failing_format_is_right_less_often():
    episodes, world = played(format_failures="0,0,0.5", num_train=400)
    found = format_counts(episodes, world)
    assert found["pass@1_0"] < found["pass@1_1"] - 0.2


def test_sizes_are_those_that_the_page_says():
    count = len(tiny_tokenizer())
    sizes = {
        name: sum(weights.numel() for weights in tiny_model(count, 0, size=name).parameters()) for name in TINY_SIZES
    }
    assert sizes["tiny_small"] == pytest.approx(0.2e6, rel=0.25)
    assert sizes["tiny"] == pytest.approx(0.8e6, rel=0.1)
    assert sizes["tiny_large"] == pytest.approx(3e6, rel=0.1)


def test_cells_come_world_by_world_and_the_large_model_last():
    cells = EXPERIMENT.language.cells(24)
    sizes = [cell.config["size"] for cell in cells]
    assert len(cells) == 72 and sizes[-8:] == ["tiny_large"] * 8 and "tiny_large" not in sizes[:-8]
    worlds = [cell.config["world_seed"] for cell in cells[:-8]]
    assert worlds == sorted(worlds) and set(worlds) == set(range(1600, 1608))


@pytest.mark.slow
def test_cells_of_a_world_share_a_start_and_are_bit_identical(tmp_path, monkeypatch):
    monkeypatch.setitem(recipes.WORLD_DEMONSTRATIONS, "num_train", 64)
    grid = replace(
        EXPERIMENT.language, checkpoints=(0, 1, 2), sft_steps=3, questions_per_step=2, training_questions=32,
        questions=4, samples=2, glance=(2, 2), least=0.0,
    )  # fmt: skip
    wanted = {(EQUAL, "kl_1e-1"), (FAILS, "rl"), (EQUAL, "small")}
    cells = [cell for cell in grid.cells(1) if (cell.config["condition"], cell.config["arm"]) in wanted]
    assert len(cells) == 3

    def run(cell, folder, grid=grid):
        return grid.run(cell, tmp_path / folder / "work" / cell.key)

    results = {(cell.config["condition"], cell.config["arm"]): run(cell, "a") for cell in cells}
    for found in results.values():
        assert list(found["checkpoints"]) == ["0", "1", "2"]
        assert all(set(values) <= {*FORMAT_LANGUAGE_MEASURES} for values in found["checkpoints"].values())
    sft = tmp_path / "a" / "work" / "language" / "sft"
    assert sorted(path.name for path in sft.iterdir() if path.is_dir()) == ["tiny", "tiny_small"]
    settings = (sft / "tiny" / "world-1600" / "config.json").read_text()
    assert "0,0,0.6,0.25,0.15" in settings and "format_failures" not in settings
    run_of_failing = tmp_path / "a" / "work" / "language" / Condition.of(FAILS).slug / "rl" / "world-1600" / "run"
    assert '"0,0,0.5"' in (run_of_failing / "config.json").read_text()
    assert json.dumps(run(cells[0], "b")) == json.dumps(results[EQUAL, "kl_1e-1"])
    with pytest.raises(BerrypickError, match=r"the base answers 0\.000 of .* raise FormatLanguage\.sft_steps of the"):
        run(cells[0], "a", replace(grid, least=0.2))
