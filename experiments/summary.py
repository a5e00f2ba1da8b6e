"""Records to measures: per question first, then means with 95 % bootstrap intervals over questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs.answers import normalize
from ..envs.frontier import Frontier
from ..envs.metrics.accuracy import pass_at_k
from ..envs.metrics.breadth import diff_at_k, rarefied_distinct, union_coverage, unique_ratio
from ..envs.metrics.entropy import discrete_entropy, query_token_mask
from ..envs.metrics.planning import PlanReplay, conditional_kind_entropy, plan_pass_at_k, replay
from ..envs.metrics.statistics import Estimate, bootstrap_indices, bootstrap_mean
from ..envs.record import EpisodeRecord
from ..retrieval_index.errors import BerrypickError

__all__ = ["MEASURES", "QuestionTable", "compare", "question_table_of", "summarize"]

Group = Sequence[EpisodeRecord]
Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure's one-line meaning; it has one value a question, or none."""

    label: str
    of_group: Callable[[Group], float | None]


@dataclass(slots=True)
class QuestionTable:
    """Per-question values of one arm.

    Attributes:
        question_ids: sorted.
        columns: measure -> float64 [questions], NaN where a question has no value.
        absent: measure -> why no question has one.
    """

    question_ids: tuple[str, ...]
    columns: dict[str, Column] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _queries(group: Group) -> list[str]:
    return [normalize(query) for record in group for query in record.queries]


def _spans(record: EpisodeRecord) -> list[tuple[float, float, int]]:
    """For each query written with tokens: summed entropy, log-probability, number of tokens."""
    out = []
    for turn in record.turns:
        if turn.tokens is None or turn.action != "search":
            continue
        entropies, log_probs = np.array(turn.tokens.entropies), np.array(turn.tokens.log_probs)
        for span in turn.query_spans:
            inside = query_token_mask(turn.tokens.char_starts, turn.text, [span])
            out.append((float(entropies[inside].sum()), float(log_probs[inside].sum()), int(inside.sum())))
    return out


def _token_entropy(group: Group) -> float | None:
    spans = [span for record in group for span in _spans(record)]
    tokens = sum(count for _, _, count in spans)
    return sum(total for total, _, _ in spans) / tokens if tokens else None


def _per_query_entropy(group: Group) -> float | None:
    return _mean([total for record in group for total, _, _ in _spans(record)])


def _sequence_entropy(group: Group) -> float | None:
    return _mean([-log_prob for record in group for _, log_prob, _ in _spans(record)])


def _semantic_entropy(group: Group) -> float | None:
    """Over first queries, clustered by what they bring back."""
    first = [
        tuple(hit.id for hit in turn.hits[0])
        for record in group
        for turn in [t for t in record.turns if t.action == "search" and t.error is None][:1]
    ]
    return discrete_entropy(first, miller_madow=True) if first else None


def _path_entropy(group: Group) -> float | None:
    return discrete_entropy([record.shown_ids for record in group], miller_madow=True)


def _shown_by_query(group: Group) -> list[frozenset[str]]:
    return [frozenset(hit.id for hit in ranking) for record in group for turn in record.turns for ranking in turn.hits]


def _correct(group: Group) -> int:
    return sum(record.em == 1.0 for record in group)


