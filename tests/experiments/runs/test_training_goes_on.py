"""A run that is resumed with more steps, or after Ctrl-C, leaves the bytes of a run that went through at once."""

from __future__ import annotations

import hashlib
import json
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.experiments.report.live import LiveView
from berrypick.experiments.runs import recipes

pytestmark = pytest.mark.filterwarnings("ignore")

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=1", "index=bm25s"]
SMALL = ["--questions-per-step", "2", "--group-size", "2", "--max-new-tokens", "3", "--sft-batch-size", "2", "--track"]


@pytest.fixture(scope="module", autouse=True)
def few_demonstrations() -> Iterator[None]:
    """The recipe plays 4,096 questions of another world; four are enough here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "WORLD_DEMONSTRATIONS", {**recipes.WORLD_DEMONSTRATIONS, "num_train": 4})
        yield


def train(out: Path, *, sft: int, steps: int, more: tuple[str, ...] = ()) -> int:
    flags = ["--sft-steps", str(sft), "--steps", str(steps), "--out", str(out)]
    return main(["train", *WORLD, *SMALL, *flags, *more])


def left(out: Path) -> tuple[bytes, str]:
    """The metrics of a run, and the digest of its last weights."""
    last = max((out / "checkpoints").glob("rl-*"), key=lambda path: path.name)
    return (out / "metrics.jsonl").read_bytes(), hashlib.sha256((last / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """Three SFT steps and five RL steps at once."""
    out = tmp_path_factory.mktemp("straight") / "run"
    assert train(out, sft=3, steps=5) == 0
    return left(out)


@pytest.mark.parametrize("before", [0, 2])
def test_more_steps_go_on_as_if_there_had_been_so_many(
    before: int, straight: tuple[bytes, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(out, sft=3, steps=before) == 0
    assert train(out, sft=3, steps=5) == 2
    assert "holds a run already; add --resume" in capsys.readouterr().err
    assert train(out, sft=3, steps=5, more=("--resume",)) == 0
    assert left(out) == straight
    assert json.loads((out / "config.json").read_text())["rl"]["steps"] == 5
    assert train(out, sft=3, steps=4, more=("--resume",)) == 2
    assert "rl.steps 5, and 4 is less" in capsys.readouterr().err


@pytest.mark.parametrize(("at", "kept"), [(2, "sft-000002"), (3, "sft-000003"), (5, "rl-000002")])
def test_ctrl_c_keeps_the_step_in_hand_and_its_line_goes_on(
    at: int,
    kept: str,
    straight: tuple[bytes, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    update = LiveView.update

    def stop(self: LiveView, step: int, *more: object) -> None:
        update(self, step, *more)  # type: ignore[arg-type]
        if step == at:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(LiveView, "update", stop)
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.default_int_handler)  # whatever started the tests
    before, out = signal.signal(signal.SIGINT, signal.default_int_handler), tmp_path / "a run"
    try:
        assert train(out, sft=3, steps=5) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    err = capsys.readouterr().err
    assert "stopping after this step, with a checkpoint" in err and "Traceback" not in err
    line = err.splitlines()[-1].partition("finished work is saved, continue with: ")[2]
    assert (out / "checkpoints" / kept).is_dir()
    assert (out / "metrics.jsonl").read_bytes().count(b"\n") == at
    monkeypatch.undo()
    assert main(shlex.split(line)[1:]) == 0
    assert left(out) == straight


def test_a_second_ctrl_c_stops_at_once() -> None:
    from berrypick.experiments.runs.interrupts import stops_after_step

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stops_after_step() as stopped:
            assert not stopped()
            signal.raise_signal(signal.SIGINT)
            assert stopped()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with pytest.raises(KeyboardInterrupt), stops_after_step(wanted=False):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_without_a_signal_says_so_early_and_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    groups = ["--questions-per-step", "16", "--group-size", "2"]
    words = ["train", *WORLD[:3], "num_train=16", *WORLD[4:], *SMALL, *groups, "--sft-steps", "0", "--steps", "2"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr()
    assert "tiny starts from nothing: without SFT no rollout earns a reward" in caplog.text
    assert "alarm: no signal, since step 1: each of the first 32 groups had equal rewards" in shown.err
    assert "RL learned nothing: in each of 2 steps every group had equal rewards" in " ".join(shown.out.split())
    assert [row["name"] for row in json.loads((tmp_path / "run" / "alarms.json").read_text())] == ["no signal"]
