"""Adapters: LoRA matrices in a folder of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from berrypick.__main__ import main
from berrypick.policies.language.adapter import load_adapter, save_adapter
from berrypick.policies.language.lora import with_lora
from berrypick.policies.language.model import LanguageModelPolicy, load_language_model
from berrypick.policies.open_policy import open_policy
from berrypick.policies.policy_rules import rules_of_policy
from berrypick.retrieval_index.errors import BerrypickError
from safetensors.torch import load_file

RULES = {"top_k": 2, "template": "bare", "max_new_tokens": 24}


def changed(rank: int = 4) -> LanguageModelPolicy:
    """The tiny policy with LoRA matrices that are not those of its start."""
    policy = with_lora(load_language_model("tiny"), rank)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in policy.model.parameters():
            if value.requires_grad:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
    return policy


def logits(policy: LanguageModelPolicy) -> torch.Tensor:
    model: Any = policy.model
    with torch.no_grad():
        out: torch.Tensor = model(torch.arange(12)[None]).logits
    return out


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    save_adapter(changed(), tmp_path / "adapter", base="tiny", rules=RULES)
    return tmp_path / "adapter"


def test_a_loaded_adapter_is_the_policy_with_its_matrices_rounded_to_bfloat16(adapter: Path) -> None:
    policy = changed()
    exact = logits(policy)
    with torch.no_grad():
        for value in policy.model.parameters():
            if value.requires_grad:
                value.copy_(value.to(torch.bfloat16))
    loaded = logits(load_adapter(adapter))
    torch.testing.assert_close(loaded, logits(policy), atol=1e-4, rtol=1e-4)
    assert (loaded - logits(load_language_model("tiny"))).abs().max() > 10 * (loaded - exact).abs().max() > 0


def test_an_adapter_holds_its_matrices_alone(adapter: Path) -> None:
    saved = load_file(adapter / "adapter_model.safetensors")
    trained = [value for value in changed().model.parameters() if value.requires_grad]
    assert sum(value.numel() for value in saved.values()) == sum(value.numel() for value in trained)
    assert {value.dtype for value in saved.values()} == {torch.bfloat16}
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"
    assert not list(adapter.parent.glob(".*"))


def test_the_folder_is_a_policy_and_brings_its_rules(adapter: Path) -> None:
    torch.testing.assert_close(logits(open_policy(str(adapter))), logits(load_adapter(adapter)))  # type: ignore[arg-type]
    assert rules_of_policy(str(adapter)) == RULES
    assert rules_of_policy("tiny") == {} and rules_of_policy("question") == {}


def test_an_adapter_of_fresh_weights_keeps_the_seed_that_made_them(tmp_path: Path) -> None:
    """Such weights are nowhere on disk: without their seed the matrices would change others."""
    policy = with_lora(load_language_model("tiny", seed=5), 2)
    save_adapter(policy, tmp_path / "adapter", base="tiny", rules={}, seed=5)  # fresh matrices change nothing yet
    torch.testing.assert_close(logits(load_adapter(tmp_path / "adapter")), logits(policy), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(logits(policy), logits(load_language_model("tiny")), atol=0.01)


def test_an_adapter_may_stand_on_another(adapter: Path, tmp_path: Path) -> None:
    first = load_adapter(adapter, trains=True)
    second = with_lora(load_adapter(adapter, trains=True), 2)
    with torch.no_grad():
        for value in second.model.parameters():
            if value.requires_grad:
                value.fill_(0.0625)  # a bfloat16 number
    save_adapter(second, tmp_path / "second", base=str(adapter), rules={})
    loaded = logits(load_adapter(tmp_path / "second"))
    torch.testing.assert_close(loaded, logits(second), atol=1e-4, rtol=1e-4)
    assert (loaded - logits(first)).abs().max() > 0.01


@pytest.mark.slow
def test_a_run_with_lora_ends_with_its_adapter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    passages = [{"id": "p1", "title": "Norway", "text": "The capital of Norway is Oslo."}]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(passage) + "\n" for passage in passages))
    rows = [
        {"id": f"q{at}", "question": "capital of Norway", "golden_answers": ["Oslo"],
         "metadata": {"supporting_ids": ["p1"], "split": split}}
        for at, split in enumerate(("train", "test"))
    ]  # fmt: skip
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = ("--env", "berrypick/Custom-v0", "--env-arg")
    files = (f"corpus={tmp_path / 'corpus.jsonl'}", f"questions={tmp_path / 'questions.jsonl'}")
    out = tmp_path / "run"
    recipe = ("--policy", "tiny", "--lora-rank", "2", "--demonstrator", "oracle", "--sft-steps", "2", "--steps", "0")
    assert main(["train", *corpus, *files, "top_k=1", "--out", str(out), *recipe, "--max-new-tokens", "9"]) == 0
    assert (rules := rules_of_policy(str(out / "adapter")))["top_k"] == 1 and rules["max_new_tokens"] == 9
    trained = open_policy(str(out))
    assert isinstance(trained, LanguageModelPolicy)
    torch.testing.assert_close(logits(load_adapter(out / "adapter")), logits(trained), atol=0.02, rtol=0.02)

    def played(name: str, *more: str) -> tuple[int, int]:
        """top_k and the most tokens of a turn in an evaluation of the adapter."""
        flags = ("--out", str(tmp_path / name), "--policy", str(out / "adapter"), "--samples", "2")
        assert main(["eval", *corpus, *files, *more, *flags]) == 0
        config = json.loads((tmp_path / name / "config.json").read_text())
        return config["env_args"]["top_k"], config["max_new_tokens"]

    assert played("as-trained") == (1, 9)
    assert "the rules that" in caplog.text
    assert played("otherwise", "top_k=3", "--max-new-tokens", "5") == (3, 5)


def test_what_is_wrong_with_an_adapter_is_said_in_one_line(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(BerrypickError, match="no LoRA matrices to save"):
        save_adapter(load_language_model("tiny"), tmp_path / "none", base="tiny", rules={})
    with pytest.raises(BerrypickError, match=r"has no adapter_config\.json"):
        load_adapter(tmp_path)
    (adapter / "rules.json").write_text("{")
    with pytest.raises(BerrypickError, match="is damaged"):
        rules_of_policy(str(adapter))
    (adapter / "rules.json").write_text("[1]")
    with pytest.raises(BerrypickError, match="not a JSON object"):
        rules_of_policy(str(adapter))
    (adapter / "rules.json").unlink()  # which holds the digests
    (adapter / "adapter_model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(BerrypickError, match="damaged or does not fit tiny"):
        load_adapter(adapter)
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(BerrypickError, match="is damaged"):
        load_adapter(adapter)
