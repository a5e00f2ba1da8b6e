"""What is mutated and which tests are asked."""

from __future__ import annotations

from pathlib import Path

__all__ = ["AREAS", "NOT_ASKED", "ROOT", "TESTS", "files_of", "nearness"]

ROOT = Path(__file__).resolve().parents[2]

AREAS = {
    "objectives": ("policies/objectives/*.py",),
    "metrics": ("envs/metrics/*.py", "experiments/measures/*.py"),
    "frontier": tuple(
        f"envs/world/{name}.py" for name in ("frontier", "mixtures", "plans", "availability", "population")
    ),
    "rewards": ("envs/rewards.py", "envs/answers.py", "envs/reward_vectors.py"),
    "episode": ("envs/episode.py", "envs/episode_state.py", "envs/record.py"),
    "claims": tuple(f"experiments/grid/{name}.py" for name in ("claims", "contrasts", "evidence", "comparison")),
}
"""Area -> its files, as patterns below the root."""

ELSEWHERE = ("policies/objectives/trl.py",)
"""Not mutated: tested in an environment of its own, see `make test-adapters`."""

TESTS = (
    "tests/envs/metrics/test_*.py",
    "tests/policies/objectives/test_*.py",
    "tests/envs/test_*.py",
    "tests/envs/world/test_*.py",
    "tests/experiments/measures/test_*.py",
    "tests/experiments/grid/test_*.py",
    "tests/envs/importers/test_opening_rollouts.py",
    "tests/envs/tasks/test_*.py",
    "tests/experiments/commands/test_rescore.py",
    "tests/experiments/commands/test_report_sweep.py",
    "tests/experiments/commands/test_replay.py",
    "tests/policies/test_scripted.py",
)
"""The nearest tests and a wider ring, as patterns: quick tests that run code of the areas."""

NOT_ASKED = ("tests/experiments/grid/test_runner.py",)
"""Tests whose work is done by processes of their own, which run the unchanged code."""


def files_of(area: str) -> list[str]:
    """The files of an area, as paths below the root, sorted."""
    files = sorted(str(path.relative_to(ROOT)) for pattern in AREAS[area] for path in ROOT.glob(pattern))
    return [file for file in files if file not in ELSEWHERE]


def nearness(test_file: str, source: str) -> int:
    """How far a test file is from a source file: 0 if it has its name and folder, 1 its folder, 2 its floor, else 3."""
    test, code = Path(test_file), Path("tests") / source
    if test.parent == code.parent:
        return 0 if code.stem in (test.stem.removeprefix("test_"), test.stem.removeprefix("test_") + "s") else 1
    return 2 if test.parts[1] == code.parts[1] else 3
