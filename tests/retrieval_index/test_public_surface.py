"""What users import from `berrypick.retrieval_index`: every name is there, documented, and loaded when it is used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["berrypick.retrieval_index", "berrypick.retrieval_index.server"])
def test_every_public_name_is_there_and_documented(package: str) -> None:
    module = importlib.import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        if name == "create_app":
            pytest.importorskip("fastapi")
            pytest.importorskip("prometheus_client")
        assert (getattr(module, name).__doc__ or "").strip(), name
        assert name in dir(module)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


def test_the_package_loads_a_module_only_when_one_of_its_names_is_used() -> None:
    code = (
        "import sys, berrypick.retrieval_index as r, berrypick.retrieval_index.server as s;"
        "ours = lambda: {name.rpartition('.')[2] for name in sys.modules if 'retrieval_index.' in name};"
        "first = ours(); s.ServerSettings, r.Passage, r.build_index;"
        "heavy = {'torch', 'transformers', 'faiss', 'jnius', 'pyserini', 'pymilvus', 'fastapi', 'uvicorn', 'bm25s'};"
        "print(sorted(first), sorted(heavy & set(sys.modules)), 'store' in ours())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "['errors', 'lazy_names', 'plain_text', 'server'] [] True"
