"""Dense search with FAISS: inner product over unit vectors, exact (Flat) or approximate (HNSW, IVF-PQ)."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dense import VectorIndex
from .errors import BerrypickError, MissingExtraError, UnknownNameError

__all__ = [
    "KINDS",
    "FaissVectors",
    "FlatVectors",
    "GpuVectors",
    "build_graph",
    "fast_kernel",
    "flat_index",
    "graph_index",
    "has_gpu",
    "load_faiss",
    "read_graph",
    "recall_at",
    "write_graph",
]

logger = logging.getLogger(__name__)
KINDS = ("flat", "hnsw", "ivfpq")
_CHUNK = 65536
_GPU_MOST_HITS = 2048
_GPU_SHARED_BYTES = 48 << 10  # shared memory of a block, where IVF-PQ stores its tables
_SMALL_BATCH = 3  # below this FAISS's one-by-one kernel is faster than a matrix product
_KERNEL = threading.Lock()


class FlatVectors:
    """Exact search over vectors, which may be memory-mapped: nothing is copied into a FAISS index."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors
        self.ntotal, self.d = vectors.shape

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores float32 and rows int64, [queries, k], best first."""
        faiss = load_faiss()
        with fast_kernel(len(queries)):
            scores, rows = faiss.knn(queries, self.vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        return scores, rows


class FaissVectors:
    """A FAISS index as a `VectorIndex`."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self.d, self.ntotal = int(index.d), int(index.ntotal)

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores float32 and rows int64, [queries, k], best first."""
        with fast_kernel(len(queries)):
            scores, rows = self._index.search(queries, k)
        return scores, rows


def build_graph(vectors: NDArray[np.float32], kind: str) -> Any:
    """Builds an approximate FAISS index over unit vectors; one thread builds HNSW graphs, so they are deterministic.

    Args:
        vectors: float32 [passages, dim]; may be memory-mapped, read in chunks.
        kind: "hnsw" (M = 32, efConstruction = 200, efSearch = 80) or "ivfpq" (4 sqrt(n) lists, one byte per 8
            dimensions, 16 lists probed).
    """
    faiss = load_faiss()
    count, dim = vectors.shape
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dim, 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 200
        index.hnsw.efSearch = 80
    elif kind == "ivfpq":
        index = _ivfpq(faiss, count, dim)
        step = max(1, count // (256 * index.nlist))
        index.train(np.ascontiguousarray(vectors[::step]))
        index.nprobe = min(16, index.nlist)
    else:
        raise UnknownNameError("index kind", kind, KINDS)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if kind == "hnsw" else threads)
    try:
        for at in range(0, count, _CHUNK):
            index.add(np.ascontiguousarray(vectors[at : at + _CHUNK]))
    finally:
        faiss.omp_set_num_threads(threads)
    return index


def _ivfpq(faiss: Any, count: int, dim: int) -> Any:
    if count < 640:
        raise BerrypickError(f"ivfpq needs at least 640 passages to train, got {count}; choose --kind flat or hnsw")
    bits = 8 if count >= 39 * 256 else 4
    lists = max(1, min(int(4 * math.sqrt(count)), count // 39))
    parts = next(parts for parts in range(max(1, dim // 8), 0, -1) if dim % parts == 0)
    return faiss.IndexIVFPQ(faiss.IndexFlatIP(dim), dim, lists, parts, bits, faiss.METRIC_INNER_PRODUCT)


def recall_at(index: VectorIndex, exact: FlatVectors, queries: NDArray[np.float32], k: int = 10) -> float:
    """Share of the exact top k that an index also finds, averaged over queries, float32 [queries, dim]."""
    k = min(k, exact.ntotal)
    _, truth = exact.search(queries, k)
    _, found = index.search(queries, k)
    return float(np.mean([len(set(t.tolist()) & set(f.tolist())) / k for t, f in zip(truth, found)]))


def write_graph(index: Any, path: Path) -> None:
    """Writes a FAISS index."""
    load_faiss().write_index(index, str(path))


def read_graph(path: Path) -> Any:
    """Reads a FAISS index file; large Flat indexes are memory-mapped."""
    faiss = load_faiss()
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except (RuntimeError, AttributeError):  # older FAISS, and kinds that cannot be memory-mapped
        try:
            return faiss.read_index(str(path))
        except RuntimeError as error:
            raise BerrypickError(f"{path} is not a FAISS index; use a file that faiss.write_index wrote") from error


class GpuVectors:
    """An index on the GPU, with the same index on the CPU for searches of more than 2,048 hits, the GPU's limit."""

    def __init__(self, gpu: Any, cpu: VectorIndex) -> None:
        self._gpu, self._cpu = FaissVectors(gpu), cpu
        self.d, self.ntotal = cpu.d, cpu.ntotal

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores float32 and rows int64, [queries, k], best first."""
        return (self._gpu if k <= _GPU_MOST_HITS else self._cpu).search(queries, k)


def graph_index(index: Any) -> VectorIndex:
    """A FAISS index ready to search: on the first GPU if FAISS sees one that supports this kind, else on the CPU.

    HNSW graphs stay on the CPU. CUDA_VISIBLE_DEVICES selects or hides the GPU.
    """
    faiss, cpu = load_faiss(), FaissVectors(index)
    if not has_gpu() or "HNSW" in type(index).__name__:
        return cpu
    options = faiss.GpuClonerOptions()
    pq = getattr(index, "pq", None)
    options.useFloat16 = pq is not None and pq.M * 256 * 4 > _GPU_SHARED_BYTES  # float32 tables would not fit
    try:
        return GpuVectors(faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index, options), cpu)
    except RuntimeError as error:
        logger.warning("searching on the CPU, the GPU does not accept this index: %s", str(error).splitlines()[-1])
        return cpu


def flat_index(vectors: NDArray[np.float32]) -> VectorIndex:
    """Exact search: over the memory-mapped vectors on the CPU, or over a copy on the GPU if it fits."""
    faiss, cpu = load_faiss(), FlatVectors(vectors)
    if not has_gpu():
        return cpu
    try:
        gpu = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, faiss.IndexFlatIP(vectors.shape[1]))
        for at in range(0, len(vectors), _CHUNK):
            gpu.add(np.ascontiguousarray(vectors[at : at + _CHUNK]))
    except RuntimeError as error:
        logger.warning("searching on the CPU, the GPU does not accept these vectors: %s", str(error).splitlines()[-1])
        return cpu
    return GpuVectors(gpu, cpu)


def has_gpu() -> bool:
    """Whether FAISS was built for GPUs and sees one."""
    faiss = load_faiss()
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


@contextmanager
def fast_kernel(num_queries: int) -> Iterator[None]:
    """Makes FAISS use matrix products for batches; its process-wide threshold is above any batch size by default."""
    faiss = load_faiss()
    with _KERNEL:
        before = faiss.cvar.distance_compute_blas_threshold
        faiss.cvar.distance_compute_blas_threshold = 1 if num_queries >= _SMALL_BATCH else 1 << 30
        try:
            yield
        finally:
            faiss.cvar.distance_compute_blas_threshold = before


def load_faiss() -> Any:
    """The faiss module; raises `MissingExtraError` if it is not installed."""
    if find_spec("faiss") is None:
        raise MissingExtraError("dense search", "cpu", "faiss is not installed; [gpu] installs the GPU build")
    import faiss

    return faiss
