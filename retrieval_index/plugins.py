"""Registries that users extend: by registering, by an installed package's entry points, or by FILE.py in a spec."""

from __future__ import annotations

import sys
import zlib
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TypeVar

from .errors import BerrypickError, UnknownNameError

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(dict[str, T]):
    """Name -> entry. Extensions are loaded when a name is not found, so that start-up costs nothing.

    Attributes:
        what: what an entry is, for error messages, e.g. "reward term".
        group: the entry-point group. Each entry point of it names a module that registers its entries on import.
        example: a spec with a file, for error messages, e.g. "my_rewards.py:brevity".
    """

    def __init__(self, what: str, group: str, example: str) -> None:
        super().__init__()
        self.what, self.group, self.example = what, group, example
        self._modules: dict[str, str] = {}

    def register(self, name: str, entry: T, module: str) -> None:
        """Adds an entry. The module that registered a name may register it again, as a re-run notebook cell does.

        Raises:
            BerrypickError: another module has registered this name.
        """
        if name in self and self._modules.get(name) != module:
            raise BerrypickError(f"{self.what} {name!r} is taken; choose another name")
        self[name], self._modules[name] = entry, module

    def find(self, name: str) -> T:
        """The entry of a name; loads the installed extensions if nothing of this name is registered yet.

        Raises:
            UnknownNameError: no such name; the message offers the nearest ones.
        """
        if name not in self:
            self.load_installed()
        if name not in self:
            raise UnknownNameError(self.what, str(name), self)
        return self[name]

    def load_installed(self) -> None:
        """Imports the modules that installed packages announce in the entry-point group.

        Raises:
            BerrypickError: one of them cannot be imported.
        """
        for entry in entry_points(group=self.group):
            try:
                entry.load()
            except Exception as error:
                raise BerrypickError(
                    f"the {self.what} package {entry.value} cannot be loaded ({error}); repair or uninstall it"
                ) from error

    def load_files(self, spec: str) -> str:
        """Runs the files that a spec starts with, each once in a process, and returns the rest of the spec.

        "my_rewards.py:em - 0.1*brevity" runs my_rewards.py and returns "em - 0.1*brevity".

        Raises:
            BerrypickError: a file does not exist or fails.
        """
        while ".py:" in spec:
            file, _, spec = spec.partition(".py:")
            self._load_file(f"{file}.py")
        return spec

    def _load_file(self, name: str) -> None:
        path = Path(name).resolve()
        module_name = f"berrypick_extension_{zlib.crc32(str(path).encode()):08x}"
        if module_name in sys.modules:
            return
        spec = spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise BerrypickError(f"there is no file {name}; write FILE.py:NAME, for example {self.example}")
        module = sys.modules[module_name] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise BerrypickError(f"the {self.what}s of {name} cannot be loaded ({error}); correct that file") from error
