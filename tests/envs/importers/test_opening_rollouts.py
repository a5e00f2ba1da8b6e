"""Opening: recognition by content, broken lines, streaming, berrypick's own format."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from berrypick.envs.importers import open_rollouts
from berrypick.envs.importers.source import MOST_REASONS
from berrypick.envs.record import RecordError, read_records
from fixtures.foreign_rollouts import ROWS, TEXTS

GOLDEN = Path(__file__).parents[1] / "golden" / "rollouts_v1.jsonl"


@pytest.mark.parametrize("name", [*ROWS, *TEXTS])
def test_gzip_is_seen_by_content_whatever_the_name(tmp_path: Path, name: str) -> None:
    body = TEXTS.get(name) or json.dumps(ROWS[name])
    plain, zipped = tmp_path / "a.gz", tmp_path / "a.jsonl"
    plain.write_text(body)
    zipped.write_bytes(gzip.compress(body.encode()))
    assert list(open_rollouts(plain).records()) == list(open_rollouts(zipped).records())


@pytest.mark.parametrize("name", ROWS)
def test_a_list_a_pretty_object_and_lines_hold_the_same(tmp_path: Path, name: str) -> None:
    path, expected = tmp_path / "x", None
    for body in (
        json.dumps(ROWS[name]),
        json.dumps([ROWS[name]]),
        json.dumps([ROWS[name]], indent=1),
        json.dumps(ROWS[name], indent=2),
        "\ufeff \n" + json.dumps(ROWS[name]),
    ):
        path.write_text(body)
        records = list(open_rollouts(path, skip_bad=False).records())
        expected = expected or records
        assert records == expected and len(records) == 1


def test_a_broken_line_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    good = json.dumps(ROWS["verl"])
    path.write_text("\n".join([good[:40], good, "[1]", good, '{"input": 3, "output": "x", "step": 1, "gts": 1}', good]))
    source = open_rollouts(path)
    assert len(list(source.records())) == 3 and source.num_skipped == 3
    assert [reason.split(": ")[0] for reason in source.skipped] == [f"{path}:{line}" for line in (1, 3, 5)]
    assert "not a JSON object" in source.skipped[1] and "input is not a text" in source.skipped[2]
    assert source.summary() == "verl dump: 3 rollouts of 1 question; group from uid; 3 lines left out"
    strict = open_rollouts(path, skip_bad=False).records()
    with pytest.raises(RecordError, match=f"{path}:1: not valid JSON"):
        next(strict)


def test_a_reward_that_is_no_number_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(ROWS["verl"]) + "\n" + json.dumps(ROWS["verl"]).replace('"score": 1.0', '"score": NaN'))
    source = open_rollouts(path)
    assert len(list(source.records())) == 1 and "the reward is not a finite number" in source.skipped[0]


def test_a_list_that_is_cut_off_gives_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps([ROWS["flashrag"]] * 3, indent=4)[:-300])
    source = open_rollouts(path)
    assert len(list(source.records())) == 2 and source.num_skipped == 1
    assert source.skipped[0].startswith(f"{path}[2]: not valid JSON")


def test_only_the_first_reasons_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(ROWS["verl"]) + "\n{" * (MOST_REASONS + 5))
    source = open_rollouts(path)
    assert len(list(source.records())) == 1
    assert (len(source.skipped), source.num_skipped) == (MOST_REASONS, MOST_REASONS + 5)


@pytest.mark.parametrize("container", ["jsonl", "json", "gz"])
@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path, container: str) -> None:
    row = json.dumps(ROWS["verl"] | {"output": ROWS["verl"]["output"] + " " * 20_000})

    def peak(number: int) -> int:
        path = tmp_path / f"{number}.{container}"
        body = ("[" + ",".join([row] * number) + "]" if container == "json" else "\n".join([row] * number)).encode()
        path.write_bytes(gzip.compress(body, 1) if container == "gz" else body)
        tracemalloc.start()
        assert sum(1 for _ in open_rollouts(path).records()) == number
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)  # fills caches
    assert peak(1000) < peak(100) + 1_000_000, "900 rows more are 18 MB more"


def test_our_own_format(tmp_path: Path) -> None:
    source = open_rollouts(GOLDEN)
    assert list(source.records()) == read_records(GOLDEN)
    assert source.own and source.absent == {} and source.summary() == "berrypick rollouts: 2 rollouts of 1 question"
    assert list(source.records()) == read_records(GOLDEN), "a second iteration starts anew"
    path = tmp_path / "r"
    path.write_text(GOLDEN.read_text() * 2)
    source = open_rollouts(path)
    assert len(list(source.records())) == 2 and "is a duplicate of line 1" in source.skipped[0]
    path.write_text(GOLDEN.read_text() + '{"schema_version": 99, "turns": []}')
    with pytest.raises(RecordError, match="newer than this berrypick"):
        list(open_rollouts(path).records())
    rows = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    path.write_text(json.dumps(rows, indent=1))
    assert list(open_rollouts(path).records()) == read_records(GOLDEN)


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ('{"a": 1, "b": 2}', "jsonl with the fields a, b"),
        ("dear diary,\ntoday", 'a text that starts with "dear diary, today"'),
        ("[[1], [2]]", "json without a readable row"),
        ("{", "jsonl without a readable row"),
    ],
)
def test_an_unknown_format_says_what_was_seen_and_what_is_known(tmp_path: Path, body: str, seen: str) -> None:
    (tmp_path / "x").write_text(body)
    with pytest.raises(RecordError) as caught:
        open_rollouts(tmp_path / "x")
    message = str(caught.value)
    assert f"unknown format ({seen})" in message and "\n" not in message
    assert all(name in message for name in (*ROWS, *TEXTS, "berrypick", "--map question="))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"cannot read .*: No such file"):
        open_rollouts(tmp_path / "none")
    (tmp_path / "empty").write_text("\n \n")
    with pytest.raises(RecordError, match="no rollouts"):
        open_rollouts(tmp_path / "empty")
    (tmp_path / "zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(RecordError, match="cannot read"):
        open_rollouts(tmp_path / "zip")
    (tmp_path / "cut").write_bytes(gzip.compress(json.dumps(ROWS["verl"]).encode())[:-9])
    with pytest.raises(RecordError, match="cannot read"):
        list(open_rollouts(tmp_path / "cut").records())
    (tmp_path / "text").write_text(TEXTS["longcat"])
    with pytest.raises(RecordError, match="verl dump cannot be read from text"):
        open_rollouts(tmp_path / "text", format="verl")
    with pytest.raises(Exception, match="unknown format of rollouts 'verll'; did you mean verl"):
        open_rollouts(tmp_path / "text", format="verll")
