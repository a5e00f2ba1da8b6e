"""Rollouts by vLLM: token ids in, token ids and their log-probabilities out; its prefix cache holds the contexts.

Written for vLLM 0.33: `LLM.generate` over token prompts with one `SamplingParams` per row, the workers'
`reload_weights` through `LLM.collective_rpc`, and `LLM.reset_prefix_cache`. Log-probabilities are those of the full
softmax at temperature 1, whatever the sampling (`logprobs_mode="raw_logprobs"`). vLLM returns no entropies, so the
model in training computes them in one forward per rollout.
"""

from __future__ import annotations

import dataclasses
import importlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ...envs.episode import Draft, Episode
from ...envs.questions import EpisodeSpec, Question
from ...retrieval_index.errors import BerrypickError, MissingExtraError, UnknownNameError, first_line
from ..counter_random import row_seed
from ..policy import Sampling
from .batches import log_probs_of_rows
from .contexts import Contexts, ContextSession
from .episode_rows import rows_of
from .model import LanguageModelPolicy
from .turn_writer import TurnEnds, TurnWriter

__all__ = ["VllmOptions", "VllmPolicy", "VllmSession", "fill_entropies", "require_vllm", "split_name"]


@dataclass(frozen=True)
class VllmOptions:
    """How the engine is started.

    Attributes:
        gpu_memory_utilization: share of the GPU's memory that vLLM takes; the model in training needs the rest.
        tensor_parallel_size: number of GPUs to split the model over.
        enforce_eager: run without CUDA graphs, which starts sooner and decodes slower.
    """

    gpu_memory_utilization: float = 0.5
    tensor_parallel_size: int = 1
    enforce_eager: bool = False


def split_name(name: str) -> tuple[VllmOptions | None, str]:
    """Splits "vllm:WEIGHTS" or "vllm,tensor_parallel_size=2:WEIGHTS" into the engine's options and the weights' name.

    Returns:
        Options and name; None and the unchanged name if the name does not start with "vllm".

    Raises:
        UnknownNameError: vLLM has no such option.
        BerrypickError: the option cannot take that value.
    """
    head, colon, weights = name.partition(":")
    engine, *pairs = head.split(",")
    if not colon or engine != "vllm":
        return None, name
    kinds: dict[str, Any] = {key: type(value) for key, value in dataclasses.asdict(VllmOptions()).items()}
    options: dict[str, Any] = {}
    for key, _, text in (pair.partition("=") for pair in pairs):
        if key not in kinds:
            raise UnknownNameError("option of vllm", key, kinds)
        try:
            options[key] = {"true": True, "false": False}[text] if kinds[key] is bool else kinds[key](text)
        except (ValueError, KeyError):
            example = getattr(VllmOptions(), key)
            raise BerrypickError(
                f"vllm: {key}={text} is not a value of {key}; write for example {key}={str(example).lower()}"
            ) from None
    return VllmOptions(**options), weights


def require_vllm(feature: str) -> None:
    """Raises `MissingExtraError` unless vLLM is installed."""
    if find_spec("vllm") is None:
        raise MissingExtraError(feature, "vllm", "vllm is not installed; it needs a CUDA GPU")


@dataclass(eq=False)
class VllmPolicy:
    """A language model whose rollouts vLLM samples.

    Attributes:
        weights: the model and tokenizer that updates change; `sync` copies them to the engine.
        options: how to start the engine, which happens when the first session opens.
    """

    weights: LanguageModelPolicy
    options: VllmOptions = VllmOptions()
    exact_tokens: bool = True
    _engine: Any = field(default=None, repr=False)

    @property
    def policy_id(self) -> str:
        """The id of the weights."""
        return self.weights.policy_id

    @property
    def dtype(self) -> str:
        """The format that the engine computes in."""
        return self.weights.dtype

    @property
    def template_hash(self) -> str:
        """Hash of the tokenizer's chat template."""
        return self.weights.template_hash

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> VllmSession:
        """Opens a session of one row per question; the first one starts the engine."""
        if sampling.temperature > 2:
            raise BerrypickError(f"vLLM samples at temperatures up to 2, got {sampling.temperature}; lower it")
        contexts = self.weights.contexts(questions, spec, seeds, sampling)
        if self._engine is None:
            self._engine = self._with_saved(self._start_engine)
        return VllmSession(self._engine, contexts, self.weights.turn_ends(spec), sampling)

    def sync(self) -> None:
        """Copies the trained weights to the engine and drops its prefix cache, which the old weights computed."""
        if self._engine is None:
            return  # the engine will start from the current weights
        self._with_saved(lambda path: self._engine.collective_rpc("reload_weights", kwargs={"weights_path": path}))
        if not self._engine.reset_prefix_cache():
            raise BerrypickError(
                "vLLM did not drop its prefix cache because requests are running; wait for them, then sync again"
            )

    def load(self) -> None:
        """Does nothing: `weights` is the policy in training."""

    def complete(self, episodes: Sequence[Episode]) -> None:
        """Fills in the entropies of ended episodes."""
        fill_entropies(self.weights, episodes)

    def _with_saved(self, use: Any) -> Any:
        """Saves the weights to a temporary folder and calls `use` with it; `use` returns after the workers read it."""
        with tempfile.TemporaryDirectory(prefix="berrypick-vllm-") as folder:
            self.weights.save(Path(folder))
            return use(folder)

    def _start_engine(self, path: str) -> Any:
        require_vllm("policy vllm:...")
        try:
            vllm: Any = importlib.import_module("vllm")
            return vllm.LLM(
                model=path,
                tokenizer=path,
                dtype=self.weights.dtype,
                max_model_len=self.weights.window,
                enable_prefix_caching=True,
                logprobs_mode="raw_logprobs",
                **dataclasses.asdict(self.options),
            )
        except ImportError as error:
            raise MissingExtraError("policy vllm:...", "vllm", error) from error
        except (RuntimeError, ValueError, OSError) as error:
            reason = first_line(error)
            raise BerrypickError(
                f"vLLM did not start ({reason}); it needs a CUDA GPU with memory left by the model in training: "
                "lower its share, vllm,gpu_memory_utilization=0.3:..., or drop vllm: to sample in process"
            ) from error


