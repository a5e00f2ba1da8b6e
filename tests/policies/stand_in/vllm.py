"""A stand-in for vLLM on machines without a CUDA GPU: the names, defaults and rules of 0.33 that berrypick relies on.

`LLM`, `SamplingParams` and the outputs take and give what vLLM's do (read in its source; what is not listed there
raises here). Weights are a `transformers` model read from the folder; each request draws from a generator of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from tokenizers.decoders import DecodeStream
from transformers import AutoModelForCausalLM, AutoTokenizer

ON_LOAD: list[Callable[[Any], None]] = []
"""Called with each model that is loaded: what safetensors cannot hold."""

# Fields of EngineArgs that LLM passes through **kwargs.
_ENGINE_ARGS = {"max_model_len", "enable_prefix_caching", "logprobs_mode", "disable_log_stats", "max_num_seqs"}


@dataclass
class SamplingParams:
    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    include_stop_str_in_output: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature must be in [0, 2], got {self.temperature}.")
        if self.seed is not None and not -(2**63) <= self.seed < 2**63:
            raise OverflowError("a seed travels as a signed 64-bit integer")


@dataclass
class Logprob:
    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: Sequence[int]
    cumulative_logprob: float | None
    logprobs: list[dict[int, Logprob]] | None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class RequestOutput:
    request_id: str
    prompt: str | None
    prompt_token_ids: list[int] | None
    prompt_logprobs: None
    outputs: list[CompletionOutput]
    finished: bool
    num_cached_tokens: int | None = None


@dataclass
class _Request:
    ids: list[int]
    params: SamplingParams
    out: CompletionOutput
    draws: torch.Generator
    stream: Any = field(default_factory=lambda: DecodeStream(skip_special_tokens=False))


class LLM:
    def __init__(
        self,
        model: str,
        *,
        tokenizer: str | None = None,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        seed: int = 0,
        gpu_memory_utilization: float = 0.92,
        enforce_eager: bool = False,
        **kwargs: Any,
    ) -> None:
        if unknown := set(kwargs) - _ENGINE_ARGS:
            raise TypeError(f"EngineArgs.__init__() got an unexpected keyword argument {sorted(unknown)[0]!r}")
        assert kwargs.get("logprobs_mode", "raw_logprobs") == "raw_logprobs"
        self.dtype, self.max_model_len = getattr(torch, dtype), kwargs["max_model_len"]
        self.tokenizer = AutoTokenizer.from_pretrained(tokenizer or model)
        self._load(model)
        self.calls: list[str] = []

    def _load(self, path: str) -> None:
        self.model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=self.dtype, use_safetensors=True).eval()
        for hook in ON_LOAD:
            hook(self.model)

    def collective_rpc(
        self,
        method: str | Callable[..., Any],
        timeout: float | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> list[Any]:
        assert method == "reload_weights", "the worker has no such method here"
        self.calls.append(str(method))
        self._reload_weights(*args, **(kwargs or {}))
        return [None]

    def _reload_weights(
        self, weights_iterator: Any = None, weights_path: str | None = None, is_checkpoint_format: bool = True
    ) -> None:
        assert weights_iterator is None and weights_path and is_checkpoint_format
        self._load(weights_path)

    def reset_prefix_cache(self, reset_running_requests: bool = False, reset_connector: bool = False) -> bool:
        self.calls.append("reset_prefix_cache")
        return True

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[dict[str, Any]],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        use_tqdm: bool | Callable[..., Any] = True,
    ) -> list[RequestOutput]:
        assert isinstance(sampling_params, Sequence) and len(sampling_params) == len(prompts)
        requests = []
        for at, (prompt, params) in enumerate(zip(prompts, sampling_params)):
            assert set(prompt) == {"prompt_token_ids"} and len(prompt["prompt_token_ids"]) < self.max_model_len
            generator = torch.Generator().manual_seed(params.seed if params.seed is not None else at)
            out = CompletionOutput(0, "", [], 0.0, [])
            requests.append(_Request(list(prompt["prompt_token_ids"]), params, out, generator))
        while running := [request for request in requests if request.out.finish_reason is None]:
            width = max(len(request.ids) for request in running)
            ids = torch.tensor([request.ids + [0] * (width - len(request.ids)) for request in running])
            last = torch.tensor([len(request.ids) - 1 for request in running])
            logits = self.model(input_ids=ids, use_cache=False).logits[torch.arange(len(running)), last].float()
            for request, row in zip(running, logits):
                self._step(request, row)
        return [
            RequestOutput(str(at), None, list(prompt["prompt_token_ids"]), None, [request.out], True)
            for at, (prompt, request) in enumerate(zip(prompts, requests))
        ]

    def _step(self, request: _Request, logits: torch.Tensor) -> None:
        params, out = request.params, request.out
        assert params.top_p == 1 and params.logprobs == 0 and params.include_stop_str_in_output
        if params.temperature == 0:
            token = int(logits.argmax())
        else:
            p = torch.softmax(logits / params.temperature, -1)
            token = int(torch.multinomial(p, 1, generator=request.draws))
        raw = float(torch.log_softmax(logits, -1)[token])
        out.logprobs.append({token: Logprob(raw, 1, self.tokenizer.decode([token]))})
        request.ids.append(token)
        out.token_ids = [*out.token_ids, token]
        if token in (params.stop_token_ids or ()) or token == self.tokenizer.eos_token_id:
            out.finish_reason, out.stop_reason = "stop", token
            return
        try:
            out.text += request.stream.step(self.tokenizer.backend_tokenizer, token) or ""
        except Exception:
            request.stream = DecodeStream(skip_special_tokens=False)
        for tag in params.stop or ():
            if tag in out.text:
                out.finish_reason, out.stop_reason = "stop", tag
                out.text = out.text[: out.text.index(tag) + len(tag)]
                return
        if len(out.token_ids) == params.max_tokens or len(request.ids) >= self.max_model_len:
            out.finish_reason = "length"
