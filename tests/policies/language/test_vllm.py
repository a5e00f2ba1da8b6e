"""vLLM as the player: weights follow the updates, entropies are the training model's, absence is one clear line."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from berrypick.__main__ import main
from berrypick.envs.episode import Episode
from berrypick.envs.tasks.registry import Task
from berrypick.policies.language.model import LanguageModelPolicy, load_language_model
from berrypick.policies.language.vllm_engine import VllmOptions, VllmPolicy, split_name
from berrypick.policies.objectives import get_objective
from berrypick.policies.open_policy import open_policy
from berrypick.policies.policy import Sampling
from berrypick.policies.training.rl import RlConfig, rl_optimizer, rl_rollout, rl_update
from berrypick.retrieval_index.errors import BerrypickError, MissingExtraError

MakeBabbler = Callable[..., LanguageModelPolicy]
CONFIG = RlConfig(questions_per_step=2, group_size=3, max_new_tokens=8, learning_rate=1e-2)


def play(player: VllmPolicy, world: Task, step: int = 0) -> list[list[Episode]]:
    return rl_rollout(player, world.split("train")[:2], world.spec, world.searcher, CONFIG, step)


def log_probs(groups: list[list[Episode]]) -> np.ndarray:
    return np.concatenate([turn.draft.tokens.log_probs for g in groups for e in g for turn in e.turns])


def test_updates_reach_the_engine_with_sync_and_not_before(
    stand_in_vllm: ModuleType, make_babbler: MakeBabbler, world: Task
) -> None:
    player = VllmPolicy(make_babbler())
    optimizer, objective = rl_optimizer(player.weights, CONFIG), get_objective("grpo")
    groups = play(player, world)
    groups[0][0].reward, groups[0][1].reward = 1.0, 0.0
    first = rl_update(player.weights, optimizer, groups, objective, CONFIG)
    assert abs(first["rl/kl_to_sampler_nats"]) < 1e-6  # engine and training forward agree
    np.testing.assert_array_equal(log_probs(play(player, world)), log_probs(groups))  # still the old weights
    player.sync()
    fresh = play(player, world)
    assert not np.array_equal(log_probs(fresh)[:8], log_probs(groups)[:8])
    fresh[0][0].reward, fresh[0][1].reward = 1.0, 0.0
    again = rl_update(player.weights, optimizer, fresh, objective, CONFIG)
    assert abs(again["rl/kl_to_sampler_nats"]) < 1e-6
    assert player._engine.calls == ["reload_weights", "reset_prefix_cache"]


def test_greedy_turns_are_those_of_the_model_in_process(
    stand_in_vllm: ModuleType, make_babbler: MakeBabbler, world: Task
) -> None:
    question, greedy = world.split("train")[0], Sampling(temperature=0, max_new_tokens=8)
    texts = []
    for policy in (make_babbler(dtype=torch.float64), VllmPolicy(make_babbler(dtype=torch.float64))):
        session = policy.start([question], world.spec, [0], greedy)
        texts.append(session.act([0])[0].text)
    assert texts[0] == texts[1]


def test_tokens_behind_the_one_that_ends_a_turn_are_dropped(
    stand_in_vllm: ModuleType, make_babbler: MakeBabbler, world: Task
) -> None:
    """An engine that decodes several tokens at a time may return some."""
    player = VllmPolicy(make_babbler())
    session = player.start([world.split("train")[0]], world.spec, [0], Sampling(max_new_tokens=8))
    ids = [i for text in ("<search>", " of", "</search>", " of") for i in player.weights.tokenizer.encode(text)]
    completion = stand_in_vllm.CompletionOutput(0, "", ids, 0.0, [{i: stand_in_vllm.Logprob(-1.0)} for i in ids])
    output = stand_in_vllm.RequestOutput("0", None, [], None, [completion], True)
    player._engine.generate = lambda prompts, params, use_tqdm: [output]
    (draft,) = session.act([0])
    assert (draft.text, draft.stopped_by) == ("<search> of</search>", "tag")
    assert session.token_ids(0)[0][-3:].tolist() == ids[:3]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_train_and_eval_take_the_prefix_and_a_resumed_run_is_the_same_run(
    stand_in_vllm: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=2"]
    small = ["--questions-per-step", "2", "--group-size", "2", "--max-new-tokens", "5", "--checkpoint-every", "1"]
    run = [
        "train",
        *world,
        "--policy",
        "vllm:tiny",
        "--steps",
        "2",
        "--sft-steps",
        "0",
        *small,
        "--track",
        "tensorboard",
    ]
    assert main([*run, "--out", str(tmp_path / "a")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert all(np.isfinite(list(map(float, [v for v in row.values() if not isinstance(v, str)]))).all() for row in rows)
    (tmp_path / "a" / "checkpoints" / "rl-000002" / "state.json").unlink()
    assert main([*run, "--out", str(tmp_path / "a"), "--resume"]) == 0
    assert [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()] == rows
    evaluated = ["eval", *world, "--policy", f"vllm:{tmp_path / 'a'}", "--samples", "2", "--max-new-tokens", "5"]
    assert main([*evaluated, "--out", str(tmp_path / "e"), "--json"]) == 0
    record = json.loads((tmp_path / "e" / "rollouts.jsonl").read_text().splitlines()[0])
    assert all(np.isfinite(turn["tokens"]["entropies"]).all() for turn in record["turns"])
    assert record["policy_id"] == "a/rl-000002"


def test_an_engine_that_cannot_start_says_what_it_needs(
    stand_in_vllm: ModuleType, monkeypatch: pytest.MonkeyPatch, make_babbler: MakeBabbler, world: Task
) -> None:
    def no_gpu(*args: object, **kwargs: object) -> None:
        raise RuntimeError("Failed to infer device type\nlong trace")

    monkeypatch.setattr(stand_in_vllm, "LLM", no_gpu)
    with pytest.raises(BerrypickError, match=r"did not start \(Failed to infer device type\); it needs a CUDA GPU"):
        play(VllmPolicy(make_babbler()), world)
    with pytest.raises(BerrypickError, match="temperatures up to 2"):
        VllmPolicy(make_babbler()).start([], world.spec, [], Sampling(temperature=3))


def test_without_vllm_the_prefix_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "berrypick.policies.language.vllm_engine.find_spec", lambda name: None if name == "vllm" else find(name)
    )
    with pytest.raises(MissingExtraError, match=r'vllm:tiny needs the "vllm" extra .*berrypick\[vllm\]'):
        open_policy("vllm:tiny")


def test_options_of_the_engine_stand_before_the_colon(stand_in_vllm: ModuleType) -> None:
    policy = open_policy("vllm,gpu_memory_utilization=0.3,enforce_eager=true:tiny")
    assert policy.options == VllmOptions(0.3, 1, True)
    assert split_name("http://h:1/v1#vllm") == (None, "http://h:1/v1#vllm")
    for name, message in (
        ("vllm,gpu=0.3:tiny", "did you mean"),
        ("vllm,tensor_parallel_size=two:tiny", "for example tensor_parallel_size=1"),
        ("vllm,enforce_eager=yes:tiny", "for example enforce_eager=false"),
        ("vllm,enforce_eager=true", "for example vllm:tiny"),
    ):
        with pytest.raises(BerrypickError, match=message):
            open_policy(name)


def test_only_weights_go_behind_the_prefix(stand_in_vllm: ModuleType) -> None:
    with pytest.raises(BerrypickError, match="'oracle' has no weights"):
        open_policy("vllm:oracle")


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None or not torch.cuda.is_available(), reason="needs vllm and a CUDA GPU"
)
def test_the_real_vllm_samples_what_the_training_forward_scores(world: Task) -> None:
    player = VllmPolicy(load_language_model("smollm2"), VllmOptions(0.4, enforce_eager=True))
    groups = play(player, world)
    groups[0][0].reward, groups[0][1].reward = 1.0, 0.0
    metrics = rl_update(player.weights, rl_optimizer(player.weights, CONFIG), groups, get_objective("grpo"), CONFIG)
    assert abs(metrics["rl/kl_to_sampler_nats"]) < 1e-2
    player.sync()
    assert play(player, world, 1)
