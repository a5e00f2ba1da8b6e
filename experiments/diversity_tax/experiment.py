"""The diversity tax: what training for diversity costs in single-shot pass@1, when, and why.

Arms share world, start, questions, draws and number of rollouts. Each replicate has a world of its own, and all values
are exact in the population of that world, so that the difference of an arm from its control is a price, which the exact
frontier asks for the pass@8 it bought, minus a difference of wastes. Claims are in `claims.py`, registered before the
grid was run; worlds kept apart say first whether each could be supported and could come out otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...policies.tabular.training import TableConfig
from ..grid.arms import ARMS, Arm
from ..grid.condition import ANSWERS_SUFFIX, CUE_SUFFIX, Condition
from ..grid.experiment import Results
from ..grid.grid_experiment import GridExperiment
from ..grid.language_cells import LanguageGrid
from ..grid.series import Grid
from ..report.format import Report
from ..runs.run_folder import stored_json
from .claims import CONTRASTS, OWN
from .figure import write_findings_figure
from .findings import details, findings
from .headline import headline, tax_screen
from .taxes import distinct_first_rows, identity_rows, tax_rows

__all__ = ["EXPERIMENT", "DiversityTax"]


class DiversityTax(GridExperiment):
    """A grid that also reports price and waste by condition, and words them."""

    def further_rows(self, grid: Grid) -> Report:
        """The taxes by policy and condition, what distinct first queries find untrained, and the identities."""
        return {
            "taxes": tax_rows(grid),
            "distinct_first": distinct_first_rows(grid),
            "identities": identity_rows(grid),
        }

    def headline(self, report: Report) -> str:
        """What diversity costs, and how much of it the task asks for."""
        return headline(report)

    def further_tables(self, report: Report) -> Sequence[str]:
        """Price and waste of the shown arms."""
        return tax_screen(report)

    def write_files(self, results: Results, report: Report, out: Path) -> None:
        """Those of any grid, and the figure of the findings."""
        super().write_files(results, report, out)
        write_findings_figure(report, out / "figures", prefix=self.figure_prefix)

    def pages(self, report: Report, results: Path | None = None) -> Mapping[str, str]:
        """docs/findings.md, with the price law if its results are published, and docs/findings_details.md."""
        law = None if results is None else results / "price_law" / "report.json"
        names = {name: arm.strength_name for name, arm in self.arms.items()}
        read = stored_json(law) if law is not None and law.is_file() else None
        return {"findings.md": findings(report, read), "findings_details.md": details(report, names)}


_CORE = (
    "grpo", "dr_grpo", "darling", "darling_power", "pass_mix", "pass_at_k", "pass_at_k_undivided", "batch", "entropy",
    "maxrl",
)  # fmt: skip
_EXTRA = (
    "darling_oracle", "darling_random_equal", "lexical", "max_at_k", "max_at_k_centred", "correct_only",
    "unsolved_only", "kl_cov", "grpo_two_updates", "batch_shuffled", "random_reward", "no_learning", "more_sft",
    "rejection_sampling",
)  # fmt: skip
_RATES = ("grpo", "dr_grpo", "darling", "darling_power", "pass_mix", "pass_at_k_undivided", "batch")
_OWN = ("grpo", "dr_grpo", "ucb_mean", "ucb_con", "batch", "darling", "pass_at_k_undivided", "dr_grpo_own",
        "pass_at_k_own")  # fmt: skip
_ANSWER_ARMS = ("grpo", "grpo_sets", "multi_rlvr", "vpo", "vpo_collinear")

_OWN_ARMS: Mapping[str, Arm] = {
    "dr_grpo_own": replace(ARMS["dr_grpo"], summary="Dr. GRPO with a table for each question", own_tables=True),
    "pass_at_k_own": replace(
        ARMS["pass_at_k_undivided"],
        summary="pass@k training with a table for each question",
        control="dr_grpo_own",
        own_tables=True,
    ),
}
_TEN_WEIGHTS = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)

_ARMS: Mapping[str, Arm] = {
    **{name: ARMS[name] for name in dict.fromkeys((*_CORE, *_EXTRA, *_RATES, *_OWN, *_ANSWER_ARMS)) if name in ARMS},
    **_OWN_ARMS,
    "pass_mix": replace(ARMS["pass_mix"], strengths=_TEN_WEIGHTS),
}

_PLACES: Mapping[str, tuple[str, ...]] = {
    "priced/diverse": (*_CORE, *_EXTRA),
    "steep/diverse": (*_CORE, *_EXTRA),
    "free/diverse": _CORE,
    "slack/diverse": ("grpo", "dr_grpo", "darling", "batch"),
    f"priced{CUE_SUFFIX}/diverse": _CORE,
    f"free{CUE_SUFFIX}/diverse": _CORE,
    "priced/narrow": _CORE,
    **{f"{preset}/diverse/rate={rate:g}": _RATES for preset in ("priced", "steep") for rate in (0.3, 1.0)},
    **{f"priced/diverse/questions={n}": ("dr_grpo", "darling", "pass_mix") for n in (64, 256, 1024)},
    OWN: _OWN,
    f"priced{ANSWERS_SUFFIX}/diverse": _ANSWER_ARMS,
}
"""Condition -> its arms. Of .3, 1 and 3, the learning rate of the other conditions is the one whose GRPO (six seeds
apart from the grid's, priced, diverse start) ended nearest to the entropy of kinds of the language-model prototype
(.245)."""

_LANGUAGE_PLACES: Mapping[str, Mapping[str, int]] = {
    "priced/diverse": {
        "dr_grpo": 8, "darling": 8, "pass_mix": 8, "pass_at_k_undivided": 8, "darling_power": 3,
        "darling_random_equal": 3,
    },
    "steep/diverse": {"dr_grpo": 8, "darling": 8, "pass_mix": 8},
    "free/diverse": {"dr_grpo": 8, "darling": 8},
    **{f"priced/diverse/rate={rate:g}": {"dr_grpo": 3, "darling": 3} for rate in (3e-5, 3e-4)},
}  # fmt: skip
"""Condition -> arm of the language model -> number of worlds. The learning rate of the others is 1e-4."""

EXPERIMENT = DiversityTax(
    name="diversity_tax",
    summary="what training for diversity costs in single-shot pass@1, when, and why",
    version=2,
    conditions=tuple(map(Condition.of, _PLACES)),
    contrasts=CONTRASTS,
    arms=_ARMS,
    arms_of={Condition.of(name): arms for name, arms in _PLACES.items()},
    table=TableConfig(learning_rate=3.0),
    # Arms are matched to points between those of their control, whose way is curved, most at the start.
    control_steps=(*range(10), *range(10, 20, 2), *range(20, 40, 5), *range(40, 80, 10), *range(80, 201, 20)),
    with_pilot=True,
    smoke_conditions=tuple(map(Condition.of, ("free/diverse", "priced/diverse", f"priced{ANSWERS_SUFFIX}/diverse"))),
    # 80 steps: the control of the first world, run before, had gone most of the way of 200 in 40 % of the time
    language=LanguageGrid(
        places={Condition.of(name): arms for name, arms in _LANGUAGE_PLACES.items()},
        checkpoints=(0, 20, 40, 80),
        arms={
            "dr_grpo": "dr_grpo",
            "darling": ARMS["darling"].objective.format(f"{ARMS['darling'].middle[0]:g}"),
            "pass_mix": "pass_mix:weight=0.5,k=4",
            "pass_at_k_undivided": "pass_at_k:k=2,std=none",
            "darling_power": "darling:power=2",
            "darling_random_equal": "darling_random:norm=equal,power=2",
        },
    ),
    figure_prefix="tax",
)
"""What `berrypick run diversity_tax` runs."""
