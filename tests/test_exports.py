"""The public surface: every package says what it offers, offers it, and documents it; the docs import from packages."""

from __future__ import annotations

import ast
import functools
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import berrypick
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PACKAGES = (
    "berrypick",
    *sorted(module.name for module in pkgutil.walk_packages(berrypick.__path__, "berrypick.") if module.ispkg),
)


def file_of(module: str) -> Path | None:
    """The source file of a module of ours; None for any other name."""
    place = ROOT.joinpath(*module.split(".")[1:])
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if module.split(".")[0] == "berrypick" and path.is_file():
            return path
    return None


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def order(name: str) -> tuple[int, str]:
    """The order of ruff's RUF022: constants, then classes, then the rest."""
    constant = len(name) > 1 and name.isupper()
    return (0 if constant else 1 if name[0].isupper() else 2, name)


# What a package offers


def offered(package: str) -> ModuleType:
    return importlib.import_module(package)


def import_problem(package: str, name: str) -> str:
    """Why a name cannot be imported from its package; an optional dependency that is not installed is no reason."""
    try:
        if file_of(f"{package}.{name}"):  # a lazy export would be hidden by its module once that is imported
            importlib.import_module(f"{package}.{name}")
        value = getattr(offered(package), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("berrypick"):
            return f"{name}: its module is missing ({error})"
    except AttributeError:
        return f"{name}: is in __all__ but cannot be imported"
    if isinstance(value, ModuleType) and not offers_module(package, name):
        return f"{name}: is the module of that name, once imported, and not what it defines; import it eagerly"
    return ""


def offers_module(package: str, name: str) -> bool:
    """Whether a package offers a module as a whole: `from . import NAME`."""
    nodes = [node for node in tree_of(file_of(package) or ROOT).body if isinstance(node, ast.ImportFrom)]
    return any(not node.module and name in {alias.name for alias in node.names} for node in nodes)


def test_the_packages_are_found() -> None:
    assert {"berrypick.envs.world", "berrypick.policies.objectives", "berrypick.experiments.grid"} <= set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_a_sorted_all_whose_names_can_be_imported(package: str) -> None:
    module = offered(package)
    names = getattr(module, "__all__", None)
    assert names is not None, f"{package} has no __all__; list what users need from it"
    problems = [f"{name}: is listed twice" for name in sorted({name for name in names if names.count(name) > 1})]
    if list(names) != sorted(names, key=order):
        problems.append(f"not sorted; the order is {sorted(names, key=order)}")
    problems += [f"{name}: is missing from dir({package})" for name in names if name not in dir(module)]
    problems += filter(None, (import_problem(package, name) for name in names))
    assert not problems, f"{package}.__all__:\n  " + "\n  ".join(problems)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_refuses_a_name_that_it_does_not_have(package: str) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        offered(package).no_such_name  # noqa: B018


# What is documented


def is_documented(module: str, name: str, seen: tuple[str, ...] = ()) -> str:
    """Why a name of a module is undocumented, followed through imports to where it is defined; empty if it is not."""
    path = file_of(module)
    if path is None or module in seen:
        return f"{name}: its definition was not found in {module}"
    tree = tree_of(path)
    body = list(statements(tree))
    for at, node in enumerate(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            return "" if ast.get_docstring(node) else f"{name}: has no docstring ({path.relative_to(ROOT)})"
        if name in assigned(node):
            following = body[at + 1] if at + 1 < len(body) else None
            if is_text(following) or has_comment(path, node):
                return ""
            return f"{name}: no text or comment explains it ({path.relative_to(ROOT)}:{node.lineno})"
    for node in body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    source = resolved(module, path, node)
                    if file_of(f"{source}.{alias.name}"):  # a module, offered as a whole
                        whole = tree_of(file_of(f"{source}.{alias.name}") or path)
                        return "" if ast.get_docstring(whole) else f"{name}: the module has no docstring"
                    return is_documented(source, alias.name, (*seen, module))
    return f"{name}: {path.relative_to(ROOT)} neither defines nor imports it (import it under `if TYPE_CHECKING:`)"


def statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Those of the module, with what stands under `if` and `try` at its top level."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from (inner for inner in ast.walk(node) if isinstance(inner, ast.stmt) and inner is not node)


def assigned(node: ast.stmt | None) -> set[str]:
    """The names that a statement assigns, type aliases included."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return {leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)}


def is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def has_comment(path: Path, node: ast.stmt) -> bool:
    """Whether a comment explains an assignment, on the line above it or on one of its own."""
    lines = path.read_text().splitlines()
    own = lines[node.lineno - 1 : node.end_lineno]
    above = lines[node.lineno - 2].strip() if node.lineno > 1 else ""
    return above.startswith("#") or "  # " in own[0] or "  # " in own[-1]


def resolved(module: str, path: Path, node: ast.ImportFrom) -> str:
    """The absolute name of the module that a `from ... import` names."""
    if not node.level:
        return node.module or ""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_offers_is_documented(package: str) -> None:
    names = [name for name in getattr(offered(package), "__all__", ()) if name != "__version__"]
    problems = [problem for name in names if (problem := is_documented(package, name))]
    assert not problems, f"{package} offers what it does not document:\n  " + "\n  ".join(problems)


def test_an_undocumented_name_would_be_reported(tmp_path: Path) -> None:
    source = "A = 1\nB = 2\n'''Two.'''\nC = 3  # three\ndef f(): pass\ndef g():\n    '''Does.'''\n"
    path = tmp_path / "m.py"
    path.write_text(source)
    body = list(statements(ast.parse(source)))
    explained = {
        name
        for at, node in enumerate(body)
        for name in assigned(node)
        if is_text(body[at + 1]) or has_comment(path, node)
    }
    assert explained == {"B", "C"}
    assert is_documented("berrypick.envs.no_such_module", "x").startswith("x: its definition was not found")


# What the docs import


def imports_of(page: Path) -> Iterator[tuple[int, str, str]]:
    """(line, module, name) of each import of ours in a page's Python blocks; the name of `import X` is empty."""
    text = page.read_text()
    for block in re.finditer(r"^```python[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        before = text[: block.start(1)].count("\n")
        for node in ast.walk(ast.parse(block.group(1))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "berrypick":
                for alias in node.names:
                    yield before + node.lineno, node.module or "", alias.name
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] == "berrypick":
                        yield before + node.lineno, alias.name, ""


TRAINERS = tuple(f"berrypick.envs.adapters.{trainer}" for trainer in ("openenv", "skyrl", "verifiers", "verl_tool"))
"""Modules that import their trainer, so that no package can offer their names."""


def all_of(module: str) -> list[str]:
    """The `__all__` of a module that is not imported."""
    body = tree_of(file_of(module) or ROOT).body
    found = [node.value for node in body if isinstance(node, ast.Assign) and "__all__" in assigned(node)]
    return [name for value in found for name in ast.literal_eval(value)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_docs_import_from_packages(page: Path) -> None:
    problems = []
    for line, module, name in imports_of(page):
        where = f"{page.name}:{line}: from {module} import {name}" if name else f"{page.name}:{line}: import {module}"
        if module in TRAINERS:
            problems += [f"{where}: {name} is not in {module}.__all__"] if name not in all_of(module) else []
        elif module not in PACKAGES:
            problems.append(f"{where}: {module} is no package; import from the package that offers the name")
        elif name and name not in getattr(offered(module), "__all__", ()):
            problems.append(f"{where}: {name} is not in {module}.__all__")
        elif name and import_problem(module, name):
            problems.append(f"{where}: {import_problem(module, name)}")
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_docs_name_what_a_package_offers_by_the_package(page: Path) -> None:
    """`berrypick.envs.register_reward`, not `berrypick.envs.rewards.register_reward`."""
    problems = []
    for dotted in re.findall(r"`(berrypick(?:\.\w+)+)(?:\(\))?`", page.read_text()):
        module, _, name = dotted.rpartition(".")
        if module not in (*PACKAGES, *TRAINERS) and file_of(module) and file_of(dotted) is None:
            problems.append(f"{page.name}: `{dotted}`: write the path of the package that offers {name}")
    assert not problems, "\n" + "\n".join(problems)


def test_the_docs_show_imports() -> None:
    assert sum(len(list(imports_of(page))) for page in PAGES) > 20


# What an import costs

HEAVY = (
    "torch",
    "transformers",
    "peft",
    "jnius",
    "pyserini",
    "faiss",
    "matplotlib",
    "pandas",
    "ray",
    "fastapi",
    "datasets",
    "vllm",
)
"""Packages that take seconds to load, start Java, or are optional."""


@pytest.mark.parametrize(
    "package",
    ["berrypick", *(f"berrypick.{floor}" for floor in ("envs", "policies", "experiments", "retrieval_index"))],
)
def test_importing_a_floor_loads_nothing_heavy(package: str) -> None:
    code = f"import sys, {package} as p; dir(p); print(*(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "", f"import {package} loads {done.stdout.strip()}; export those names lazily"
