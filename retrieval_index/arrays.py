"""Arrays in .npy files, which may be damaged or from strangers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import first_line

__all__ = ["load_array"]


def load_array(path: Path, dtype: DTypeLike, ndim: int = 1) -> NDArray[Any]:
    """The array of a .npy file, memory-mapped, read only.

    Args:
        path: the file.
        dtype: what its elements must be.
        ndim: how many axes it must have.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no such array.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # numpy reads the head of the file with Python's own parser, and passes on what it says
        raise ValueError(f"{path.name} is no array ({first_line(error)})") from error
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype) or array.ndim != ndim:
        raise ValueError(f"{path.name} holds another array than {np.dtype(dtype)} with {ndim} axes")
    return array
