"""Growth of a process's resident memory while a block runs."""

from __future__ import annotations

import os
import threading
from types import TracebackType

from ...retrieval_index.errors import BerrypickError

__all__ = ["PeakRss"]


class PeakRss:
    """Growth of the process's resident memory while the context is open, sampled every few milliseconds.

    Attributes:
        growth_mib: the highest sample minus the first one.
    """

    def __init__(self, every_s: float = 0.003) -> None:
        self.growth_mib = 0.0
        self._every_s, self._over = every_s, threading.Event()

    def __enter__(self) -> PeakRss:
        self._first = _resident_mib()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._sample()  # the thread may have had no chance to sample yet

    def _watch(self) -> None:
        while not self._over.wait(self._every_s):
            self._sample()

    def _sample(self) -> None:
        self.growth_mib = max(self.growth_mib, _resident_mib() - self._first)


def _resident_mib() -> float:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError as error:
        raise BerrypickError(
            "resident memory is read from /proc, which this system does not have; measure on Linux"
        ) from error
