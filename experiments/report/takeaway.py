"""The report in words: is a policy better, is it narrower, and how sure is that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..measures.rows import ArmsReport, ContradictionRow, EstimateRow
from .format import compact, number

__all__ = ["Verdict", "objection", "takeaway", "takeaway_of", "verdicts", "verdicts_of"]

NO_DIFFERENCE = "no difference can be seen"

_WORDS = {
    (1, 1): "better and broader",
    (1, 0): "better",
    (1, -1): "better at once, but narrower",
    (0, 1): "broader",
    (0, 0): NO_DIFFERENCE,
    (0, -1): "narrower",
    (-1, 1): "worse at once, but broader",
    (-1, 0): "worse",
    (-1, -1): "worse and narrower",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a paired difference says.

    Attributes:
        arm: the policy that is judged.
        base: the policy it is compared with.
        at_once: difference in pass@1, or in EM.
        tries: the largest k whose pass@k was compared; 1 if there is none.
        in_tries: difference in pass@k; None if `tries` is 1.
    """

    arm: str
    base: str
    at_once: EstimateRow
    tries: int = 1
    in_tries: EstimateRow | None = None

    @property
    def signs(self) -> tuple[int, int]:
        """For each difference: 1 or -1 if its whole interval is above or below zero, else 0."""
        return _sign(self.at_once), _sign(self.in_tries)

    @property
    def words(self) -> str:
        """Such as "better at once, but narrower"."""
        return _WORDS[self.signs]


def verdicts(report: ArmsReport) -> list[Verdict]:
    """Judges every pair of arms of a report whose rollouts are graded."""
    return verdicts_of(report["arms"], {name: row["differences"] for name, row in report["differences"].items()})


def verdicts_of(arms: Iterable[str], differences: Mapping[str, Mapping[str, EstimateRow]]) -> list[Verdict]:
    """Judges pairs of arms.

    Args:
        arms: names of the arms.
        differences: "a - b" -> key of a measure -> difference.
    """
    pairs = {f"{a} - {b}": (a, b) for a in arms for b in arms if a != b}
    found = []
    for name, row in differences.items():
        at_once = row.get("pass@1") or row.get("em")
        if name in pairs and at_once is not None:
            k = max([1, *(int(key[5:]) for key in row if re.fullmatch(r"pass@\d+", key))])
            found.append(Verdict(*pairs[name], at_once, k, row[f"pass@{k}"] if k > 1 else None))
    return found


def takeaway(report: ArmsReport) -> str:
    """Writes the sentence that a reader should keep; it holds the names of the arms as they are.

    One comparison is written with its intervals. Several comparisons with the same outcome share a clause. A
    difference whose 95 % interval includes zero is never called one.
    """
    if len(report["arms"]) == 1:
        return _alone(report)
    against = {name: row for name, arm in report["arms"].items() if (row := arm.get("reward_against_em"))}
    return takeaway_of(verdicts(report)) + objection(against)


def objection(against: Mapping[str, ContradictionRow]) -> str:
    """A sentence, after a space, for arms or steps whose recorded rewards contradict what "right" means; "" for none.

    Args:
        against: name -> its contradictions.
    """
    counts = _listed([f"{row['rollouts']} of {row['of']} rollouts of {name}" for name, row in against.items()])
    return f" Right means exact match, which the recorded rewards contradict in {counts}." if against else ""


def takeaway_of(found: list[Verdict]) -> str:
    """Writes the sentence on these comparisons."""
    if not found:
        return "The rollouts are not graded or share no question: which policy is better cannot be said."
    groups: dict[tuple[str, int, tuple[int, int]], list[Verdict]] = {}
    for verdict in found:
        groups.setdefault((verdict.base, verdict.tries, verdict.signs), []).append(verdict)
    clauses = [_one(group[0]) if len(group) == 1 else _several(group) for group in groups.values()]
    text = "; ".join([clauses[0], *(_lower(clause) for clause in clauses[1:])])
    return f"{text}."


