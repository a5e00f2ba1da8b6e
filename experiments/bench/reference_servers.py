"""The servers that `berrypick serve` is compared with: a no-op endpoint, and Search-R1's loop over single searches.

Run as `python -m berrypick.experiments.bench.reference_servers {noop|loop} INDEX PORT`; needs the "serve" extra.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from ...retrieval_index.searcher import Hit
from ...retrieval_index.store import open_searcher

__all__ = ["main"]


class Query(BaseModel):
    """A request as Search-R1 sends it."""

    queries: list[str]
    topk: int | None = None
    return_scores: bool = False


async def noop(request: Request) -> Response:
    """Reads the body and replies with an empty result."""
    await request.body()
    return Response(b'{"result": []}', media_type="application/json")


def main(kind: str, folder: Path, port: int) -> None:
    """Serves until it is stopped."""
    app = FastAPI()
    if kind == "noop":
        app.add_api_route("/retrieve", noop, methods=["POST"])
    else:
        searcher = open_searcher(folder)

        def loop(request: Query) -> dict[str, Any]:
            found = [searcher.search([query], request.topk or 3)[0] for query in request.queries]
            return {"result": [[_row(hit) for hit in ranking] for ranking in found]}

        app.add_api_route("/retrieve", loop, methods=["POST"], response_model=None)
    app.add_api_route("/health", lambda: {"status": "ready"}, methods=["GET"])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def _row(hit: Hit) -> dict[str, Any]:
    return {"document": {"id": hit.id, "contents": f'"{hit.title}"\n{hit.text}'}, "score": hit.score}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
