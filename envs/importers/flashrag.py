"""FlashRAG's saved outputs: question, golden answers, prediction, retrieved passages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..record import TurnRecord
from .fields import numbers, texts
from .files import Row
from .passages import rankings_of_value
from .registry import register_importer
from .rollout import Rollout
from .transcript import TAGGED, answer_of, answer_turn, turns_of_text

__all__: list[str] = []

_ITERATION = re.compile(r"retrieval_result_iter_(\d{1,6})\Z")


@register_importer(
    "flashrag",
    title="FlashRAG output",
    recognise=lambda row: {"question", "golden_answers", "output"} <= row.keys() and isinstance(row["output"], Mapping),
    summary="`intermediate_data.json` of FlashRAG, a JSON list",
    gives="right answers, the prediction, passages with real ids; queries only of pipelines that log them",
    lacks={
        "token probabilities": "the outputs hold no tokens",
        "token counts": "the outputs hold no tokens",
        "evidence": "the outputs do not say which passages are relevant",
        "queries": "FlashRAG logs retrieved passages without the queries",
        "passages": "this pipeline logs no retrieved passages",
    },
)
def read_flashrag(row: Row) -> Rollout:
    """Reads an item. Outputs with tags, such as Search-R1's, have turns; of others the queries are not logged."""
    output: Mapping[str, Any] = row["output"]
    said = output.get("pred")
    said = said if isinstance(said, str) else None
    transcript = next((text for name in ("final_response", "raw_pred", "full_output", "response")
                       if isinstance(text := output.get(name), str) and TAGGED.search(text)), None)  # fmt: skip
    scores = output.get("metric_score")
    known: dict[str, Any] = {
        "question": str(row["question"]),
        "answers": texts(row["golden_answers"]),
        "metadata": {"id": row["id"]} if isinstance(row.get("id"), str | int) else {},
        "scores": numbers(scores) if isinstance(scores, Mapping) else {},
    }
    if transcript is not None:
        turns = turns_of_text(transcript)
        answer = answer_of(turns)
        return Rollout(turns=turns, answer=said if answer is None else answer, **known)
    turns = _retrievals(output)
    unknown = ["queries", "turns"] if turns else ["queries", "passages", "turns"]
    if said is not None:
        turns.append(answer_turn(said, said.strip()))
    return Rollout(turns=turns, answer=answer_of(turns), unknown=unknown, **known)


def _retrievals(output: Mapping[str, Any]) -> list[TurnRecord]:
    """One turn for each retrieval: those of the iterations, else the only one."""
    rounds = sorted((int(found[1]), name) for name in output if (found := _ITERATION.match(name)))
    names = [name for _, name in rounds] or ["retrieval_result"]
    turns = []
    for name in names:
        hits = rankings_of_value(output.get(name))
        if hits:
            turns.append(TurnRecord(text="", action="search", hits=[[hit for ranking in hits for hit in ranking]]))
    return turns
