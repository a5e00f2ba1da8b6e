"""Dense search: exact and approximate FAISS, vectors on disk, encoder recipes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from berrypick.retrieval_index import encoder as encoder_module
from berrypick.retrieval_index import faiss_index
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.dense import DenseSearcher
from berrypick.retrieval_index.encoder import Recipe, load_encoder, recipe
from berrypick.retrieval_index.errors import BerrypickError, MissingExtraError, UnknownNameError
from berrypick.retrieval_index.faiss_index import (
    FaissVectors,
    FlatVectors,
    build_graph,
    fast_kernel,
    flat_index,
    graph_index,
    has_gpu,
    load_faiss,
    read_graph,
    recall_at,
    write_graph,
)
from berrypick.retrieval_index.store import BuildSettings, build_index, check_index, open_searcher, read_manifest
from berrypick.retrieval_index.vectors import encode_passages, open_vectors
from fixtures.machine import patience


def clustered(count: int, dim: int = 32, seed: int = 0) -> np.ndarray:
    """Unit vectors with near neighbours, as text has; random ones have none and graphs fail on them."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(max(4, count // 50), dim))
    out = centres[draw.integers(len(centres), size=count)] + 0.4 * draw.normal(size=(count, dim))
    return (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float32)


class Fixed:
    """An encoder whose vectors are given."""

    name, revision = "fixed", "1"

    def __init__(self, **vectors: Any) -> None:
        self.vectors = {key: np.asarray(value, np.float32) for key, value in vectors.items()}
        self.dim = len(next(iter(self.vectors.values())))

    def encode(self, texts: Any, *, is_query: bool) -> np.ndarray:
        return np.stack([self.vectors[text] for text in texts])


def letters(keys: str) -> list[Passage]:
    return [Passage(key, "", key) for key in keys]


def test_flat_scores_are_inner_products() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    searcher = DenseSearcher(FlatVectors(vectors), letters("abc"), "", Fixed(q=[0.8, 0.6]))
    found = searcher.search(["q"], 3)[0]
    assert [hit.id for hit in found] == ["b", "a", "c"]
    assert [hit.score for hit in found] == pytest.approx([0.96, 0.8, 0.6])


def test_rows_that_do_not_stand_in_id_order_still_tie_by_id() -> None:
    vectors = np.ones((30, 1), np.float32)
    keys = [f"{i:02d}" for i in np.random.default_rng(0).permutation(30)]
    rank = np.argsort(np.argsort(keys))
    passages = [Passage(key, "", key) for key in keys]
    searcher = DenseSearcher(FlatVectors(vectors), passages, "", Fixed(q=[1.0]), rank)
    for k in (1, 5, 30):
        assert [hit.id for hit in searcher.search(["q"], k)[0]] == sorted(keys)[:k]


class Short:
    """An index that finds one row and fills up with -1, as FAISS does."""

    d, ntotal = 1, 40

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1, np.int64)
        scores[:, 0], rows[:, 0] = 0.5, 7
        return scores, rows


def test_row_minus_one_never_becomes_a_passage() -> None:
    passages = [Passage(f"{i:02d}", "", "x") for i in range(40)]
    for k in (1, 5, 40):
        found = DenseSearcher(Short(), passages, "", Fixed(q=[1.0])).search(["q"], k)[0]
        assert [(hit.id, hit.score) for hit in found] == [("07", 0.5)]


def test_an_ivf_list_shorter_than_k_gives_what_it_has() -> None:
    faiss = load_faiss()
    vectors = clustered(200, 8)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(8), 8, 20, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    index.nprobe = 1
    passages = [Passage(f"{i:03d}", "", "x") for i in range(200)]
    found = DenseSearcher(FaissVectors(index), passages, "", Fixed(q=vectors[0])).search(["q"], 150)[0]
    assert 0 < len(found) < 150 and found[0].id == "000"


@pytest.mark.parametrize(("kind", "least"), [("hnsw", 0.95), ("ivfpq", 0.3)])
def test_approximate_kinds_are_deterministic_and_their_recall_is_known(kind: str, least: float, tmp_path: Path) -> None:
    vectors = clustered(1500)
    queries = clustered(100, seed=1)[:100]
    indexes = [FaissVectors(build_graph(vectors, kind)) for _ in range(2)]
    first, second = (index.search(queries, 10) for index in indexes)
    assert np.array_equal(first[1], second[1])
    truth = np.argsort(-queries @ vectors.T, axis=1)[:, :10]
    by_hand = np.mean([len(set(t) & set(f)) / 10 for t, f in zip(truth.tolist(), first[1].tolist())])
    assert recall_at(indexes[0], FlatVectors(vectors), queries) == pytest.approx(by_hand, abs=0.01)
    assert by_hand >= least
    write_graph(build_graph(vectors, kind), tmp_path / "x")
    assert np.array_equal(FaissVectors(read_graph(tmp_path / "x")).search(queries, 10)[1], first[1])


