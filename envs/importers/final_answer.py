"""The answer in a final message that no tag marks."""

from __future__ import annotations

import re

__all__ = ["free_answer"]

_MARKED = re.compile(r"^[ \t*#]*(?:exact|final) answer[ \t*]*:[ \t*]*([^\n]*)$", re.IGNORECASE | re.MULTILINE)


def free_answer(text: str) -> str | None:
    r"""What a final message answers: its last `<answer>` block, else its last `\boxed{}`, else a line that starts with
    "Final answer:" or "Exact answer:", else all of it without its reasoning. None if nothing is left.
    """
    end = text.rfind("</answer>")
    if end >= 0 and (start := text.rfind("<answer>", 0, end)) >= 0:
        return text[start + len("<answer>") : end].strip()
    text = text[text.rfind("</think>") + len("</think>") :] if "</think>" in text else text
    if (boxed := _boxed(text)) is not None:
        return boxed
    marked = _MARKED.findall(text)
    said = marked[-1] if marked and marked[-1].strip(" *") else text
    return said.strip().strip("*").strip() or None


def _boxed(text: str) -> str | None:
    r"""The body of the last complete `\boxed{}`, without `\text{}` around it."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 1, start + len("\\boxed{")
    for at in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            body = text[begin:at].strip()
            while (inner := re.fullmatch(r"\\(?:text|mathrm|mathbf|textbf)\{(.*)\}", body, re.DOTALL)) is not None:
                body = inner[1].strip()
            return body
    return None
