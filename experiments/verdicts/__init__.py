"""The published systems side by side: every claim in one table, every arm in one figure, from results/."""

from .collect import HEADLINE, SYSTEMS, System, published_reports
from .page import verdicts_page, verdicts_screen, write_verdicts

__all__ = [
    "HEADLINE",
    "SYSTEMS",
    "System",
    "published_reports",
    "verdicts_page",
    "verdicts_screen",
    "write_verdicts",
]
