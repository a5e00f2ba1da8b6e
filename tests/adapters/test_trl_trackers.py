"""Trackio and Weights & Biases hold what a run logs, without a network. TRL's environment has them, and torch."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("wandb")
pytest.importorskip("trackio")

pytestmark = pytest.mark.filterwarnings("ignore")
TRAIN = (
    "train --env berrypick/World-v0 --env-arg num_train=4 num_validation=0 num_test=4 --policy tiny --sft-steps 2"
    " --steps 1 --sft-batch-size 4 --questions-per-step 2 --group-size 2 --max-new-tokens 8"
    " --track trackio wandb --out runs/a"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one run was trained with both trackers."""
    folder = tmp_path_factory.mktemp("tracked")
    offline = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "TRACKIO_DIR": str(folder / "trackio")}
    environment = {**os.environ, **offline, "TRACKIO_PROJECT": "berries"}
    command = [sys.executable, "-m", "berrypick", *shlex.split(TRAIN)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def logged(folder: Path) -> dict[int, dict[str, float]]:
    """Step, counted over both phases -> the metrics of metrics.jsonl."""
    rows = [json.loads(line) for line in (folder / "runs" / "a" / "metrics.jsonl").read_text().splitlines()]
    assert [(row.get("phase"), row["step"]) for row in rows] == [("sft", 1), ("sft", 2), ("rl", 1)]
    return {at: {k: v for k, v in row.items() if k not in ("phase", "step")} for at, row in enumerate(rows, 1)}


def history(file: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """(step, values) of an offline run: protobuf records in blocks of a LevelDB log."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = file.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if (left := 32_768 - at % 32_768) < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(whole)
            whole = b""
            if record.WhichOneof("record_type") == "run":
                assert (record.run.project, record.run.display_name) == ("berrypick", "a")
            if record.WhichOneof("record_type") == "history":
                items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
                yield record.history.step.num, {k: json.loads(v) for k, v in items.items() if k[0] != "_"}


def same(found: dict[int, dict[str, float]], logged: dict[int, dict[str, float]]) -> None:
    assert found.keys() == logged.keys()
    for step, values in found.items():
        assert values.keys() <= logged[step].keys() and len(values) > 3
        assert values == pytest.approx({name: logged[step][name] for name in values}, rel=1e-6)


def test_weights_and_biases_holds_every_step_in_the_run_folder(folder: Path, logged: dict) -> None:
    (file,) = (folder / "runs" / "a" / "wandb").glob("offline-run-*/run-*.wandb")
    same(dict(history(file)), logged)
    assert not (folder / "wandb").exists()


def test_trackio_holds_every_step_under_the_name_of_the_run(folder: Path, logged: dict) -> None:
    with sqlite3.connect(folder / "trackio" / "berries.db") as database:
        rows = database.execute("SELECT run_name, step, metrics FROM metrics").fetchall()
    assert {name for name, _, _ in rows} == {"a"}
    same({step: json.loads(values) for _, step, values in rows}, logged)
