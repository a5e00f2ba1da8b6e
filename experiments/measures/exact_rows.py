"""Exact values for the World questions of some rollouts: the frontier, and the scores of reference policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...envs.questions import EpisodeSpec, Question
from ...envs.world.config import WorldConfig
from ...envs.world.facts import WorldFacts
from ...envs.world.frontier import (
    Frontier,
    best_order,
    ceiling,
    check_supported,
    fitted_frontier,
    order_success,
    pass_at_1,
    pass_at_k,
    question_table,
    uniform_orders,
)
from ...retrieval_index.errors import BerrypickError
from .rollout import Played, Rollout, rollouts_of
from .rows import FrontierRow

__all__ = ["ExactRows", "exact_rows"]


@dataclass(frozen=True)
class ExactRows:
    """Values that are computed from the questions, without rollouts.

    Attributes:
        frontier: best pass@k for each pass@1, over all policies that cannot see which records exist.
        references: name of a reference policy -> key of a measure -> exact value.
    """

    frontier: Frontier
    references: dict[str, dict[str, float]]

    def as_json(self) -> FrontierRow:
        """The frontier as a report holds it: its k, its points and its largest duality gap."""
        points = [[point.pass_at_1, point.pass_at_k] for point in self.frontier.points]
        return {"k": self.frontier.k, "max_gap": self.frontier.max_gap, "points": points}


def exact_rows(played: Sequence[Played], k: int) -> ExactRows | str:
    """Computes the exact values for the questions of World rollouts, or says in one line why there are none.

    Args:
        played: rollouts, of one or several policies.
        k: of the frontier's pass@k.
    """
    rollouts = rollouts_of(played)
    questions = {rollout.question.id: rollout.question for rollout in rollouts}
    worlds = [facts for question in questions.values() if (facts := WorldFacts.of(question)) is not None]
    if len(worlds) < len(questions):
        return "no exact frontier here: it is defined for berrypick/World-v0"
    if len({(world.budget, world.hops, len(world.kinds)) for world in worlds}) != 1:
        return "no exact frontier here: the questions come from Worlds of different shape; report them apart"
    world = worlds[0]
    try:
        for rollout in rollouts:
            _check(rollout, world)
        asked = [Question(q.id, q.text, tuple(q.answers), metadata=q.metadata) for q in questions.values()]
        front = fitted_frontier(asked, world.budget, k)
    except BerrypickError as error:
        return str(error)
    return ExactRows(front, _references(asked, worlds, front))


def _check(rollout: Rollout, world: WorldFacts) -> None:
    """Raises `BerrypickError` if a rollout was played under rules that the exact values do not describe.

    Rollouts of berrypick record their rules and their index. Those of other systems are judged by their hits.
    """
    if any(len(ranking) > 1 for ranking in rollout.rankings):
        raise BerrypickError("no exact frontier here: a query must bring one passage (top_k=1); change that setting")
    if rollout.spec is not None:
        config = WorldConfig(availability=world.availability, budget=world.budget, hops=world.hops)
        check_supported(EpisodeSpec.of_record(rollout.spec), config, "bm25s" if rollout.lexical else "no lexical index")


def _references(
    asked: Sequence[Question], worlds: Sequence[WorldFacts], front: Frontier
) -> dict[str, dict[str, float]]:
    table, k, world = question_table(asked), front.k, worlds[0]
    orders = {"uniform order": uniform_orders(len(world.kinds))}
    if world.availability and len({facts.availability for facts in worlds}) == 1:
        orders["best order"] = best_order(world.availability)
    rows: dict[str, dict[str, float]] = {}
    for name, mixture in orders.items():
        success = order_success(table, mixture, world.budget)
        one, many = pass_at_1(table, success), pass_at_k(table, success, k)
        rows[name] = _row(one, many, k, front.value(one) - many)
    rows["ceiling"] = {f"pass@{k}": ceiling(table)}
    best = max(front.points, key=lambda point: point.pass_at_k)
    rows["frontier's top"] = _row(best.pass_at_1, best.pass_at_k, k, 0.0)
    return rows


def _row(one: float, many: float, k: int, distance: float) -> dict[str, float]:
    return {"pass@1": one, "pass@1_plan": one, f"pass@{k}": many, f"pass@{k}_plan": many, "frontier_distance": distance}
