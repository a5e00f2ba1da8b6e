"""Whatever a file from elsewhere holds, its reader gives a value or one line: no traceback, no hang, no escape code.

Each reader gets damaged copies of valid files and bytes that never were one. A seeded sample runs always. To try many,
and to write results/reliability/fuzz.json; BERRYPICK_FUZZ_SEED draws others:

    BERRYPICK_FUZZ=100000 pytest -m slow tests/reliability/test_fuzz.py
"""

from __future__ import annotations

import io
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from fixtures.fuzzing.running import Trial, all_readers, inputs_of, share_of
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
NAMES = list(all_readers())
LIGHT = [name for name in NAMES if all_readers()[name].heavy < 10]
SAMPLE, ROUND = 12, 5000
OUT = ROOT / "results" / "reliability" / "fuzz.json"


@pytest.mark.parametrize("name", NAMES)
def test_valid_files_are_read(name: str, tmp_path: Path) -> None:
    trial = Trial(all_readers()[name], tmp_path)
    found = [trial(given_) for given_ in trial.valid()]
    assert not [said for what, said in found if what == "wrong"]
    assert name in REFUSED or "value" in [what for what, _ in found], found


REFUSED = ("run: config.json", "--env-arg: sets")
"""Readers whose folders are not whole even if the file is."""


@pytest.mark.parametrize("name", LIGHT)
def test_damaged_files_are_values_or_one_line(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    trial = Trial(all_readers()[name], tmp_path_factory.mktemp("fuzz"))

    @settings(max_examples=SAMPLE, database=None)
    @given(st.randoms(use_true_random=False))
    def check(draw: random.Random) -> None:
        damaged = trial.draw(draw)
        what, said = trial(damaged)
        assert what != "wrong", f"{damaged[:2000]!r}\n{said}"

    check()


def test_columns_that_end_far_beyond_the_matrix_are_no_sizes(tmp_path: Path) -> None:
    trial = Trial(all_readers()["index: starts.npy"], tmp_path)
    starts = np.load(io.BytesIO(next(iter(trial.valid()))))
    for at in range(1, len(starts)):
        said = io.BytesIO()
        np.save(said, np.where(np.arange(len(starts)) == at, 2**56, starts))
        what, text = trial(said.getvalue())
        assert what != "wrong", text


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_damaged_files_are_values_or_one_line(tmp_path: Path) -> None:
    total, seed = int(os.environ.get("BERRYPICK_FUZZ", "2000")), int(os.environ.get("BERRYPICK_FUZZ_SEED", "0"))
    readers = all_readers()
    trials = [Trial(reader, tmp_path / str(number)) for number, reader in enumerate(readers.values())]
    counts, faults = dict.fromkeys(readers, 0), list[str]()
    rounds = max(1, total // ROUND)
    for number in range(rounds):
        for trial in trials:
            count = share_of(trial.reader, -(-total // rounds))
            faults += inputs_of(trial, count, f"{seed}/{number}")
            counts[trial.reader.name] += count
        if "BERRYPICK_FUZZ" in os.environ:  # whatever was tried is counted, also if somebody stops it
            OUT.parent.mkdir(parents=True, exist_ok=True)
            OUT.write_text(json.dumps({"inputs": counts, "wrong": len(faults), "seed": seed}, indent=1) + "\n")
    assert not faults, f"{len(faults)} faults\n" + "\n\n".join(faults[:20])
