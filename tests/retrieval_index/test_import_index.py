"""Taking over what others built: a FAISS index with its corpus, a Lucene folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.retrieval_index.corpus import CorpusError
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.faiss_index import load_faiss, write_graph
from berrypick.retrieval_index.import_index import import_faiss, import_lucene
from berrypick.retrieval_index.store import IndexFolderError, check_index, open_searcher, read_manifest

IDS = ("10", "9", "2", "1", "0")  # not in id order, as in wiki-18


def search_r1_pair(folder: Path, encoder: Any, ids: tuple[str, ...] = IDS, metric: str = "IP") -> tuple[Path, Path]:
    """What Search-R1's index builder leaves: an IndexFlatIP over `contents`, and the corpus."""
    faiss = load_faiss()
    lines = [{"id": key, "contents": f'"Title {key}"\nberries number {i}'} for i, key in enumerate(ids)]
    corpus = folder / "wiki.jsonl"
    corpus.write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    index = getattr(faiss, f"IndexFlat{metric}")(encoder.dim)
    index.add(encoder.encode([line["contents"] for line in lines], is_query=False))
    write_graph(index, folder / "e5_Flat.index")
    return folder / "e5_Flat.index", corpus


def test_a_search_r1_pair_is_searched_as_it_is(words_loaded: Any, tmp_path: Path) -> None:
    index, corpus = search_r1_pair(tmp_path, words_loaded)
    made = import_faiss(index, corpus, "words", tmp_path / "i")
    assert {path.name for path in (tmp_path / "i").iterdir()} == {"manifest.json", "offsets.npy", "id_rank.npy"}
    assert made.parameters["sample_agreement"] == pytest.approx(1.0, abs=1e-3)
    searcher = open_searcher(tmp_path / "i")
    (hit,) = searcher.search(["Title 2 berries number 2"], 1)[0]
    assert (hit.id, hit.title, hit.text) == ("2", "Title 2", "berries number 2")
    found = searcher.search(["berries"], 9)[0]
    assert sorted(hit.id for hit in found) == sorted(IDS)
    assert len(check_index(tmp_path / "i")) == 5


def test_ties_of_an_imported_index_stand_by_id_too(words_loaded: Any, tmp_path: Path) -> None:
    faiss = load_faiss()
    corpus = tmp_path / "c.jsonl"
    corpus.write_text("\n".join(json.dumps({"id": key, "text": "same text"}) for key in IDS))
    index = faiss.IndexFlatIP(words_loaded.dim)
    index.add(words_loaded.encode(["same text"] * 5, is_query=False))
    write_graph(index, tmp_path / "x.index")
    import_faiss(tmp_path / "x.index", corpus, "words", tmp_path / "i")
    assert [hit.id for hit in open_searcher(tmp_path / "i").search(["same"], 3)[0]] == ["0", "1", "10"]


def test_a_gz_corpus_is_unpacked_and_other_index_kinds_work(words_loaded: Any, tmp_path: Path) -> None:
    import gzip

    index, corpus = search_r1_pair(tmp_path, words_loaded)
    (tmp_path / "wiki.jsonl.gz").write_bytes(gzip.compress(corpus.read_bytes()))
    graph = load_faiss().IndexHNSWFlat(words_loaded.dim, 8, load_faiss().METRIC_INNER_PRODUCT)
    graph.add(words_loaded.encode([json.loads(line)["contents"] for line in corpus.open()], is_query=False))
    write_graph(graph, tmp_path / "hnsw.index")
    for number, path in enumerate((index, tmp_path / "hnsw.index")):
        out = tmp_path / f"i{number}"
        import_faiss(path, tmp_path / "wiki.jsonl.gz", "words", out)
        assert open_searcher(out).search(["Title 9 berries number 1"], 1)[0][0].id == "9"