def test_batches_and_singles_find_the_same_rows_whatever_the_kernel() -> None:
    vectors, queries = clustered(3000), clustered(64, seed=2)
    flat = FlatVectors(vectors)
    batch = flat.search(queries, 5)[1]
    assert np.array_equal(batch, np.concatenate([flat.search(queries[i : i + 1], 5)[1] for i in range(64)]))
    assert np.array_equal(batch, np.argsort(-queries @ vectors.T, axis=1)[:, :5])
    faiss = load_faiss()
    before = faiss.cvar.distance_compute_blas_threshold
    with fast_kernel(64):
        assert faiss.cvar.distance_compute_blas_threshold == 1
    assert faiss.cvar.distance_compute_blas_threshold == before


def test_the_manifest_keeps_the_recall_and_check_shows_it(words_loaded: Any, tmp_path: Path) -> None:
    corpus = [Passage(f"{i:04d}", f"Title {i}", f"word{i} text{i % 9} number{i % 31}") for i in range(700)]
    for kind in ("hnsw", "ivfpq"):
        build_index(corpus, "faiss", tmp_path / kind, settings=BuildSettings(kind=kind))
        recall = read_manifest(tmp_path / kind).parameters["recall_at_10"]
        assert 0.2 < recall <= 1.0
        assert f"measured when it was built: {recall:.3f}" in check_index(tmp_path / kind)[-1]
    build_index(corpus, "faiss", tmp_path / "flat")
    assert "recall_at_10" not in read_manifest(tmp_path / "flat").parameters


def test_ivfpq_of_a_small_corpus_and_unknown_kinds_are_refused(words_loaded: Any, tmp_path: Path) -> None:
    corpus = [Passage(str(i), "", f"text {i}") for i in range(50)]
    with pytest.raises(BerrypickError, match="at least 640 passages"):
        build_index(corpus, "faiss", tmp_path / "i", settings=BuildSettings(kind="ivfpq"))
    with pytest.raises(UnknownNameError, match="did you mean hnsw"):
        build_index(corpus, "faiss", tmp_path / "i", settings=BuildSettings(kind="hnws"))
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


class Dying:
    """An encoder that dies after some passages."""

    name, revision, dim = "dying", "1", 2

    def __init__(self, lives: int) -> None:
        self.lives = lives
        self.encoded: list[str] = []

    def encode(self, texts: Any, *, is_query: bool) -> np.ndarray:
        if self.lives == 0:
            raise KeyboardInterrupt
        self.lives -= 1
        self.encoded += texts
        return np.array([[len(text), 1.0] for text in texts], np.float32)


def test_encoding_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    passages = [Passage(f"{i:02d}", "", "x" * (i + 1)) for i in range(10)]
    first = Dying(lives=2)
    with pytest.raises(KeyboardInterrupt):
        encode_passages(passages, first, tmp_path, key="corpus", chunk=3)
    second, done = Dying(lives=9), []
    vectors = encode_passages(passages, second, tmp_path, key="corpus", chunk=3, progress=done.append)
    assert len(first.encoded) == 6 and second.encoded == [p.text for p in passages[6:]]
    assert done == [6, 3, 1]
    assert vectors[:, 0].tolist() == list(range(1, 11))
    assert isinstance(open_vectors(tmp_path / "vectors.npy"), np.memmap)


@pytest.mark.parametrize("damage", ["flip", "cut", "record"])
def test_damaged_vectors_are_encoded_again_from_the_first_damaged_chunk_on(damage: str, tmp_path: Path) -> None:
    passages = [Passage(f"{i:02d}", "", "x" * (i + 1)) for i in range(10)]
    with pytest.raises(KeyboardInterrupt):
        encode_passages(passages, Dying(lives=3), tmp_path, key="corpus", chunk=3)
    file = tmp_path / ("encoded.json" if damage == "record" else "vectors.npy")
    body = bytearray(file.read_bytes())
    body[-(10 - 4) * 8] ^= 1  # row 4, of the second chunk
    file.write_bytes(body[:-8] if damage == "cut" else body)
    again = Dying(lives=9)
    vectors = encode_passages(passages, again, tmp_path, key="corpus", chunk=3)
    assert len(again.encoded) == {"flip": 7, "cut": 10, "record": 10}[damage]
    assert vectors[:, 0].tolist() == list(range(1, 11))


@pytest.mark.parametrize("change", ["key", "revision", "rows"])
def test_vectors_of_something_else_are_encoded_anew(change: str, tmp_path: Path) -> None:
    passages = [Passage(f"{i:02d}", "", "x" * (i + 1)) for i in range(4)]
    encode_passages(passages, Dying(9), tmp_path, key="corpus")
    again = Dying(9)
    again.revision = "2" if change == "revision" else "1"
    given = passages[:3] if change == "rows" else passages
    vectors = encode_passages(given, again, tmp_path, key="other" if change == "key" else "corpus")
    assert len(again.encoded) == len(given) == len(vectors)


