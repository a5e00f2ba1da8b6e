"""`Rollouts`: the episodes of one policy, measured, compared and drawn in a notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ...envs.record import EpisodeRecord
from ...retrieval_index.errors import BerrypickError, MissingExtraError, UnknownNameError
from ...retrieval_index.plain_text import counted, safe_text
from ..measures.arms_report import measure_arms
from ..measures.contradictions import contradicts
from ..measures.paired import compare
from ..measures.rows import ArmsReport, EstimateRow, PairedRow
from ..report.arms import load_arms
from ..report.format import number
from ..report.rollout_figures import frontier_figure, pass_at_k_figure, searches_figure
from .table import COLUMNS, episode_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "Rollouts"]

FIGURES = ("pass@k", "frontier", "queries")
"""Kinds of figures."""

_ROWS_SHOWN = 5
_CHARS_SHOWN = 80


class Rollouts(Sequence[EpisodeRecord]):
    """The recorded episodes of one policy, in the order of their file. It does not change; `filter` makes a new one.

    `berrypick report` prints the same numbers: `metrics` are the measures of one arm, `compare` its difference to
    another.
    """

    def __init__(self, records: Sequence[EpisodeRecord], *, name: str = "rollouts") -> None:
        """Wraps records, for example those that `evaluate` returns.

        Args:
            records: the episodes.
            name: what figures and texts call them.
        """
        self._records = tuple(records)
        self._name = name

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        skip_bad: bool = False,
        format: str | None = None,
        mapping: Mapping[str, str] | None = None,
    ) -> Rollouts:
        """Reads the folder of an evaluation, a rollouts file, or that of another system (docs/rollouts.md).

        Args:
            path: the file or folder.
            skip_bad: leave bad lines out instead of raising an error.
            format: name of the file's format, if it is not recognised.
            mapping: what berrypick calls a field -> its name in the rows of an unknown format.

        Raises:
            BerrypickError: the path holds no rollouts or those of several policies, or a line cannot be read.
        """
        arms = load_arms([Path(path)], skip_bad=skip_bad, format=format, mapping=mapping)
        if len(arms) > 1:
            raise BerrypickError(
                f"{path} holds the rollouts of {len(arms)} policies ({', '.join(arms)}); give the folder of one, "
                f"such as {Path(path) / 'eval' / next(iter(arms))}"
            )
        ((name, records),) = arms.items()
        return cls(records, name=name)

    @property
    def name(self) -> str:
        """What figures and texts call these rollouts."""
        return self._name

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[EpisodeRecord]:
        return iter(self._records)

    @overload
    def __getitem__(self, at: int) -> EpisodeRecord: ...

    @overload
    def __getitem__(self, at: slice) -> Rollouts: ...

    def __getitem__(self, at: int | slice) -> EpisodeRecord | Rollouts:
        if isinstance(at, slice):
            return Rollouts(self._records[at], name=self.name)
        return self._records[at]

    def filter(
        self,
        where: Callable[[EpisodeRecord], bool] | None = None,
        *,
        question: str | None = None,
        right: bool | None = None,
    ) -> Rollouts:
        """The episodes for which all given conditions hold.

        A condition on single episodes, such as `right`, leaves a different number per question. Measures of groups are
        then measures of that selection, not of the policy.

        Args:
            where: a function of an episode.
            question: id of a question.
            right: whether the answer is an exact match; ungraded episodes are neither.
        """
        kept = [
            record
            for record in self._records
            if (where is None or where(record))
            and (question is None or record.question.id == question)
            and (right is None or (record.em is not None and (record.em == 1) == right))
        ]
        return Rollouts(kept, name=self.name)

    def metrics(self) -> dict[str, EstimateRow]:
        """Key of a measure -> its value with a 95 % interval over questions; docs/measures.md explains the keys.

        Raises:
            BerrypickError: there are no episodes, or one id stands for different questions.
        """
        return dict(self._report["arms"][self.name]["measures"])

    def compare(self, other: Rollouts) -> PairedRow:
        """The paired differences other - self over the questions of both, as `berrypick report SELF OTHER` shows them.

        Raises:
            BerrypickError: they share no question, or one id stands for different questions.
        """
        return compare(self._some(), other._some())

    def figure(self, kind: str = "pass@k") -> Figure:
        """A matplotlib figure, which a notebook shows and `figure.savefig(PATH)` saves.

        Args:
            kind: "pass@k", the curve; "frontier", the place at the exact frontier (World); or "queries", episodes by
                their number of searches.

        Raises:
            BerrypickError: there is no such kind, or the rollouts lack its data.
            MissingExtraError: matplotlib is not installed.
        """
        if kind not in FIGURES:
            raise UnknownNameError("kind of figure", str(kind), FIGURES)
        if kind == "queries":
            right = Counter(len(record.queries) for record in self._some() if record.em == 1)
            total = Counter(len(record.queries) for record in self)
            return searches_figure({n: (right[n], total[n] - right[n]) for n in total}, self.name)
        report = self._report
        if kind == "frontier":
            if "frontier" not in report:
                raise BerrypickError(report.get("no_frontier", "no exact frontier for these questions"))
            return frontier_figure(report, self.name)
        if "pass@1" not in report["arms"][self.name]["measures"]:
            raise BerrypickError("no pass@k: these rollouts are not graded; figure('queries') needs no grades")
        return pass_at_k_figure(report, self.name)

    def to_pandas(self) -> Any:
        """A data frame with one row per episode.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        if find_spec("pandas") is None:
            raise MissingExtraError("to_pandas()", "notebook", "pandas is not installed")
        import pandas as pd

        return pd.DataFrame(episode_rows(self._records), columns=list(COLUMNS))

    @cached_property
    def _report(self) -> ArmsReport:
        return measure_arms({self.name: self._some()})

    def _some(self) -> list[EpisodeRecord]:
        if not self._records:
            raise BerrypickError(f"{self.name} has no episodes; filter less, or load another file")
        return list(self._records)

    @property
    def _summary(self) -> str:
        questions = len({record.question.id for record in self._records})
        parts = [f"{counted(len(self), 'episode')} of {counted(questions, 'question')}"]
        policies = list(dict.fromkeys(record.policy_id for record in self._records if record.policy_id))
        parts += [", ".join(policies[:3]) + (", ..." if len(policies) > 3 else "")] if policies else []
        graded = [record.em == 1 for record in self._records if record.em is not None]
        against = any(contradicts(record.em, record.reward) for record in self._records)
        by = " by exact match" if against else ""
        parts += [f"{number(sum(graded) / len(graded))} right{by}"] if graded else []
        rewards = [record.reward for record in self._records if record.reward is not None]
        if rewards and (against or not graded):
            parts.append(f"mean recorded reward {number(sum(rewards) / len(rewards))}")
        return safe_text("; ".join(parts)).replace("\n", " ")

    def __repr__(self) -> str:
        return f"<Rollouts {safe_text(self.name)}: {self._summary}>"

    def _repr_html_(self) -> str:
        """A table of the first episodes. All text of policies and questions is escaped."""
        differs = any(record.reward not in (None, record.em) for record in self._records)
        names = ["question", "sample", "searches", "answer", "right"]
        if differs:
            names[-1:] = ["right (exact match)", "reward"]
        head = "".join(f"<th>{name}</th>" for name in names)
        rows = "".join(
            f"<tr><td>{_cell(record.question.text)}</td><td>{record.sample_index}</td><td>{len(record.queries)}</td>"
            f"<td>{_cell(record.answer_raw)}</td><td>{_right(record)}</td>"
            f"{f'<td>{number(record.reward)}</td>' if differs else ''}</tr>"
            for record in self._records[:_ROWS_SHOWN]
        )
        more = len(self) - _ROWS_SHOWN
        return (
            f"<p><b>{escape(safe_text(self.name))}</b>: {escape(self._summary)}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            + (f"<p>and {counted(more, 'more episode')}</p>" if more > 0 else "")
        )


def _cell(text: str | None) -> str:
    if text is None:
        return "–"
    short = text if len(text) <= _CHARS_SHOWN else text[:_CHARS_SHOWN] + "…"
    return escape(safe_text(short))


def _right(record: EpisodeRecord) -> str:
    return "–" if record.em is None else "yes" if record.em == 1 else "no"
