"""The command line: names, flags, exit codes, and one clear line for each bad input."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import berrypick
import pytest
from berrypick.__main__ import main
from berrypick.experiments.commands.parser import COMMANDS, Command, CommandGroup
from berrypick.experiments.runs.run_folder import stored_json

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=6"]


def evaluate(out: Path, *more: str, policy: str = "random_order") -> int:
    return main(["eval", *WORLD, "--policy", policy, "--samples", "4", "--out", str(out), *more])


@pytest.mark.parametrize(
    ("arguments", "offered"),
    [
        (["eval", "--env", "berrypick/Wordl-v0", "--policy", "oracle"], "berrypick/World-v0"),
        (["eval", "--env", "berrypick/World-v0", "--policy", "random_oder"], "random_order"),
        (["eval", "--env", "berrypick/World-v0", "--policy", "oracle", "--split", "tset"], "test"),
        (["eval", "--env", "berrypick/World-v0", "--policy", "oracle", "--env-arg", "presett=free"], "preset"),
        (["eval", "--env", "berrypick/World-v0", "--policy", "oracle", "--env-arg", "preset=fre"], "free"),
        (["eval", "--env", "berrypick/World-v0", "--policy", "oracle", "--env-arg", "reward=emm"], "em"),
        (["train", "--env", "berrypick/World-v0", "--objective", "grppo"], "grpo"),
        (["train", "--env", "berrypick/World-v0", "--demonstrator", "random_ordr", "--sft-steps", "1"], "random_order"),
    ],
)
def test_an_unknown_name_exits_2_with_one_line_that_offers_the_nearest(
    arguments: list[str], offered: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("berrypick: unknown") and offered in err.split("did you mean")[1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evl"], "unknown command 'evl' of berrypick; did you mean eval? All commands: berrypick --help"),
        (["index", "biuld"], "'biuld' of berrypick index; did you mean build? All commands: berrypick index --help"),
        (["bench", "trian"], "unknown command 'trian' of berrypick bench; did you mean train?"),
        (["nothing-like-it"], "unknown command 'nothing-like-it' of berrypick; see berrypick --help"),
        (["--hlep"], "unknown flag '--hlep' of berrypick; did you mean --help?"),
        (["list", "--jsno"], "unknown flag '--jsno' of berrypick list; did you mean --json?"),
        (["train", "--stepz", "3"], "unknown flag '--stepz' of berrypick train; did you mean --steps?"),
        (["train", "--sft_stepz=3"], "unknown flag '--sft_stepz' of berrypick train; did you mean --sft-steps?"),
        (["play", "--sed", "3"], "did you mean --seed? All flags: berrypick play --help"),
        (
            ["index", "build", "--corpse", "c"],
            "unknown flag '--corpse' of berrypick index build; did you mean --corpus?",
        ),
        (["sweep", "--seed", "3"], "unknown flag '--seed' of berrypick sweep; did you mean --seeds?"),
    ],
)
def test_an_unknown_command_or_flag_exits_2_with_one_line_that_names_the_nearest(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("berrypick: unknown ") and len(err.splitlines()) == 1
    assert message in err


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with contextlib.suppress(SystemExit):  # how the parser of flags ends
        main(arguments)
    shown = capsys.readouterr()
    return shown.out + shown.err


def test_a_wrong_value_points_to_the_help_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["eval", "--env", "e", "--policy", "p", "--out", "o", "--samples", "many"])
    assert stopped.value.code == 2
    assert "berrypick eval --help" in capsys.readouterr().err


def leaves(entries: Mapping[str, Command | CommandGroup]) -> Iterator[tuple[str, Command]]:
    for name, entry in entries.items():
        if isinstance(entry, CommandGroup):
            yield from ((f"{name} {leaf}", command) for leaf, command in leaves(entry.commands()))
        else:
            yield name, entry


LEAVES = dict(leaves(COMMANDS))


@pytest.mark.parametrize("name", LEAVES)
def test_each_command_has_a_summary_and_something_to_run(name: str) -> None:
    command = LEAVES[name]
    assert dataclasses.is_dataclass(command.flags) and command.flags.__doc__
    if not command.function:
        assert callable(command.flags.run)  # type: ignore[attr-defined]
        return
    module, function = command.function.split(":")
    found = getattr(importlib.import_module(f"berrypick.experiments.commands.{module}"), function)
    (flags,) = inspect.signature(found, eval_str=True).parameters.values()
    assert flags.annotation is command.flags


@pytest.mark.parametrize("group", [[], ["index"], ["data"], ["bench"]])
def test_a_group_of_commands_lists_each_in_80_columns(group: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = printed([*group, "--help"], capsys)
    assert text == printed(group, capsys)
    assert max(map(len, text.splitlines())) <= 80
    names = [name.split()[len(group)] for name in LEAVES if name.split()[: len(group)] == group]
    assert all(f"\n  {name} " in text for name in names), names


@pytest.mark.parametrize("name", ["demo", "list", "train", "sweep", "eval", "report", "explain", "play", "classifier"])
def test_the_help_of_a_command_fits_80_columns(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    usage, *lines = printed([name, "--help"], capsys).splitlines()
    assert usage.startswith(f"usage: berrypick {name} [-h]") and max(map(len, lines)) <= 80


def words_of_help(name: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = printed([*name.split(), "--help"], capsys).replace("│", " ")
    return " ".join(sorted(word for word in text.split() if set(word) - set("─╭╮╰╯-")))


@pytest.mark.parametrize("name", ["", "index", "train", "eval", "report", "index audit", "adapter-check", "serve"])
def test_help_breaks_no_word(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    narrow, wide = (words_of_help(name, columns, monkeypatch, capsys) for columns in (60, 300))
    assert narrow == wide


def test_the_help_of_all_commands_keeps_hyphenated_words_whole(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(["--help"], capsys)
    assert not [line for line in text.splitlines() if line.rstrip().endswith("-")]


def test_help_shows_no_empty_default_and_no_none_as_a_choice(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["eval"],
        ["train"],
        ["play"],
        ["sweep"],
        ["index", "import"],
        ["data", "check"],
        ["bench", "train"],
    ):
        text = printed([*command, "--help"], capsys)
        assert "{None}" not in text and "(default: )" not in text, command


def test_version_prints_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"berrypick {berrypick.__version__}\n"
    assert "--version" in printed(["--help"], capsys)


def test_a_folder_that_holds_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(tmp_path / "run") == 0
    before = (tmp_path / "run" / "rollouts.jsonl").read_bytes()
    capsys.readouterr()
    assert evaluate(tmp_path / "run", "--seed", "5") == 2
    assert "holds a run already" in capsys.readouterr().err
    assert (tmp_path / "run" / "rollouts.jsonl").read_bytes() == before


def test_an_interrupted_evaluation_goes_on_and_a_finished_one_is_not_played_again(tmp_path: Path) -> None:
    assert evaluate(tmp_path / "run") == 0
    rollouts = tmp_path / "run" / "rollouts.jsonl"
    before = rollouts.read_bytes()
    rollouts.unlink()  # as a kill before its last line leaves it
    assert evaluate(tmp_path / "run", "--resume") == 0
    assert rollouts.read_bytes() == before
    written = rollouts.stat().st_mtime_ns
    assert evaluate(tmp_path / "run", "--resume") == 0
    assert rollouts.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--questions", "0"], "--questions"),
        (["--questions", "-1"], "--questions"),
        (["--max-rows", "0"], "--max-rows"),
        (["--max-new-tokens", "0"], "--max-new-tokens"),
        (["--max-new-tokens", "-1"], "--max-new-tokens"),
        (["--temperature", "-1"], "--temperature must be at least 0, got -1"),
        (["--temperature", "nan"], "--temperature must be at least 0, got nan"),
        (["--top-p", "3"], "--top-p must be above 0 and at most 1, got 3"),
        (["--split", "validation"], "split"),
    ],
)
def test_a_setting_that_cannot_be_played_is_named_and_leaves_no_folder(
    flags: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path / "run", *flags) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and named in err
    assert not (tmp_path / "run").exists()


def test_a_policy_that_answers_nothing_leaves_no_folder_and_the_corrected_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from berrypick.policies.remote import RemotePolicy

    gone = RemotePolicy("http://127.0.0.1:9/v1", "m", retries=0)
    monkeypatch.setattr("berrypick.experiments.commands.eval.open_policy", lambda name, **options: gone)
    assert evaluate(tmp_path / "run", policy="http://127.0.0.1:9/v1#m") == 2
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    assert evaluate(tmp_path / "run") == 0


def test_a_stopped_evaluation_says_how_it_goes_on_and_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from berrypick.experiments.report.live import LiveView

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LiveView, "update", stop)
    assert evaluate(tmp_path / "run") == 130
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    before, _, line = err.strip().partition("; finished work is saved, continue with: ")
    assert before == "berrypick: stopped"
    assert not (tmp_path / "run").exists()  # nothing was finished
    monkeypatch.undo()
    assert main(shlex.split(line)[1:]) == 0
    assert (tmp_path / "run" / "report.json").is_file()


def test_a_folder_in_which_nothing_was_done_takes_another_configuration(tmp_path: Path) -> None:
    assert evaluate(tmp_path / "run") == 0
    for name in ("rollouts.jsonl", "report.json", "report.html"):
        (tmp_path / "run" / name).unlink()
    assert evaluate(tmp_path / "run", "--seed", "5") == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["seed"] == 5


def test_more_questions_than_there_are_is_said_and_all_are_played(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert evaluate(tmp_path / "run", "--questions", "100") == 0
    assert [record.message for record in caplog.records] == [
        "--questions 100: the split test has only 6; playing those"
    ]
    assert len((tmp_path / "run" / "rollouts.jsonl").read_text().splitlines()) == 6 * 4
    assert evaluate(tmp_path / "run", "--questions", "6", "--resume") == 0


@pytest.mark.parametrize("damage", ["{", "[]", "", "\xff"])
def test_a_damaged_configuration_is_one_line_and_nothing_is_lost(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path / "run") == 0
    before = (tmp_path / "run" / "rollouts.jsonl").read_bytes()
    (tmp_path / "run" / "config.json").write_text(damage, encoding="latin-1")
    capsys.readouterr()
    assert evaluate(tmp_path / "run", "--resume") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "config.json" in err and "choose another --out" in err
    assert (tmp_path / "run" / "rollouts.jsonl").read_bytes() == before


def test_resuming_with_other_settings_names_each_that_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path / "run") == 0
    capsys.readouterr()
    assert evaluate(tmp_path / "run", "--resume", "--seed", "5", "--env-arg", "num_test=7") == 2
    assert "(different: env_args.num_test, env_args.num_train, env_args.num_validation" in capsys.readouterr().err


def test_a_folder_of_other_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert evaluate(tmp_path) == 2
    assert "choose an empty or new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_eval_writes_the_record_and_the_report_and_json_prints_one_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path / "run", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == stored_json(tmp_path / "run" / "report.json")
    rows = [json.loads(line) for line in (tmp_path / "run" / "rollouts.jsonl").read_text().splitlines()]
    assert len(rows) == 6 * 4
    assert {(row["question"]["id"], row["sample_index"]) for row in rows} == {
        (question, sample) for question in {row["question"]["id"] for row in rows} for sample in range(4)
    }


def test_the_same_seed_gives_the_same_record_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert evaluate(tmp_path / name, "--seed", seed) == 0
    texts = {}
    for name in "abc":
        rows = [json.loads(line) for line in (tmp_path / name / "rollouts.jsonl").read_text().splitlines()]
        texts[name] = [[turn["text"] for turn in row["turns"]] for row in rows]
    assert texts["a"] == texts["b"] != texts["c"]


def test_the_oracle_finds_every_answer_that_the_records_hold(tmp_path: Path) -> None:
    assert evaluate(tmp_path / "run", policy="oracle") == 0
    for line in (tmp_path / "run" / "rollouts.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["em"] == float(all(row["question"]["metadata"]["world"]["present"]))


def test_eval_under_a_control_replaces_retrieval_and_names_the_nearest_control(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path / "none", "--control", "empty") == 0
    rows = [json.loads(line) for line in (tmp_path / "none" / "rollouts.jsonl").read_text().splitlines()]
    assert {row["em"] for row in rows} == {0.0}
    assert not [hit for row in rows for turn in row["turns"] for hits in turn["hits"] for hit in hits]
    assert evaluate(tmp_path / "shut", "--control", "closed_book") == 0
    rows = [json.loads(line) for line in (tmp_path / "shut" / "rollouts.jsonl").read_text().splitlines()]
    assert {len(row["turns"]) for row in rows} == {1}
    capsys.readouterr()
    assert evaluate(tmp_path / "typo", "--control", "oracl") == 2
    assert "did you mean oracle" in capsys.readouterr().err


def test_report_compares_several_runs_paired_by_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert evaluate(tmp_path / "a") == 0
    assert "rollouts of each question are the same" not in caplog.text
    assert evaluate(tmp_path / "b", policy="best_order") == 0
    assert "all 4 rollouts of each question are the same; --samples 1 says as much" in caplog.text
    capsys.readouterr()
    assert main(["report", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["arms"]) == {"a", "b"}
    difference = report["differences"]["b - a"]
    assert difference["num_shared"] == 6
    gap = report["arms"]["b"]["measures"]["em"]["value"] - report["arms"]["a"]["measures"]["em"]["value"]
    assert difference["differences"]["em"]["value"] == pytest.approx(gap)


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["report", "nowhere"], "give a run folder"),
        (["report"], "at least one run folder"),
        (["index", "check", "nowhere"], "build one"),
        (["index", "build", "--corpus", "nowhere.jsonl", "--out", "index", "--backend", "bm25s"], "JSONL"),
        (
            ["train", "--env", "berrypick/World-v0", "--steps", "0", "--sft-steps", "0", "--out", "run"],
            "--steps or --sft-steps",
        ),
        (["train", "--env", "berrypick/World-v0", "--policy", "oracle", "--out", "run"], "needs weights"),
        (["eval", "--env", "berrypick/World-v0", "--policy", "oracle", "--samples", "0", "--out", "run"], "--samples"),
        (["eval", "--env", "berrypick/World-v0", "--policy", "oracle", "--env-arg", "preset", "--out", "run"], "K=V"),
        (["eval", "--env", "berrypick/HotpotQA-v0", "--policy", "oracle", "--out", "run"], "BERRYPICK_DATA"),
        (["eval", "--env", "berrypick/Custom-v0", "--policy", "oracle", "--out", "run"], "corpus=FILE"),
        (["eval", "--env", "berrypick/World-v0", "--policy", "no/such-model", "--out", "run"], "hub id"),
        (["eval", *WORLD, "--policy", "oracle", "--seed", "-1", "--out", "run"], "a whole number from 0"),
        (["train", *WORLD, "--seed", "-1", "--steps", "1", "--out", "run"], "a whole number from 0"),
        (["play", "--seed", "-1"], "a whole number from 0"),
        (["demo", "--seed", "-1", "--out", "run"], "a whole number from 0"),
        (["demo", "--steps", "-1", "--out", "run"], "--steps must be at least 1, got -1"),
        (["demo", "--sft-steps", "0", "--out", "run"], "--sft-steps must be at least 1, got 0"),
        (["demo", "--questions", "0", "--out", "run"], "--questions must be at least 1, got 0"),
        (["demo", "--seeds", "0", "--out", "run"], "--seeds must be at least 1, got 0"),
        (["demo", "--samples", "0", "--out", "run"], "--samples must be at least 1, got 0"),
        (["demo", "--index", "nowhere", "--out", "run"], "give bm25s"),
    ],
)
def test_bad_input_gets_one_line_with_the_cure_and_leaves_nothing(
    arguments: list[str],
    cure: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BERRYPICK_DATA", raising=False)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("berrypick: ")]
    assert out == "" and len(lines) == 1 and cure in lines[0]
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_list_names_every_environment_policy_and_objective(capsys: pytest.CaptureFixture[str]) -> None:
    from berrypick.envs.tasks.registry import TASKS
    from berrypick.policies.objectives.registry import OBJECTIVES
    from berrypick.policies.scripted import SCRIPTED

    assert main(["list", "--json"]) == 0
    sections = json.loads(capsys.readouterr().out)
    assert set(sections["environments"]) == set(TASKS)
    assert set(SCRIPTED) <= set(sections["policies"])
    assert set(sections["objectives"]) == set(OBJECTIVES)
    assert sections["objective_options"]["ucb_con"] == "weight=0.2,offset=0.5,key=answer,on_answer=false"
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "berrypick/World-v0" in out and ":floor=0.1,classifier=CLASSIFIER" in out


def test_play_answers_queries_and_says_whether_the_answer_was_right(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("founder\n= unknown\n"))
    assert main(["play", "--env-arg", "num_train=1", "num_validation=0", "num_test=0"]) == 0
    out = capsys.readouterr().out
    assert "Record kinds: ledger, charter, scroll." in out
    assert "not right; reward 0" in out


def test_play_ends_quietly_at_end_of_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["play"]) == 0
    assert "(stopped)" in capsys.readouterr().out