MEASURES: dict[str, Measure] = {
    "em": Measure("exact match, pass@1", lambda g: _mean([r.em for r in g])),
    "f1": Measure("token F1 of the answer", lambda g: _mean([r.f1 for r in g])),
    "evidence_recall": Measure(
        "share of hops with a relevant passage, per episode", lambda g: _mean([r.evidence_recall for r in g])
    ),
    "breadth": Measure(
        "relevant passages found by the group / there are",
        lambda g: union_coverage(g[0].evidence_sets, [r.shown_ids for r in g]),
    ),
    "unique_query_ratio": Measure("distinct queries / queries, in the group", lambda g: unique_ratio(_queries(g))),
    "unique_query_ratio_episode": Measure(
        "distinct queries / queries, in an episode",
        lambda g: _mean([unique_ratio([normalize(q) for q in r.queries]) for r in g]),
    ),
    "distinct_passages": Measure(
        "distinct passages shown to the group",
        lambda g: float(len(frozenset().union(*(r.shown_ids for r in g)))),
    ),
    "distinct_passages_rarefied": Measure(
        "distinct result sets among 8 queries of the group",
        lambda g: rarefied_distinct(_shown_by_query(g), 8),
    ),
    "searches": Measure("searches an episode", lambda g: _mean([float(len(r.queries)) for r in g])),
    "valid_actions": Measure(
        "share of turns that were valid actions",
        lambda g: _mean(
            [sum(t.action != "invalid" and t.error is None for t in r.turns) / len(r.turns) for r in g if r.turns]
        ),
    ),
    "finished": Measure(
        "share of episodes that ended with an answer", lambda g: _mean([float(r.terminated) for r in g])
    ),
    "query_token_entropy": Measure("nats a token inside queries", _token_entropy),
    "query_entropy": Measure("nats a query, summed over its tokens", _per_query_entropy),
    "query_sequence_entropy": Measure("-log p of whole queries, nats", _sequence_entropy),
    "semantic_query_entropy": Measure(
        "first queries clustered by what they retrieve, nats (Miller-Madow)", _semantic_entropy
    ),
    "path_entropy": Measure("episodes clustered by all they retrieved, nats (Miller-Madow)", _path_entropy),
    "policy_tokens": Measure(
        "tokens the policy wrote, an episode",
        lambda g: _mean([None if r.policy_tokens is None else float(r.policy_tokens) for r in g]),
    ),
}


def question_table_of(records: Sequence[EpisodeRecord], ks: Sequence[int] = (1, 2, 4, 8)) -> QuestionTable:
    """Groups records by question and computes every measure that the records can give."""
    groups: dict[str, list[EpisodeRecord]] = defaultdict(list)
    for record in records:
        groups[record.question.id].append(record)
    ids = tuple(sorted(groups))
    table = QuestionTable(ids)
    for name, measure in MEASURES.items():
        _add(table, name, [measure.of_group(groups[key]) for key in ids], "the records hold no such column")
    size = min(len(group) for group in groups.values())
    graded = all(record.em is not None for record in records)
    for k in ks:
        values = [
            pass_at_k(len(groups[key]), _correct(groups[key]), k) if k <= size and graded else None for key in ids
        ]
        _add(
            table,
            f"pass@{k}",
            values,
            f"{size} samples a question" if k > size else "no exact match in the records",
        )
    _add(
        table,
        f"answers_distinct@{size}",
        [diff_at_k([r.answer_norm for r in groups[key]], size) for key in ids],
        "no answers",
    )
    if all("world" in group[0].question.metadata for group in groups.values()):
        _add_planning(table, [groups[key] for key in ids], [k for k in ks if k <= size])
    return table


def _add(table: QuestionTable, name: str, values: Sequence[float | None], reason: str) -> None:
    column = np.array([np.nan if value is None else value for value in values], np.float64)
    if np.isnan(column).all():
        table.absent[name] = reason
    else:
        table.columns[name] = column


