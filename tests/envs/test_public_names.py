"""The public surface of `berrypick.envs`: every name is importable and documented, and importing stays light."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("envs", *(f"envs.{name}" for name in ("world", "formats", "tasks", "data", "metrics", "adapters")))


def documented_constants(folder):
    """Names that are followed by a text at the top level of a module."""
    names = set()
    for path in folder.glob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in itertools.pairwise(body):
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_importable_documented_and_listed_once(name):
    package = importlib.import_module(f"berrypick.{name}")
    assert package.__doc__ and package.__all__ and len(set(package.__all__)) == len(package.__all__)
    constants = documented_constants(ROOT.joinpath(*name.split(".")))
    for public in package.__all__:
        value = getattr(package, public)
        is_code = inspect.isclass(value) or inspect.isfunction(value)
        assert (value.__doc__ or "").strip() if is_code else public in constants, f"{name}.{public} has no docstring"
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("name", PACKAGES)
def test_no_public_name_hides_a_module_of_its_package(name):
    package = importlib.import_module(f"berrypick.{name}")
    modules = {path.stem for path in ROOT.joinpath(*name.split(".")).iterdir()}
    assert modules.isdisjoint(package.__all__)


def test_an_unknown_name_is_an_attribute_error():
    import berrypick.envs

    with pytest.raises(AttributeError, match=r"^module 'berrypick\.envs' has no attribute 'SerachEnv'$"):
        berrypick.envs.SerachEnv  # noqa: B018


def test_importing_berrypick_loads_no_environment_until_one_is_used():
    code = (
        "import sys, berrypick;"
        "loaded = {name for name in sys.modules if name.startswith('berrypick.envs')};"
        "print(sorted(loaded)); from berrypick.envs import SearchEnv; print(SearchEnv.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.split("\n")[:2] == ["['berrypick.envs', 'berrypick.envs.gym_ids']", "berrypick.envs.search_env"]
