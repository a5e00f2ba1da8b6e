"""Whether a file of rollouts is whole: what its rows tell of their number and of their checksums."""

from __future__ import annotations

from collections import Counter

from ..retrieval_index.plain_text import counted
from .record_schema import EpisodeRecord

__all__ = ["Wholeness"]


class Wholeness:
    """Counts the rows of a file while they are read.

    Every row that `evaluate` writes tells how many rollouts its evaluation has, so that a file that was cut at a line
    end is noticed. Selecting rows and joining files stays possible: their rows stay as they are.

    Attributes:
        num_rows: rows that were read.
        num_unsealed: rows without a checksum.
    """

    def __init__(self) -> None:
        self.num_rows = self.num_unsealed = 0
        self._from_run = False
        self._read: Counter[tuple[object, ...]] = Counter()
        self._played: dict[tuple[object, ...], int] = {}

    def add(self, record: EpisodeRecord, *, is_sealed: bool) -> None:
        """Notes a row."""
        self.num_rows += 1
        self.num_unsealed += not is_sealed
        self._from_run |= bool(record.run_id)
        if record.num_rollouts is None:
            return
        evaluation = record.run_id, record.policy_id, record.checkpoint_step, record.env_id, record.seed
        self._read[evaluation] += 1
        self._played[evaluation] = max(record.num_rollouts, self._played.get(evaluation, 0))

    @property
    def num_missing(self) -> int:
        """Number of rollouts that the evaluations of these rows have and the file lacks."""
        return sum(max(0, played - self._read[evaluation]) for evaluation, played in self._played.items())

    def missing_text(self) -> str:
        """ "15 of the 16 rollouts of this evaluation; the others are missing"; "" if none is missing."""
        if not self.num_missing:
            return ""
        evaluations = "this evaluation" if len(self._played) == 1 else f"these {len(self._played)} evaluations"
        read, played = sum(self._read.values()), sum(self._played.values())
        return f"{read} of the {counted(played, 'rollout')} of {evaluations}; the others are missing"

    def unsealed_text(self) -> str:
        """ "16 rows without a checksum, ..."; "" if all have one, or if no run wrote them: others' rows have none."""
        if not self.num_unsealed or (self.num_unsealed == self.num_rows and not self._from_run):
            return ""
        return f"{counted(self.num_unsealed, 'row')} without a checksum; damage to such rows is not noticed"
