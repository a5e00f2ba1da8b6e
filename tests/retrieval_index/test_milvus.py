"""Milvus by its address: what is sent to a cluster, and what is said when it does not answer.

A stand-in with pymilvus's calls; the embedded server itself runs in the contract suites.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.retrieval_index import milvus_index
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.errors import BerrypickError, SearchUnavailableError
from berrypick.retrieval_index.store import BuildSettings, build_index, open_searcher, read_manifest

URI = "http://milvus.example:19530"


class MilvusException(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(f"<MilvusException: (code=2, message={message})>")
        self.message = message


class Cluster:
    """Collections in memory; `down` refuses every call."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[int, np.ndarray]] = {}
        self.connections: list[tuple[str, dict[str, Any]]] = []
        self.down = False
        self.exceptions = SimpleNamespace(MilvusException=MilvusException)
        self.DataType = SimpleNamespace(INT64="int64", FLOAT_VECTOR="vector")

    def MilvusClient(self, uri: str, **more: Any) -> Client:
        self.connections.append((uri, more))
        self.answer()
        return Client(self)

    def answer(self) -> None:
        if self.down:
            raise MilvusException("Fail connecting to server")


class Client:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._all = cluster, cluster.collections

    def create_schema(self, **_: Any) -> Any:
        return SimpleNamespace(add_field=lambda *_, **__: None)

    def prepare_index_params(self) -> Any:
        return SimpleNamespace(add_index=lambda *_, **__: None)

    def has_collection(self, name: str) -> bool:
        return name in self._all

    def drop_collection(self, name: str) -> None:
        del self._all[name]

    def create_collection(self, name: str, **_: Any) -> None:
        assert name not in self._all
        self._all[name] = {}

    def insert(self, name: str, rows: list[dict[str, Any]]) -> None:
        self._all[name] |= {row["row"]: np.array(row["vector"], np.float32) for row in rows}

    def flush(self, name: str) -> None: ...

    def load_collection(self, name: str) -> None: ...

    def close(self) -> None: ...

    def get_collection_stats(self, name: str) -> dict[str, int]:
        return {"row_count": len(self._all[name])}

    def search(self, name: str, *, data: Any, limit: int, **_: Any) -> Any:
        self._cluster.answer()
        scored = [[(float(np.dot(query, vector)), row) for row, vector in self._all[name].items()] for query in data]
        return [[{"distance": s, "row": r} for s, r in sorted(one, reverse=True)[:limit]] for one in scored]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, words_loaded: Any) -> Iterator[Cluster]:
    made = Cluster()
    monkeypatch.setattr(milvus_index, "_pymilvus", lambda: made)
    monkeypatch.delenv("MILVUS_TOKEN", raising=False)
    monkeypatch.setenv("MILVUS_URI", URI)
    return made


def test_a_collection_in_the_cluster_is_found_by_the_folder_that_built_it(
    cluster: Cluster, corpus: list[Passage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILVUS_TOKEN", "root:secret")
    made = build_index(corpus, "milvus", tmp_path / "i", settings=BuildSettings(uri=URI))
    (name,) = cluster.collections
    assert (made.parameters["uri"], made.parameters["collection"]) == (URI, name)
    assert not (tmp_path / "i" / milvus_index.DATABASE).exists(), "the vectors lie in the cluster alone"
    found = open_searcher(tmp_path / "i").search(["ripe berries grow on the hill", ""], 3)
    assert [hit.id for hit in found[0]] == ["a", "b", "\uff41"] and found[1] == []
    assert {uri for uri, _ in cluster.connections} == {URI}
    assert all(more["token"] == "root:secret" and more["timeout"] > 0 for _, more in cluster.connections)
    assert "secret" not in (tmp_path / "i" / "manifest.json").read_text()
    again = build_index(corpus, "milvus", tmp_path / "j", settings=BuildSettings(uri=URI))
    assert again.index_id == read_manifest(tmp_path / "i").index_id and list(cluster.collections) == [name]


def test_an_address_that_only_the_folder_names_is_not_contacted(
    cluster: Cluster, corpus: list[Passage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(corpus, "milvus", tmp_path / "i", settings=BuildSettings(uri=URI))
    cluster.connections.clear()
    for given in ("", "http://another.example:19530"):
        monkeypatch.setenv("MILVUS_URI", given)
        with pytest.raises(BerrypickError, match=f"if you trust that address, set MILVUS_URI={URI}"):
            open_searcher(tmp_path / "i")
    assert cluster.connections == []


def test_a_cluster_that_is_away_is_said_before_anything_is_encoded(
    cluster: Cluster, tmp_path: Path, words_loaded: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    cluster.down = True
    monkeypatch.setattr(type(words_loaded), "encode", None)  # calling it would be an error
    (tmp_path / "c.jsonl").write_text('{"id": "1", "text": "ripe berries"}\n')
    words = [
        "index",
        "build",
        "--corpus",
        str(tmp_path / "c.jsonl"),
        "--backend",
        "milvus",
        "--out",
        str(tmp_path / "i"),
    ]
    assert main([*words, "--uri", URI]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        f"cannot open Milvus at {URI}: Fail connecting to server; start the server, or correct --uri or MILVUS_TOKEN"
    )
    assert main([*words, "--uri", "milvus.example"]) == 2
    assert "use --uri http://HOST:19530, or omit --uri" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["c.jsonl"]


def test_a_cluster_that_goes_away_or_loses_its_collection_is_one_clear_line(
    cluster: Cluster, corpus: list[Passage], tmp_path: Path
) -> None:
    build_index(corpus, "milvus", tmp_path / "i", settings=BuildSettings(uri=URI))
    searcher = open_searcher(tmp_path / "i")
    cluster.down = True
    with pytest.raises(SearchUnavailableError, match="Milvus does not answer: Fail connecting"):
        searcher.search(["berries"], 3)
    cluster.down = False
    cluster.collections.clear()
    with pytest.raises(BerrypickError, match=r"has no collection berrypick_.*rebuild"):
        open_searcher(tmp_path / "i")