def test_what_can_be_checked_is_checked(words_loaded: Any, tmp_path: Path) -> None:
    index, corpus = search_r1_pair(tmp_path, words_loaded)
    out = tmp_path / "i"
    lines = corpus.read_text().splitlines()

    def refuses(
        says: str, kind: type[Exception] = BerrypickError, *, source: Path = index, text: Path = corpus
    ) -> None:
        with pytest.raises(kind, match=says):
            import_faiss(source, text, "words", out)
        assert not out.exists()

    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(lines[:-1]))
    refuses("5 vectors, the corpus 4 passages", text=other)
    other.write_text("\n".join(lines[:-1] + [lines[0]]))
    refuses("passages 1 and 5 have the same id '10'", CorpusError, text=other)
    other.write_text("\n".join(lines[:2] + ["{"] + lines[3:]))
    refuses("passage 2 cannot be read|:3:", CorpusError, text=other)
    other.write_text("\n".join(reversed(lines)))
    refuses("does not reproduce the stored vectors", text=other)
    refuses("no file", source=tmp_path / "none")
    (tmp_path / "text.index").write_text("this is no index")
    refuses("is not a FAISS index", source=tmp_path / "text.index")
    write_graph(load_faiss().IndexFlatIP(3), tmp_path / "narrow.index")
    refuses("vectors of 3 numbers|encoder", source=tmp_path / "narrow.index")
    distance, _ = search_r1_pair(tmp_path, words_loaded, metric="L2")
    refuses("ranks by distance", source=distance)


def test_a_corpus_changed_after_the_import_is_noticed(words_loaded: Any, tmp_path: Path) -> None:
    index, corpus = search_r1_pair(tmp_path, words_loaded)
    import_faiss(index, corpus, "words", tmp_path / "i")
    corpus.write_text(corpus.read_text().replace("number 3", "number 8"))
    with pytest.raises(IndexFolderError, match=r"wiki\.jsonl is damaged"):
        open_searcher(tmp_path / "i")


def test_the_command_takes_one_kind_of_source(
    words_loaded: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    index, corpus = search_r1_pair(tmp_path, words_loaded)
    words = ["index", "import", "--index", str(index), "--corpus", str(corpus), "--out", str(tmp_path / "i")]
    assert main(words) == 2 and "give --lucene FOLDER alone, or --index FILE" in capfd.readouterr().err
    assert main([*words, "--encoder", "words", "--b", "0.1"]) == 2
    assert "--k1 and --b are for --lucene" in capfd.readouterr().err
    assert main([*words, "--encoder", "words"]) == 0
    assert capfd.readouterr().out.startswith(f"{tmp_path / 'i'}: 5 passages, faiss, id ")
    assert np.array_equal(np.load(tmp_path / "i" / "id_rank.npy"), [2, 4, 3, 1, 0])


@pytest.mark.lucene
def test_a_lucene_folder_with_raw_documents_is_taken_over(tmp_path: Path) -> None:
    from berrypick.retrieval_index.java import import_pyserini

    def build(folder: Path, *flags: str, ids: tuple[str, ...] = IDS) -> None:
        indexer = import_pyserini("pyserini.index.lucene").LuceneIndexer(
            args=["-index", str(folder), *flags], append=False
        )
        for key in ids:
            indexer.add_doc_raw(json.dumps({"id": key, "contents": f'"Title {key}"\nripe berries'}))
        indexer.close()

    build(tmp_path / "theirs", "-storeRaw")
    import_lucene(tmp_path / "theirs", tmp_path / "i")
    check_index(tmp_path / "i")
    assert read_manifest(tmp_path / "i").num_passages == 5
    found = open_searcher(tmp_path / "i").search(["berries", "title 9"], 3)
    assert [hit.id for hit in found[0]] == ["0", "1", "10"]
    assert (found[1][0].id, found[1][0].title, found[1][0].text) == ("9", "Title 9", "ripe berries")

    build(tmp_path / "bare")
    with pytest.raises(BerrypickError, match="-storeRaw"):
        import_lucene(tmp_path / "bare", tmp_path / "j")
    build(tmp_path / "twice", "-storeRaw", ids=("1", "2", "1"))
    with pytest.raises(CorpusError, match="two documents have the id '1'"):
        import_lucene(tmp_path / "twice", tmp_path / "j")
    with pytest.raises(BerrypickError, match="not a Lucene index"):
        import_lucene(tmp_path, tmp_path / "j")
