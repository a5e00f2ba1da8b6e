"""The page on adding objectives runs as written; an installed package adds objectives by its entry point."""

from __future__ import annotations

import copy
import inspect
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from berrypick.policies.objectives import OBJECTIVES, get_objective, registry
from berrypick.retrieval_index import plugins
from berrypick.retrieval_index.errors import BerrypickError

PAGE = Path(__file__).resolve().parents[3] / "docs" / "objectives.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "OBJECTIVES", copy.copy(OBJECTIVES))


@pytest.mark.usefixtures("registered")
def test_the_page_runs() -> None:
    assert len(CODE) == 2
    exec(compile("\n".join(CODE), str(PAGE), "exec", dont_inherit=True), {"__name__": "page"})


def test_every_shipped_part_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in ("shapes", "diversity", "estimates", "pass_at_k", "bonuses", "terms"):
        module = sys.modules[f"berrypick.policies.objectives.{name}"]
        parts = [part for part in module.__all__ if part[0].isupper() and part not in {"Shape", "Estimate", "Bonus"}]
        missing = [part for part in parts if f"`{part}`" not in text and part not in {"OutcomeCounts", "TokenTerm"}]
        assert not missing


def test_the_table_has_every_option_with_its_default() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+` ?)+) \| `(\w+)` \| (.+?) \| .{10,}\|$", text, re.MULTILINE)
    table = {(name, option): default for names, option, default in rows for name in re.findall(r"\w+", names)}
    shipped = {name: kind for name, kind in OBJECTIVES.items() if kind.make.__module__.startswith("berrypick.")}
    options = {
        (name, parameter.name): parameter.default
        for name, kind in shipped.items()
        for parameter in inspect.signature(kind.make).parameters.values()
    }
    assert set(table) == set(options)
    words = {None: "half the group", "": "none", False: "false"}
    for key, default in options.items():
        if isinstance(default, str | bool | None):
            assert table[key] == words.get(default, default), key
        else:
            assert float(table[key]) == default, key
    (bare,) = re.findall(r"^(`.*) have none\.$", text, re.MULTILINE)
    assert set(re.findall(r"\w+", bare)) - {"and"} == set(shipped) - {name for name, _ in options}


@pytest.mark.usefixtures("registered")
def test_an_entry_point_is_loaded_when_its_objective_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_few_queries.py").write_text(CODE[0], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("few_queries", "my_few_queries", registry.ENTRY_POINTS)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])
    assert get_objective("few_queries:price=0.5").shape.price == 0.5
    sys.modules.pop("my_few_queries")


@pytest.mark.usefixtures("registered")
def test_a_package_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("x", "no_such_module_of_objectives", registry.ENTRY_POINTS)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])
    with pytest.raises(BerrypickError, match=r"no_such_module_of_objectives cannot be loaded .* repair or uninstall"):
        get_objective("unheard_of")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(("name", "message"), [("grpo", "is taken"), ("a:b", "cannot name"), ("", "cannot name")])
def test_a_name_that_is_taken_or_impossible_is_refused(name: str, message: str) -> None:
    with pytest.raises(BerrypickError, match=message):
        registry.register_objective(name, "mine")(lambda: get_objective("grpo"))


@pytest.mark.usefixtures("registered")
def test_a_file_before_the_name_is_loaded_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CODE[0], encoding="utf-8")
    objective = get_objective(f"{path}:few_queries:price=0.25")
    assert (objective.shape.price, objective.name) == (0.25, f"{path}:few_queries:price=0.25")
    path.unlink()
    assert get_objective(f"{path}:few_queries").shape.price == 0.05


def test_a_file_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(BerrypickError, match=r"there is no file none\.py; write FILE\.py:NAME"):
        get_objective("none.py:x")
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    with pytest.raises(BerrypickError, match=r"broken.py cannot be loaded \(division by zero\); correct that file"):
        get_objective(f"{broken}:x")
    broken.write_text("")
    with pytest.raises(BerrypickError, match="unknown objective 'x'"):
        get_objective(f"{broken}:x")


@pytest.mark.usefixtures("registered")
def test_installed_packages_are_loaded_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_installed_queries.py").write_text(CODE[0], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("few_queries", "my_installed_queries", registry.ENTRY_POINTS)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])
    registry.load_objectives()
    assert "few_queries" in registry.OBJECTIVES
    sys.modules.pop("my_installed_queries")
