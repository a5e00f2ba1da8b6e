"""The diversity tax: what training for diversity costs in single-shot pass@1, when, and why.

Arms share start, questions, draws and number of rollouts. The tax is read against each arm's control, at the end and at
matched breadth; the exact frontier of the test questions says which part of it was avoidable. The full grid runs with
the tabular policy (`policies/tabular`), whose values are exact; scale full adds a language model. Claims and their
endpoints are in `claims.py`, written before the grid was run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...envs.world.world import PRESETS
from ...policies.tabular.training import TableConfig
from ..grid.arms import ARMS
from ..grid.condition import ANSWERS_SUFFIX, CUE_SUFFIX, Condition
from ..grid.grid_experiment import GridExperiment
from ..grid.language_cells import LanguageGrid
from ..grid.page import strengths_page
from ..grid.series import Grid
from ..report.format import Report
from .claims import CONTRASTS
from .headline import headline, tax_screen
from .page import findings
from .taxes import tax_rows

__all__ = ["EXPERIMENT", "DiversityTax"]

_TITLE = "What training for diversity costs"


class DiversityTax(GridExperiment):
    """A grid that also reports the tax of its first arm by condition, and words it."""

    def further_rows(self, grid: Grid) -> Report:
        """The taxes by policy and condition."""
        return {"taxes": tax_rows(grid, self.contrasts)}

    def headline(self, report: Report) -> str:
        """Where the tax is zero, negative or real."""
        return headline(report)

    def further_tables(self, report: Report) -> Sequence[str]:
        """The taxes of each policy."""
        return tax_screen(report)

    def pages(self, report: Report) -> Mapping[str, str]:
        """docs/findings.md, and the page of all strengths."""
        names = {name: arm.strength_name for name, arm in self.arms.items()}
        return {
            "findings.md": findings(report, _TITLE),
            "findings_strengths.md": strengths_page(report, _TITLE, "diversity_tax/page.py", names),
        }


_ARMS = (
    "grpo",
    "dr_grpo",
    "darling",
    "darling_oracle",
    "lexical",
    "ucb_mean",
    "ucb_con",
    "batch",
    "entropy",
    "kl_cov",
    "max_at_k",
    "pass_at_k",
    "grpo_two_updates",
    "batch_shuffled",
    "random_reward",
    "no_learning",
    "more_sft",
    "rejection_sampling",
    "grpo_sets",
    "multi_rlvr",
    "vpo",
    "vpo_collinear",
)
"""The arms of the registered grid; `ARMS` has gained others since."""

_ANSWERS = Condition(f"priced{ANSWERS_SUFFIX}", "diverse")

EXPERIMENT = DiversityTax(
    name="diversity_tax",
    summary="what training for diversity costs in single-shot pass@1, when, and why",
    conditions=(
        *(
            Condition(f"{preset}{suffix}", start)
            for suffix in ("", CUE_SUFFIX)
            for preset in PRESETS
            for start in ("diverse", "narrow")
        ),
        _ANSWERS,
    ),
    contrasts=CONTRASTS,
    arms={name: ARMS[name] for name in _ARMS},
    # Of .3, 1 and 3, the learning rate whose GRPO (6 seeds apart from the grid's, priced, diverse start) ends nearest
    # to the entropy of kinds that the language-model prototype of the World's specification had (.245).
    table=TableConfig(learning_rate=3.0),
    # Arms are matched to points between those of their control, whose way is curved, most at the start.
    control_steps=(*range(10), *range(10, 20, 2), *range(20, 40, 5), *range(40, 80, 10), *range(80, 201, 20)),
    smoke_conditions=(Condition("free", "diverse"), Condition("priced", "diverse"), _ANSWERS),
    language=LanguageGrid(
        presets=("priced",),
        arms={
            "dr_grpo": "dr_grpo",
            "darling": ARMS["darling"].objective.format(f"{ARMS['darling'].middle[0]:g}"),
            "pass_mix": "pass_mix:weight=0.5,k=4",
            "pass_at_k": "pass_at_k:k=2,std=none",
        },
    ),
    figure_prefix="tax",
)
"""What `berrypick run diversity_tax` runs."""
