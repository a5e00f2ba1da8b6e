"""The self-test of an adapter: its trainer, the tokenizer, then what the adapter hands over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from ...retrieval_index.errors import UnknownNameError
from .check import Check, Settings
from .others import openenv_checks, skyrl_checks, verifiers_checks, verl_checks
from .tokens import token_checks
from .trl import trl_checks

__all__ = ["ADAPTERS", "check_adapter"]


@dataclass(frozen=True, slots=True)
class _Adapter:
    """One adapter.

    Attributes:
        package: distribution of its trainer.
        tested: its version that tests run with.
        needed: whether the checks import the trainer.
        checks: the rows after those of the tokenizer.
    """

    package: str
    tested: str
    needed: bool
    checks: Callable[[Settings], Iterator[Check]]


ADAPTERS: Mapping[str, _Adapter] = {
    "trl": _Adapter("trl", "1.16", False, trl_checks),
    "verl": _Adapter("verl", "0.9", False, verl_checks),
    "skyrl": _Adapter("skyrl-gym", "0.4", True, skyrl_checks),
    "verifiers": _Adapter("verifiers", "0.4", True, verifiers_checks),
    "openenv": _Adapter("openenv", "0.10", True, openenv_checks),
}
"""Name -> adapter."""


def check_adapter(name: str, settings: Settings) -> Iterator[Check]:
    """The rows of an adapter's self-test.

    Raises:
        UnknownNameError: no such adapter.
    """
    if name not in ADAPTERS:
        raise UnknownNameError("adapter", name, ADAPTERS)
    adapter = ADAPTERS[name]
    row = _installed(adapter)
    yield row
    yield from token_checks(settings)
    if _is_there(adapter.package) or not adapter.needed:
        yield from adapter.checks(settings)


def _is_there(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _installed(adapter: _Adapter) -> Check:
    if not _is_there(adapter.package):
        return Check(
            "trainer", None, f"{adapter.package} is not installed here",
            f"install berrypick into the trainer's environment, or pip install {adapter.package}",
        )  # fmt: skip
    found = version(adapter.package)
    same = found.split(".")[:2] == adapter.tested.split(".")
    return Check(
        "trainer",
        True if same else None,
        f"{adapter.package} {found}",
        "" if same else f"tested with {adapter.tested}; the rows below say whether this version does the same",
    )
