"""Controls that replace the searcher: what is accuracy when retrieval finds nothing, everything, or is not used?"""

from __future__ import annotations

import dataclasses

from ...retrieval_index.controls import EmptySearcher, RandomSearcher
from ...retrieval_index.errors import UnknownNameError
from ...retrieval_index.searcher import Searcher
from ..question_searcher import EvidenceSearcher
from .task import Task

__all__ = ["CONTROLS", "controlled"]

CONTROLS = {
    "empty": "finds nothing",
    "random": "finds passages by a hash of the query",
    "oracle": "finds the evidence of the question for any query, hop after hop",
    "closed_book": "one turn, no searches",
}
"""Control -> what it does."""


def controlled(task: Task, control: str, *, seed: int = 0) -> Task:
    """The same questions and rules under a control of `CONTROLS`. "closed_book" forbids searches instead.

    The caller still closes the searcher of `task`.

    Raises:
        UnknownNameError: no such control.
    """
    if control == "closed_book":
        return dataclasses.replace(task, spec=dataclasses.replace(task.spec, max_turns=1, search_budget=0))
    controls: dict[str, Searcher] = {
        "empty": EmptySearcher(),
        "random": RandomSearcher(task.passages, seed),
        "oracle": EvidenceSearcher(task.passages),
    }
    if control not in controls:
        raise UnknownNameError("corpus control", str(control), CONTROLS)
    return dataclasses.replace(task, searcher=controls[control])
