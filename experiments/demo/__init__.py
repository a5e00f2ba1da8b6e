"""The demo: trains and compares search policies on the embedded world, for one seed or several."""

from importlib import import_module
from typing import TYPE_CHECKING

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

# imported at first use, because the demo loads torch
_MODULES = {
    "DemoConfig": ".demo",
    "PooledReport": ".seeds",
    "demo_page": ".page",
    "demo_report": ".demo",
    "pool_seeds": ".seeds",
    "print_demo": ".demo",
    "print_pooled": ".seeds",
    "run_demo": ".demo",
    "run_demo_seeds": ".seeds",
    "write_demo_page": ".page",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
