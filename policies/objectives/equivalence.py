"""DARLING's learned partition: a classifier that predicts whether two rollouts are equivalent.

The paper (arXiv 2509.02534) fine-tunes a language model on annotated pairs and merges its predictions by union-find.
Here pairs need no annotation: rollouts of one question are equivalent if they were shown the same passages. Differs
from the paper: a frozen text encoder with a logistic head over pair features instead of a fine-tuned language model;
the text is the rollout's queries.
"""

from __future__ import annotations

import math
import shlex
import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...retrieval_index.errors import BerrypickError, first_line
from ...retrieval_index.files import whole_folder
from ...retrieval_index.json_text import small_file
from ...retrieval_index.manifest import sha256
from ...retrieval_index.sealed import sealed, unsealed

__all__ = [
    "EquivalenceClassifier",
    "Pair",
    "equivalent_pairs",
    "fit_classifier",
    "held_out_accuracy",
    "load_classifier",
]

_FORMAT = 1
_HASHED = "hashed"
_DIM = 2048
Queries = Sequence[str]


@dataclass(frozen=True, slots=True)
class Pair:
    """The queries of two rollouts of one question, and whether both were shown the same passages."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    same: bool


def equivalent_pairs(queries: Sequence[Queries], shown: Sequence[frozenset[str]]) -> list[Pair]:
    """All pairs of rollouts of one question with different queries; equal queries need no classifier.

    Args:
        queries: queries of each rollout, in order.
        shown: passages that each rollout was shown.
    """
    texts = [tuple(own) for own in queries]
    return [
        Pair(texts[i], texts[j], shown[i] == shown[j])
        for i in range(len(texts))
        for j in range(i)
        if texts[i] != texts[j]
    ]


@dataclass(frozen=True, eq=False)
class EquivalenceClassifier:
    """`same(a, b)` for `Darling`: true for equal queries, otherwise decided by the head's probability. Symmetric.

    Attributes:
        encoder: "hashed" (words and pairs of adjacent words, no weights) or a name for `load_encoder`.
        weights: of the head, over the features |u - v| and u * v; float64 [2 * dim].
        bias: of the head.
        threshold: least probability that counts as equivalent.
    """

    encoder: str
    weights: Tensor
    bias: float
    threshold: float = 0.5
    _vectors: dict[tuple[str, ...], Tensor] = field(default_factory=dict, repr=False)

    def probability(self, first: Queries, second: Queries) -> float:
        """Probability that rollouts with these queries are shown the same passages."""
        u, v = self._embed(tuple(first)), self._embed(tuple(second))
        return 1 / (1 + math.exp(-float(_features(u, v) @ self.weights) - self.bias))

    def __call__(self, first: Hashable, second: Hashable) -> bool:
        """Whether two outcomes of the key "query" are equivalent."""
        assert isinstance(first, tuple) and isinstance(second, tuple), "outcomes of the key query are tuples"
        return first == second or self.probability(first, second) >= self.threshold

    def _embed(self, queries: tuple[str, ...]) -> Tensor:
        if queries not in self._vectors:
            if len(self._vectors) > 50_000:
                self._vectors.clear()
            self._vectors[queries] = _embed(self.encoder, [queries])[0]
        return self._vectors[queries]

    def save(self, folder: Path) -> None:
        """Writes the head and the encoder's name, atomically."""
        with whole_folder(folder, "choose a new or empty folder") as work:
            save_file({"weights": self.weights}, work / "head.safetensors")
            facts: dict[str, Any] = {
                "format": _FORMAT,
                "encoder": self.encoder,
                "bias": self.bias,
                "threshold": self.threshold,
            }
            facts["head_sha256"] = sha256(work / "head.safetensors")
            (work / "classifier.json").write_text(sealed(facts) + "\n")


