"""Rollouts to measures: the registry, summaries of one policy, paired comparisons and World's exact values."""

from .arms_report import Arms, measure_arms
from .exact_rows import ExactRows, exact_rows
from .group import Group, mean
from .measure import Measure
from .measures import MEASURES, measure_of, register_measure
from .paired import compare
from .rows import ArmsReport, EstimateRow, FrontierRow, PairedRow, ReferenceRows, SummaryRow
from .same_questions import check_same_questions
from .summary import QuestionTable, question_table_of, summarize

__all__ = [
    "MEASURES",
    "Arms",
    "ArmsReport",
    "EstimateRow",
    "ExactRows",
    "FrontierRow",
    "Group",
    "Measure",
    "PairedRow",
    "QuestionTable",
    "ReferenceRows",
    "SummaryRow",
    "check_same_questions",
    "compare",
    "exact_rows",
    "mean",
    "measure_arms",
    "measure_of",
    "question_table_of",
    "register_measure",
    "summarize",
]
