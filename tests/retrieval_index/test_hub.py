"""Weights from the hub: one request that fails at once, in place of a minute of tries, where there is no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from berrypick import BerrypickError
from berrypick.policies.language.model import load_language_model
from berrypick.retrieval_index.encoder import load_encoder
from berrypick.retrieval_index.hub import hub_options

transformers = pytest.importorskip("transformers")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hub ids that were asked for; `no/model` is none, `a/model` is one, and nothing else answers."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    class Missing(HfHubHTTPError):
        def __init__(self) -> None:
            """As of a 404; releases of the library differ in what the real one needs."""

    names: list[str] = []

    def model_info(self: HfApi, name: str, *, timeout: float) -> str:
        names.append(name)
        if name == "no/model":
            raise Missing
        if name == "a/model":
            return name
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(HfApi, "model_info", model_info)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return names


def test_a_hub_that_does_not_answer_is_asked_once(asked: list[str], tmp_path: Path) -> None:
    assert hub_options("far/away") == {"local_files_only": True}
    assert hub_options("a/model") == {} and hub_options("no/model") == {}
    assert asked == ["far/away", "a/model", "no/model"]
    assert hub_options(str(tmp_path)) == {} and len(asked) == 3


@pytest.mark.parametrize("load", [load_encoder, load_language_model])
def test_a_model_that_is_nowhere_is_one_line(
    load: Callable[[str], object], asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    def nothing(path: str, **options: object) -> None:
        told.append(options)
        raise OSError(f"{path} is not here")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", nothing)
    with pytest.raises(BerrypickError, match=r"cannot load .* 'far/away'") as error:
        load("far/away")
    assert "\n" not in str(error.value) and (asked, told) == (["far/away"], [{"local_files_only": True}])
