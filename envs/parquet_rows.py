"""Rows of a Parquet file, for readers that say in their own words what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..retrieval_index.errors import BerrypickError, MissingExtraError

__all__ = ["parquet_rows"]

_ROWS = 64


def parquet_rows(path: Path, refused: Callable[[Exception], BerrypickError]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (place, row), a few rows at a time.

    Args:
        path: the file.
        refused: makes the error to raise from what pyarrow says of a file that it cannot read.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingExtraError("reading Parquet", "data", error) from error
    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist():
                    yield f"{path}[{number}]", row
                    number += 1
    except (ArrowException, OSError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError) as error:
        raise refused(error) from error
