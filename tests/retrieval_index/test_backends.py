"""A search back end of one's own: registered in a file or by an installed package, built, searched, and refused."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.tasks.registry import make_task
from berrypick.retrieval_index import plugins
from berrypick.retrieval_index.backends import BACKENDS, backend_of, register_backend
from berrypick.retrieval_index.corpus import Passage, write_corpus
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from berrypick.retrieval_index.manifest import IndexFolderError
from berrypick.retrieval_index.store import build_index, check_index, open_searcher, read_manifest

DOCS = Path(__file__).resolve().parents[2] / "docs" / "retrieval.md"
(EXAMPLE,) = re.findall(r"^```python\n# my_search.py\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.S | re.M)
PASSAGES = [Passage("b", "", "ripe berries grow"), Passage("a", "", "berries"), Passage("c", "", "stones")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The documented example as a user's file."""
    path = tmp_path / "my_search.py"
    path.write_text(EXAMPLE)
    return path


def test_the_documented_example_is_ten_lines_of_code_and_ranks_by_score_then_id(file: Path, tmp_path: Path) -> None:
    assert len([line for line in EXAMPLE.splitlines() if line.strip()]) <= 14
    manifest = build_index(PASSAGES, f"{file}:overlap", tmp_path / "index")
    assert (manifest.backend, manifest.parameters) == ("overlap", {})
    searcher = open_searcher(tmp_path / "index")
    assert [hit.id for hit in searcher.search(["ripe berries"], 5)[0]] == ["b", "a"]
    assert [hit.id for hit in searcher.search(["berries"], 1)[0]] == ["a"]
    assert searcher.search(["", "nothing"], 5) == [[], []] and searcher.index_id == manifest.index_id


def test_an_index_of_a_back_end_that_is_not_registered_is_refused_until_its_file_is_named(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_index(PASSAGES, f"{file}:overlap", tmp_path / "index")
    del BACKENDS["overlap"]
    for name in [name for name in plugins.sys.modules if name.startswith("berrypick_extension_")]:
        del plugins.sys.modules[name]
    with pytest.raises(IndexFolderError, match=r"'overlap', which is not registered; .* FILE\.py:\S*index$"):
        open_searcher(tmp_path / "index")
    folder = f"{file}:{tmp_path / 'index'}"
    assert main(["index", "search", folder, "berries", "--json"]) == 0
    assert '"id": "a"' in capsys.readouterr().out
    assert main(["index", "check", folder]) == 0
    assert f"{tmp_path / 'index'} is intact: overlap" in capsys.readouterr().out


def test_the_command_line_builds_with_a_file_and_offers_the_nearest_name(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "corpus.jsonl", PASSAGES)
    words = ["index", "build", "--corpus", str(tmp_path / "corpus.jsonl"), "--out", str(tmp_path / "i"), "--backend"]
    assert main([*words, f"{file}:overlop"]) == 2
    assert "unknown index backend 'overlop'; did you mean overlap" in capsys.readouterr().err
    assert main([*words, f"{tmp_path / 'none.py'}:overlap"]) == 2
    assert "there is no file" in capsys.readouterr().err and not (tmp_path / "i").exists()
    assert main([*words, f"{file}:overlap"]) == 0
    assert "3 passages, overlap, id " in capsys.readouterr().out
    check_index(tmp_path / "i")


def test_an_environment_searches_with_it_and_notices_that_its_file_changed(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERRYPICK_CACHE", str(tmp_path / "cache"))
    sizes = {"num_train": 2, "num_validation": 0, "num_test": 0}
    for text in (EXAMPLE, EXAMPLE + "# another version\n"):
        file.write_text(text)
        task = make_task("berrypick/World-v0", index=f"{file}:overlap", **sizes)
        assert type(task.searcher).__name__ == "Overlap"
        passage = task.passages[3]
        assert passage.id in {hit.id for hit in task.searcher.search([passage.text], 3)[0]}
    assert len(list((tmp_path / "cache" / "indexes").iterdir())) == 2


def test_an_installed_package_brings_its_back_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "installed_search.py").write_text(EXAMPLE)
    monkeypatch.syspath_prepend(tmp_path)
    entry = importlib.metadata.EntryPoint("overlap", "installed_search", "berrypick.searchers")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry] if group == entry.group else [])
    assert backend_of("overlap") == "overlap"
    build_index(PASSAGES, "overlap", tmp_path / "index")
    assert read_manifest(tmp_path / "index").backend == "overlap"


def test_names_that_are_taken_or_cannot_be_names_are_refused() -> None:
    with pytest.raises(BerrypickError, match="index backend 'bm25s' is taken; choose another name"):
        register_backend("bm25s", "mine")(lambda *_: None)
    for name in ("", "a b", "a/b", "a:b", "a.py"):
        with pytest.raises(BerrypickError, match="use letters, digits and underscores"):
            register_backend(name, "mine")
    with pytest.raises(UnknownNameError, match="did you mean lucene"):
        backend_of("lucen")


def test_a_back_end_writes_its_own_files_and_its_parameters_enter_the_index_id(tmp_path: Path) -> None:
    def write(table, out, settings, scratch, progress):
        (out / "count").write_text(str(len(table)))
        return {"k1": settings.k1}

    class Counting:
        def __init__(self, folder, parameters, passages, index_id):
            self.count, self.k1, self.index_id = int((folder / "count").read_text()), parameters["k1"], index_id

    register_backend("counting", "counts", write=write, libraries=("numpy",))(Counting)
    manifest = build_index(PASSAGES, "counting", tmp_path / "index")
    searcher = open_searcher(tmp_path / "index")
    assert (searcher.count, searcher.k1) == (3, 0.9) and set(manifest.libraries) == {"numpy"}
    (tmp_path / "index" / "count").write_text("4")
    with pytest.raises(IndexFolderError, match="count is damaged: its checksum is wrong"):
        open_searcher(tmp_path / "index")
