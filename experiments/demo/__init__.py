"""The demo: trains and compares search policies on the embedded world, for one seed or several."""

from typing import TYPE_CHECKING

from ...retrieval_index.lazy_names import lazy_names

if TYPE_CHECKING:
    from .demo import DemoConfig, demo_report, print_demo, run_demo
    from .page import demo_page, write_demo_page
    from .seeds import PooledReport, pool_seeds, print_pooled, run_demo_seeds

__all__ = [
    "DemoConfig",
    "PooledReport",
    "demo_page",
    "demo_report",
    "pool_seeds",
    "print_demo",
    "print_pooled",
    "run_demo",
    "run_demo_seeds",
    "write_demo_page",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "demo": ("DemoConfig", "demo_report", "print_demo", "run_demo"),
        "page": ("demo_page", "write_demo_page"),
        "seeds": ("PooledReport", "pool_seeds", "print_pooled", "run_demo_seeds"),
    },
)