def test_a_build_that_died_while_encoding_is_resumed_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = [Passage(f"{i:05d}", "", f"text {i}") for i in range(5000)]
    first, second = Dying(lives=1), Dying(lives=9)
    monkeypatch.setattr(encoder_module, "load_encoder", lambda name, **_: first)
    with pytest.raises(KeyboardInterrupt):
        build_index(corpus, "faiss", tmp_path / "i")
    assert not (tmp_path / "i").exists()
    monkeypatch.setattr(encoder_module, "load_encoder", lambda name, **_: second)
    build_index(corpus, "faiss", tmp_path / "i")
    assert (len(first.encoded), len(second.encoded)) == (4096, 904)
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


def test_two_dense_builders_at_once_do_not_share_their_vectors(
    corpus: list[Passage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from berrypick.retrieval_index.store import ensure_index

    both = threading.Barrier(2, timeout=patience(20))

    class Meeting(Dying):
        def encode(self, texts: Any, *, is_query: bool) -> np.ndarray:
            both.wait()  # both builders stand in the middle of encoding
            return super().encode(texts, is_query=is_query)

    monkeypatch.setattr(encoder_module, "load_encoder", lambda name, **_: Meeting(9))
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(ensure_index(corpus, "faiss", tmp_path / "i").index_id))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and len(set(found)) == 1
    check_index(tmp_path / "i")
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


def test_other_weights_than_those_of_the_index_are_refused(words_loaded: Any, tmp_path: Path) -> None:
    build_index([Passage("1", "", "x")], "faiss", tmp_path / "i")
    words_loaded.revision = "another"
    with pytest.raises(BerrypickError, match="built with 1; use that revision, or rebuild"):
        open_searcher(tmp_path / "i")


def test_an_index_and_a_corpus_that_do_not_fit_are_refused() -> None:
    vectors = np.ones((2, 3), np.float32)
    with pytest.raises(BerrypickError, match="vectors of dimension 3"):
        DenseSearcher(FlatVectors(vectors), letters("ab"), "", Fixed(q=[1.0]))
    with pytest.raises(BerrypickError, match="2 vectors, the corpus 3 passages"):
        DenseSearcher(FlatVectors(vectors), letters("abc"), "", Fixed(q=[1, 1, 1]))


def test_recipes_follow_the_models_name() -> None:
    bge = Recipe("cls", "Represent this sentence for searching relevant passages: ", "")
    assert (
        recipe("intfloat/e5-base-v2")
        == recipe("/models/multilingual-e5-large")
        == Recipe("mean", "query: ", "passage: ")
    )
    assert recipe("BAAI/bge-small-en-v1.5") == bge
    assert recipe("sentence-transformers/all-MiniLM-L6-v2") == recipe("acme/base5-model") == Recipe()


@pytest.mark.parametrize("missing", ["faiss", "torch"])
def test_a_missing_library_names_its_extra(
    missing: str, corpus: list[Passage], tmp_path: Path, monkeypatch: Any
) -> None:
    from importlib.util import find_spec as real

    from berrypick.retrieval_index import faiss_index

    for module in (faiss_index, encoder_module):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name == missing else real(name))
    extra = {"faiss": "cpu", "torch": "train"}[missing]
    with pytest.raises(MissingExtraError, match=rf'pip install "berrypick\[{extra}\]"'):
        build_index(corpus, "faiss", tmp_path / "i")


