"""Registries: register, find, and extensions from files and from installed packages."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
from berrypick.retrieval_index import plugins
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from berrypick.retrieval_index.plugins import Registry

FRUIT: Registry[int] = Registry("fruit", "berrypick.fruits", "my_fruits.py:plum")


@pytest.fixture(autouse=True)
def fruit(monkeypatch):
    monkeypatch.setattr(plugins, "entry_points", lambda group: [])
    monkeypatch.setitem(sys.modules, "fruit_registry", SimpleNamespace(FRUIT=FRUIT))
    FRUIT.clear()
    FRUIT.register("apple", 1, "shop")


def file_that_registers(path, name, value):
    path.write_text(f'from fruit_registry import FRUIT\nFRUIT.register("{name}", {value}, __name__)\n')
    return path


def test_a_name_is_found_and_an_unknown_one_names_the_nearest():
    assert FRUIT.find("apple") == 1 and dict(FRUIT) == {"apple": 1}
    with pytest.raises(UnknownNameError, match=r"^unknown fruit 'aple'; did you mean apple\?$"):
        FRUIT.find("aple")


def test_a_name_belongs_to_the_module_that_registered_it():
    FRUIT.register("apple", 2, "shop")
    assert FRUIT.find("apple") == 2
    with pytest.raises(BerrypickError, match=r"^fruit 'apple' is taken; choose another name$"):
        FRUIT.register("apple", 3, "another shop")
    assert FRUIT.find("apple") == 2


def test_files_before_a_spec_run_once_and_in_order(tmp_path):
    first = file_that_registers(tmp_path / "one file.py", "plum", 5)
    second = file_that_registers(tmp_path / "two.py", "pear", 6)
    assert FRUIT.load_files("plum + pear") == "plum + pear" and "plum" not in FRUIT
    assert FRUIT.load_files(f"{first}:{second}:plum + pear") == "plum + pear"
    assert (FRUIT.find("plum"), FRUIT.find("pear")) == (5, 6)
    first.unlink()
    assert FRUIT.load_files(f"{first}:plum") == "plum", "a file is run once in a process"


def test_a_file_that_is_absent_or_broken_is_named_and_runs_again_once_it_is_corrected(tmp_path):
    with pytest.raises(BerrypickError, match=r"^there is no file none\.py; write FILE\.py:NAME, for example my_fruits"):
        FRUIT.load_files("none.py:plum")
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    with pytest.raises(BerrypickError, match=r"broken\.py cannot be loaded \(division by zero\); correct that file$"):
        FRUIT.load_files(f"{broken}:plum")
    file_that_registers(broken, "cherry", 7)
    assert FRUIT.load_files(f"{broken}:cherry") == "cherry" and FRUIT.find("cherry") == 7


def test_installed_packages_are_loaded_when_a_name_is_not_found(tmp_path, monkeypatch):
    file_that_registers(tmp_path / "fruit_package.py", "fig", 8)
    monkeypatch.syspath_prepend(tmp_path)
    asked = []

    def announced(group):
        asked.append(group)
        return [EntryPoint("any", "fruit_package", group)]

    monkeypatch.setattr(plugins, "entry_points", announced)
    assert FRUIT.find("apple") == 1 and asked == []
    assert FRUIT.find("fig") == 8 and asked == ["berrypick.fruits"]


def test_a_package_that_cannot_be_loaded_is_named(monkeypatch):
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("any", "no_such_fruit_package", group)])
    with pytest.raises(BerrypickError, match=r"fruit package no_such_fruit_package cannot be loaded .*; repair or"):
        FRUIT.find("kiwi")
