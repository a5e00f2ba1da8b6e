"""Folders of weights from strangers: one line, whatever the libraries say of them; no endless work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from berrypick.policies.language.adapter import load_adapter
from berrypick.policies.language.model import load_language_model
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.fuzzing.reader import may_refuse


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    load_language_model("tiny").save(folder)
    return folder


def damaged(weights: Path, tmp_path: Path, name: str, body: str) -> Path:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in weights.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / name).write_text(body)
    return folder


def changed(weights: Path, name: str, value: object) -> str:
    return json.dumps({**json.loads((weights / "config.json").read_text()), name: value})


@pytest.mark.parametrize("name", ["num_hidden_layers", "vocab_size", "hidden_size", "head_dim"])
@pytest.mark.parametrize("value", [2**31, 10**400, 1e300])
def test_sizes_of_no_model_are_refused_before_anything_is_made(
    weights: Path, tmp_path: Path, name: str, value: float
) -> None:
    folder = damaged(weights, tmp_path, "config.json", changed(weights, name, value))
    with pytest.raises(BerrypickError, match=f"config.json says {name}"):
        load_language_model(str(folder))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("tokenizer.json", "{}"),  # a bare Exception of tokenizers
        ("tokenizer.json", "x"),
        ("tokenizer_config.json", '{"eos_token": 0.5}'),  # TypeError
        ("config.json", '{"architectures": [], "torch_dtype": "."}'),
        ("config.json", "[1]"),
        ("generation_config.json", "[1]"),
    ],
)
def test_damaged_files_of_weights(weights: Path, tmp_path: Path, name: str, body: str) -> None:
    folder = damaged(weights, tmp_path, name, body)
    with may_refuse():
        load_language_model(str(folder))


def test_an_adapter_that_stands_on_itself(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"")
    for base, said in ((str(folder), "more than 8 adapters on each other"), ([1], "is damaged"), (None, "is damaged")):
        (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
        with pytest.raises(BerrypickError, match=said):
            load_adapter(folder)
