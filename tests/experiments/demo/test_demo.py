"""The main job in small: every part runs, resumes, and prints what report.json holds."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from berrypick.experiments.demo.demo import ARMS, DemoConfig, demo_report, print_demo, run_demo
from berrypick.experiments.demo.seeds import PAIRS, pool_seeds, print_pooled
from berrypick.experiments.runs.run_folder import stored_json
from fixtures.machine import patience
from rich.console import Console

RESULTS = Path(__file__).resolve().parents[3] / "results" / "demo"
SMALL = DemoConfig(steps=1, sft_steps=2, questions=6, samples=8, index="bm25s")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "run"
    run_demo(SMALL, out, resume=False, show=False)
    return out


def rendered(report: dict[str, object]) -> str:
    text = io.StringIO()
    print_demo(report, Console(file=text, width=100))
    return text.getvalue()


@pytest.mark.slow
def test_the_demo_leaves_every_file_of_a_run(demo: Path) -> None:
    names = {str(path.relative_to(demo)) for path in demo.rglob("*") if path.is_file()}
    wanted = {"config.json", "environment.json", "report.json", "sft/metrics.jsonl", "sft/timings.jsonl"}
    wanted |= {f"{objective}/metrics.jsonl" for objective in ARMS.values()}
    wanted |= {f"eval/{arm}/rollouts.jsonl" for arm in ("untrained", "sft", "grpo", "dr_grpo", "darling")}
    wanted |= {"figures/frontier.svg", "figures/frontier.png", "report.html"}
    assert wanted <= names
    assert not [name for name in names if "partial" in name]


@pytest.mark.slow
def test_the_screen_shows_the_numbers_of_report_json_within_100_columns(demo: Path) -> None:
    report = stored_json(demo / "report.json")
    screen = rendered(report)
    assert max(map(len, screen.splitlines())) <= 100
    assert "…" not in screen
    for name in ("untrained", "SFT", *ARMS):
        plan = report["arms"][name]["measures"]["pass@1_plan"]["value"]
        row = next(line for line in screen.splitlines() if line.strip().startswith(name))
        assert f"{plan:.3f}" in row
    for name, row in report["references"].items():
        line = next(line for line in screen.splitlines() if line.strip().startswith(name))
        assert all(f"{value:.3f}" in line for key, value in row.items() if key in ("pass@1", "pass@8"))


@pytest.mark.slow
def test_a_finished_demo_resumes_to_the_same_report_without_playing_again(demo: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("rollouts.jsonl")}
    report = stored_json(demo / "report.json")
    again = run_demo(SMALL, demo, resume=True, show=False)
    assert json.loads(json.dumps(again)) == report
    assert before == {path: path.stat().st_mtime_ns for path in demo.rglob("rollouts.jsonl")}


@pytest.mark.slow
def test_pooling_a_seed_with_itself_keeps_its_means_and_has_differences_of_zero_width(demo: Path) -> None:
    report = stored_json(demo / "report.json")
    pooled = pool_seeds({0: report, 1: report}, PAIRS)
    value = report["arms"]["GRPO"]["measures"]["breadth"]["value"]
    assert pooled["arms"]["GRPO"]["breadth"] == {"mean": pytest.approx(value), "per_seed": [value, value]}
    difference = pooled["differences"]["GRPO - SFT"]["breadth"]
    sft = report["arms"]["SFT"]["measures"]["breadth"]["value"]
    assert difference["value"] == pytest.approx(value - sft)
    assert difference["high"] - difference["low"] == pytest.approx(0, abs=1e-12)
    text = io.StringIO()
    print_pooled(pooled, Console(file=text, width=100))
    assert f"{value:.3f}" in text.getvalue()


def test_eighty_columns_are_enough_for_the_means_of_seeds() -> None:
    pooled = json.loads((RESULTS / "report.json").read_text())
    text = io.StringIO()
    print_pooled(pooled, Console(file=text, width=80))
    assert max(map(len, text.getvalue().splitlines())) <= 80
    assert "…" not in text.getvalue()
    for row in pooled["arms"].values():
        assert f"{row['breadth']['mean']:.3f}" in text.getvalue()


def test_demo_report_of_scripted_arms_puts_the_exact_rows_beside_them(tmp_path: Path) -> None:
    from berrypick.envs.tasks.registry import make_task
    from berrypick.experiments.runs.evaluation import evaluate
    from berrypick.policies.policy import Sampling
    from berrypick.policies.scripted import SCRIPTED

    task = make_task("berrypick/World-v0", num_train=0, num_validation=0, num_test=40)
    arms = {
        name: evaluate(
            SCRIPTED[policy], task, split="test", num_questions=None, num_samples=8, sampling=Sampling(), seed=0
        )
        for name, policy in (("untrained", "random_words"), ("SFT", "random_order"), ("GRPO", "best_order"))
    }
    report = demo_report(arms)
    best = report["references"]["best order"]
    assert report["arms"]["GRPO"]["measures"]["pass@1_plan"]["value"] == pytest.approx(best["pass@1"])
    assert report["arms"]["GRPO"]["measures"]["pass@8"]["value"] == pytest.approx(best["pass@8"])
    assert report["frontier"]["max_gap"] < 1e-3
    distance = {name: arm["measures"]["frontier_distance"]["value"] for name, arm in report["arms"].items()}
    assert distance["GRPO"] == pytest.approx(best["frontier_distance"])
    assert distance["untrained"] > 0.5  # its planned values lie near the frontier, its results do not
    assert "GRPO - SFT" in report["differences"] and "DARLING - Dr. GRPO" not in report["differences"]
    assert "best order" in rendered(report)


def test_the_page_and_the_figure_of_several_seeds_come_from_their_json(tmp_path: Path) -> None:
    from berrypick.experiments.demo.page import write_demo_page

    pytest.importorskip("matplotlib")
    run, out = tmp_path / "run", tmp_path / "out"
    (run / "seed-0").mkdir(parents=True)
    out.mkdir()
    shutil.copy(RESULTS / "report.json", run)
    shutil.copy(RESULTS / "seed-0.json", run / "seed-0" / "report.json")
    for check in RESULTS.glob("sft-check-*.json"):
        shutil.copy(check, out)
    page = write_demo_page(out, run)
    assert page.read_text() == (RESULTS / "README.md").read_text()
    assert {file.name for file in out.iterdir()} == {file.name for file in RESULTS.iterdir()}
    before = (out / "frontier.svg").read_bytes()
    write_demo_page(out)
    assert (out / "frontier.svg").read_bytes() == before


def heed_interrupts() -> None:
    """A shell that starts its tests in the background has them, and all they start, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.lucene
@pytest.mark.slow
def test_ctrl_c_with_lucene_loaded_leaves_a_run_that_resumes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "berrypick", "train", "--env", "berrypick/World-v0", "--policy", "tiny"]
    command += ["--env-arg", "index=lucene", "num_train=8", "num_validation=0", "num_test=0"]
    command += [
        "--questions-per-step",
        "2",
        "--group-size",
        "2",
        "--steps",
        "120",
        "--sft-steps",
        "0",
        "--checkpoint-every",
        "1",
    ]
    command += ["--max-new-tokens", "4", "--out", str(tmp_path / "run")]
    environment = {**os.environ, "BERRYPICK_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path, preexec_fn=heed_interrupts
    )
    deadline = time.monotonic() + patience(240)
    while not list((tmp_path / "run" / "checkpoints").glob("rl-*/state.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=patience(120))
    assert process.returncode == 130
    assert (
        f"continue with: berrypick train --env berrypick/World-v0 --out {tmp_path}" in err
        and "--resume" in err
        and "Traceback" not in err
    )
    done = subprocess.run([*command, "--resume"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 121))
