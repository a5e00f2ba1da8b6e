"""What the diversity-tax experiment sets out to find, written down before a cell of its second grid was run.

All endpoints are read in the population of a World after the last RL step, at the middle strength of each arm (the
published value where there is one), world by world. The tabular grid stops after all its cells with 24 worlds; nobody
looks in between. Holm counts every claim of this list, also those that were not run. Differences that are 0 by
arithmetic are no claims: pass@1 in `free` and `slack`, pass@8 in `slack`; the page shows them as tests of the
instrument. After the pilot (four worlds kept apart) and before the grid, margins were lowered for want of room (pass@8
in `steep` and `free`, the best answer of sets), and the claims about clusters were turned round, since random clusters
never reach the pass@8 of real ones.
"""

from __future__ import annotations

from ..grid.contrasts import Contrast, contrast

__all__ = ["CONTRASTS", "OWN"]

OWN = "priced/diverse/questions=256/own"
"""256 questions met more than ten times and valued on themselves: what methods with a memory of questions need."""

CONTRASTS: tuple[Contrast, ...] = (
    contrast(
        "priced-pass1", "with unequal kinds diversity training costs pass@1", "design",
        "priced/diverse", "darling", "pass@1", "decrease", 0.01,
    ),
    contrast(
        "priced-pass8", "with unequal kinds diversity training buys pass@8", "2509.02534 (DARLING)",
        "priced/diverse", "darling", "pass@8", "increase", 0.02,
    ),
    contrast(
        "steep-pass1", "with steeply unequal kinds diversity training costs pass@1", "design",
        "steep/diverse", "darling", "pass@1", "decrease", 0.01,
    ),
    contrast(
        "steep-pass8", "with steeply unequal kinds diversity training buys pass@8", "2509.02534 (DARLING)",
        "steep/diverse", "darling", "pass@8", "increase", 0.01,
    ),
    contrast(
        "free-pass8", "with equal kinds diversity training is worth pass@8", "design",
        "free/diverse", "darling", "pass@8", "increase", 0.004,
    ),
    contrast(
        "priced-matched", "at equal pass@8 the method costs no pass@1 against its control stopped early", "design",
        "priced/diverse", "darling", "pass@1", "equivalent", 0.01, against="matched",
    ),
    contrast(
        "steep-matched", "at equal pass@8 the method costs no pass@1 against its control stopped early", "design",
        "steep/diverse", "darling", "pass@1", "equivalent", 0.01, against="matched",
    ),
    contrast(
        "priced-waste", "DARLING stays near the frontier in priced", "design",
        "priced/diverse", "darling", "waste", "at most", 0.01, against="zero",
    ),
    contrast(
        "steep-waste", "DARLING stays near the frontier in steep", "design",
        "steep/diverse", "darling", "waste", "at most", 0.01, against="zero",
    ),
    contrast(
        "mix-priced", "a mixture of pass@1 and pass@4 credit traces the frontier in priced, at ten weights", "design",
        "priced/diverse", "pass_mix", "largest waste", "at most", 0.01, against="zero",
    ),
    contrast(
        "mix-steep", "a mixture of pass@1 and pass@4 credit traces the frontier in steep, at ten weights", "design",
        "steep/diverse", "pass_mix", "largest waste", "at most", 0.01, against="zero",
    ),
    contrast(
        "mix-darling-priced", "at equal pass@8 DARLING has no more pass@1 than the mixture", "design",
        "priced/diverse", "darling", "pass@1", "at most", 0.002, against="ladder pass_mix",
    ),
    contrast(
        "mix-darling-steep", "at equal pass@8 DARLING has no more pass@1 than the mixture", "design",
        "steep/diverse", "darling", "pass@1", "at most", 0.002, against="ladder pass_mix",
    ),
    contrast(
        "clusters-priced", "random clusters of updates as long have less pass@1 than clusters by retrieval, at equal "
        "pass@8", "2509.02534 (T5)", "priced/diverse", "darling_random_equal", "pass@1", "decrease", 0.005,
        against="ladder darling_power",
    ),
    contrast(
        "clusters-steep", "random clusters of updates as long have less pass@1 than clusters by retrieval, at equal "
        "pass@8", "2509.02534 (T5)", "steep/diverse", "darling_random_equal", "pass@1", "decrease", 0.005,
        against="ladder darling_power",
    ),
    contrast(
        "grpo-sharpens", "GRPO raises pass@1 of its start", "2504.07912, 2505.22617 (T1)",
        "priced/diverse", "grpo", "pass@1", "increase", 0.03, against="start",
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
        "priced/diverse", "batch", "pass@1", "equivalent", 0.01,
    ),
    contrast(
        "batch-ucb", "the batch bonus keeps more current breadth than historical UCB-Con", "2509.06941 (T3)",
        OWN, "batch", "breadth", "increase", 0.01, against="ucb_con",
    ),
    contrast(
        "batch-shuffled", "a batch bonus on shuffled outcomes changes nothing", "control",
        "priced/diverse", "batch_shuffled", "pass@8", "equivalent", 0.01,
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
        "priced-cue/diverse", "darling", "pass@1", "decrease", 0.01,
    ),
    contrast(
        "cue-tax-free", "where a cue favours a kind by question, even equal kinds have a tax", "design",
        "free-cue/diverse", "darling", "pass@1", "decrease", 0.01,
    ),
    contrast(
        "cue-waste", "where a cue favours a kind by question, DARLING stays near the frontier", "design",
        "priced-cue/diverse", "darling", "waste", "at most", 0.01, against="zero",
    ),
    contrast(
        "generalisation", "with 64 training questions GRPO is a cent or more off the frontier", "design",
        "priced/diverse/questions=64", "dr_grpo", "waste", "increase", 0.01, against="zero",
    ),
    contrast(
        "interference-shared", "one shared table: training for pass@k costs pass@1", "2602.21189",
        OWN, "pass_at_k_undivided", "pass@1", "decrease", 0.01,
    ),
    contrast(
        "interference-own", "a table for each question: training for pass@k costs no pass@1", "2508.10751",
        OWN, "pass_at_k_own", "pass@1", "equivalent", 0.01,
    ),
    contrast(
        "vpo-choice8", "set training buys the best answer of 8 rollouts", "2605.22817 (T6)",
        "priced-answers/diverse", "vpo", "choice@8", "increase", 0.005, against="grpo",
        published="MuSiQue, best@30: .832 against GRPO's .728",
    ),
    contrast(
        "vpo-choice-equal", "set training buys the best answer of 24 queries too", "2605.22817 (T6, queries matched)",
        "priced-answers/diverse", "vpo", "choice@24_searches", "increase", 0.005, against="grpo",
    ),
    contrast(
        "vpo-multi-rlvr", "random reward weights beat one fixed sum on equal sets", "2605.22817 (T6)",
        "priced-answers/diverse", "vpo", "choice@8", "increase", 0.005,
        published="MuSiQue, best@30: .832 against Multi-RLVR's .633",
    ),
    contrast(
        "vpo-pass1", "set training costs pass@1", "2605.22817 (T6)",
        "priced-answers/diverse", "vpo", "pass@1", "decrease", 0.01, against="grpo",
    ),
    contrast(
        "vpo-collinear", "with equal reward dimensions VPO is scalar training on sets", "2605.22817 (T7)",
        "priced-answers/diverse", "vpo_collinear", "choice@8", "equivalent", 0.003,
    ),
    contrast(
        "lm-priced-pass1", "with unequal kinds diversity training costs a language model pass@1", "design",
        "priced/diverse", "darling", "pass@1_population", "decrease", 0.01, policy="language model",
    ),
    contrast(
        "lm-priced-pass8", "with unequal kinds diversity training buys a language model pass@8", "design",
        "priced/diverse", "darling", "pass@8_population", "increase", 0.02, policy="language model",
    ),
    contrast(
        "lm-priced-matched", "at equal pass@8 the method costs a language model no pass@1", "design",
        "priced/diverse", "darling", "pass@1_population", "equivalent", 0.01, against="matched",
        policy="language model",
    ),
    contrast(
        "lm-mix-waste", "a language model trained for the mixture stays near the frontier", "design",
        "priced/diverse", "pass_mix", "waste", "at most", 0.01, against="zero", policy="language model",
    ),
    contrast(
        "lm-steep-pass1", "with steeply unequal kinds diversity training costs a language model pass@1", "design",
        "steep/diverse", "darling", "pass@1_population", "decrease", 0.01, policy="language model",
    ),
    contrast(
        "lm-steep-matched", "with steeply unequal kinds, at equal pass@8 the method costs a language model no pass@1",
        "design", "steep/diverse", "darling", "pass@1_population", "equivalent", 0.01, against="matched",
        policy="language model",
    ),
    contrast(
        "lm-free-pass8", "with equal kinds diversity training buys a language model pass@8", "design",
        "free/diverse", "darling", "pass@8_population", "increase", 0.02, policy="language model",
    ),
)  # fmt: skip
