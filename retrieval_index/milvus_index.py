"""Dense search in Milvus: the embedded milvus-lite in the index folder, or a cluster at an address."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dense import DenseSearcher
from .errors import BerrypickError, MissingExtraError, SearchUnavailableError

__all__ = ["DATABASE", "MilvusSearcher", "MilvusVectors", "open_milvus", "reach_milvus", "write_milvus"]

DATABASE = "milvus.db"  # in the index folder; has no checksum, because Milvus writes to it whenever it is opened
_SCHEMES = ("http://", "https://", "tcp://", "unix:")
_TIMEOUT_S = 30.0
_BATCH = 1000
_MOST_HITS = 16_384  # Milvus's limit on one search


class MilvusVectors:
    """A Milvus collection as a `VectorIndex`. Thread-safe."""

    def __init__(self, client: Any, collection: str, dim: int) -> None:
        self._client, self._collection, self.d = client, collection, dim
        self._lock = threading.Lock()
        self.ntotal = int(client.get_collection_stats(collection)["row_count"])

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores float32 and rows int64, [queries, k], best first; row -1 if Milvus returned fewer."""
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1, np.int64)
        try:
            with self._lock:
                found = self._client.search(
                    self._collection,
                    data=queries.tolist(),
                    anns_field="vector",
                    limit=min(k, _MOST_HITS),
                    output_fields=["row"],
                    timeout=_TIMEOUT_S,
                )
        except _pymilvus().exceptions.MilvusException as error:
            raise SearchUnavailableError(f"Milvus does not answer: {_reason(error)}; restart it") from error
        for at, hits in enumerate(found):
            for rank, hit in enumerate(hits):
                scores[at, rank], rows[at, rank] = hit["distance"], hit["row"]
        return scores, rows


class MilvusSearcher(DenseSearcher):
    """Dense search over vectors stored in Milvus."""

    def __init__(self, vectors: MilvusVectors, disconnect: Callable[[], None], *rest: Any) -> None:
        super().__init__(vectors, *rest)
        self._disconnect: Callable[[], None] | None = disconnect

    def close(self) -> None:
        """Closes the connection."""
        super().close()
        if self._disconnect is not None:
            self._disconnect()
            self._disconnect = None


def write_milvus(
    out: Path, vectors: NDArray[np.float32], parameters: Mapping[str, Any], uri: str, collection: str
) -> dict[str, Any]:
    """Writes vectors into a new collection.

    Args:
        out: index folder; contains the embedded database if `uri` is "".
        vectors: float32 [passages, dim], unit length.
        parameters: of the encoder; recorded in the manifest.
        uri: address of a server, or "".
        collection: name of the collection; a leftover of a killed build is dropped.

    Returns:
        Parameters of the manifest.
    """
    pymilvus = _pymilvus()
    client = _client(pymilvus, uri or str(out / DATABASE))
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", pymilvus.DataType.INT64, is_primary=True)
    schema.add_field("vector", pymilvus.DataType.FLOAT_VECTOR, dim=vectors.shape[1])
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    if client.has_collection(collection):
        client.drop_collection(collection)
    client.create_collection(collection, schema=schema, index_params=index)
    for at in range(0, len(vectors), _BATCH):
        rows = vectors[at : at + _BATCH]
        client.insert(collection, [{"row": at + i, "vector": row.tolist()} for i, row in enumerate(rows)])
    client.flush(collection)
    _disconnect(client, uri or str(out / DATABASE))
    return {**parameters, "uri": uri, "collection": collection}


def open_milvus(folder: Path, parameters: Mapping[str, Any]) -> tuple[MilvusVectors, Callable[[], None]]:
    """The collection of an index, and a function that closes the connection."""
    uri, collection = parameters["uri"] or str(folder / DATABASE), parameters["collection"]
    _check_address(folder, uri)
    client = _client(_pymilvus(), uri)
    if not client.has_collection(collection):
        raise BerrypickError(f"Milvus at {uri} has no collection {collection}; rebuild the index with --overwrite")
    client.load_collection(collection)
    return MilvusVectors(client, collection, int(parameters["dim"])), lambda: _disconnect(client, uri)


def _check_address(folder: Path, uri: str) -> None:
    """Refuses a server that only the folder names: a stranger's folder would get MILVUS_TOKEN and all queries."""
    if uri.startswith(_SCHEMES) and os.environ.get("MILVUS_URI") != uri:
        raise BerrypickError(
            f"the index {folder} is on a Milvus server, {uri}; if you trust that address, set "
            f"MILVUS_URI={shlex.quote(uri)}"
        )


def reach_milvus(uri: str) -> None:
    """Raises `BerrypickError` unless the server at an address answers; "" is the embedded one and needs no server."""
    pymilvus = _pymilvus()
    if uri:
        _client(pymilvus, uri).close()


def _client(pymilvus: Any, uri: str) -> Any:
    """Opens a connection. Servers that need a token get MILVUS_TOKEN, either "user:password" or an API key."""
    remote = uri.startswith(_SCHEMES)
    if not remote and not uri.endswith(".db"):
        raise BerrypickError(f"{uri!r} is not an address of Milvus; use --uri http://HOST:19530, or omit --uri")
    more = {"token": os.environ.get("MILVUS_TOKEN", ""), "timeout": _TIMEOUT_S} if remote else {}
    try:
        return pymilvus.MilvusClient(uri, **more)
    except pymilvus.exceptions.MilvusException as error:
        cure = (
            "start the server, or correct --uri or MILVUS_TOKEN"
            if remote
            else "stop the other process that has it open"
        )
        raise BerrypickError(f"cannot open Milvus at {uri}: {_reason(error)}; {cure}") from error


def _reason(error: Any) -> str:
    return str(getattr(error, "message", "") or error).splitlines()[0]


def _disconnect(client: Any, uri: str) -> None:
    """Closes a connection, and stops an embedded server, which would lock its database until the process ends."""
    client.close()
    if not uri.startswith(_SCHEMES):
        import_module("milvus_lite.server_manager").server_manager_instance.release_server(uri)


def _pymilvus() -> Any:
    if find_spec("pymilvus") is None:
        raise MissingExtraError("the milvus back end", "milvus", "pymilvus is not installed")
    return import_module("pymilvus")
