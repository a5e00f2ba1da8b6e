"""Each row of a rollouts file has a digest, which travels with it; a file that was cut is named."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.importers import open_rollouts
from berrypick.envs.record import RecordError, read_records, write_records

WORLD = ("--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_test=4", "num_validation=0", "index=bm25s")


def evaluate(out: Path, *more: str) -> int:
    return main(["eval", *WORLD, "--policy", "random_order", "--samples", "2", "--no-html", "--out", str(out), *more])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation of four questions with two samples each."""
    out = tmp_path_factory.mktemp("run") / "run"
    assert evaluate(out) == 0
    return out


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture
def lines(run: Path) -> list[bytes]:
    return (run / "rollouts.jsonl").read_bytes().splitlines(keepends=True)


def report(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, object], str]:
    capsys.readouterr()
    status = main(["report", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    return status, json.loads(out) if out else {}, err


def without_digest(line: bytes) -> dict[str, object]:
    return {name: value for name, value in json.loads(line).items() if name != "sha256"}


def test_no_flip_and_no_cut_of_a_rollouts_file_is_silent(lines: list[bytes], tmp_path: Path) -> None:
    body = b"".join(lines)
    whole = read_records(_file(tmp_path, body))
    places = [*range(0, len(body), 97), *(len(b"".join(lines[:at])) - 1 for at in range(1, 9))]
    places += range(len(lines[0]) - 90, len(lines[0]))  # every byte of a digest
    tried = 0
    for at in places:
        flipped = bytearray(body)
        flipped[at] ^= 1 << at % 8
        for damaged in (bytes(flipped), body[:at]):
            tried += 1
            try:
                source = open_rollouts(_file(tmp_path, damaged))
                records = list(source.records())
            except RecordError:
                continue
            assert source.num_skipped or source.notes() or records == whole, at
    assert tried > 500


def _file(folder: Path, body: bytes) -> Path:
    path = folder / "rollouts.jsonl"
    path.write_bytes(body)
    return path


def test_a_changed_row_is_left_out_and_named(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = copied / "rollouts.jsonl"
    rows = file.read_text().splitlines(keepends=True)
    rows[2] = rows[2].replace('"em": 0.0', '"em": 1.0').replace('"em": 1.0', '"em": 0.0', rows[2].count('"em": 1.0'))
    file.write_text("".join(rows))
    said = f"{file}:3: its checksum is wrong: the row was changed or damaged after it was written"
    status, found, err = report(capsys, copied)
    assert status == 0 and found["lines_left_out"] == 1 and "rollouts_missing" not in found
    assert err.splitlines() == [f"skipped {said}", "1 line skipped"]
    status, _, err = report(capsys, copied, "--strict")
    assert status == 2 and err.startswith(f"berrypick: {said}; ") and "jq -c 'del(.sha256)'" in err
    with pytest.raises(RecordError, match="its checksum is wrong"):
        read_records(file)
    assert evaluate(copied, "--resume") == 2 and said in capsys.readouterr().err


def test_a_change_on_purpose_drops_the_digests(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = copied / "rollouts.jsonl"
    changed = [{**without_digest(line), "em": 1.0} for line in file.read_bytes().splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in changed))
    status, found, err = report(capsys, copied)
    assert status == 0 and found["arms"]["run"]["measures"]["pass@1"]["value"] == 1.0  # type: ignore[index]
    assert err == f"{file}: 8 rows without a checksum; damage to such rows is not noticed\n"


def test_a_file_that_was_cut_at_a_line_end_is_named(
    copied: Path, lines: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    file = copied / "rollouts.jsonl"
    file.write_bytes(b"".join(lines[:7]))
    status, found, err = report(capsys, copied)
    said = f"{file}: 7 of the 8 rollouts of this evaluation; the others are missing"
    assert (status, err, found["rollouts_missing"]) == (0, f"{said}\n", 1)
    for words in (("report", str(copied), "--strict"),):
        assert main([*words]) == 2 and f"berrypick: {said}" in capsys.readouterr().err
    assert evaluate(copied, "--resume") == 2
    assert capsys.readouterr().err == (
        f"berrypick: {said}; restore the file; or remove {file} and play it again with --resume\n"
    )
    file.unlink()
    assert evaluate(copied, "--resume") == 0
    assert file.read_bytes() == b"".join(lines)


def test_rows_may_be_selected_joined_and_written_again(
    lines: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, rest, again = (tmp_path / name for name in ("first.jsonl", "rest.jsonl", "again.jsonl"))
    first.write_bytes(b"".join(lines[:3]))  # head
    rest.write_bytes(b"".join(lines[3:]))
    status, found, err = report(capsys, first)
    assert status == 0 and found["arms"]["first.jsonl"]["num_episodes"] == 3  # type: ignore[index]
    assert err == f"{first}: 3 of the 8 rollouts of this evaluation; the others are missing\n"
    again.write_bytes(rest.read_bytes() + first.read_bytes())  # cat
    assert report(capsys, again)[::2] == (0, "")
    again.write_text("".join(json.dumps(json.loads(line), separators=(",", ":")) + "\n" for line in lines))
    assert report(capsys, again)[::2] == (0, "")
    if shutil.which("jq"):
        again.write_bytes(subprocess.run(["jq", "-c", "."], input=b"".join(lines), capture_output=True).stdout)
        assert report(capsys, again)[::2] == (0, "")
    again.write_text(json.dumps([json.loads(line) for line in lines]))  # one list
    status, found, _ = report(capsys, again)
    assert status == 0 and found["arms"]["again.jsonl"]["num_episodes"] == 8  # type: ignore[index]


def test_rows_of_before_are_read_and_others_rows_are_read_in_silence(
    lines: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollouts.jsonl"
    old = [without_digest(line) for line in lines]
    for row in old:
        del row["num_rollouts"]
    file.write_text("".join(json.dumps(row) + "\n" for row in old))
    status, found, err = report(capsys, file)
    assert status == 0 and "rollouts_missing" not in found
    assert err == f"{file}: 8 rows without a checksum; damage to such rows is not noticed\n"
    file.write_text("".join(json.dumps({**row, "run_id": ""}) + "\n" for row in old))
    assert report(capsys, file)[::2] == (0, "")
    file.write_bytes(json.dumps(old[0]).encode() + b"\n" + b"".join(lines[1:]))
    assert report(capsys, file)[2] == (
        f"{file}: 7 of the 8 rollouts of this evaluation; the others are missing\n"
        f"{file}: 1 row without a checksum; damage to such rows is not noticed\n"
    )


def test_reading_and_writing_again_gives_the_same_bytes(run: Path, lines: list[bytes], tmp_path: Path) -> None:
    write_records(tmp_path / "again.jsonl", read_records(run / "rollouts.jsonl"))
    assert (tmp_path / "again.jsonl").read_bytes() == b"".join(lines)


def test_converted_and_rescored_rows_have_digests_of_their_own(
    run: Path, lines: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atif, back, rescored = (tmp_path / name for name in ("atif.jsonl", "back.jsonl", "rescored.jsonl"))
    assert main(["convert", str(run / "rollouts.jsonl"), "--to", "atif", "--out", str(atif)]) == 0
    assert main(["convert", str(atif), "--out", str(back)]) == 0
    assert back.read_bytes() == b"".join(lines)
    assert main(["rescore", str(run), "--reward", "f1 - 0.5*queries", "--out", str(rescored)]) == 0
    assert report(capsys, rescored)[::2] == (0, "")
    digests = [{json.loads(line)["sha256"] for line in path.read_bytes().splitlines()} for path in (back, rescored)]
    assert len(digests[0]) == len(digests[1]) == 8 and not digests[0] & digests[1]


def test_a_damaged_row_of_an_unfinished_evaluation_is_played_again(copied: Path, lines: list[bytes]) -> None:
    damaged = bytearray(b"".join(lines[:6]))
    damaged[damaged.index(b"question") + 20] ^= 1
    (copied / "rollouts.jsonl").unlink()
    (copied / ".rollouts.jsonl.partial").write_bytes(damaged)
    assert evaluate(copied, "--resume") == 0
    assert (copied / "rollouts.jsonl").read_bytes() == b"".join(lines)
