"""What the packages of policies export: every name is there, documented, and reached from the package."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import berrypick
import pytest

PACKAGES = ["", ".language", ".training", ".objectives", ".tabular"]
ROOT = Path(berrypick.__file__).parent


def documented_constants(module: ModuleType) -> set[str]:
    """Names that a module assigns and explains in the string below."""
    body = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body
    found = set()
    for statement, below in pairwise(body):
        text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and str(below.value.value)
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name) and text}
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_is_there_and_documented(package: str) -> None:
    module = importlib.import_module(f"berrypick.policies{package}")
    assert sorted(set(module.__all__)) == sorted(module.__all__)
    folder = ROOT / "policies" / package.lstrip(".")
    siblings = [importlib.import_module(f"{module.__name__}.{path.stem}") for path in folder.glob("[a-z]*.py")]
    constants = set().union(*map(documented_constants, siblings))
    for name in module.__all__:
        value = getattr(module, name)
        own = value.__doc__ if inspect.isclass(value) or inspect.isroutine(value) else None
        assert own or name in constants, name
        assert name in dir(module)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_no_package_exports_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        importlib.import_module(f"berrypick.policies{package}").no_such_name  # noqa: B018


@pytest.mark.parametrize(
    ("package", "absent"), [("policies", "torch"), ("policies.language", "torch"), ("policies.tabular", "transformers")]
)
def test_a_package_is_imported_without_what_it_does_not_need(package: str, absent: str) -> None:
    code = f"import sys, berrypick.{package}; raise SystemExit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_functions_are_exported_where_a_module_has_the_same_name() -> None:
    from berrypick.policies import open_policy, rollout
    from berrypick.policies.training import group_metrics, rl_update

    assert all(map(inspect.isfunction, (open_policy, rollout, group_metrics, rl_update)))