def _add_planning(table: QuestionTable, groups: Sequence[Group], ks: Sequence[int]) -> None:
    replays = [[_replay(record) for record in group] for group in groups]
    plan = [_mean([r.plan for r in rs]) or 0.0 for rs in replays]
    made = [_mean([r.made for r in rs]) or 0.0 for rs in replays]
    actual = [_mean([r.em for r in group]) or 0.0 for group in groups]
    none = "no query was made"
    _add(table, "pass@1_plan", plan, none)
    _add(table, "give_up_loss", [p - m for p, m in zip(plan, made)], none)
    _add(table, "execution_loss", [m - a for m, a in zip(made, actual)], none)
    _add(table, "gave_up", [_mean([float(r.gave_up) for r in rs]) for rs in replays], none)
    for k in ks:
        _add(table, f"pass@{k}_plan", [plan_pass_at_k([r.plan for r in rs], k) for rs in replays], none)
    _add(table, "executed_right", [_mean([float(x) for r in rs for x in r.executed]) for rs in replays], none)
    _add(
        table,
        "new_kind_after_miss",
        [_mean([float(x) for r in rs for x in r.new_after_miss]) for rs in replays],
        "no miss was followed by a query",
    )
    _add(
        table,
        "kind_entropy",
        [conditional_kind_entropy([r.first_kinds for r in rs], miller_madow=True) for rs in replays],
        "fewer than two rollouts searched",
    )


def _replay(record: EpisodeRecord) -> PlanReplay:
    tops = [
        (ranking[0].id if ranking else None)
        for turn in record.turns
        if turn.action == "search" and turn.error is None
        for ranking in turn.hits
    ]
    return replay(record.question.metadata["world"], record.queries, tops)


def summarize(
    records: Sequence[EpisodeRecord],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    frontier: Frontier | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """All measures of one arm with intervals.

    Args:
        records: of one policy.
        ks: for pass@k.
        frontier: of the records' own questions; adds the distance to it at `frontier.k`.
        seed: of the bootstrap.

    Returns:
        {"policy_id", "num_questions", "num_episodes", "samples", "measures": {name: {value, low, high, n}},
        "absent": {name: why}}.
    """
    table = question_table_of(records, ks)
    indices = bootstrap_indices(len(table.question_ids), seed=seed)
    measures = {name: asdict(bootstrap_mean(column, indices)) for name, column in table.columns.items()}
    if frontier is not None and f"pass@{frontier.k}_plan" in table.columns:
        measures["frontier_distance"] = asdict(_distance(table, frontier, indices))
    return {
        "policy_id": records[0].policy_id,
        "num_questions": len(table.question_ids),
        "num_episodes": len(records),
        "samples": len(records) // len(table.question_ids),
        "measures": measures,
        "absent": table.absent,
    }


def _distance(table: QuestionTable, frontier: Frontier, indices: NDArray[np.int64]) -> Estimate:
    """F(pass@1_plan) - pass@k_plan, vertical, the frontier held fixed under the bootstrap."""
    one, many = table.columns["pass@1_plan"], table.columns[f"pass@{frontier.k}_plan"]
    value = frontier.value(float(one.mean())) - float(many.mean())
    ones, manys = one[indices].mean(1), many[indices].mean(1)
    low, high = np.quantile([frontier.value(float(a)) - float(b) for a, b in zip(ones, manys)], [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(one))


def compare(
    first: Sequence[EpisodeRecord],
    second: Sequence[EpisodeRecord],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    seed: int = 0,
) -> dict[str, Any]:
    """Paired differences second - first over the questions both answered.

    Returns:
        {"num_shared", "num_not_shared", "differences": {measure: {value, low, high, n}}}.
    """
    a, b = question_table_of(first, ks), question_table_of(second, ks)
    shared = sorted(set(a.question_ids) & set(b.question_ids))
    if not shared:
        raise BerrypickError("these rollouts share no question; compare runs over the same questions")
    at_a = [a.question_ids.index(key) for key in shared]
    at_b = [b.question_ids.index(key) for key in shared]
    indices = bootstrap_indices(len(shared), seed=seed)
    differences: Mapping[str, Column] = {
        name: b.columns[name][at_b] - a.columns[name][at_a] for name in a.columns if name in b.columns
    }
    return {
        "num_shared": len(shared),
        "num_not_shared": len(set(a.question_ids) ^ set(b.question_ids)),
        "differences": {
            name: asdict(bootstrap_mean(column, indices))
            for name, column in differences.items()
            if not np.isnan(column).all()
        },
    }
