"""The screen of `berrypick rescore`: old against new, and the rollouts that flipped."""

from __future__ import annotations

from ...retrieval_index.plain_text import counted, safe_text
from ..measures.measures import measure_of
from ..measures.rescored import RescoreReport
from .format import NOTHING, number, signed, text_columns

__all__ = ["rescore_lines"]


def rescore_lines(report: RescoreReport) -> list[str]:
    """Says what changed, in lines for a terminal."""
    rows = []
    for name, row in report["scores"].items():
        label = name if name == "reward" else measure_of(name).label
        change = NOTHING if row["difference"] is None else signed(row["difference"])
        rows.append([label, number(row["old"]), number(row["new"]), change, f"{row['num_old']} and {row['num_new']}"])
    lines = [counted(report["num_episodes"], "rollout")]
    if report["questions_in_file"]:
        used, given = report["questions_replaced"], report["questions_in_file"]
        lines.append(f"answers replaced for {counted(used, 'question')}, of {given} in the file")
    lines += text_columns(["score", "old", "new", "new - old [95 %]", "rollouts with a value"], rows).splitlines()
    lines.append(f"now right: {report['to_right']}; now wrong: {report['to_wrong']} (exact match)")
    for flip in report["examples"]:
        said = "no answer" if flip["answer"] is None else repr(flip["answer"])
        lines.append(
            f"  now {flip['now']}: question {flip['question']}, sample {flip['sample']}: {said}; "
            f"accepted: {' | '.join(flip['answers'])}"
        )
    for reason, count in report["not_scored"].items():
        lines.append(f"left out: {counted(count, 'rollout')}: {reason}")
    return [safe_text(line) for line in lines]
