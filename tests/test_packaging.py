"""What ships: every package folder, every export, and a light import."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOP = ("envs", "policies", "retrieval_index", "experiments")


def folders() -> set[str]:
    """Package folders in the tree, as dotted names."""
    found = {init.parent for top in TOP for init in (ROOT / top).rglob("__init__.py")}
    return {"berrypick", *(".".join(("berrypick", *path.relative_to(ROOT).parts)) for path in found)}


def test_the_packages_list_names_exactly_the_folders_of_the_tree() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(listed) == folders()
    assert len(listed) == len(set(listed))


def test_every_folder_of_modules_is_a_package() -> None:
    for top in TOP:
        for path in (ROOT / top).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} lacks __init__.py and would not ship"


def test_every_file_that_a_module_reads_ships_with_it() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    data = {
        f"{'.'.join(('berrypick', *path.parent.relative_to(ROOT).parts))}/{path.name}"
        for top in TOP
        for path in (ROOT / top).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert data == {f"{package}/{name}" for package, names in listed.items() for name in names} - {"berrypick/py.typed"}
    manifest = (ROOT / "MANIFEST.in").read_text()
    assert all(name.removeprefix("berrypick.").rpartition("/")[0].replace(".", "/") in manifest for name in data)


def _ours() -> set[str]:
    files = [path for top in TOP for path in (ROOT / top).rglob("*.py")]
    names = {".".join(("berrypick", *path.relative_to(ROOT).with_suffix("").parts)) for path in files}
    return {name.removesuffix(".__init__") for name in names}


@pytest.mark.parametrize("name", sorted(_ours()))
def test_a_module_exports_what_its_all_says(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("berrypick"):
            raise
        pytest.skip(f"{name} needs {error.name}, an optional package")
    for export in getattr(module, "__all__", ()):
        assert hasattr(module, export), f"{name}.__all__ names {export}, which is not there"
    assert (module.__doc__ or "").strip(), f"{name} does not say what it is for"


def test_importing_berrypick_and_its_environments_loads_no_model_code_and_no_jvm() -> None:
    code = (
        "import sys, berrypick, berrypick.envs.search_env, berrypick.experiments.commands.parser;"
        "heavy = {'torch', 'transformers', 'jnius', 'pyserini', 'faiss', 'matplotlib', 'pandas'} & set(sys.modules);"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"


BARE = """
import re, sys
from importlib import metadata

def name_of(requirement):
    return re.match(r"[\\w.-]+", requirement)[0].lower().replace("_", "-")

wanted, core = ["berrypick"], set()
while wanted:
    name = wanted.pop()
    if name not in core:
        core.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # of another platform or Python
            needs = []
        wanted += [name_of(need) for need in needs if "extra ==" not in need]
places = metadata.packages_distributions()
absent = {top for top, owners in places.items() if not {name_of(owner) for owner in owners} & core}

class Bare:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in absent else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Bare(finder) for finder in sys.meta_path]

from pathlib import Path
import gymnasium, berrypick
from berrypick.__main__ import main

env = gymnasium.make("berrypick/World-v0", preset="priced")
env.reset(seed=7)
env.step("<search> scroll founder vufinka </search>")
out, world = Path(sys.argv[1]), ["--env", "berrypick/World-v0", "--env-arg", "num_train=2", "num_test=4"]
assert main(["eval", *world, "--policy", "random_order", "--samples", "2", "--out", str(out / "run")]) == 0
assert main(["report", str(out / "run"), "--html", str(out / "report.html")]) == 0
(out / "corpus.jsonl").write_text('{"id": "1", "contents": "fig"}\\n')
corpus, index = str(out / "corpus.jsonl"), str(out / "index")
assert main(["index", "build", "--corpus", corpus, "--backend", "bm25s", "--out", index]) == 0
print(len(absent), "torch" in sys.modules)
"""


def test_what_the_bare_package_offers_needs_nothing_that_only_an_extra_brings(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", BARE, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    absent, torch_loaded = done.stdout.splitlines()[-1].split()
    assert int(absent) > 50 and torch_loaded == "False", "the environment of the tests brings all extras"


def test_the_constraints_pin_every_direct_dependency_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in ("lucene", "cpu", "train", "plots", "notebook", "docs", "dev"):
        wanted += project["optional-dependencies"][extra]
    names = {_name(requirement) for requirement in wanted}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pinned = [_name(line) for line in lines if "==" in line]
    assert names <= set(pinned)
    assert all("==" in line for line in lines)


def test_the_extra_all_is_all_or_says_what_it_is_not() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    extras = set(tomllib.loads(text)["project"]["optional-dependencies"]) - {"all"}
    named, listed = re.findall(r"Not in it: (.*)\.\nall = \[\"berrypick\[(.*)\]\"\]", text)[0]
    left_out = set(re.findall(r"[a-z]+", re.sub(r"\(.*?\)", "", named)))
    assert left_out | set(listed.split(",")) == extras and not left_out & set(listed.split(","))


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_works_in_a_checkout_whose_path_has_a_space_a_hyphen_and_an_umlaut(tmp_path: Path) -> None:
    checkout = tmp_path / "b e-rrü"
    checkout.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copyfile(ROOT / name, checkout / name)
    shutil.copytree(ROOT / "requirements", checkout / "requirements")
    done = subprocess.run(
        ["make", "-n", "demo", "test", "test-all", "test-adapters", "lint"],
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout.replace("\\\n", " "))
    assert any(str(checkout) in word for word in words)
    assert not [word for word in words if str(tmp_path) in word and str(checkout) not in word]


def _name(requirement: str) -> str:
    text = requirement.split(";")[0]
    for stop in "<>=![ ":
        text = text.split(stop)[0]
    return text.strip().lower().replace("_", "-")
