"""The benches measure what they say, on corpora small enough for a test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.experiments.bench import retrieval
from berrypick.experiments.bench.quality import markdown
from berrypick.experiments.bench.retrieval_growth import world_passages
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.store import build_index

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def index(tmp_path: Path) -> tuple[Path, Path]:
    """An index folder and a questions file."""
    passages, queries = world_passages(300)
    build_index(passages, "bm25s", tmp_path / "i")
    lines = [json.dumps({"question": query, "metadata": {}}) for query in queries[:128]]
    (tmp_path / "q.jsonl").write_text("\n".join(lines))
    return tmp_path / "i", tmp_path / "q.jsonl"


def bench(out: Path, *words: object) -> dict[str, object]:
    assert main(["bench", "retrieval", "--out", str(out), *map(str, words)]) == 0
    value: dict[str, object] = json.loads((out / "bench.json").read_text())
    return value


def test_world_queries_find_their_own_passage_first() -> None:
    passages, queries = world_passages(300)
    assert len(passages) == len(queries) == 300
    found = Bm25sSearcher.from_passages(passages).search(queries, 1)
    assert [ranking[0].id for ranking in found] == [passage.id for passage in passages]


def test_growth_fills_its_row_and_draws_the_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench(tmp_path, "--sizes", "120", "--backends", "bm25s")["growth"]
    assert [row["passages"] for row in rows] == [120]  # type: ignore[attr-defined]
    assert all(
        row[name] > 0
        for row in rows
        for name in ("build_s", "disk_mib", "build_mib", "first_hit_s", "p99_ms", "qps_1", "qps_512")
    )  # type: ignore[attr-defined]
    assert "qps_64" in capsys.readouterr().out
    assert (tmp_path / "growth.svg").read_text().startswith("<?xml") or not (tmp_path / "growth.svg").exists()


def test_hnsw_is_compared_with_the_exact_search(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(400, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "q.npy", vectors[:64])
    row = bench(tmp_path, "--parts", "hnsw", "--vectors", tmp_path / "v.npy", "--queries", tmp_path / "q.npy")["hnsw"]
    assert row["vectors"] == 400 and 0.9 <= row["recall_at_10"] <= 1.0  # type: ignore[index]


@pytest.mark.slow
def test_loads_on_real_servers_are_answered_right(index: tuple[Path, Path], tmp_path: Path) -> None:
    words = ("--index", index[0], "--questions", index[1], "--seconds", 0.3, "--soak-seconds", 2, "--rounds", 1)
    result = bench(tmp_path / "out", "--parts", "batch", "clients", "soak", *words)
    assert result["batch"]["server_to_in_process"] > 0  # type: ignore[index]
    assert [row["server"] for row in result["clients"]] == ["berrypick serve", "no-op endpoint", "Search-R1-style loop"]  # type: ignore[attr-defined]
    assert all(row["p99_ms"] > 0 for row in result["clients"])  # type: ignore[attr-defined]
    soak = result["soak"]
    statuses = {int(status): count for status, count in json.loads(soak["statuses"]).items()}  # type: ignore[index]
    assert soak["wrong"] == 0  # type: ignore[index]
    assert statuses[200] > 0 and statuses[422] > 0 and set(statuses) <= {200, 422, 503}


def test_unknown_benches_and_parts_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["retrival"], ["retrieval", "--out", str(tmp_path), "--parts", "grwth"]):
        assert main(["bench", *words]) == 2
        assert "did you mean" in capsys.readouterr().err
    assert main(["bench", "retrieval", "--out", str(tmp_path), "--parts", "batch"]) == 2
    assert "--index FOLDER" in capsys.readouterr().err
    assert main(["bench"]) == 0
    assert "retrieval: " in capsys.readouterr().out


def test_the_documented_tables_are_generated_from_the_kept_numbers() -> None:
    page = (ROOT / "docs" / "retrieval.md").read_text(encoding="utf-8")
    kept = ROOT / "results" / "retrieval"
    assert markdown(json.loads((kept / "quality.json").read_text())["rows"]) in page
    assert retrieval.markdown(json.loads((kept / "bench.json").read_text())) in page
