"""What `from_pretrained` of `transformers` is told about the hub of models."""

from __future__ import annotations

from pathlib import Path

__all__ = ["hub_options"]


def hub_options(path: str) -> dict[str, bool]:
    """Options of `from_pretrained`: only what this machine has, if the hub does not answer a first request.

    Without them `transformers` asks six times, for a minute, and logs each try.

    Args:
        path: a hub id or a path.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import HfHubHTTPError

    if HF_HUB_OFFLINE or Path(path).exists():
        return {}
    try:
        HfApi().model_info(path, timeout=20)
    except (HfHubHTTPError, ValueError):  # there is no such model, or no access to it; `transformers` says so
        return {}
    except Exception:  # whatever the library's transport raises where there is no network
        return {"local_files_only": True}
    return {}
