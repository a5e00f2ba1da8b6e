"""Reports on rollouts: loads run folders, prints tables, and writes a page and figures."""

from .arms import load_arms, stored_report
from .frontier_figure import draw_frontier
from .html import html_page
from .live import LiveView
from .page_file import check_page_file, write_page_file
from .svg import curve_svg, frontier_svg
from .takeaway import takeaway
from .terminal import final_screen, print_report

__all__ = [
    "LiveView",
    "check_page_file",
    "curve_svg",
    "draw_frontier",
    "final_screen",
    "frontier_svg",
    "html_page",
    "load_arms",
    "print_report",
    "stored_report",
    "takeaway",
    "write_page_file",
]
