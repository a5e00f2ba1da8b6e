"""Rollouts by vLLM: token ids in, token ids and their log-probabilities out; its prefix cache keeps contexts warm.

Written against vLLM 0.33: `LLM.generate` over token prompts with one `SamplingParams` a row, `reload_weights` of its
workers through `LLM.collective_rpc`, `LLM.reset_prefix_cache`. Its log-probabilities are those of the full softmax at
temperature 1 whatever the sampling (`logprobs_mode="raw_logprobs"`); entropies it has none, so the model that trains
supplies them in one forward a rollout.
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

from ...envs.episode import Draft, Episode
from ...envs.formats.turn_format import get_turn_format
from ...envs.questions import EpisodeSpec, Question
from ...retrieval_index.errors import BerrypickError, MissingExtraError, UnknownNameError
from ..counter_random import row_seed
from ..policy import Sampling
from .contexts import Contexts, ContextSession
from .model import LanguageModelPolicy
from .rescoring import fill_entropies
from .turn_writer import TurnEnds, TurnWriter

__all__ = ["VllmOptions", "VllmPolicy", "require_vllm", "split_name"]


@dataclass(frozen=True)
class VllmOptions:
    """How the engine is started.

    Attributes:
        gpu_memory_utilization: share of the GPU's memory it takes; the rest is for the model that trains beside it.
        tensor_parallel_size: GPUs that share the model.
        enforce_eager: no CUDA graphs: starts sooner, decodes slower.
    """

    gpu_memory_utilization: float = 0.5
    tensor_parallel_size: int = 1
    enforce_eager: bool = False


def split_name(name: str) -> tuple[VllmOptions | None, str]:
    """What stands before weights that vLLM plays, "vllm:" or "vllm,tensor_parallel_size=2:", and the weights' name.

    Returns:
        None and the name as it is, where it names no player.

    Raises:
        UnknownNameError: no such option.
        BerrypickError: a value that it cannot take.
    """
    head, colon, weights = name.partition(":")
    engine, *pairs = head.split(",")
    if not colon or engine != "vllm":
        return None, name
    kinds: dict[str, Any] = {key: type(value) for key, value in dataclasses.asdict(VllmOptions()).items()}
    given: dict[str, Any] = {}
    for key, _, text in (pair.partition("=") for pair in pairs):
        if key not in kinds:
            raise UnknownNameError("option of vllm", key, kinds)
        try:
            given[key] = {"true": True, "false": False}[text] if kinds[key] is bool else kinds[key](text)
        except (ValueError, KeyError):
            example = getattr(VllmOptions(), key)
            raise BerrypickError(f"vllm: {key}={text} is no value; for example {key}={str(example).lower()}") from None
    return VllmOptions(**given), weights


def require_vllm(feature: str) -> None:
    """Raises `MissingExtraError` unless vLLM is installed."""
    if find_spec("vllm") is None:
        raise MissingExtraError(feature, "vllm", "vllm is not installed; it needs a CUDA GPU")


@dataclass(eq=False)
class VllmPolicy:
    """A language model whose rollouts vLLM samples.

    Attributes:
        weights: and tokenizer; what an update changes. `refresh` hands them to the engine.
        options: of the engine, which starts with the first session.
    """

    weights: LanguageModelPolicy
    options: VllmOptions = VllmOptions()
    exact_tokens: bool = True
    _engine: Any = field(default=None, repr=False)

    @property
    def policy_id(self) -> str:
        """That of the weights."""
        return self.weights.policy_id

    @property
    def template_hash(self) -> str:
        """That of the tokenizer's chat template."""
        return self.weights.template_hash

    def start(
        self, questions: Sequence[Question], spec: EpisodeSpec, seeds: Sequence[int], sampling: Sampling
    ) -> VllmSession:
        """Opens a session; starts the engine if there is none yet."""
        if sampling.temperature > 2:
            raise BerrypickError(f"vLLM samples at temperatures up to 2, got {sampling.temperature}; lower it")
        contexts = Contexts(self.weights, questions, spec, seeds, sampling)
        if self._engine is None:
            self._engine = self._with_saved(self._start_engine)
        ends = TurnEnds(self.weights, get_turn_format(spec.turn_format).stop)
        return VllmSession(self._engine, contexts, ends, sampling)

    def refresh(self) -> None:
        """Brings the trained weights into the engine and drops what it had cached under the old ones."""
        if self._engine is None:
            return  # it starts from them
        self._with_saved(lambda path: self._engine.collective_rpc("reload_weights", kwargs={"weights_path": path}))
        if not self._engine.reset_prefix_cache():
            raise BerrypickError("vLLM kept its prefix cache while requests were running; wait for them, then refresh")

    def adopt(self) -> None:
        """The weights that train are its own."""

    def complete(self, episodes: Sequence[Episode]) -> None:
        """Fills in the entropies of ended episodes."""
        fill_entropies(self.weights, episodes)

    def _with_saved(self, use: Any) -> Any:
        """Calls `use` with a folder that holds the weights; the workers have read it when it returns."""
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
                dtype=str(self.weights.model.dtype).removeprefix("torch."),
                max_model_len=self.weights.window,
                enable_prefix_caching=True,
                logprobs_mode="raw_logprobs",
                **dataclasses.asdict(self.options),
            )
        except ImportError as error:
            raise MissingExtraError("policy vllm:...", "vllm", error) from error
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise BerrypickError(
                f"vLLM did not start ({reason}); it needs a CUDA GPU with room beside the model that trains: "
                "give it less, vllm,gpu_memory_utilization=0.3:..., or leave vllm: out to play in process"
            ) from error


class VllmSession(ContextSession):
    """One row for each question; contexts are kept here as token ids, keys and values by vLLM's prefix cache."""

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
        """Nothing to free: vLLM evicts prefixes that nobody asks for."""

    def _params(self, row: int) -> Any:
        """Sampling of one row's turn; its seed is a function of the row's seed and how far it has come."""
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
            logprobs=0,  # the chosen token's alone
        )

    def _take(self, row: int, completion: Any, turn: TurnWriter) -> None:
        """Reads a completion token by token, so that a turn ends here exactly where it ends in process."""
        for token, choices in zip(completion.token_ids, completion.logprobs, strict=True):
            if not turn.add(int(token), float(choices[token].logprob), float("nan")):
                break
        self._contexts.append_turn(row, turn.ids)
        self._contexts.rows[row].num_drawn += len(turn.ids)
