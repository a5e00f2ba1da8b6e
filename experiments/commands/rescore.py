"""`berrypick rescore`: stored rollouts under another reward or other right answers, without a model."""

from __future__ import annotations

import shlex
import sys

from ...envs.data.answer_keys import read_answer_keys
from ...envs.importers import open_rollouts
from ...envs.record import write_records
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.files import whole_file, writing
from ..measures.rescored import Rescoring
from ..report.arms import rollouts_file
from ..report.closing import Closing, print_closing, report_console
from ..report.rescored import rescore_lines
from .json_output import print_json
from .rollout_flags import Rescore
from .row_map import parse_row_map, source_text

__all__ = ["run_rescore"]


def run_rescore(flags: Rescore) -> int:
    """Writes the rescored rollouts, completely or not at all, and prints what changed."""
    if flags.out.exists():
        raise BerrypickError(f"--out {flags.out} exists and is not overwritten; choose another file")
    keys = None if flags.questions is None else read_answer_keys(flags.questions)
    rescoring = Rescoring(flags.reward, keys)
    source = open_rollouts(
        rollouts_file(flags.rollouts),
        format=flags.format or None,
        mapping=parse_row_map(flags.map),
        skip_bad=not flags.strict,
    )
    with writing(flags.out, "choose another --out"), whole_file(flags.out) as work:
        write_records(work, rescoring.records(source.records()))
    sys.stderr.write(source_text(source))
    report = rescoring.report()
    if flags.json:
        print_json(report)
    else:
        sys.stdout.write("\n".join(rescore_lines(report)) + "\n\n")
        sys.stdout.flush()
        both = " ".join(shlex.quote(str(path)) for path in (flags.rollouts, flags.out))
        closing = Closing([("rollouts", flags.out)], [f"berrypick report {both}    (compares both)"])
        print_closing(report_console(), closing)
    return 0
