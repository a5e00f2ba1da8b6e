"""The retrieval server: an index behind HTTP, for trainers that search over the network."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .settings import ServerSettings

__all__ = ["ServerSettings", "create_app"]

_MODULE_OF = {"ServerSettings": "settings", "create_app": "app"}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used; `create_app` needs the "serve" extra."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