def load_classifier(path: str | Path) -> EquivalenceClassifier:
    """Opens a classifier that `save` wrote.

    Raises:
        BerrypickError: the folder has none, or it is damaged.
    """
    part, head = "classifier.json", Path(path) / "head.safetensors"
    try:
        facts = unsealed(small_file(Path(path) / part))
        if facts["format"] != _FORMAT:
            raise ValueError(f"format {facts['format']}")
        encoder, bias, threshold = str(facts["encoder"]), float(facts["bias"]), float(facts["threshold"])
        part = head.name
        if facts.get("head_sha256", digest := sha256(head)) != digest:
            raise ValueError("its checksum is wrong")
        weights = load_file(head)["weights"]
        if weights.ndim != 1 or (encoder == _HASHED and len(weights) != 2 * _DIM):
            raise ValueError(f"weights of shape {list(weights.shape)}")
    except (OSError, ValueError, KeyError, TypeError, OverflowError, SafetensorError) as error:
        reason = first_line(error)
        command = f"berrypick classifier ROLLOUTS --out {shlex.quote(str(path))}"
        raise BerrypickError(f"no classifier at {path} ({part}: {reason}); train one: {command}") from error
    return EquivalenceClassifier(encoder, weights, bias, threshold)


def fit_classifier(pairs: Sequence[Pair], *, encoder: str = _HASHED, penalty: float = 1e-3) -> EquivalenceClassifier:
    """Logistic regression on labelled pairs with equal total weight for both labels; deterministic.

    Args:
        pairs: of any questions; both labels must occur.
        encoder: see `EquivalenceClassifier`.
        penalty: on the squared weights.

    Raises:
        BerrypickError: only one label occurs.
    """
    labels = torch.tensor([pair.same for pair in pairs], dtype=torch.float64)
    if not 0 < float(labels.sum()) < len(pairs):
        raise BerrypickError(
            "the pairs are all equivalent or all different; give several different rollouts per question"
        )
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.first, pair.second)))
    rows = dict(zip(texts, _embed(encoder, texts)))
    features = torch.stack([_features(rows[pair.first], rows[pair.second]) for pair in pairs])
    share = labels.mean()
    importance = torch.where(labels == 1, 0.5 / share, 0.5 / (1 - share))
    weights = torch.zeros(features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=100, line_search_fn="strong_wolfe")
    loss_of = partial(torch.nn.functional.binary_cross_entropy_with_logits, target=labels, weight=importance)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = loss_of(features @ weights + bias) + penalty * weights.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return EquivalenceClassifier(encoder, weights.detach(), float(bias.detach()))


def held_out_accuracy(classifier: EquivalenceClassifier, pairs: Sequence[Pair]) -> dict[str, float | None]:
    """The mean of the accuracies on equivalent and on different pairs.

    It is None if a label is absent.
    """
    counts = {True: [0, 0], False: [0, 0]}  # label -> how often the classifier said no, yes
    for pair in pairs:
        counts[pair.same][classifier(pair.first, pair.second)] += 1
    if not all(map(sum, counts.values())):
        return {"held_out_pairs": len(pairs), "balanced_accuracy": None}
    recall = counts[True][1] / sum(counts[True])
    specificity = counts[False][0] / sum(counts[False])
    return {
        "held_out_pairs": len(pairs),
        "balanced_accuracy": (recall + specificity) / 2,
        "recall": recall,
        "specificity": specificity,
    }


def _features(u: Tensor, v: Tensor) -> Tensor:
    """Symmetric features of a pair, [2 * dim]."""
    return torch.cat([(u - v).abs(), u * v])


def _embed(encoder: str, texts: Sequence[Queries]) -> Tensor:
    """Embeddings of the texts, unit vectors, float64 [texts, dim]."""
    embed: Callable[[Sequence[str]], NDArray[Any]]
    if encoder == _HASHED:
        embed = _hashed
    else:
        embed = partial(_open_encoder(encoder).encode, is_query=True)
    return torch.from_numpy(np.asarray(embed(["\n".join(queries) for queries in texts]), np.float64))


@lru_cache(maxsize=2)
def _open_encoder(name: str) -> Any:
    """Opens an encoder; all classifiers of a process share it."""
    from ...retrieval_index.encoder import load_encoder

    return load_encoder(name)


def _hashed(texts: Sequence[str]) -> NDArray[np.float64]:
    """Words and pairs of adjacent words of each query, hashed to signed counts; unit vectors [texts, dim]."""
    out = np.zeros((len(texts), _DIM))
    for row, text in zip(out, texts):
        for query in text.split("\n"):
            words = query.lower().split()
            for piece in (*words, *map(" ".join, pairwise(words))):
                code = zlib.crc32(piece.encode())
                row[code % _DIM] += 1 if code & (1 << 31) else -1
        row /= max(float(np.linalg.norm(row)), 1e-12)
    return out
