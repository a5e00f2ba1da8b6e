"""One flipped bit or a cut in any file that the suite keeps: its reader names the file, or the value is the same.

The sample is seeded. To try so many damages of each file, and to write results/reliability/flips.json:

    BERRYPICK_FLIPS=200 pytest -m slow tests/reliability/test_flips.py
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from berrypick.__main__ import main
from berrypick.envs.importers import open_rollouts
from berrypick.experiments.grid.cell_store import cell_file, load_results, read_cells, write_cells
from berrypick.experiments.grid.experiment import Results
from berrypick.experiments.grid.grid_experiment import GridExperiment
from berrypick.experiments.registry import open_experiment
from berrypick.experiments.report.arms import stored_report
from berrypick.experiments.report.sweep_folder import sweep_folder
from berrypick.experiments.runs.run_folder import open_run_folder, write_json
from berrypick.experiments.runs.run_log import RunLog, read_rows
from berrypick.policies.language.adapter import save_adapter
from berrypick.policies.language.lora import with_lora
from berrypick.policies.language.model import load_language_model
from berrypick.policies.objectives.equivalence import EquivalenceClassifier, load_classifier
from berrypick.policies.policy_rules import check_adapter, rules_of_policy
from berrypick.policies.training.checkpoint import checked_state, reference_model, truncate_log
from berrypick.retrieval_index import encoder as encoder_module
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.store import BuildSettings, build_index, check_index, open_searcher
from fixtures.fuzzing.folder_readers import FILMS, TOY, WordEncoder
from fixtures.fuzzing.reader import is_one_line
from fixtures.hand_made import measured

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
EACH = int(os.environ.get("BERRYPICK_FLIPS", "8"))
WORLD = ("--env", "berrypick/World-v0", "--env-arg", "num_train=8", "num_test=4", "num_validation=0")


@dataclass
class Tally:
    """What became of the damages of one artefact."""

    tried: int = 0
    named: int = 0
    harmless: int = 0
    silent: list[str] = field(default_factory=list)

    def row(self) -> dict[str, int]:
        """The counts."""
        return {"tried": self.tried, "named": self.named, "harmless": self.harmless, "silent": len(self.silent)}


COUNTS: dict[str, Tally] = {}
CALLED = {"manifest.json": ("its manifest", "its format")}
"""What an error may call a file, besides its name."""


@pytest.fixture(scope="module", autouse=True)
def _written() -> Iterator[None]:
    """Writes the counts of an on-demand run."""
    yield
    if "BERRYPICK_FLIPS" in os.environ and COUNTS:
        out = ROOT / "results" / "reliability" / "flips.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        rows = {name: COUNTS[name].row() for name in sorted(COUNTS)}
        out.write_text(json.dumps({"artefacts": rows}, indent=1) + "\n")


def damages(body: bytes, draw: random.Random) -> Iterator[bytes]:
    """Flips of one bit, and the file cut in the middle, by one byte, to nothing, and at a line end."""
    places = {0, len(body) // 2, len(body) - 1, body.rfind(b"\n", 0, -1) + 1}
    yield from (body[:at] for at in sorted(places) if 0 <= at < len(body))
    for _ in range(EACH):
        at = draw.randrange(len(body))
        yield body[:at] + bytes([body[at] ^ (1 << draw.randrange(8))]) + body[at + 1 :]


def try_all(
    artefact: str, path: Path, read: Callable[[], Any], *, same: Callable[[Any, Any], bool] | None = None
) -> None:
    """Damages a file in many ways and reads it each time.

    Args:
        artefact: what the counts call it.
        path: the file; it is whole again at the end.
        read: reads it through the public reader; the value is compared with that of the whole file.
        same: compares two values; by default they must be equal.
    """
    tally = COUNTS.setdefault(artefact, Tally())
    body, wanted = path.read_bytes(), read()
    for number, damage in enumerate(damages(body, random.Random(f"{artefact}/{path.name}"))):
        path.write_bytes(damage)
        tally.tried += 1
        try:
            value = read()
        except BerrypickError as error:
            said = str(error)
            if is_one_line(said) and any(name in said for name in (path.name, *CALLED.get(path.name, ()))):
                tally.named += 1
            else:
                tally.silent.append(f"{path.name}, damage {number}: not named: {said}")
        else:
            if same(value, wanted) if same else value == wanted:
                tally.harmless += 1
            else:
                tally.silent.append(f"{path.name}, damage {number}: {value!r:.300}")
    path.write_bytes(body)
    assert not tally.silent, tally.silent[:10]


# ---- indexes


@pytest.fixture
def words_encoder() -> Iterator[None]:
    with patch.object(encoder_module, "load_encoder", lambda name, **_: WordEncoder()):
        yield


@pytest.mark.parametrize(("backend", "kind"), [("bm25s", ""), ("faiss", "flat"), ("faiss", "hnsw"), ("hybrid", "flat")])
@pytest.mark.usefixtures("words_encoder")
def test_index(tmp_path: Path, backend: str, kind: str) -> None:
    pytest.importorskip("faiss")
    index = tmp_path / "index"
    build_index(FILMS, backend, index, settings=BuildSettings(kind=kind or "flat"))

    def read() -> Any:
        searcher = open_searcher(index)
        try:
            hits = searcher.search(["Amber Road", "who directed Blue Kiln", "Oslo"], 5)
        finally:
            searcher.close()
        return hits, searcher.index_id, [line for line in check_index(index) if "checksum" not in line]

    for path in sorted(path for path in index.rglob("*") if path.is_file()):
        try_all(f"index: {backend} {kind}".strip(), path, read)


@pytest.mark.lucene
def test_lucene_index(tmp_path: Path) -> None:
    index = tmp_path / "index"
    build_index(FILMS, "lucene", index)
    for path in sorted(path for path in index.rglob("*") if path.is_file() and path.stat().st_size):
        try_all("index: lucene", path, lambda: check_index(index))


# ---- runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps with metrics and a checkpoint."""
    out = tmp_path_factory.mktemp("trained") / "run"
    flags = ("--policy", "tiny", "--steps", "2", "--sft-steps", "0", "--checkpoint-every", "1", "--out", str(out))
    sizes = ("--questions-per-step", "2", "--group-size", "2", "--max-new-tokens", "6")
    assert main(["train", *WORLD, *flags, *sizes]) == 0
    return out


