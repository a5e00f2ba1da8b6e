"""TRL's own GRPOTrainer trains two steps in our environment, both ways."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

trl = pytest.importorskip("trl")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]

DOCS = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"
WORLD = {"preset": "priced", "num_train": 16, "num_test": 4}


def block(name):
    return re.search(rf"```python {name}\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)


@pytest.fixture
def tokenizer():
    """Bytes and Qwen's special tokens, with Qwen's chat template as TRL knows it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from trl.chat_template_utils import qwen3_chat_template

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    made = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    made.chat_template = qwen3_chat_template
    return made


def make_model(tokenizer, script=None):
    """A random tiny model; with a script it "samples" given texts, one a call, and still computes its own losses."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    class Scripted(LlamaForCausalLM):
        calls = 0

        def generate(self, input_ids=None, **kwargs):
            texts = script[min(type(self).calls, len(script) - 1)]
            type(self).calls += 1
            rows = [tokenizer.encode(texts[i % len(texts)], add_special_tokens=False) for i in range(len(input_ids))]
            width = max(map(len, rows))
            padded = [row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows]
            return torch.cat([input_ids, torch.tensor(padded)], dim=1)

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=8192, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return (Scripted if script else LlamaForCausalLM)(config)


def grpo_config(tmp_path, **more):
    from trl import GRPOConfig

    return GRPOConfig(
        output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=4, num_generations=4, use_cpu=True,
        report_to=[], logging_steps=1, max_completion_length=600, learning_rate=1e-3, save_strategy="no",
        disable_tqdm=True, seed=1, **more,
    )  # fmt: skip


def run(name, scope):
    exec(compile(block(name), str(DOCS), "exec"), scope)
    return scope["trainer"]


def test_environment_factory_trains_two_steps_and_its_tools_are_called(tokenizer, tmp_path):
    from berrypick.envs.adapters.tool_episode import shared_task

    task = shared_task("berrypick/World-v0", WORLD)
    call = json.dumps({"name": "search", "arguments": {"query_list": ["ledger founder kizunba"]}})
    answers = [q.answers[0] for q in task.split("train")][:3]
    finals = [json.dumps({"name": "answer", "arguments": {"text": text}}) for text in [*answers, "wrong"]]
    script = [
        [f"<tool_call>\n{call}\n</tool_call><|im_end|>"],
        [f"<tool_call>\n{final}\n</tool_call><|im_end|>" for final in finals],
        ["done<|im_end|>"],
    ] * 2
    model = make_model(tokenizer, script)
    before = model.model.embed_tokens.weight.detach().clone()
    trainer = run("trl-environment", {"model": model, "tokenizer": tokenizer, "config": grpo_config(tmp_path)})
    assert trainer.state.global_step == 2
    plays = [environment._play for environment in trainer.environments]
    assert [play.episode.queries for play in plays] == [["ledger founder kizunba"]] * 4
    assert all(play.episode.done for play in plays)
    assert len({play.episode.question.id for play in plays}) == 1, "a group shares its question"
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logs) == 2 and any("SearchEnvironment" in key for entry in logs for key in entry)
    assert type(model).calls >= 4
    assert model.model.embed_tokens.weight.shape == before.shape


def test_rollout_func_trains_two_steps_on_sampled_tokens_with_observations_masked(tokenizer, tmp_path):
    model = make_model(tokenizer)
    before = model.model.embed_tokens.weight.detach().clone()
    seen = {}

    from berrypick.envs.adapters import trl as adapter

    original = adapter.rollout_func

    def spying(*args, **kwargs):
        play = original(*args, **kwargs)

        def watched(prompts, trainer):
            seen["output"] = play(prompts, trainer)
            return dict(seen["output"])

        return watched

    adapter.rollout_func = spying
    try:
        trainer = run("trl-rollout", {"model": model, "tokenizer": tokenizer, "config": grpo_config(tmp_path)})
    finally:
        adapter.rollout_func = original
    assert trainer.state.global_step == 2
    output = seen["output"]
    for ids, log_probs, mask in zip(output["completion_ids"], output["logprobs"], output["env_mask"]):
        assert len(ids) == len(log_probs) == len(mask) and 0 < sum(mask) < len(mask)
        observed = tokenizer.decode([token for token, own in zip(ids, mask) if not own])
        assert observed.startswith("\n<information> invalid turn") and "<information>" in observed
        assert all(value <= 0 for value in log_probs)
        assert all(value == 0 for value, own in zip(log_probs, mask) if not own)
    assert len({tuple(ids) for ids in output["prompt_ids"]}) == 1, "a group shares its question"
    assert not bool((model.model.embed_tokens.weight.detach() == before).all()) or all(
        reward == 0 for reward in output["berrypick_reward"]
    )


def test_log_probs_of_rollout_func_are_those_of_the_training_forward(tokenizer):
    import torch
    from berrypick.envs.adapters.trl import rollout_func, rollout_rows

    model = make_model(tokenizer).eval()

    class Trainer:
        processing_class = tokenizer

        class accelerator:
            @staticmethod
            def unwrap_model(wrapped):
                return wrapped

    Trainer.model = model
    prompts = [row["prompt"] for row in rollout_rows("berrypick/World-v0", "train", **WORLD)[:3]]
    output = rollout_func("berrypick/World-v0", "train", max_new_tokens=8, **WORLD)(prompts, Trainer)
    for prompt, completion, log_probs, mask in zip(
        output["prompt_ids"], output["completion_ids"], output["logprobs"], output["env_mask"]
    ):
        ids = torch.tensor([prompt + completion])
        with torch.no_grad():
            logits = model(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        expected = logits[range(len(completion)), completion]
        own = torch.tensor(mask, dtype=torch.bool)
        assert torch.allclose(torch.tensor(log_probs)[own], expected[own], atol=1e-4)
