"""The retrieval server: an index behind HTTP, for trainers that search over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy_names import lazy_names

if TYPE_CHECKING:
    from .app import create_app
    from .settings import ServerSettings

__all__ = ["ServerSettings", "create_app"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "app": ("create_app",),
        "settings": ("ServerSettings",),
    },
)
