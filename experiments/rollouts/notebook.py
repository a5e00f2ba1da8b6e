"""Writes the notebooks of docs/: `python -m berrypick.experiments.rollouts.notebook rollouts > docs/rollouts.ipynb`.

The other one is `tour`.

Cells are run here as a notebook runs them: in one namespace, with the value of the last expression as the output. So
the page needs no Jupyter to be written, and tests can run its cells again.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import sys
from collections.abc import Sequence
from typing import Any

from .tour import TOUR

__all__ = ["CELLS", "NOTEBOOKS", "notebook_document", "run_cell"]

CELLS: tuple[tuple[str, str], ...] = (
    (
        "markdown",
        "# Rollouts in a notebook\n\n"
        "`berrypick.Rollouts` loads recorded episodes, measures them, compares them and draws them. Its numbers are "
        'those of `berrypick report`. Install: `pip install "berrypick[notebook]"`.',
    ),
    (
        "markdown",
        "First, two scripted policies play 32 questions of the World, four times each: one tries "
        "the record kinds in random order, one always in the best order. Any rollouts file will do "
        "instead: one that `berrypick eval` wrote, for example.",
    ),
    (
        "code",
        "import tempfile\n"
        "from pathlib import Path\n\n"
        "from berrypick.envs.tasks import make_task\n"
        "from berrypick.experiments.runs import evaluate\n"
        "from berrypick.policies import Sampling, open_policy\n\n"
        "runs = Path(tempfile.mkdtemp())\n"
        'task = make_task("berrypick/World-v0", num_train=0, num_validation=0, num_test=32)\n'
        'settings = {"split": "test", "num_questions": None, "num_samples": 4, "sampling": Sampling(), "seed": 0}\n'
        'for name in ("random_order", "best_order"):\n'
        "    evaluate(open_policy(name), task, out=runs / name, **settings)",
    ),
    ("markdown", "## Load"),
    (
        "code",
        "from berrypick import Rollouts\n\n"
        'spread = Rollouts.load(runs / "random_order")\n'
        'one_order = Rollouts.load(runs / "best_order")\n'
        "spread",
    ),
    ("markdown", "An element is an episode; `filter` selects some."),
    ("code", "episode = spread[0]\nepisode.question.text, episode.queries, episode.answer_raw"),
    ("code", "print(repr(spread.filter(right=False)))"),
    ("markdown", "## Measure\n\nEach value has a 95 % bootstrap interval over questions."),
    (
        "code",
        "measures = spread.metrics()\n"
        'for key in ("pass@1", "pass@4", "breadth"):\n'
        "    row = measures[key]\n"
        "    print(f\"{key:8} {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]\")",
    ),
    ("code", 'spread.figure("pass@k")'),
    ("markdown", "On World, the exact frontier shows how far a policy is from the best possible one."),
    ("code", 'spread.figure("frontier")'),
    ("markdown", "## Compare\n\n`a.compare(b)` is b - a, paired by question."),
    (
        "code",
        "found = spread.compare(one_order)\n"
        'for key in ("pass@1", "pass@4"):\n'
        '    row = found["differences"][key]\n'
        "    print(f\"{key} {row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]\")",
    ),
    ("markdown", "## One row per episode"),
    (
        "code",
        "frame = spread.to_pandas()\n"
        'print(frame.groupby("right")["searches"].agg(["count", "mean"]).round(2).to_string())',
    ),
)
"""(kind, source) of each cell."""

NOTEBOOKS = {"rollouts": CELLS, "tour": TOUR}
"""Name of the file in docs/ -> its cells."""


def run_cell(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs a cell and returns its outputs: what it printed, and the value of its last expression.

    Args:
        source: Python code.
        names: the namespace of all cells.
    """
    body, last = ast.parse(source).body, None
    if body and isinstance(body[-1], ast.Expr):
        last = ast.Expression(body[-1].value)
        del body[-1]
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "<cell>", "exec", dont_inherit=True), names)
        if last is not None:
            value = eval(compile(last, "<cell>", "eval", dont_inherit=True), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(printed.getvalue())})
    if value is not None:
        outputs.append({"data": _shown(value), "metadata": {}, "output_type": "display_data"})
    return outputs


def _shown(value: Any) -> dict[str, Any]:
    if hasattr(value, "savefig"):
        image = io.BytesIO()
        value.savefig(image, format="png", dpi=72, metadata={"Software": None})
        return {"image/png": base64.b64encode(image.getvalue()).decode(), "text/plain": ["<Figure>"]}
    data: dict[str, Any] = {"text/plain": _lines(repr(value))}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = _lines(value._repr_html_())
    return data


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def notebook_document(cells: Sequence[tuple[str, str]] = CELLS) -> dict[str, Any]:
    """Runs the cells and builds the notebook, format 4.5."""
    names: dict[str, Any] = {"__name__": "__main__"}
    out: list[dict[str, Any]] = []
    executed = 0
    for number, (kind, source) in enumerate(cells):
        cell: dict[str, Any] = {
            "cell_type": kind,
            "id": f"cell-{number}",
            "metadata": {},
            "source": _lines(source),
        }
        if kind == "code":
            executed += 1
            cell |= {"execution_count": executed, "outputs": run_cell(source, names)}
        out.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": out, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


if __name__ == "__main__":
    cells = NOTEBOOKS[sys.argv[1] if len(sys.argv) > 1 else "rollouts"]
    sys.stdout.write(json.dumps(notebook_document(cells), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
