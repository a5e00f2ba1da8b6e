"""A training run that collapses: the alarm is shown and stored, and with --on-collapse stop the run ends resumably."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.__main__ import main

TRAIN = [
    "train", "--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=1", "index=bm25s",
    "--steps", "13", "--questions-per-step", "2", "--group-size", "2", "--max-new-tokens", "3", "--sft-steps", "0",
    "--track",
]  # fmt: skip
"""Fresh weights solve nothing, so no group has an advantage: row 10 is the first that is judged, row 12 the third."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_run_without_a_gradient_stops_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, free = tmp_path / "stopped", tmp_path / "free"
    assert main([*TRAIN, "--on-collapse", "stop", "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert "training stopped after RL step 12 of 13: no gradient, since step 10: 100% of the groups" in err
    assert "--resume --on-collapse warn" in err
    assert (out / "checkpoints" / "rl-000012").is_dir()
    (alarm,) = [row for row in json.loads((out / "alarms.json").read_text()) if row["name"] == "no gradient"]
    assert (alarm["step"], alarm["until"], alarm["lasts"]) == (10, 12, True)
    assert main([*TRAIN, "--resume", "--out", str(out)]) == 0
    assert main([*TRAIN, "--out", str(free)]) == 0
    err = capsys.readouterr().err
    assert err.count("alarm: no gradient, since step 10") == 1, (
        "the resumed run had told it; the free run tells it once"
    )
    assert (out / "metrics.jsonl").read_bytes() == (free / "metrics.jsonl").read_bytes()
    assert (out / "alarms.json").read_bytes() == (free / "alarms.json").read_bytes()
