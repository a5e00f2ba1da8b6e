"""What a faithful run of each published system needs, as data: constants of the papers, corpora, commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FAITHFUL", "Faithful"]


@dataclass(frozen=True, slots=True)
class Faithful:
    """One system.

    Attributes:
        paper: of the published constants.
        published: model, data and constants of the paper; (unverified) where they were not read in it or in its code.
        corpus: what is searched here, and where it comes from.
        parameters: of the model.
        sampled: tokens that a rollout is assumed to write.
        context: tokens that a rollout is assumed to hold, prompt and passages among them.
        commands: to be run in this order.
        runs: how often all of them are run: arms, rounds or models.
        differs: what the commands do not do as published.
    """

    paper: str
    published: str
    corpus: str
    parameters: float
    sampled: int
    context: int
    commands: tuple[str, ...]
    runs: int
    differs: str


_WIKI = (
    "index=http://localhost:8000/retrieve turn_format=search_r1 template=instruct top_k=3 max_turns=5 "
    "max_observation_tokens=500 reward=em"
)
_HOTPOT = f"--env berrypick/HotpotQA-v0 --env-arg {_WIKI}"
_SERVED = "HotpotQA's 90,447 training questions over the Wikipedia of 2018, served at /retrieve; docs/data.md"
_OWN = "HotpotQA with its own passages, top 3 by BM25; docs/data.md"
_TASK = "The paper's questions are mathematics; here they are searched for."

FAITHFUL: Mapping[str, Faithful] = {
    "diversity_tax": Faithful(
        "the suite's own question, in the setting of 2503.09516",
        "GRPO: 512 questions, 5 rollouts, two updates a step, learning rate 1e-6, 1,005 steps, top 3, responses of "
        "500 tokens; the model is (unverified)",
        _SERVED, 7.6e9, 600, 2500,
        (
            f"berrypick train {_HOTPOT} --policy vllm:Qwen/Qwen2.5-7B-Instruct --dtype bfloat16 --objective "
            "darling:power=2 --steps 1005 --questions-per-step 512 --group-size 5 --mini-batches 2 --learning-rate "
            "1e-6 --max-new-tokens 500 --out runs/headline",
        ),
        4, "Four arms: darling:power=2, dr_grpo, pass_mix:weight=0.5, grpo; Search-R1's KL term of 1e-3 is left out.",
    ),
    "outcome_exploration": Faithful(
        "2509.06941", "Llama-3.1-8B-Instruct and Qwen2.5-7B on MATH and DAPO, 8 rollouts, c .2, b0 .5 or 1; questions "
        "a step, learning rate and steps (unverified)",
        _SERVED, 8.0e9, 600, 2500,
        (
            f"berrypick train {_HOTPOT} --policy vllm:meta-llama/Llama-3.1-8B-Instruct --dtype bfloat16 --objective "
            "ucb_con:weight=0.2,offset=0.5 --steps 706 --questions-per-step 128 --group-size 8 --learning-rate 1e-6 "
            "--max-new-tokens 500 --out runs/outcome",
        ),
        3, f"{_TASK} Three arms: ucb_con, batch:weight=0.2, grpo; 706 steps are one pass over the questions.",
    ),
    "darling": Faithful(
        "2509.02534", "Qwen3-4B-Base, 256 questions of mathematics x 8, four updates a step, learning rate 1e-6, no "
        "KL, temperature 1, floor .1, ten epochs, 8,192 tokens; clusters by a classifier of 4B",
        _SERVED, 4.0e9, 800, 2700,
        (
            f"berrypick train {_HOTPOT} --policy vllm:Qwen/Qwen3-4B-Base --dtype bfloat16 --objective "
            "darling:floor=0.1 --steps 3533 --questions-per-step 256 --group-size 8 --mini-batches 4 --learning-rate "
            "1e-6 --max-new-tokens 500 --out runs/darling",
        ),
        3, f"{_TASK} Clusters are by what was retrieved; berrypick classifier trains one for darling:classifier=DIR. "
        "Three arms: darling:floor=0.1, lexical:floor=0.1, dr_grpo; 3,533 steps are ten passes.",
    ),
    "vector_policy": Faithful(
        "2605.22817", "Qwen3-1.7B, one epoch of MuSiQue-Ans (19,938), 128 questions x 8, three answers a rollout, K "
        "100, learning rate 1e-6, KL 1e-3",
        "MuSiQue with its own passages, whose evidence gives the reward vectors; docs/data.md", 1.7e9, 700, 3000,
        (
            "berrypick train --env berrypick/MuSiQue-v0 --env-arg num_answers=3 top_k=3 max_turns=5 --policy "
            "vllm:Qwen/Qwen3-1.7B --dtype bfloat16 --objective vpo:num_weights=100 --steps 156 --questions-per-step "
            "128 --group-size 8 --learning-rate 1e-6 --max-new-tokens 512 --out runs/vector",
        ),
        4, "The paper puts 20 paragraphs into the prompt; here they are searched for. Its KL term is left out. Four "
        "arms: vpo, multi_rlvr, max_at_k, grpo; singles without num_answers=3.",
    ),
    "squeeze": Faithful(
        "2604.14877 against 2509.21128", "Qwen2.5-7B-Instruct; SFT by LoRA on 200 gold trajectories of HotpotQA, GRPO "
        "on the same 200, 8 rollouts, exact match, five searches, ten epochs; questions a step (unverified)",
        _OWN, 7.6e9, 500, 2500,
        (
            "berrypick train --env berrypick/HotpotQA-v0 --env-arg top_k=3 search_budget=5 max_turns=6 --policy "
            "Qwen/Qwen2.5-7B-Instruct --dtype bfloat16 --lora-rank 16 --demonstrator bridge --train-questions 200 "
            "--sft-steps 63 --sft-batch-size 32 --steps 0 --out runs/squeeze-sft",
            "berrypick train --env berrypick/HotpotQA-v0 --env-arg top_k=3 search_budget=5 max_turns=6 --policy "
            "vllm:Qwen/Qwen2.5-7B-Instruct --dtype bfloat16 --objective grpo --train-questions 200 --steps 100 "
            "--questions-per-step 20 --group-size 8 --learning-rate 1e-6 --max-new-tokens 500 --out runs/squeeze-rl",
        ),
        1, "The gold trajectories are a scripted demonstrator's; the paper searches ten paragraphs a question.",
    ),
    "echo_chamber": Faithful(
        "2504.07912", "150M and 1B models pretrained from scratch on mixtures of formats; GRPO, 64 prompts x 8, "
        "learning rate 1e-6, ten episodes of GSM8K (7,473 questions: unverified), KL 0, 1e-3 or 1e-2, temperature .7",
        "a World of 7,473 questions whose demonstrations mix three query formats 60/25/15", 0.135e9, 100, 500,
        (
            "berrypick train --env berrypick/World-v0 --env-arg query_formats=0.6,0.25,0.15 voice=english "
            "num_train=7473 --policy HuggingFaceTB/SmolLM2-135M --sft-steps 2000 --objective kl:beta=0.001 --steps "
            "1168 --questions-per-step 64 --group-size 8 --learning-rate 1e-6 --max-new-tokens 48 --out runs/echo",
        ),
        3, "Formats are learnt in SFT, not in pretraining, from weights as large as the paper's smaller ones; training "
        "samples at temperature 1. Three arms: kl:beta=0.001, kl:beta=0.01, grpo.",
    ),
    "preference_tuning": Faithful(
        "2504.12522", "base, SFT and preference-tuned (PPO, GRPO, DPO) models of other laboratories on open-ended "
        "programming tasks; their training is not the paper's",
        _SERVED, 8.0e9, 600, 2500,
        (
            f"berrypick train {_HOTPOT} --policy vllm:meta-llama/Llama-3.1-8B-Instruct --dtype bfloat16 --objective "
            "grpo --steps 706 --questions-per-step 128 --group-size 8 --learning-rate 1e-6 --max-new-tokens 500 --out "
            "runs/preference",
        ),
        2, "DPO has no command: preference_pairs and dpo_update (docs/training.md) take the same rollouts, the second "
        "run of the estimate. The task is another.",
    ),
    "critique_loop": Faithful(
        "2411.16579", "Llama-3-8B on GSM8K and MATH; 5 samples a question at .7, a critic's comment, a "
        "rewrite; SFT from the base each round, learning rate 5e-6, batches of 32 a GPU, 3 rounds",
        _OWN, 8.0e9, 500, 2500,
        (
            "berrypick eval --env berrypick/HotpotQA-v0 --env-arg top_k=3 max_turns=5 --policy "
            "vllm:meta-llama/Meta-Llama-3-8B --split train --questions 15000 --samples 5 --temperature 0.7 "
            "--max-new-tokens 500 --out runs/critique-samples",
            "berrypick train --env berrypick/HotpotQA-v0 --env-arg top_k=3 max_turns=5 --policy "
            "meta-llama/Meta-Llama-3-8B --dtype bfloat16 --demonstrator file:accepted.jsonl --sft-steps 469 "
            "--sft-batch-size 32 --sft-learning-rate 5e-6 --steps 0 --max-new-tokens 500 --out runs/critique",
        ),
        3, f"{_TASK} Between the commands critique_round (docs/training.md) has wrong samples criticised and rewritten "
        "and leaves accepted.jsonl; at most another sample a question, which the estimate leaves out. The number of "
        "questions is ours.",
    ),
    "multiagent_finetuning": Faithful(
        "2501.05707", "three generators and three critics of Phi-3, Mistral-7B or LLaMA-3, 500 questions of "
        "mathematics, majority of the last round as label; SFT, learning rate 1e-5, 2 epochs, batches of 192, five "
        "rounds on MATH; debate rounds (unverified)",
        _OWN, 8.0e9, 1500, 6000,
        (
            "berrypick eval --env berrypick/HotpotQA-v0 --env-arg top_k=3 max_turns=5 --policy "
            "vllm:meta-llama/Meta-Llama-3-8B-Instruct --split train --questions 500 --samples 3 --max-new-tokens 500 "
            "--out runs/debate",
            "berrypick train --env berrypick/HotpotQA-v0 --env-arg top_k=3 max_turns=5 --policy "
            "meta-llama/Meta-Llama-3-8B-Instruct --dtype bfloat16 --demonstrator file:accepted.jsonl --sft-steps 6 "
            "--sft-batch-size 192 --sft-learning-rate 1e-5 --steps 0 --max-new-tokens 500 --out runs/agent-1",
        ),
        30, f"{_TASK} The debate and the choice of accepted.jsonl are made by debate and split_data "
        "(docs/training.md). Six agents, five rounds.",
    ),
    "hivemind": Faithful(
        "2510.22954", "25 models in the main text, 100 open-ended prompts, 50 responses each, top-p .9, temperature 1; "
        "cosine of text-embedding-3-small",
        _OWN, 8.0e9, 500, 2500,
        (
            "berrypick eval --env berrypick/HotpotQA-v0 --env-arg top_k=3 max_turns=5 --policy "
            "vllm:meta-llama/Llama-3.1-8B-Instruct --questions 100 --samples 50 --temperature 1 --top-p 0.9 "
            "--max-new-tokens 500 --out runs/hivemind-llama",
        ),
        25, "Nothing is trained. Prompts are questions with answers. berrypick report runs/hivemind-llama "
        "runs/hivemind-qwen says how alike the models are, by words.",
    ),
}  # fmt: skip
"""Experiment -> what a faithful run needs. Constants are those of docs/ and the papers named; estimates are ours."""
