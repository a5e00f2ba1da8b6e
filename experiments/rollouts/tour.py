"""The cells of docs/tour.ipynb: from the frontier to a trained policy and its report."""

from __future__ import annotations

__all__ = ["TOUR"]

TOUR: tuple[tuple[str, str], ...] = (
    (
        "markdown",
        "# From the frontier to the report\n\n"
        "What does training for diversity cost in pass@1? This notebook computes what is possible, trains two policies "
        "in a second, then trains a language model and reads its report. It needs no GPU, data or hub: "
        '`pip install "berrypick[train,notebook]"`. The words are explained in [concepts](concepts.md).',
    ),
    (
        "markdown",
        "## What is possible\n\n"
        "The frontier of the World: the most pass@1 that any policy with a given pass@8 can have. It is exact.",
    ),
    (
        "code",
        "from berrypick.envs.world import WorldConfig, population_frontier\n\n"
        'world = WorldConfig.from_preset("priced")\n'
        "frontier = population_frontier(world, k=8)\n"
        "for goal in (0.60, 0.70, 0.75, 0.76):\n"
        '    print(f"pass@8 of {goal:.2f}: at most {frontier.best_pass_at_1(goal):.3f} of pass@1")',
    ),
    (
        "markdown",
        "## Two policies in a second\n\n"
        "A tabular policy only chooses which kind of record to try. `dr_grpo` is the control, `darling` pays for right "
        "rollouts that differ. The values are exact, here over the test questions of one world.",
    ),
    (
        "code",
        "from berrypick.policies.tabular import TabularConfig, train_tabular\n\n"
        'for name in ("dr_grpo", "darling"):\n'
        "    run = train_tabular(TabularConfig(objective=name, steps=80, learning_rate=10.0))\n"
        "    for step, row in run.checkpoints.items():\n"
        "        if step in (0, 40, 80):\n"
        "            print(f\"{name:8} step {step:2}: pass@1 {row['pass@1']:.3f}, pass@8 {row['pass@8']:.3f}\")",
    ),
    (
        "markdown",
        "Training finds the better order, so pass@1 rises and pass@8 falls. DARLING keeps more of pass@8 and gets less "
        "pass@1. How much of that the task asks and how much the method wastes: [findings](findings.md).",
    ),
    (
        "markdown",
        "## A language model\n\n"
        "Untrained weights of 0.8 M parameters imitate demonstrations for 150 steps, so the policy still errs. "
        "`berrypick train` imitates for longer, then trains with RL. The numbers below vary slightly with the "
        "processor.",
    ),
    (
        "code",
        "import tempfile\n"
        "from pathlib import Path\n\n"
        "from berrypick import make_task\n"
        "from berrypick.experiments.runs import evaluate, train, world_sft\n"
        "from berrypick.policies import Sampling, open_policy\n\n"
        "runs = Path(tempfile.mkdtemp())\n"
        'task = make_task("berrypick/World-v0")\n'
        'policy = train(world_sft({}, steps=150, seed=0), open_policy("tiny"), task, runs / "model", track=())\n'
        'settings = {"split": "test", "num_questions": 32, "num_samples": 8, "seed": 0}\n'
        'evaluate(policy, task, sampling=Sampling(max_new_tokens=32), out=runs / "model-test", **settings)\n'
        'print(sorted(path.name for path in (runs / "model-test").iterdir()))',
    ),
    ("markdown", "## Its report"),
    (
        "code",
        'from berrypick import Rollouts\n\nmodel = Rollouts.load(runs / "model-test")\nmodel',
    ),
    (
        "code",
        "measures = model.metrics()\n"
        'for key in ("pass@1", "pass@1_plan", "pass@8", "breadth", "valid_actions", "query_token_entropy"):\n'
        "    row = measures[key]\n"
        "    print(f\"{key:20} {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]\")",
    ),
    ("code", 'model.figure("frontier")'),
    (
        "markdown",
        "Planned pass@1 is what a perfect reader would make of the same choices; the difference to pass@1 is what the "
        "model still misspells and misreads. `model.compare(other)` gives paired differences, and "
        "`berrypick report` writes the same as a page with every episode. Next: [five minutes](start.md) in the shell, "
        "[a notebook of rollouts](rollouts.ipynb).",
    ),
)
"""(kind, source) of each cell. Cells after the training depend on the processor."""

VARIES = 7
"""The first cell whose outputs depend on the processor."""
