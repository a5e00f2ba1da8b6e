"""The built-in search back ends: how each writes its files into an index folder and opens them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import load_array
from .backend import BACKENDS, Backend, BuildSettings, Progress, register_backend, source_digest
from .corpus import corpus_sha256
from .dense import DenseSearcher, VectorIndex
from .errors import BerrypickError, UnknownNameError
from .passages import PassageTable
from .searcher import Searcher

__all__ = [
    "BACKENDS",
    "Backend",
    "BuildSettings",
    "backend_of",
    "check_settings",
    "is_extension",
    "register_backend",
    "source_digest",
]

_RECALL_QUERIES = 200
_ORDERED = "lucene-in-id-order"  # an empty file: it is in the checksums and not in the index id


def _write_bm25s(table: PassageTable, out: Path, s: BuildSettings, scratch: Path, progress: Progress) -> dict[str, Any]:
    from .bm25s_index import Bm25sSearcher

    Bm25sSearcher.from_passages(table, k1=s.k1, b=s.b, index_id="").save(out)
    progress(len(table))
    return {"k1": s.k1, "b": s.b}


def _open_bm25s(folder: Path, parameters: Mapping[str, Any], table: PassageTable, index_id: str) -> Searcher:
    from .bm25s_index import Bm25sSearcher

    return Bm25sSearcher.load(folder, table, index_id)


def _write_lucene(
    table: PassageTable, out: Path, s: BuildSettings, scratch: Path, progress: Progress
) -> dict[str, Any]:
    from .lucene_index import build_lucene

    if build_lucene(table, out / "lucene", progress):
        (out / _ORDERED).touch()
    return {"k1": s.k1, "b": s.b}


def _open_lucene(folder: Path, parameters: Mapping[str, Any], table: PassageTable, index_id: str) -> Searcher:
    from .lucene_index import LuceneSearcher

    k1, b = parameters["k1"], parameters["b"]
    if "lucene" not in parameters:
        ordered = (folder / _ORDERED).is_file() or None  # indexes of earlier versions do not say; None looks
        return LuceneSearcher(folder / "lucene", table, index_id, k1=k1, b=b, ordered=ordered)

    @cache
    def rows() -> dict[str, int]:  # an imported Lucene folder has its own document ids
        return {passage.id: row for row, passage in enumerate(table)}

    return LuceneSearcher(Path(parameters["lucene"]), table, index_id, k1=k1, b=b, row_of=lambda key: rows()[key])


def _write_faiss(table: PassageTable, out: Path, s: BuildSettings, scratch: Path, progress: Progress) -> dict[str, Any]:
    from .encoder import load_encoder
    from .faiss_index import KINDS, FaissVectors, FlatVectors, build_graph, load_faiss, recall_at, write_graph
    from .vectors import VECTORS, encode_passages

    load_faiss()
    if s.kind not in KINDS:
        raise UnknownNameError("index kind", s.kind, KINDS)
    encoder = load_encoder(s.encoder or "minilm", dtype=s.dtype, batch_size=s.batch_size)
    vectors = encode_passages(table, encoder, scratch / "vectors", key=corpus_sha256(table), progress=progress)
    parameters = {"encoder": encoder.name, "revision": encoder.revision, "dim": encoder.dim, "kind": s.kind}
    parameters["dtype"] = s.dtype
    if s.kind == "flat":
        vectors.flush()  # type: ignore[attr-defined]
        (scratch / "vectors" / VECTORS).rename(out / VECTORS)
        return parameters
    index = build_graph(vectors, s.kind)
    step = max(1, len(table) // _RECALL_QUERIES)
    questions = [_probe(table[row].title, table[row].text) for row in range(0, len(table), step)]
    recall = recall_at(FaissVectors(index), FlatVectors(vectors), encoder.encode(questions, is_query=True))
    write_graph(index, out / "index.faiss")
    return {**parameters, "recall_at_10": round(recall, 4), "recall_queries": len(questions)}


def _probe(title: str, text: str) -> str:
    """A question-like text for measuring recall: the title and the first words."""
    return " ".join([title, *text.split()[:8]]).strip()


def _open_faiss(folder: Path, parameters: Mapping[str, Any], table: PassageTable, index_id: str) -> Searcher:
    from .encoder import load_encoder
    from .faiss_index import flat_index, graph_index, load_faiss, read_graph
    from .vectors import VECTORS, open_vectors

    load_faiss()
    encoder = load_encoder(parameters["encoder"], dtype=parameters["dtype"])
    check_revision(parameters, encoder.revision)
    index: VectorIndex
    if parameters["kind"] == "flat":
        index = flat_index(open_vectors(folder / VECTORS))
    else:
        index = graph_index(read_graph(Path(parameters.get("index", folder / "index.faiss"))))
    ranks = folder / "id_rank.npy"  # imported indexes have the order of their corpus file
    id_rank = load_array(ranks, np.int64) if ranks.is_file() else None
    return DenseSearcher(index, table, index_id, encoder, id_rank)


def check_revision(parameters: Mapping[str, Any], revision: str) -> None:
    """Raises unless the encoder has the weights that made the vectors."""
    if parameters["revision"] != revision:
        raise BerrypickError(
            f"encoder {parameters['encoder']!r} is revision {revision[:12]}, the index was built with "
            f"{parameters['revision'][:12]}; use that revision, or rebuild the index"
        )


def _write_hybrid(
    table: PassageTable, out: Path, s: BuildSettings, scratch: Path, progress: Progress
) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for name in ("bm25s", "faiss"):
        (out / name).mkdir()
        parameters[name] = BACKENDS[name].write(table, out / name, s, scratch, progress)
    return parameters


def _open_hybrid(folder: Path, parameters: Mapping[str, Any], table: PassageTable, index_id: str) -> Searcher:
    from .hybrid import HybridSearcher

    parts = [BACKENDS[name].open(folder / name, parameters[name], table, index_id) for name in ("bm25s", "faiss")]
    return HybridSearcher(parts, index_id=index_id)


def _write_milvus(
    table: PassageTable, out: Path, s: BuildSettings, scratch: Path, progress: Progress
) -> dict[str, Any]:
    from .encoder import load_encoder
    from .milvus_index import reach_milvus, write_milvus
    from .vectors import encode_passages

    reach_milvus(s.uri)  # fails before minutes of encoding, not after
    encoder = load_encoder(s.encoder or "minilm", dtype=s.dtype, batch_size=s.batch_size)
    digest = corpus_sha256(table)
    vectors = encode_passages(table, encoder, scratch / "vectors", key=digest, progress=progress)
    parameters = {"encoder": encoder.name, "revision": encoder.revision, "dim": encoder.dim, "dtype": s.dtype}
    key = hashlib.sha256(f"{digest}|{sorted(parameters.items())}".encode()).hexdigest()
    return write_milvus(out, vectors, parameters, s.uri, f"berrypick_{key[:16]}")


def _open_milvus(folder: Path, parameters: Mapping[str, Any], table: PassageTable, index_id: str) -> Searcher:
    from .encoder import load_encoder
    from .milvus_index import MilvusSearcher, open_milvus

    encoder = load_encoder(parameters["encoder"], dtype=parameters["dtype"])
    check_revision(parameters, encoder.revision)
    return MilvusSearcher(*open_milvus(folder, parameters), table, index_id, encoder)


_BM25, _ENCODES = frozenset(("k1", "b")), frozenset(("encoder", "dtype", "batch_size"))
_BUILT_IN = {
    "bm25s": Backend(_write_bm25s, _open_bm25s, ("bm25s", "PyStemmer"), "BM25 without Java", _BM25),
    "lucene": Backend(_write_lucene, _open_lucene, ("pyserini",), "Lucene BM25, as in Pyserini", _BM25),
    "faiss": Backend(
        _write_faiss,
        _open_faiss,
        ("faiss-cpu", "faiss-gpu-cu12", "transformers"),
        "dense: Flat, HNSW or IVF-PQ",
        _ENCODES | {"kind"},
    ),
    "hybrid": Backend(
        _write_hybrid,
        _open_hybrid,
        ("bm25s", "PyStemmer", "faiss-cpu", "faiss-gpu-cu12", "transformers"),
        "bm25s and faiss by reciprocal-rank fusion",
        _BM25 | _ENCODES | {"kind"},
    ),
    "milvus": Backend(
        _write_milvus, _open_milvus, ("pymilvus", "transformers"), "dense, in Milvus", _ENCODES | {"uri"}
    ),
}
for _name, _backend in _BUILT_IN.items():
    BACKENDS.register(_name, _backend, __name__)


def backend_of(spec: str) -> str:
    """The name in a spec, NAME or FILE.py:NAME; loads the file, or the installed package that brings the name.

    Raises:
        UnknownNameError: no back end has this name; the message offers the nearest ones.
        BerrypickError: the file does not exist or fails.
    """
    name = BACKENDS.load_files(spec)
    BACKENDS.find(name)
    return name


def check_settings(spec: str, settings: BuildSettings) -> None:
    """Refuses a setting that the back end does not read: whoever gives it expects another index.

    Args:
        spec: of the back end, see `backend_of`.
        settings: of the build; one that has its default is never refused.

    Raises:
        BerrypickError: names the flag and the back ends that it is for.
    """
    name, usual = backend_of(spec), BuildSettings(encoder="minilm")
    reads = BACKENDS[name].reads
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if reads is None or setting.name in reads or value in (None, getattr(usual, setting.name)):
            continue
        owners = [known for known, one in _BUILT_IN.items() if setting.name in (one.reads or ())]
        flag = setting.name.replace("_", "-")
        raise BerrypickError(f"--{flag} {value} is for --backend {' or '.join(owners)}; {name} does not read it")


def is_extension(name: str) -> bool:
    """Whether a file or an installed package, and not berrypick itself, registers this name."""
    if name not in BACKENDS:
        BACKENDS.load_installed()
    return name in BACKENDS and name not in _BUILT_IN
