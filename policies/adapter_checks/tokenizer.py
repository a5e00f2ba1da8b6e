"""The tokenizer of a user, without its weights."""

from __future__ import annotations

from typing import Any

from ...retrieval_index.errors import BerrypickError, first_line
from ...retrieval_index.hub import hub_options
from ..language.tiny import tiny_tokenizer
from ..language.weight_files import weights_path

__all__ = ["open_tokenizer"]


def open_tokenizer(name: str) -> Any:
    """The tokenizer of a folder, a hub id or "tiny"; code of others is not run.

    Raises:
        BerrypickError: there is none.
    """
    if name == "tiny":
        return tiny_tokenizer()
    from transformers import AutoTokenizer

    path, options = weights_path(name)
    try:
        return AutoTokenizer.from_pretrained(path, **options, **hub_options(path))
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise BerrypickError(
            f"cannot load the tokenizer of {name!r}: {first_line(error)}; give a folder with tokenizer files, a hub id "
            'this machine can reach, or "tiny"'
        ) from error
