"""What the diversity-tax experiment set out to find, written down before its grid was run.

All endpoints are read on the test questions of the World after the last RL step, at the middle strength of each arm
(the published value where there is one), seed by seed as arm minus control. The tabular grid stops after all its cells
with 24 seeds; nobody looks in between. Holm counts every claim of this list, also those that were not run.
"""

from __future__ import annotations

from ..grid.contrasts import Contrast, contrast

__all__ = ["CONTRASTS"]

PROTOTYPE = "one seed of a prototype, 200 steps, priced: pass@1 .548 against GRPO's .546, pass@8 .714 against .635"

CONTRASTS: tuple[Contrast, ...] = (
    contrast(
        "slack-pass1", "with slack budget diversity training costs no pass@1", "design",
        "slack/diverse", "darling", "pass@1", "equivalent", 0.02,
    ),
    contrast(
        "slack-pass8", "with slack budget diversity training gains no pass@8", "design",
        "slack/diverse", "darling", "pass@8", "equivalent", 0.02,
    ),
    contrast(
        "free-pass1", "with equal kinds diversity is free at pass@1", "design",
        "free/diverse", "darling", "pass@1", "equivalent", 0.02,
    ),
    contrast(
        "free-pass8", "with equal kinds diversity training is worth pass@8", "design",
        "free/diverse", "darling", "pass@8", "increase", 0.02,
    ),
    contrast(
        "priced-pass1", "with unequal kinds diversity training costs pass@1", "design",
        "priced/diverse", "darling", "pass@1", "decrease", 0.02, published=PROTOTYPE,
    ),
    contrast(
        "priced-pass8", "with unequal kinds diversity training buys pass@8", "2509.02534 (DARLING)",
        "priced/diverse", "darling", "pass@8", "increase", 0.02, published=PROTOTYPE,
    ),
    contrast(
        "steep-pass1", "with steeply unequal kinds diversity training costs pass@1", "design",
        "steep/diverse", "darling", "pass@1", "decrease", 0.02,
    ),
    contrast(
        "steep-pass8", "with steeply unequal kinds diversity training buys pass@8", "2509.02534 (DARLING)",
        "steep/diverse", "darling", "pass@8", "increase", 0.02,
    ),
    contrast(
        "priced-matched", "at the breadth the control passes through, the method itself costs no pass@1", "design",
        "priced/diverse", "darling", "pass@1", "equivalent", 0.02, against="matched",
    ),
    contrast(
        "priced-avoidable", "part of the tax in priced is avoidable: the frontier has more pass@1 at this pass@8",
        "design", "priced/diverse", "darling", "avoidable_tax", "increase", 0.01, against="zero",
    ),
    contrast(
        "steep-avoidable", "part of the tax in steep is avoidable: the frontier has more pass@1 at this pass@8",
        "design", "steep/diverse", "darling", "avoidable_tax", "increase", 0.01, against="zero",
    ),
    contrast(
        "grpo-sharpens", "GRPO raises pass@1 of its start", "2504.07912, 2505.22617 (T1)",
        "priced/diverse", "grpo", "pass@1", "increase", 0.05, against="start",
    ),
    contrast(
        "grpo-narrows", "GRPO lowers the breadth of its start", "2504.07912, 2505.22617 (T1)",
        "priced/diverse", "grpo", "breadth", "decrease", 0.02, against="start",
    ),
    contrast(
        "grpo-entropy", "GRPO lowers the entropy of kinds of its start", "2504.07912, 2505.22617 (T1)",
        "priced/diverse", "grpo", "kind_entropy", "decrease", 0.2, against="start",
    ),
    contrast(
        "batch-pass8", "the batch bonus wins late large-k pass@k", "2509.06941 (OBE)",
        "priced/diverse", "batch", "pass@8", "increase", 0.02,
        published="8 samples, distinct answers on unsolved 5.390 against GRPO's 4.805",
    ),
    contrast(
        "batch-pass1", "the batch bonus costs no pass@1", "2509.06941 (T2)",
        "priced/diverse", "batch", "pass@1", "equivalent", 0.02,
    ),
    contrast(
        "batch-ucb", "the batch bonus keeps more current breadth than historical UCB-Con", "2509.06941 (T3)",
        "priced/diverse", "batch", "breadth", "increase", 0.01, against="ucb_con",
    ),
    contrast(
        "batch-shuffled", "a batch bonus on shuffled outcomes changes nothing", "control",
        "priced/diverse", "batch_shuffled", "pass@8", "equivalent", 0.02,
    ),
    contrast(
        "semantic-lexical", "rewarding distinct evidence keeps more breadth than rewarding distinct words",
        "2509.02534 (T5)", "priced/diverse", "darling_oracle", "breadth", "increase", 0.02, against="lexical",
    ),
    contrast(
        "pass-at-k", "training for pass@k buys pass@8", "2508.10751",
        "priced/diverse", "pass_at_k", "pass@8", "increase", 0.02,
    ),
    contrast(
        "entropy-pass8", "an entropy bonus buys pass@8", "2505.22617",
        "priced/diverse", "entropy", "pass@8", "increase", 0.02,
    ),
    contrast(
        "kl-cov", "KL-Cov keeps the entropy that GRPO loses", "2505.22617",
        "priced/diverse", "kl_cov", "kind_entropy", "increase", 0.1,
    ),
    contrast(
        "narrow-restored", "from a narrow start diversity training restores breadth", "design",
        "priced/narrow", "darling", "breadth", "increase", 0.02,
    ),
    contrast(
        "start-matters", "the narrow start ends with less breadth than the diverse one under GRPO",
        "2509.21128 against 2604.14877 (T9)", "priced/narrow", "grpo", "breadth", "decrease", 0.02,
        against="diverse start",
    ),
    contrast(
        "cue-tax", "where a cue favours a kind by question, diversity training costs pass@1", "design",
        "priced-cue/diverse", "darling", "pass@1", "decrease", 0.02,
    ),
    contrast(
        "cue-tax-free", "where a cue favours a kind by question, even equal kinds have a tax", "design",
        "free-cue/diverse", "darling", "pass@1", "decrease", 0.02,
    ),
    contrast(
        "cue-tax-slack", "with slack budget a cue brings no tax", "design",
        "slack-cue/diverse", "darling", "pass@1", "equivalent", 0.02,
    ),
    contrast(
        "vpo-choice8", "set training buys the best answer of 8 rollouts", "2605.22817 (T6)",
        "priced-answers/diverse", "vpo", "choice@8", "increase", 0.02, against="grpo",
        published="MuSiQue, best@30: .832 against GRPO's .728",
    ),
    contrast(
        "vpo-choice-equal", "set training buys the best answer of 24 queries too", "2605.22817 (T6, queries matched)",
        "priced-answers/diverse", "vpo", "choice@24_searches", "increase", 0.02, against="grpo",
    ),
    contrast(
        "vpo-multi-rlvr", "random reward weights beat one fixed sum on equal sets", "2605.22817 (T6)",
        "priced-answers/diverse", "vpo", "choice@8", "increase", 0.02,
        published="MuSiQue, best@30: .832 against Multi-RLVR's .633",
    ),
    contrast(
        "vpo-pass1", "set training costs pass@1", "2605.22817 (T6)",
        "priced-answers/diverse", "vpo", "pass@1", "decrease", 0.02, against="grpo",
    ),
    contrast(
        "vpo-collinear", "with equal reward dimensions VPO is scalar training on sets", "2605.22817 (T7)",
        "priced-answers/diverse", "vpo_collinear", "choice@8", "equivalent", 0.02,
    ),
    contrast(
        "lm-priced-pass1", "with unequal kinds diversity training costs a language model planned pass@1", "design",
        "priced/diverse", "darling", "pass@1_plan", "decrease", 0.02, policy="language model",
    ),
    contrast(
        "lm-free-pass1", "with equal kinds diversity is free at a language model's planned pass@1", "design",
        "free/diverse", "darling", "pass@1_plan", "equivalent", 0.02, policy="language model",
    ),
    contrast(
        "lm-priced-pass8", "with unequal kinds diversity training buys a language model planned pass@8", "design",
        "priced/diverse", "darling", "pass@8_plan", "increase", 0.02, policy="language model",
    ),
    contrast(
        "lm-free-pass8", "with equal kinds diversity training is worth a language model planned pass@8", "design",
        "free/diverse", "darling", "pass@8_plan", "increase", 0.02, policy="language model",
    ),
)  # fmt: skip
