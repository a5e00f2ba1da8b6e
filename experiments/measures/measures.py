"""The registry of measures: the key, the label, the unit and the meaning of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from ...retrieval_index.plugins import Registry
from .group import Group, mean
from .measure import Measure, OfGroup
from .of_groups import OF_GROUPS, RAREFIED_QUERIES

__all__ = [
    "DERIVED",
    "FAMILIES",
    "MEASURES",
    "OF_GROUPS",
    "RAREFIED_QUERIES",
    "Group",
    "Measure",
    "extended",
    "load_measures",
    "mean",
    "measure_of",
    "register_measure",
]

_PLANNED = "pass@{k} of a perfect reader that replays the choices of record kind and uses the whole budget (World)"

DERIVED = (
    Measure("pass@1", "pass@1", "share", "share of rollouts whose answer is an exact match"),
    Measure("query_specificity", "query specificity", "share",
            "chance that first queries of one question are more alike than those of two questions; 0.5: queries ignore "
            "the question", "specificity"),
    Measure("format_dominant", "dominant format", "share",
            "share of rollouts that write the arm's most frequent set of tags", "format"),
    Measure("format_entropy", "format entropy", "nats", "entropy of the tags that rollouts write, over the whole arm"),
    Measure("pass@1_plan", "planned pass@1", "share", _PLANNED.replace("{k}", "1"), "planned"),
    Measure("give_up_loss", "give-up loss", "share",
            "planned pass@1 - pass@1 of a perfect reader with only the searches that were made (World)"),
    Measure("execution_loss", "execution loss", "share",
            "pass@1 of a perfect reader with only the searches that were made - pass@1 (World)"),
    Measure("gave_up", "gave up", "share", "share of rollouts that answered while a search could still help (World)"),
    Measure("executed_right", "right searches", "share",
            "share of searches whose top passage is about the wanted fact (World)", "right search"),
    Measure("new_kind_after_miss", "new kind after miss", "share",
            "share of searches after a miss that try a new record kind (World)", "new kind"),
    Measure("kind_entropy", "kind entropy", "nats",
            "entropy of the record kind that is tried first at a hop, given the question (World, Miller-Madow)"),
    Measure("kind_information", "kind information", "nats",
            "mutual information of question and first record kind, given the hop (World, Miller-Madow)"),
    Measure("frontier_distance", "distance to frontier", "share",
            "most pass@k possible at this pass@1 - pass@k, both as they were scored (World)", "to frontier"),
    Measure("price", "price", "share",
            "most pass@1 possible at this pass@k - the same at the control's pass@k; on the exact frontier of the "
            "population (World)"),
    Measure("waste", "waste", "share",
            "most pass@1 possible at this pass@k, on the exact frontier of the population - pass@1 (World)"),
    Measure("choice@24_searches", "choice@24 searches", "share",
            "choice@k of as many rollouts as make 24 searches (World, conflicting answers)"),
    Measure("training_reward", "training reward", "reward", "mean reward on the training questions", "reward"),
)  # fmt: skip
"""Measures that are computed from replayed searches, from other measures or from exact values."""

MEASURES: Registry[Measure] = Registry("measure", "berrypick.metrics", "my_measures.py:NAME")
"""Measures by key, those of users among them; `measure_of` also knows keys with a number, such as pass@8."""

for _measure in (*OF_GROUPS, *DERIVED):
    MEASURES.register(_measure.key, _measure, __name__)

_BUILT_IN = frozenset(MEASURES)


def register_measure(key: str, label: str, unit: str = "", meaning: str = "") -> Callable[[OfGroup], OfGroup]:
    """Decorator that makes a function of a `Group`, the rollouts of one question, a measure of all reports.

    Args:
        key: its name in JSON and CSV.
        label: its name in tables, figures and pages.
        unit: see `Measure`.
        meaning: one line.

    Raises:
        BerrypickError: another module has registered this key.
    """

    def register(of_group: OfGroup) -> OfGroup:
        MEASURES.register(key, Measure(key, label, unit, meaning, of_group=of_group), of_group.__module__)
        return of_group

    return register


def extended() -> bool:
    """Whether a user's measure is registered; such a measure may read anything of an episode."""
    load_measures()
    return any(name not in _BUILT_IN for name in MEASURES)


@cache
def load_measures() -> None:
    """Loads the measures of installed packages (entry-point group `berrypick.metrics`), once per process."""
    MEASURES.load_installed()


FAMILIES = (
    Measure("pass@{k}_plan", "planned pass@{k}", "share", _PLANNED),
    Measure("pass@{k}", "pass@{k}", "share", "chance that at least one of {k} rollouts is an exact match (unbiased)"),
    Measure("answers_distinct@{k}", "distinct answers@{k}", "count", "distinct answers among {k} rollouts"),
    Measure("answers@{k}", "answers@{k}", "count",
            "distinct true answers found by {k} rollouts (World, conflicting answers)"),
    Measure("choice@{k}", "choice@{k}", "share",
            "best answer of {k} rollouts for a reader with random preferences (World, conflicting answers)"),
)  # fmt: skip
"""Measures of k rollouts; {k} is the number in the key."""


def measure_of(key: str) -> Measure:
    """Looks up a measure; an unknown key becomes its own label."""
    if key in MEASURES:
        return MEASURES[key]
    for family in FAMILIES:
        found = re.fullmatch(re.escape(family.key).replace(r"\{k\}", r"(\d+)"), key)
        if found:
            k = found[1]
            label, meaning = (text.replace("{k}", k) for text in (family.label, family.meaning))
            return replace(family, key=key, label=label, meaning=meaning)
    return Measure(key, key, "", "")
