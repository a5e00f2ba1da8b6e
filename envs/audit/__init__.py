"""What a corpus can answer: coverage of questions, missing support, duplicate passages, leaks."""

from __future__ import annotations

from .audit import Audit, audit_passages
from .coverage import Coverage, answer_coverage
from .questions import AuditedQuestions, audited_questions, of_task
from .stream import corpus_stream
from .table import audit_lines, bound_text

__all__ = [
    "Audit",
    "AuditedQuestions",
    "Coverage",
    "answer_coverage",
    "audit_lines",
    "audit_passages",
    "audited_questions",
    "bound_text",
    "corpus_stream",
    "of_task",
]
