"""The command line: berrypick demo | list | train | eval | report | index | play."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from .retrieval_index.errors import BerrypickError

__all__ = ["main"]

_GOES_ON = {
    **dict.fromkeys(("Train", "Eval", "Demo"), "; what is finished is kept: the same command with --resume goes on"),
    **dict.fromkeys(("Run", "Sweep"), "; what is finished is kept: the same command goes on"),
}
"""What is true of a command that was stopped by hand, by the name of its class."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0, 2 for an input that cannot be used (one line on standard error says the cure), 130 after Ctrl-C.
    """
    from .experiments.commands.parser import parse_command

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("berrypick").setLevel(logging.INFO)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each retry of each connection is no news
    logging.getLogger("huggingface_hub").propagate = False  # it writes its lines itself
    command = None
    try:
        command = parse_command(arguments)
        return command.run()
    except BerrypickError as error:
        sys.stderr.write(f"berrypick: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"berrypick: stopped{_GOES_ON.get(type(command).__name__, '')}\n")
        return 130
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
