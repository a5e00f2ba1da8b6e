"""A full disk, a power failure, a flipped bit: one line, nothing lost, nothing silently wrong."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.experiments.grid.cell_store import write_cell
from berrypick.experiments.runs.run_log import read_rows
from berrypick.policies.training.checkpoint import checked_state
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.sealed import unsealed

WORLD = ("--env", "berrypick/World-v0", "--env-arg", "num_train=8", "num_test=4", "num_validation=0")
STEPS = ("--questions-per-step", "2", "--group-size", "2", "--max-new-tokens", "6", "--checkpoint-every", "1")


def train(out: Path, *more: str, steps: int = 4) -> int:
    flags = ("--policy", "tiny", "--steps", str(steps), "--sft-steps", "0", "--track", "--out", str(out))
    return main(["train", *WORLD, *STEPS, *flags, *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps; its last two checkpoints are there."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert train(out) == 0
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == ["rl-000003", "rl-000004"]
    return out


@contextmanager
def most_bytes_of_a_file(limit: int) -> Iterator[None]:
    """Files longer than that cannot be written, which libraries meet like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [100, 2_000, 20_000, 1_000_000, 4_000_000])
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: int
) -> None:
    with most_bytes_of_a_file(limit):
        code = train(tmp_path / "run")
    err = capsys.readouterr().err
    assert code == 2 and "Traceback" not in err
    assert err.splitlines()[-1].startswith("berrypick: cannot write") and "free some space" in err.splitlines()[-1]
    assert train(tmp_path / "run", "--resume") == 0
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("limit", [100, 2_000, 8_000])
def test_an_evaluation_on_a_full_disk_is_one_line_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: int
) -> None:
    flags = ("--policy", "random_order", "--samples", "4", "--no-html", "--out", str(tmp_path / "run"))
    with most_bytes_of_a_file(limit):
        assert main(["eval", *WORLD, *flags]) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err and err.splitlines()[-1].startswith("berrypick: cannot write")
    assert main(["eval", *WORLD, *flags, "--resume"]) == 0
    assert len((tmp_path / "run" / "rollouts.jsonl").read_text().splitlines()) == 16


@pytest.mark.parametrize("lost", [1, 40])
def test_a_log_that_lost_its_tail_is_resumed_from_the_checkpoint_that_has_its_rows(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: int
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    whole = (finished / "metrics.jsonl").read_bytes()
    (out / "metrics.jsonl").write_bytes(whole[:-lost])
    assert train(out, "--resume") == 0
    assert "metrics.jsonl lacks the last rows of rl-000004; continuing from rl-000003" in caplog.text
    assert (out / "metrics.jsonl").read_bytes() == whole


def test_a_log_without_the_rows_of_any_checkpoint_is_refused_and_nothing_is_removed(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    (out / "metrics.jsonl").write_text("")
    assert train(out, "--resume") == 2
    assert "metrics.jsonl is shorter than at its checkpoint" in capsys.readouterr().err
    assert len(list((out / "checkpoints").iterdir())) == 2


def test_a_row_of_the_log_that_was_changed_is_noticed(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    body = bytearray((out / "metrics.jsonl").read_bytes())
    body[len(body) // 2] ^= 1
    (out / "metrics.jsonl").write_bytes(body)
    assert train(out, "--resume") == 2
    assert "metrics.jsonl was changed or damaged" in capsys.readouterr().err


def test_no_flip_of_a_log_is_silent_whoever_reads_it(finished: Path, tmp_path: Path) -> None:
    body, log = (finished / "metrics.jsonl").read_bytes(), tmp_path / "metrics.jsonl"
    rows = read_rows(finished / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    named: list[str] = []
    for at in range(0, len(body), 7):
        damaged = bytearray(body)
        damaged[at] ^= 1 << at % 8
        log.write_bytes(damaged)
        try:
            found = read_rows(log)
        except BerrypickError as error:
            named.append(str(error))
        else:
            assert found == rows, at
    assert len(named) > 200 and all(message.startswith(f"{log}:") for message in named)
    ends = [at for at, byte in enumerate(body) if byte == ord("\n")]
    for at in ends:  # a line break that is none any more
        for bit in range(8):
            log.write_bytes(body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :])
            try:
                assert read_rows(log) == rows
            except BerrypickError:
                continue
    for cut in range(ends[2] + 1, ends[3]):  # a kill in the middle of the last row
        log.write_bytes(body[:cut])
        assert read_rows(log) == rows[:3]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))  # rows of before
    assert read_rows(log) == rows


def test_a_damaged_checkpoint_is_named_by_train_and_eval(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "checkpoints" / "rl-000004")
    weights = out / "checkpoints" / "rl-000003" / "model.safetensors"
    body = bytearray(weights.read_bytes())
    body[1_000_003] ^= 64
    weights.write_bytes(body)
    for run in (
        lambda: train(out, "--resume"),
        lambda: main(["eval", *WORLD, "--policy", str(out), "--out", str(tmp_path / "eval")]),
    ):
        assert run() == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert "rl-000003" in line and "model.safetensors: its checksum is wrong" in line


def test_no_flip_and_no_cut_of_a_checkpoint_is_silent(finished: Path, tmp_path: Path) -> None:
    source = finished / "checkpoints" / "rl-000004"
    draw = np.random.default_rng(0)
    tried = 0
    for path in sorted(source.iterdir()):
        body = path.read_bytes()
        damages = [body[:cut] for cut in (0, len(body) // 2, len(body) - 1)]
        for _ in range(12):
            flipped = bytearray(body)
            flipped[draw.integers(len(body))] ^= 1 << draw.integers(8)
            damages.append(bytes(flipped))
        for damage in damages:
            folder = tmp_path / "damaged"
            folder.mkdir(exist_ok=True)
            for other in source.iterdir():
                (folder / other.name).unlink(missing_ok=True)
                (folder / other.name).hardlink_to(other)
            (folder / path.name).unlink()
            (folder / path.name).write_bytes(damage)
            with pytest.raises(BerrypickError, match="is damaged"):
                checked_state(folder)
            tried += 1
    assert tried == 15 * len(list(source.iterdir())) >= 90
    assert checked_state(source)["step"] == 4


def test_no_flip_and_no_cut_of_a_cell_is_silent(tmp_path: Path) -> None:
    document = {"version": 1, "digest": "ab", "config": {"seed": 0, 2: "x"}, "result": {"pass@1": [0.25, 1e-300]}}
    write_cell(tmp_path / "cell.json", document)  # type: ignore[arg-type]
    body = (tmp_path / "cell.json").read_bytes()
    assert unsealed(body) == json.loads(json.dumps(document))
    plain = json.loads(json.dumps(document))
    for at in range(len(body) - 1):  # the last byte is a line break
        for bit in range(8):
            flipped = bytearray(body)
            flipped[at] ^= 1 << bit
            try:
                value = unsealed(bytes(flipped))
            except ValueError:
                continue
            # "1E-300" is the same number, and a flip in the name of the digest leaves a cell without one, as of before
            assert {name: value[name] for name in plain} == plain, (at, bit)
        with pytest.raises(ValueError):
            unsealed(body[:at])
