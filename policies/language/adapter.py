"""A trained LoRA as a small folder of its own, in the layout of `peft`: the weights it belongs to stay where they are.

Beside `adapter_config.json` and `adapter_model.safetensors` the folder has `rules.json`: the rules of the episodes that
the policy was trained on, which it should also be played under.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ...retrieval_index.errors import BerrypickError, MissingExtraError, first_line
from ...retrieval_index.files import whole_folder
from ...retrieval_index.json_text import read_json
from ...retrieval_index.manifest import sha256
from ...retrieval_index.sealed import sealed
from ..policy_rules import ADAPTER, RULES, adapter_folder, check_adapter, is_adapter
from .model import LanguageModelPolicy, load_language_model
from .precision import compute_in, computed_in, store_in
from .weight_files import file_errors

__all__ = ["load_adapter", "save_adapter"]

_WEIGHTS = "adapter_model.safetensors"
_MOST_BELOW = 8  # adapters that an adapter stands on; one whose base is itself has no end


def save_adapter(
    policy: LanguageModelPolicy, folder: Path, *, base: str, rules: Mapping[str, Any], seed: int = 0
) -> None:
    """Writes the LoRA matrices of a policy as bfloat16, atomically; replaces an earlier adapter there.

    Args:
        policy: made by `with_lora`.
        folder: receives three files; a model card is the caller's.
        base: name of the weights that the matrices were trained on, as `open_policy` takes it.
        rules: arguments of the environment, and `max_new_tokens`.
        seed: that `base` was opened with, see `open_policy`. It decides weights that are fresh, such as "tiny", and is
            kept as the revision of the base.

    Raises:
        BerrypickError: the policy has no LoRA matrices, or the folder cannot be written.
    """
    if not policy.has_lora:
        raise BerrypickError(f"{policy.policy_id} has no LoRA matrices to save; train it with --lora-rank")
    from peft import get_peft_model_state_dict

    model: Any = policy.model
    matrices = get_peft_model_state_dict(model)
    config = copy.deepcopy(model.peft_config["default"])
    config.base_model_name_or_path = base
    config.revision = str(seed) if seed else None
    config.inference_mode = True
    with whole_folder(folder, "free some space or choose another folder", replaces=True) as work:
        narrow = {name: value.detach().to("cpu", torch.bfloat16) for name, value in matrices.items()}
        with file_errors():
            save_file(narrow, work / _WEIGHTS)
            config.save_pretrained(work)
        sums = {path.name: sha256(path) for path in sorted(work.iterdir())}
        (work / RULES).write_text(sealed({**rules, "files": sums}) + "\n")


def load_adapter(
    name: str | Path, *, dtype: str = "float32", device: str = "auto", trains: bool = False
) -> LanguageModelPolicy:
    """The policy of an adapter's folder: its base weights with the LoRA matrices merged in.

    Args:
        name: of the folder, written by `save_adapter`, or by `peft` for weights that `open_policy` can name.
        dtype: as for `load_language_model`; the matrices are merged in float32.
        device: as for `load_language_model`.
        trains: as for `load_language_model`.

    Raises:
        MissingExtraError: peft is not installed.
        BerrypickError: a file is missing or damaged, or the adapter belongs to other weights.
    """
    return _load(Path(name), dtype, device, trains, _MOST_BELOW)


def _load(folder: Path, dtype: str, device: str, trains: bool, most_below: int) -> LanguageModelPolicy:
    if not is_adapter(folder):
        raise BerrypickError(f"{folder} has no {ADAPTER}; give a folder that berrypick train --lora-rank wrote")
    if not (folder / _WEIGHTS).is_file():  # peft would unpickle an older kind of file
        raise BerrypickError(f"{folder} has no {_WEIGHTS}; save the adapter as safetensors")
    check_adapter(folder)
    try:
        from peft import PeftModel
    except ImportError as error:
        raise MissingExtraError(f"the adapter {folder}", "train", error) from error
    try:
        config = read_json(folder / ADAPTER)
        base, seed = config["base_model_name_or_path"], _seed(config.get("revision"))
        if not isinstance(base, str):
            raise TypeError("its base is no text")
        below = adapter_folder(base)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BerrypickError(f"{folder / ADAPTER} is damaged ({error}); copy the adapter again") from error
    # in float32, see `precision.py`; the base of an adapter may be another adapter
    if below is not None:
        if not most_below:
            raise BerrypickError(f"{folder}: more than {_MOST_BELOW} adapters on each other; correct their bases")
        policy = _load(below, dtype, device, True, most_below - 1)
    else:
        policy = load_language_model(base, seed=seed, dtype=dtype, device=device, trains=True)
    bare: Any = policy.model
    try:
        with warnings.catch_warnings():  # peft still uses a name that transformers has deprecated
            warnings.simplefilter("ignore", FutureWarning)
            merged: Any = PeftModel.from_pretrained(bare, str(folder)).merge_and_unload()
    except Exception as error:  # peft passes on whatever a damaged file does to it
        reason = first_line(error)
        raise BerrypickError(
            f"the adapter {folder} is damaged or does not fit {base} ({reason}); copy the adapter again"
        ) from error
    computed = computed_in(bare)
    if not trains:
        store_in(merged, computed)
    compute_in(merged, computed)
    return LanguageModelPolicy(merged, policy.tokenizer, folder.name)


def _seed(revision: object) -> int:
    """The seed that `save_adapter` wrote; 0 for adapters of `peft`, whose revision names a commit."""
    return int(revision) if isinstance(revision, str) and revision.isdecimal() and len(revision) < 19 else 0