def test_the_bare_searchers_load_neither_torch_nor_java() -> None:
    import subprocess

    code = (
        "import sys; from berrypick.retrieval_index.store import build_index; "
        "from berrypick.retrieval_index.corpus import Passage; from pathlib import Path; "
        "from berrypick.retrieval_index.store import open_searcher; import tempfile; "
        "out = Path(tempfile.mkdtemp()) / 'i'; build_index([Passage('1', '', 'fig')], 'bm25s', out); "
        "assert open_searcher(out).search(['fig'], 1)[0]; "
        "print([m for m in ('torch', 'transformers', 'jnius', 'pyserini', 'faiss', 'fastapi') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
    assert ended.stderr == ""


@pytest.mark.skipif(not has_gpu(), reason="no GPU, or a CPU FAISS")
@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivfpq"])
def test_the_gpu_finds_what_the_cpu_finds(kind: str) -> None:
    vectors, queries = clustered(3000), clustered(64, seed=2)
    if kind == "flat":
        cpu, ours = FlatVectors(vectors), flat_index(vectors)
    else:
        built = build_graph(vectors, kind)
        cpu, ours = FaissVectors(built), graph_index(built)
    for k in (5, 2500):
        found, truth = ours.search(queries, k)[1], cpu.search(queries, k)[1]
        assert np.mean(found == truth) >= (1.0 if kind == "flat" else 0.95)


class FakeGpu:
    """The CPU's faiss with a GPU that counts what it is given and takes no more than 2,048 hits."""

    def __init__(self, refuses: bool = False) -> None:
        self._real, self.moved, self.options = load_faiss(), [], SimpleNamespace(useFloat16=False)
        self._refuses = refuses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def StandardGpuResources(self) -> str:
        return "resources"

    def GpuClonerOptions(self) -> Any:
        return self.options

    def get_num_gpus(self) -> int:
        return 1

    def index_cpu_to_gpu(self, resources: str, device: int, index: Any, options: Any = None) -> Any:
        if self._refuses:
            raise RuntimeError("Error in GPU memory\nout of memory")
        self.moved.append((resources, device, type(index).__name__))
        return SimpleNamespace(d=index.d, ntotal=index.ntotal, add=index.add, search=self._limited(index))

    def _limited(self, index: Any) -> Any:
        def search(queries: Any, k: int) -> Any:
            assert k <= 2048, "the GPU selects no more"
            return index.search(queries, k)

        return search


def test_where_faiss_sees_a_gpu_flat_and_ivfpq_go_there_and_hnsw_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = clustered(3000), clustered(8, seed=2)
    graphs = {kind: build_graph(vectors, kind) for kind in ("hnsw", "ivfpq")}
    gpu = FakeGpu()
    monkeypatch.setattr(faiss_index, "load_faiss", lambda: gpu)
    for index in (flat_index(vectors), graph_index(graphs["hnsw"]), graph_index(graphs["ivfpq"])):
        assert (index.d, index.ntotal) == (32, 3000)
        few, many = index.search(queries, 5)[1], index.search(queries, 2500)[1]
        assert np.array_equal(few, many[:, :5])
    assert gpu.moved == [("resources", 0, "IndexFlatIP"), ("resources", 0, "IndexIVFPQ")]
    assert gpu.options.useFloat16 is False
    monkeypatch.setattr(faiss_index, "_GPU_SHARED_BYTES", 1000)  # as of an encoder with many dimensions
    graph_index(graphs["ivfpq"])
    assert gpu.options.useFloat16 is True


def test_an_index_the_gpu_does_not_take_is_searched_on_the_cpu_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = clustered(700)
    built = build_graph(vectors, "ivfpq")
    monkeypatch.setattr(faiss_index, "load_faiss", lambda: FakeGpu(refuses=True))
    for index in (flat_index(vectors), graph_index(built)):
        assert index.search(vectors[:1], 3)[1].shape == (1, 3)
    assert caplog.text.count("searching on the CPU") == 2 and "out of memory" in caplog.text


@pytest.mark.slow
def test_minilm_places_a_paraphrase_first_and_equal_texts_equally() -> None:
    model = load_encoder("minilm")
    assert (model.dim, len(model.revision)) == (384, 64)
    texts = [
        "The cat sat on the mat.",
        "Stock markets fell sharply.",
        "A kitten rested on a rug.",
        "The cat sat on the mat.",
    ]
    vectors = model.encode(texts, is_query=False)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert vectors[0] @ vectors[2] > 0.4 > 0.2 > vectors[0] @ vectors[1]
    assert np.array_equal(vectors[0], vectors[3])
    alone = model.encode(texts[:1], is_query=True)
    assert np.abs(alone - vectors[:1]).max() < 1e-5
    low = load_encoder("minilm", dtype="bf16").encode(texts, is_query=False)
    assert low.dtype == np.float32 and float((low * vectors).sum(1).min()) > 0.99


@pytest.mark.slow
def test_two_threads_may_load_their_first_encoder_at_once() -> None:
    import subprocess

    code = (  # transformers imports its parts when they are asked for, and fails where two threads ask first
        "import sys; from concurrent.futures import ThreadPoolExecutor; "
        "from berrypick.retrieval_index.encoder import load_encoder; sys.setswitchinterval(1e-5); "
        "print([model.dim for model in ThreadPoolExecutor(2).map(load_encoder, ['minilm'] * 2)])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.stdout, ended.returncode) == ("[384, 384]\n", 0), ended.stderr


@pytest.mark.slow
def test_an_encoder_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    with pytest.raises(BerrypickError, match="use a local folder or a hub id that this machine can download"):
        load_encoder(str(tmp_path))
    with pytest.raises(BerrypickError, match="fp32 or bf16"):
        load_encoder("minilm", dtype="fp8")
    with pytest.raises(BerrypickError, match="batch size must be at least 1, got 0"):
        load_encoder("minilm", batch_size=0)