class VllmSession(ContextSession):
    """One row per question; token ids are stored here, keys and values in vLLM's prefix cache."""

    def __init__(self, engine: Any, contexts: Contexts, ends: TurnEnds, sampling: Sampling) -> None:
        super().__init__(contexts)
        self._engine, self._ends, self._sampling = engine, ends, sampling

    def act(self, rows: Sequence[int]) -> list[Draft]:
        """Samples the next turn of each row in one call; a row whose window is full writes an empty turn."""
        turns = {row: TurnWriter(self._ends) for row in rows}
        writing = self._contexts.with_room(rows)
        if writing:
            prompts = [{"prompt_token_ids": list(self._contexts.rows[row].ids)} for row in writing]
            outputs = self._engine.generate(prompts, [self._params(row) for row in writing], use_tqdm=False)
            for row, output in zip(writing, outputs, strict=True):
                self._take(row, output.outputs[0], turns[row])
        return [turns[row].draft() for row in rows]

    def finish(self, rows: Sequence[int]) -> None:
        """Does nothing: vLLM evicts unused prefixes itself."""

    def _params(self, row: int) -> Any:
        """Sampling parameters of one row's turn; the seed depends on the row's seed and its tokens drawn so far."""
        vllm: Any = importlib.import_module("vllm")
        state = self._contexts.rows[row]
        return vllm.SamplingParams(
            temperature=self._sampling.temperature,
            top_p=self._sampling.top_p,
            max_tokens=self._sampling.max_new_tokens,
            seed=row_seed(state.seed, "turn", state.num_drawn) >> 1,  # 63 bits
            stop=list(self._ends.tags),
            stop_token_ids=sorted(self._ends.eos),
            include_stop_str_in_output=True,
            skip_special_tokens=False,
            logprobs=0,  # of the sampled token only
        )

    def _take(self, row: int, completion: Any, turn: TurnWriter) -> None:
        """Reads a completion token by token, so that turns end exactly where the in-process engine ends them."""
        for token, choices in zip(completion.token_ids, completion.logprobs, strict=True):
            if not turn.add(int(token), float(choices[token].logprob), float("nan")):
                break
        self._contexts.append_turn(row, turn.ids)
        self._contexts.rows[row].num_drawn += len(turn.ids)


def fill_entropies(policy: LanguageModelPolicy, episodes: Sequence[Episode], max_tokens: int = 4096) -> None:
    """Writes the entropy of every sampled token's distribution into ended episodes, in place.

    Runs one training forward per context. The log-probabilities stay those of the engine that sampled.

    Args:
        policy: has the weights that the engine sampled from.
        episodes: their tokens must be exact.
        max_tokens: padded tokens of a micro-batch.
    """
    for episode, (_, entropies) in zip(
        episodes, log_probs_of_rows(policy.model, rows_of(policy, episodes), max_tokens)
    ):
        _put(episode, entropies.float())


def _put(episode: Episode, entropies: torch.Tensor) -> None:
    """Deals [T] entropies out to the turns of an episode."""
    at = 0
    for number, turn in enumerate(episode.turns):
        tokens = turn.draft.tokens
        if tokens is None:
            continue
        part, at = entropies[at : at + len(tokens.ids)].numpy(), at + len(tokens.ids)
        draft = Draft(turn.draft.text, dataclasses.replace(tokens, entropies=part), turn.draft.stopped_by)
        episode.turns[number] = dataclasses.replace(turn, draft=draft)