def test_checkpoint(trained: Path) -> None:
    folder = trained / "checkpoints" / "rl-000002"
    for path in sorted(folder.iterdir()):
        try_all("checkpoint", path, lambda: checked_state(folder), same=_same_state)


def _same_state(value: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """A flip in the name of the digest leaves a state without one, as of before, and all of its values."""
    return {name: value.get(name) for name in wanted} == wanted


def test_reference_model(trained: Path, tmp_path: Path) -> None:
    policy = load_language_model("tiny", seed=3)
    folder = tmp_path / "reference"

    def read() -> list[float]:
        return [float(value.double().sum()) for value in reference_model(folder, policy).state_dict().values()]

    read()
    for path in sorted(folder.iterdir()):
        try_all("reference model", path, read)


def test_metrics_of_a_run_that_is_resumed(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    shutil.copy(trained / "metrics.jsonl", out)
    log = RunLog(out)
    mark = log.mark()

    def read() -> bytes:
        log.check(int(mark["metrics_bytes"]), str(mark["metrics_sha256"]))
        truncate_log(log.metrics_path, int(mark["metrics_bytes"]))
        return log.metrics_path.read_bytes()

    try_all("metrics.jsonl: resumed", out / "metrics.jsonl", read)


def test_configuration_of_a_run_that_is_resumed(tmp_path: Path) -> None:
    config = {"command": "eval", "env_args": {"num_train": 8, "cue": 0.25}, "policy": "random_order", "seed": 5}
    open_run_folder(tmp_path / "run", config, resume=False)
    (tmp_path / "run" / "rollouts.jsonl").write_text("")
    try_all(
        "config.json", tmp_path / "run" / "config.json", lambda: open_run_folder(tmp_path / "run", config, resume=True)
    )


def test_report_of_an_experiment(tmp_path: Path) -> None:
    report = {"experiment": "toy", "text": "one\ntwo", "rows": [{"value": 0.25, "n": 3}], "cells": {"done": 1}}
    write_json(tmp_path / "report.json", report, rows=True)

    def read() -> Any:
        if (found := stored_report(tmp_path)) is not None:
            return {name: found.get(name) for name in report}
        main_error = open_rollouts_of(tmp_path)
        raise main_error

    try_all("report.json", tmp_path / "report.json", read)


def open_rollouts_of(folder: Path) -> BerrypickError:
    """What `berrypick report` says of a folder whose report it does not take for one."""
    from berrypick.experiments.report.arms import load_rollouts

    with pytest.raises(BerrypickError) as caught:
        load_rollouts([folder])
    return caught.value


def test_sweep(tmp_path: Path) -> None:
    cells = {
        f"grpo/seed{seed}": {"cell": "c", "objective": "grpo", "seed": seed, "metrics": {"reward": 0.5}}
        for seed in (0, 1)
    }
    write_json(tmp_path / "sweep.json", {"cells": cells, "failures": {"darling/seed0": "why"}})

    def read() -> Any:
        found = sweep_folder(tmp_path)
        if found is None:
            raise open_rollouts_of(tmp_path)
        return found

    try_all("sweep.json", tmp_path / "sweep.json", read)


# ---- cells, adapters, classifiers


def test_cells(tmp_path: Path) -> None:
    experiment = open_experiment(TOY)
    assert isinstance(experiment, GridExperiment)
    cells = experiment.cells("smoke", 1)
    results = Results(done={cell.key: measured((0.5, 0.7, 1.0), (0.6, 0.65, 1.2)) for cell in cells})
    packed = tmp_path / "grid_cells.jsonl.xz"
    write_cells(experiment, results, cells, packed)
    found = read_cells(experiment, cells, packed)
    try_all("cells: xz", packed, lambda: read_cells(experiment, cells, packed))
    from berrypick.experiments.grid.cell_store import take_over

    take_over(tmp_path / "run", cells, found)
    path = cell_file(tmp_path / "run", cells[0])
    try_all("cells", path, lambda: load_results(experiment, tmp_path / "run", cells[:1]).done)


def test_adapter(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    policy = with_lora(load_language_model("tiny", trains=True), 2)
    folder = tmp_path / "adapter"
    save_adapter(policy, folder, base="tiny", rules={"top_k": 2, "max_new_tokens": 24})

    def read() -> Any:
        check_adapter(folder)
        return rules_of_policy(str(folder))

    for path in sorted(folder.iterdir()):
        try_all("adapter", path, read)


def test_classifier(tmp_path: Path) -> None:
    weights = torch.from_numpy(np.linspace(-1, 1, 4096))
    EquivalenceClassifier("hashed", weights, 0.25, 0.5).save(tmp_path / "classifier")

    def read() -> Any:
        found = load_classifier(tmp_path / "classifier")
        return found.encoder, found.weights.tolist(), found.bias, found.threshold

    for path in sorted((tmp_path / "classifier").iterdir()):
        try_all("classifier", path, read)


# ---- rollouts and metrics, which have a digest in each row


def test_rollouts(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["eval", *WORLD, "--policy", "random_order", "--samples", "2", "--no-html", "--out", str(out)]) == 0

    if b'"sha256"' not in (out / "rollouts.jsonl").read_bytes():
        pytest.skip("rows have no digest")

    def read() -> Any:
        source = open_rollouts(out / "rollouts.jsonl", skip_bad=False)
        records = list(source.records())
        if notes := source.notes():
            raise BerrypickError(notes[0])
        return records

    try_all("rollouts.jsonl", out / "rollouts.jsonl", read)


def test_metrics_that_are_reported(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "metrics.jsonl", tmp_path / "metrics.jsonl")
    if b'"sha256"' not in (tmp_path / "metrics.jsonl").read_bytes():
        pytest.skip("rows have no digest")
    log = tmp_path / "metrics.jsonl"
    # a log that ends early is that of a run that goes on; resuming compares it with the digest in the checkpoint
    try_all("metrics.jsonl: reported", log, lambda: read_rows(log), same=lambda rows, all: rows == all[: len(rows)])
