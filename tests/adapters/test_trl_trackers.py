"""Trackio and Weights & Biases hold what a run logs, without a network. TRL's environment has them, and torch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("accelerate")
pytestmark = pytest.mark.filterwarnings("ignore")

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=8", "num_validation=0", "num_test=4"]
STEPS = ["--policy", "tiny", "--sft-steps", "2", "--steps", "2"]


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(out: Path, tracker: str) -> dict[int, dict[str, float]]:
    """Trains with a tracker; returns the metrics of each step from metrics.jsonl."""
    from berrypick.__main__ import main

    assert main(["train", *WORLD, *STEPS, "--track", tracker, "--out", str(out)]) == 0
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    print(rows)
    return {}


def wandb_history(folder: Path) -> list[dict[str, float]]:
    """The rows of the one offline run in a folder."""
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    store = DataStore()
    store.open_for_scan(str(file))
    rows = []
    while (data := store.scan_data()) is not None:
        record = Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    return rows