def _one(verdict: Verdict) -> str:
    once, many = verdict.at_once, verdict.in_tries
    first, second = verdict.signs
    if (first, second) == (0, 0):
        tries = f", in {verdict.tries} tries {compact(many)}" if many else ""
        between = f"between {verdict.arm} and {verdict.base}"
        return f"No difference can be seen {between}: right at once {compact(once)}{tries}"
    if first:
        text = (
            f"{verdict.arm} answers {_points(once)} points {'more' if first > 0 else 'fewer'} right at once than "
            f"{verdict.base} ({compact(once)})"
        )
        if many and second:
            text += f" and finds {_points(many)} points {'more' if second > 0 else 'less'} in {verdict.tries} tries"
            text += f" ({compact(many)})"
        elif many:
            text += f", and {NO_DIFFERENCE} in {verdict.tries} tries ({compact(many)})"
    else:
        assert many is not None
        text = (
            f"{verdict.arm} finds {_points(many)} points {'more' if second > 0 else 'less'} in {verdict.tries} tries "
            f"than {verdict.base} ({compact(many)}), and {NO_DIFFERENCE} at once ({compact(once)})"
        )
    return f"{text}: {verdict.words}"


def _several(group: list[Verdict]) -> str:
    """One clause on several arms with the same base and the same outcome."""
    arms, base, tries = _listed([verdict.arm for verdict in group]), group[0].base, group[0].tries
    first, second = group[0].signs
    once = _range([verdict.at_once for verdict in group])
    many = _range([verdict.in_tries for verdict in group if verdict.in_tries is not None])
    if (first, second) == (0, 0):
        return f"No difference can be seen between {base} and any of {arms}"
    if first:
        text = f"{arms} answer {once} points {'more' if first > 0 else 'fewer'} right at once than {base}"
        if second:
            text += f" and find {many} points {'more' if second > 0 else 'less'} in {tries} tries"
        elif many:
            text += f", and {NO_DIFFERENCE} in {tries} tries"
    else:
        text = f"{arms} find {many} points {'more' if second > 0 else 'less'} in {tries} tries than {base}"
        text += f", and {NO_DIFFERENCE} at once"
    return f"{text}: {group[0].words}"


def _alone(report: ArmsReport) -> str:
    ((name, arm),) = report["arms"].items()
    measures = arm["measures"]
    once = measures.get("pass@1") or measures.get("em")
    reward = measures.get("reward")
    if once is None:
        text = f"The rollouts of {name} are not graded: how often it is right cannot be said"
        return text + (f"; their mean recorded reward is {number(reward['value'])}." if reward else ".")
    text = f"{name} answers {100 * once['value']:.1f} of 100 questions right at once ({_between(once)})"
    k = max([1, *(int(key[5:]) for key in measures if re.fullmatch(r"pass@\d+", key))])
    if k > 1:
        many = measures[f"pass@{k}"]
        text += f" and finds {100 * many['value']:.1f} in {k} tries ({_between(many)})"
        best = report.get("references", {}).get("ceiling", {}).get(f"pass@{k}")
        text += "" if best is None else f"; no policy can find more than {100 * best:.1f}"
    if reward is None or (against := arm.get("reward_against_em")) is None:
        return f"{text}."
    return (
        f"By exact match {text}, but the recorded rewards contradict that in {against['rollouts']} of "
        f"{against['of']} rollouts: their mean is {number(reward['value'])}."
    )


def _between(row: EstimateRow) -> str:
    if row["n"] < 2:
        return "a single question, so there is no interval"
    return f"95 % interval {100 * row['low']:.1f} to {100 * row['high']:.1f}"


def _sign(row: EstimateRow | None) -> int:
    """What an interval says; that of a single question says nothing."""
    return 0 if row is None or row["n"] < 2 else int(row["low"] > 0) - int(row["high"] < 0)


def _points(row: EstimateRow) -> str:
    return number(100 * abs(row["value"]), 1)


def _range(rows: list[EstimateRow]) -> str:
    """Such as "3.1 to 4.7"; "" for no rows."""
    texts = [_points(row) for row in sorted(rows, key=lambda row: abs(row["value"]))]
    return f"{texts[0]} to {texts[-1]}" if len({*texts}) > 1 else "".join(texts[:1])


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _lower(clause: str) -> str:
    """The clause as the continuation of a sentence; only our own first word changes, never a policy's name."""
    return clause.replace("No difference", "no difference", 1) if clause.startswith("No difference") else clause
