"""Imports indexes that other tools built, without copying, encoding or indexing anything again."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .corpus import CorpusError, Passage, corpus_sha256
from .data_files import is_gzipped
from .errors import BerrypickError
from .faiss_index import load_faiss, read_graph
from .manifest import Manifest, sha256
from .passages import OFFSETS, PASSAGES, PassageTable, line_offsets, write_passages
from .store import check_target, manifest_of, write_folder

__all__ = ["import_faiss", "import_lucene"]

ID_RANK = "id_rank.npy"


def import_faiss(index: Path, corpus: Path, encoder: str, out: Path, *, overwrite: bool = False) -> Manifest:
    """Imports a FAISS index with its corpus, for example Search-R1's `e5_Flat.index` and `wiki-18.jsonl`.

    Row i of the index is line i of the corpus. Both files stay in place; the folder gets the manifest, line
    offsets and the order of ids. The import checks every line, that ids are distinct, that there is one vector per
    passage, that the metric is inner product, and the dimension of the encoder. If the index can reconstruct vectors,
    it also checks that the encoder reproduces some of them.

    Args:
        index: a file that `faiss.write_index` wrote.
        corpus: JSONL with {"id", "contents"} or {"id", "title", "text"}; a .gz is unpacked into the folder.
        encoder: the encoder of the vectors, see `load_encoder`.
        out: the index folder.
        overwrite: replace an existing index.
    """
    check_target("faiss", out, overwrite=overwrite)
    for path, what in ((index, "--index"), (corpus, "--corpus")):
        if not path.is_file():
            raise BerrypickError(f"there is no file {path}; give {what} FILE")
    from .encoder import load_encoder

    model = load_encoder(encoder)
    vectors = read_graph(index)
    _check_metric(index, vectors)

    def fill(work: Path) -> Manifest:
        table = _table(corpus, work)
        np.save(work / ID_RANK, _id_rank(corpus, table))
        from .dense import DenseSearcher
        from .faiss_index import FaissVectors

        DenseSearcher(FaissVectors(vectors), table, "", model)  # compares counts and widths
        agreement = _agreement(vectors, table, model)
        parameters: dict[str, Any] = {
            "encoder": model.name,
            "revision": model.revision,
            "dim": model.dim,
            "dtype": "fp32",
            "kind": "imported",
            "index": str(index.resolve()),
            "sample_agreement": agreement,
        }
        outside = {str(index.resolve()): (index.stat().st_size, sha256(index))}
        if not (work / PASSAGES).exists():
            parameters["passages"] = str(corpus.resolve())
            outside[str(corpus.resolve())] = (corpus.stat().st_size, sha256(corpus))
        return manifest_of(work, "faiss", corpus_sha256(table), len(table), parameters, outside)

    return write_folder(out, fill, overwrite=overwrite)


def import_lucene(folder: Path, out: Path, *, k1: float = 0.9, b: float = 0.4, overwrite: bool = False) -> Manifest:
    """Imports a Lucene folder that Anserini or Pyserini made with stored raw documents (-storeRaw).

    The folder stays in place; its passages are read once. The import checks that every document has a unique id and raw
    text, and that none was deleted.

    Args:
        folder: the Lucene index.
        out: the index folder.
        k1: BM25's term-frequency saturation.
        b: BM25's length normalisation.
        overwrite: replace an existing index.
    """
    check_target("lucene", out, overwrite=overwrite)
    if not list(folder.glob("segments_*")):
        raise BerrypickError(f"{folder} is not a Lucene index (it has no segments file); give --lucene FOLDER")
    from .lucene_index import stored_passages

    passages = sorted(stored_passages(folder), key=lambda passage: passage.id)
    for before, after in itertools.pairwise(passages):
        if before.id == after.id:
            raise CorpusError(f"{folder}: two documents have the id {after.id!r}; index them again with unique ids")

    def fill(work: Path) -> Manifest:
        write_passages(work, passages)
        parameters = {"k1": k1, "b": b, "lucene": str(folder.resolve())}
        outside = {
            str(path.resolve()): (path.stat().st_size, sha256(path))
            for path in sorted(folder.iterdir())
            if path.is_file() and path.name != "write.lock"
        }
        return manifest_of(work, "lucene", corpus_sha256(passages), len(passages), parameters, outside)

    return write_folder(out, fill, overwrite=overwrite)


def _table(corpus: Path, work: Path) -> PassageTable:
    if is_gzipped(corpus):
        from .corpus import read_corpus

        write_passages(work, read_corpus(corpus).passages)
        return PassageTable.open(work)
    offsets = line_offsets(corpus)
    if not len(offsets):
        raise CorpusError(f"{corpus}: no passages; give a JSONL file with one passage per line")
    np.save(work / OFFSETS, offsets)
    return PassageTable(corpus, offsets)


def _id_rank(corpus: Path, table: PassageTable) -> NDArray[np.int64]:
    """int64 [passages], position of each row in id order; reads every line, so it finds bad lines and repeated ids."""
    ids = [passage.id for passage in table]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    for before, row in itertools.pairwise(order):
        if ids[before] == ids[row]:
            raise CorpusError(
                f"{corpus}: passages {before + 1} and {row + 1} have the same id {ids[row]!r}; change one"
            )
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids))
    return rank


def _check_metric(path: Path, index: Any) -> None:
    if index.metric_type != load_faiss().METRIC_INNER_PRODUCT:
        raise BerrypickError(
            f"{path} ranks by distance, not by inner product; build it with METRIC_INNER_PRODUCT over unit vectors"
        )


def _agreement(index: Any, table: PassageTable, model: Any, count: int = 8) -> float | None:
    """Smallest cosine between stored vectors and those the encoder makes now; None if vectors cannot be reconstructed.

    Raises:
        BerrypickError: it is below 0.8, so the encoder, the corpus or its order is not that of the index.
    """
    rows = sorted({int(row) for row in np.linspace(0, len(table) - 1, count)})
    try:
        stored = np.stack([index.reconstruct(row) for row in rows])
    except RuntimeError:
        return None
    fresh = model.encode([_as_search_r1(table[row]) for row in rows], is_query=False)
    norms = np.linalg.norm(stored, axis=1)
    least = float(np.min((stored * fresh).sum(1) / np.maximum(norms, 1e-12)))
    if least < 0.8:
        raise BerrypickError(
            f"encoder {model.name!r} does not reproduce the stored vectors (smallest cosine {least:.2f} over "
            f"{len(rows)} passages); use the encoder and the corpus file that the index was built from"
        )
    return round(least, 4)


def _as_search_r1(passage: Passage) -> str:
    """The text that Search-R1's index builder encodes: the title in quotes on the first line."""
    return f'"{passage.title}"\n{passage.text}' if passage.title else passage.text
