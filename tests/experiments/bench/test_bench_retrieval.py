"""The benches measure what they say, on corpora small enough for a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.experiments.bench import results_file
from berrypick.experiments.bench.quality import markdown
from berrypick.experiments.bench.results_file import read_parts, write_rows
from berrypick.experiments.bench.retrieval import PARTS
from berrypick.experiments.bench.retrieval_growth import world_passages
from berrypick.experiments.runs.run_folder import stored_json
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.store import build_index

BENCH = "berrypick bench retrieval"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def index(tmp_path: Path) -> tuple[Path, Path]:
    """An index folder and a questions file."""
    passages, queries = world_passages(300)
    build_index(passages, "bm25s", tmp_path / "i")
    lines = [json.dumps({"question": query, "metadata": {}}) for query in queries[:128]]
    (tmp_path / "q.jsonl").write_text("\n".join(lines))
    return tmp_path / "i", tmp_path / "q.jsonl"


def bench(out: Path, *words: object) -> Any:
    """part -> what bench.json keeps of it; None where there is no file."""
    assert main(["bench", "retrieval", "--out", str(out), *map(str, words)]) == 0
    return stored_json(out / "bench.json") if (out / "bench.json").is_file() else None


def test_world_queries_find_their_own_passage_first() -> None:
    passages, queries = world_passages(300)
    assert len(passages) == len(queries) == 300
    found = Bm25sSearcher.from_passages(passages).search(queries, 1)
    assert [ranking[0].id for ranking in found] == [passage.id for passage in passages]


def test_rows_about_the_same_thing_are_replaced_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    write_rows(
        path, "growth", [{"backend": "b", "passages": 900, "x": 1.23456}, {"backend": "a", "passages": 5}], "one"
    )
    write_rows(path, "growth", [{"backend": "b", "passages": 900, "x": 2.0}, {"backend": "b", "passages": 1000}], "two")
    write_rows(path, "soak", [{"requests": 7}], "three")
    parts = read_parts(path)
    assert parts["growth"]["rows"] == [
        {"backend": "a", "passages": 5},
        {"backend": "b", "passages": 900, "x": 2.0},
        {"backend": "b", "passages": 1000},
    ]
    assert parts["growth"]["commands"] == ["one", "two"]
    write_rows(path, "soak", [{"requests": 8}], "four")
    assert read_parts(path)["soak"]["commands"] == ["four"], "nothing is left of what the older command measured"
    assert "| b | 900 | 2 |" in results_file.markdown(read_parts(path), ("growth", "soak"))


@pytest.mark.slow
def test_growth_builds_once_times_later_and_leaves_out_what_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--sizes", 60, "--backends", "bm25s", "--work", tmp_path / "work")
    assert bench(tmp_path, *words, "--stages", "build") is None
    manifest = tmp_path / "work" / "bm25s-60" / "index" / "manifest.json"
    built = manifest.stat().st_mtime_ns
    parts = bench(tmp_path, *words)
    assert "qps_64" in capsys.readouterr().out
    assert manifest.stat().st_mtime_ns == built
    (row,) = parts["growth"]["rows"]
    assert (row.pop("backend"), row["passages"]) == ("bm25s", 60)
    numbers = ("build_s", "disk_mib", "build_mib", "first_hit_s", "p99_ms", "qps_1", "qps_64", "qps_512")
    assert all(row[name] > 0 for name in numbers)
    assert parts["growth"]["commands"] == ["berrypick bench retrieval --parts growth --sizes 60 --backends bm25s"]
    assert (tmp_path / "growth.svg").read_text().startswith("<?xml") or not (tmp_path / "growth.svg").exists()
    assert (tmp_path / "bench.md").read_text().count("| bm25s | 60 |") == 1
    capsys.readouterr()
    bench(tmp_path, *words, "--resume")
    assert "query" not in capsys.readouterr().err


def test_hnsw_is_compared_with_the_exact_search(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(400, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "q.npy", vectors[:64])
    row = bench(tmp_path, "--parts", "hnsw", "--vectors", tmp_path / "v.npy", "--queries", tmp_path / "q.npy")["hnsw"]
    (row,) = row["rows"]
    assert row["vectors"] == 400 and 0.9 <= row["recall_at_10"] <= 1.0


@pytest.mark.slow
def test_loads_on_real_servers_are_answered_right(index: tuple[Path, Path], tmp_path: Path) -> None:
    words = ("--index", index[0], "--questions", index[1], "--seconds", 0.3, "--soak-seconds", 2, "--rounds", 1)
    result = bench(tmp_path / "out", "--parts", "batch", "clients", "soak", *words)
    rows = {part: made["rows"] for part, made in result.items()}
    assert rows["batch"][0]["backend"] == "bm25s" and rows["batch"][0]["server_to_in_process"] > 0
    assert {row["server"] for row in rows["clients"]} == {"berrypick serve", "no-op endpoint", "Search-R1-style loop"}
    assert all(row["p99_ms"] > 0 for row in rows["clients"])
    assert result["batch"]["commands"] == [
        f"{BENCH} --parts batch --index INDEX --questions {tmp_path.name}/q.jsonl --rounds 1"
    ]
    (soak,) = rows["soak"]
    statuses = {int(status): count for status, count in json.loads(soak["statuses"]).items()}
    assert soak["wrong"] == 0
    assert statuses[200] > 0 and statuses[422] > 0 and set(statuses) <= {200, 422, 503}


def test_unknown_benches_and_parts_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["retrival"], ["retrieval", "--out", str(tmp_path), "--parts", "grwth"]):
        assert main(["bench", *words]) == 2
        assert "did you mean" in capsys.readouterr().err
    assert main(["bench", "retrieval", "--out", str(tmp_path), "--parts", "batch"]) == 2
    assert "--index FOLDER" in capsys.readouterr().err
    for words, says in ((["--stages", "biuld"], "did you mean build"), (["--sizes", "0"], "at least 1")):
        assert main(["bench", "retrieval", "--out", str(tmp_path), *words]) == 2
        assert says in capsys.readouterr().err
    assert main(["bench"]) == 0
    assert "\n  retrieval  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("part", "flag", "value", "readers"),
    [
        ("growth", "--index", "folder", "first-hit, lucene, batch, clients, soak"),
        ("batch", "--seconds", "2", "clients"),
        ("lucene", "--work", "folder", "growth, scale"),
        ("growth", "--rounds", "3", "scale, first-hit, lucene, batch, clients, hnsw"),
    ],
)
def test_settings_that_no_part_reads_are_refused(
    part: str, flag: str, value: str, readers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["bench", "retrieval", "--out", str(out), "--parts", part, flag, value]) == 2
    said = capsys.readouterr().err
    assert said == f"berrypick: none of --parts {part} reads {flag}; remove it, or add one that does: {readers}\n"
    assert not out.exists()


def test_a_file_of_something_else_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.json").write_text('{"growth": [1]}')
    assert main(["bench", "retrieval", "--out", str(tmp_path)]) == 2
    assert "is not a bench.json of this version" in capsys.readouterr().err
    assert (tmp_path / "bench.json").read_text() == '{"growth": [1]}'


def test_the_documented_tables_are_generated_from_the_kept_numbers() -> None:
    page = (ROOT / "docs" / "retrieval.md").read_text(encoding="utf-8")
    folder = ROOT / "results" / "retrieval"
    assert markdown(json.loads((folder / "quality.json").read_text())["rows"]) in page
    assert results_file.markdown(read_parts(folder / "bench.json"), tuple(PARTS)) in page


@pytest.mark.slow
def test_good_clients_are_answered_right_while_the_server_is_attacked(
    index: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--index", index[0], "--questions", index[1], "--out", tmp_path, "--rounds", 2, "--seconds", 0.5, "--json"]
    assert main(["bench", "server", *map(str, words)]) == 0
    result = stored_json(tmp_path / "server.json")
    assert json.loads(capsys.readouterr().out) == result
    assert result["wrong_answers"] == 0 and result["right_answers"] > 0
    assert result["attacks"] and result["attacks"].keys() <= {
        "slow-headers",
        "slow-bodies",
        "connections",
        "large",
        "hung-up",
    }
    assert result["ratio"] == pytest.approx(result["attack_p99_ms"] / result["calm_p99_ms"], abs=1e-3)
    assert 0 < result["attackers_cpu_share"] < 1
    assert result["command"].startswith(f"berrypick bench server --index INDEX --questions {tmp_path.name}/q.jsonl")


def test_a_server_bench_that_cannot_be_is_one_line(
    index: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["bench", "server", "--index", str(index[0]), "--questions", str(index[1]), "--out", str(tmp_path)]
    for words, reason in (
        (["--attacks", "slow-header"], "did you mean slow-headers"),
        (["--rounds", "0"], "--rounds"),
        (["--seconds", "0"], "above 0"),
        (["--attackers-cpu", "0"], "above 0"),
    ):
        assert main([*given, *words]) == 2
        assert reason in capsys.readouterr().err


def test_a_large_request_is_legal_and_3_7_mb() -> None:
    from berrypick.experiments.bench.attackers import large_body
    from berrypick.retrieval_index.server import ServerSettings

    body = large_body(["ripe", "berries", "Zürich"], hits=100)
    asked, limits = json.loads(body), ServerSettings()
    assert 3_600_000 < len(body) <= limits.max_body_bytes
    assert len(asked["queries"]) <= limits.max_queries and asked["k"] <= limits.max_k
    assert max(map(len, asked["queries"])) <= limits.max_query_chars
