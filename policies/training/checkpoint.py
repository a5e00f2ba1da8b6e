"""Atomic checkpoints with everything a run needs to continue bit-identically."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from ...retrieval_index.errors import BerrypickError, first_line
from ...retrieval_index.files import discard, whole_folder
from ...retrieval_index.json_text import read_json, small_file
from ...retrieval_index.left_overs import reclaim
from ...retrieval_index.manifest import sha256
from ...retrieval_index.sealed import sealed, unsealed
from ..language.model import LanguageModelPolicy, load_language_model
from ..language.weight_files import file_errors
from .packed_optimizer import PackedOptimizer, pack_optimizer, restore_optimizer

__all__ = [
    "PackedOptimizer",
    "checked_state",
    "checkpoint_of_log",
    "latest_checkpoint",
    "load_checkpoint",
    "load_weights",
    "pack_optimizer",
    "reference_model",
    "save_checkpoint",
    "truncate_log",
]

logger = logging.getLogger(__name__)

_STATE = "state.json"
_ADAPTER = "adapter.safetensors"
_OPTIMIZER = "optimizer.safetensors"


def save_checkpoint(
    folder: Path,
    policy: LanguageModelPolicy,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    *,
    packed: PackedOptimizer | None = None,
    keep: int = 2,
    spare: str = "",
) -> Path:
    """Writes `folder/PHASE-STEP` atomically, then deletes the oldest checkpoints of the phase beyond `keep`.

    Args:
        folder: the `checkpoints/` folder of the run.
        policy: its weights are written in the `transformers` layout.
        optimizer: its tensors are written as safetensors.
        state: JSON-serialisable; must contain "phase" and "step".
        packed: the result of `pack_optimizer`, which all processes must call together if weights are sharded.
        keep: how many checkpoints of this phase to keep.
        spare: name of one more checkpoint to keep.

    Returns:
        The checkpoint's folder.
    """
    name = f"{state['phase']}-{state['step']:06d}"
    target = folder / name
    reclaim(folder)  # those of every step
    cure = "free some space or choose another --out; earlier checkpoints are intact"
    with whole_folder(target, cure, replaces=True) as work:
        policy.save(work)
        tensors, scalars = packed or pack_optimizer(optimizer)
        with file_errors():
            save_file(tensors, work / _OPTIMIZER)
            if policy.has_lora:
                save_file({name: value.detach() for name, value in _trainable(policy).items()}, work / _ADAPTER)
        (work / _STATE).write_text(sealed({**state, "optimizer": scalars, "files": _sums(work)}))
    for old in sorted(folder.glob(f"{state['phase']}-*"), key=_order)[:-keep]:
        if old.name != spare:
            discard(old)
    return target


def _sums(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.iterdir())}


def reference_model(folder: Path, policy: LanguageModelPolicy) -> PreTrainedModel:
    """The reference model of KL terms: a frozen copy of `policy` from the first call with this folder.

    Later calls load it from the folder, so a resumed run has the same one. The folder is written atomically.

    Raises:
        BerrypickError: a file of the folder is missing or damaged.
    """
    if not folder.is_dir():
        with whole_folder(folder, "free some space or choose another --out") as work:
            policy.save(work)
            (work / _STATE).write_text(sealed({"files": _sums(work)}))
    if (folder / _STATE).is_file():  # those of before have none
        checked_state(folder)
    model: Any = load_language_model(str(folder), dtype=policy.dtype, trains=policy.model.dtype == torch.float32).model
    fixed: PreTrainedModel = model.to(policy.model.device).requires_grad_(False)
    return fixed


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint, None without one; RL counts as later than SFT."""
    return max(_complete(folder), key=_order, default=None)


