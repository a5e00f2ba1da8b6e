"""`berrypick adapter-check`: the rows of a self-test as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ...policies.adapter_checks import ADAPTERS, Check, Settings, check_adapter, open_tokenizer
from ...retrieval_index.errors import UnknownNameError
from ...retrieval_index.plain_text import safe_text
from ..report.closing import WIDTH, report_console
from .adapter_flags import AdapterCheck
from .env_arguments import parse_env_args
from .json_output import print_json

__all__ = ["run_adapter_check"]

_WORDS = {True: ("pass", "green"), False: ("FAIL", "bold red"), None: ("note", "yellow")}


def run_adapter_check(flags: AdapterCheck) -> int:
    """Checks an adapter; the exit status is 1 if a row fails."""
    if flags.adapter not in ADAPTERS:
        raise UnknownNameError("adapter", flags.adapter, ADAPTERS)
    settings = Settings(open_tokenizer(flags.tokenizer), flags.env, parse_env_args(flags.env_arg), flags.split)
    settings.task.split(flags.split)  # raises if there is no such split
    rows = list(check_adapter(flags.adapter, settings))
    failed = sum(row.passed is False for row in rows)
    if flags.json:
        print_json({"adapter": flags.adapter, "tokenizer": flags.tokenizer, "checks": [asdict(row) for row in rows]})
    else:
        _print(flags, rows, failed)
    return int(failed > 0)


def _print(flags: AdapterCheck, rows: Sequence[Check], failed: int) -> None:
    """One table; the cure of a row that does not hold is below what was found."""
    console = report_console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, width=min(console.width, WIDTH))
    table.add_column("check", ratio=2)
    table.add_column("", no_wrap=True, width=4)
    table.add_column("found, and what to do", ratio=3)
    for row in rows:
        word, style = _WORDS[row.passed]
        found = Text(safe_text(row.found))
        if row.passed is not True and row.cure:
            found.append(f"\n{safe_text(row.cure)}", style="bold" if row.passed is False else "")
        table.add_row(Text(row.name), Text(word, style=style), found)
    console.print(table)
    verdict = f"{failed} of {len(rows)} rows fail" if failed else f"no row of {len(rows)} fails"
    line = f"{flags.adapter} with the tokenizer {flags.tokenizer}: {verdict}"
    console.print(Text(safe_text(line), style="bold"), soft_wrap=True)
