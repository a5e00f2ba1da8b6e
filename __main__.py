"""The command line: `berrypick COMMAND [FLAGS]`; `berrypick --help` lists the commands."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from .retrieval_index.errors import BerrypickError
from .retrieval_index.plain_text import one_line, safe_text

__all__ = ["main"]


_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG})
"""What a disk that is full or broken answers, to whatever part of a command writes to it."""


class _SafeLines(logging.Formatter):
    """Log lines without control characters, whatever a file or a server has put into them."""

    def format(self, record: logging.LogRecord) -> str:
        return safe_text(super().format(record))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: the words after `berrypick`; None takes those of this process.

    Returns:
        0 for success; 1 for failed cells of an experiment or a sweep, and for leaks; 2 for bad input, after one line
        on standard error that says what to do; 130 after Ctrl-C.
    """
    from .experiments.commands.parser import parse_command

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal or pipe that lacks a character shows "?" in its place
            stream.reconfigure(errors="replace")
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(_SafeLines("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[lines])
    logging.getLogger("berrypick").setLevel(logging.INFO)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # otherwise it logs every retry of every connection
    logging.getLogger("huggingface_hub").propagate = False  # it has a handler, so its lines would be printed twice
    parsed = None
    try:
        parsed = parse_command(arguments)
        return parsed.run()
    except BerrypickError as error:
        sys.stderr.write(f"berrypick: {safe_text(str(error))}\n")
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            return 0
        place = one_line(str(error.filename or "a file"))
        if error.errno not in _DISK:
            if error.filename is None:
                raise
            sys.stderr.write(f"berrypick: cannot use {place}: {error.strerror}; check that path\n")
            return 2
        after = safe_text(parsed.after_stop) if parsed else ""
        sys.stderr.write(
            f"berrypick: cannot write {place}: {error.strerror}; free some space or fix that disk{after}\n"
        )
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"berrypick: stopped{safe_text(parsed.after_stop) if parsed else ''}\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