def checkpoint_of_log(folder: Path, log: Path) -> Path | None:
    """The newest complete checkpoint whose rows the log still has; later ones are removed, the run makes them again.

    A power failure can take the last rows of a log. If no checkpoint has its rows, none is removed, and resuming the
    newest one refuses.
    """
    have = log.stat().st_size if log.exists() else 0
    newest_first = sorted(_complete(folder), key=_order, reverse=True)
    for at, path in enumerate(newest_first):
        try:
            rows = int(read_json(path / _STATE)["metrics_bytes"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return path  # loading it says what is wrong
        if rows <= have:
            for later in newest_first[:at]:
                logger.warning("%s lacks the last rows of %s; continuing from %s", log.name, later.name, path.name)
                discard(later)
            return path
    return newest_first[0] if newest_first else None


def _complete(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*-*") if not path.name.startswith(".") and (path / _STATE).is_file()]


def checked_state(path: Path, *, optimizer: bool = True) -> dict[str, Any]:
    """The state of a checkpoint, after the checksums of its files; those of before had none.

    Args:
        path: the checkpoint.
        optimizer: also check the optimizer's file, which is twice as long as the weights.

    Raises:
        BerrypickError: a file is missing or damaged.
    """
    try:
        state = _state(path)
        for name, digest in state.pop("files", {}).items():
            if (optimizer or name != _OPTIMIZER) and sha256(path / Path(name).name) != digest:
                raise ValueError(f"{name}: its checksum is wrong")
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise _unusable(path, error) from error
    return state


def _state(path: Path) -> dict[str, Any]:
    try:
        return unsealed(small_file(path / _STATE))
    except ValueError as error:
        raise ValueError(f"{_STATE}: {error}") from error


def _order(path: Path) -> tuple[bool, int]:
    phase, _, step = path.name.rpartition("-")
    return phase == "rl", int(step) if step.isdecimal() else -1


def load_checkpoint(path: Path, policy: LanguageModelPolicy, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Loads weights and optimizer in place and returns the saved state.

    Raises:
        BerrypickError: the files are damaged or belong to another model or optimizer.
    """
    state = checked_state(path)
    try:
        load_weights(path, policy)
        tensors = load_file(path / _OPTIMIZER)
        restore_optimizer(optimizer, tensors, state.pop("optimizer"))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unusable(path, error) from error
    return state


def _unusable(path: Path, error: Exception) -> BerrypickError:
    reason = first_line(error)
    return BerrypickError(
        f"checkpoint {path} does not fit this run or is damaged ({reason}); delete that folder to continue from "
        "the one before, or start again in another --out"
    )


def load_weights(path: Path, policy: LanguageModelPolicy) -> None:
    """Loads the weights in place, or only LoRA's if the model has LoRA. Weights tied to a loaded one may be absent.

    Raises:
        ValueError: the file belongs to another model.
    """
    if policy.has_lora:
        current, saved = _trainable(policy), load_file(path / _ADAPTER)
        if current.keys() != saved.keys():
            raise ValueError("its LoRA matrices belong to another model")
        with torch.no_grad():
            for name, value in saved.items():
                current[name].copy_(value)
        return
    weights = load_file(path / "model.safetensors")
    have = policy.model.state_dict(keep_vars=True)
    loaded = {id(have[name]) for name in weights if name in have}
    absent = [name for name, value in have.items() if name not in weights and id(value) not in loaded]
    foreign = [name for name in weights if name not in have]
    if absent or foreign:
        raise ValueError(f"its weights belong to another model: {', '.join([*absent, *foreign][:3])}")
    policy.model.load_state_dict(weights, strict=False)
    policy.model.tie_weights()


def _trainable(policy: LanguageModelPolicy) -> dict[str, torch.nn.Parameter]:
    return {name: value for name, value in policy.model.named_parameters() if value.requires_grad}


def truncate_log(path: Path, size: int) -> None:
    """Cuts an append-only log back to its size at the checkpoint; the run will write the later rows again."""
    have = path.stat().st_size if path.exists() else 0
    if have < size:
        raise BerrypickError(f"{path} is shorter than at its checkpoint; start the run again in another --out")
    if have > size:
        with path.open("r+b") as file:
            file.truncate(size)
