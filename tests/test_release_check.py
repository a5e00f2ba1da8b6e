"""The release check finds what is missing and what must not ship; this checkout passes it."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from release_check import SDIST_HOLDS, Line, checks, main, sdist_names, sdist_problems, wheel_names, wheel_problems

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_this_checkout_builds_and_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out
    lines = capsys.readouterr().out.splitlines()
    assert all(line[:4] in ("ok  ", "note") for line in lines)
    assert any(line.startswith("ok    wheel: ") for line in lines) and "ok    sdist: whole" in lines


SETUPTOOLS = {"packages": ["berrypick", "berrypick.envs"], "package-data": {"berrypick": ["py.typed"]}}
FACTS = ["METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"]
WHEEL = ["berrypick/__init__.py", "berrypick/py.typed", "berrypick/envs/__init__.py", "berrypick/envs/a.py"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("__init__.py", "envs/__init__.py", "envs/a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 1.2.0\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 (not released yet)\n\n- all of it\n\n## 1.1.0\n")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nversion = "1.2.0"\n[tool.setuptools]\npackages = ["berrypick", "berrypick.envs"]\n'
        '[tool.setuptools.package-data]\nberrypick = ["py.typed"]\n'
    )
    return tmp_path


def wheel(folder: Path, names: list[str], metadata: str) -> Path:
    file = folder / "berrypick-1.2.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name in [*names, *(f"berrypick-1.2.0.dist-info/{fact}" for fact in FACTS)]:
            archive.writestr(name, metadata if name.endswith("METADATA") else "")
    return file


def sdist(folder: Path, names: list[str]) -> Path:
    file = folder / "berrypick-1.2.0.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(f"berrypick-1.2.0/{name}"), io.BytesIO())
    return file


GOOD = (
    "Metadata-Version: 2.4\nName: berrypick\nVersion: 1.2.0\nLicense-Expression: MIT\nRequires-Python: >=3.11\n"
    "Project-URL: Source, https://example.org/x\nDescription-Content-Type: text/markdown\n\n"
    "# a\n\n## b\n\n## c\n\n## d\n"
)


def failed(lines: list[Line]) -> list[str]:
    return [line.text for line in lines if line.passed is False]


def test_a_good_release_has_no_failure_and_the_final_one_a_dated_heading(project: Path) -> None:
    archives = wheel(project, WHEEL, GOOD), sdist(project, list(SDIST_HOLDS))
    assert failed(list(checks(project, *archives))) == []
    assert failed(list(checks(project, *archives, final=True))) == ["changelog heading: 1.2.0 (not released yet)"]


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("Version: 1.2.0", "Version: 1.3.0", "version 1.2.0, but wheel says 1.3.0"),
        ("https://example.org/x", "example.org", "metadata: Source example.org"),
        ("text/markdown", "text/plain", "long description: text/plain, 4 headings, 0 blocks of code"),
        ("## d\n", "## d\n\n```python\n", "long description: text/markdown, 4 headings, 0 blocks of code"),
        ("License-Expression: MIT", "License-Expression: GPL", "metadata: License-Expression GPL"),
    ],
)
def test_wrong_metadata_is_named(before: str, after: str, text: str, project: Path) -> None:
    made = wheel(project, WHEEL, GOOD.replace(before, after, 1))
    assert failed(list(checks(project, made, sdist(project, list(SDIST_HOLDS))))) == [text]


def test_versions_that_differ_and_a_changelog_without_the_version_are_named(project: Path) -> None:
    (project / "CITATION.cff").write_text("version: 1.1.0\n")
    (project / "CHANGELOG.md").write_text("# Changelog\n\n## 1.1.0\n\n- old\n")
    lines = failed(list(checks(project, wheel(project, WHEEL, GOOD), sdist(project, list(SDIST_HOLDS)))))
    assert lines[0] == "version 1.2.0, but CITATION.cff says 1.1.0, CHANGELOG.md says 1.1.0"
    assert lines[1] == "changelog has an entry of 1.2.0"


def test_what_an_archive_lacks_and_what_must_not_ship_is_named(project: Path) -> None:
    made = wheel(project, [*WHEEL[:-1], "berrypick/tests/x.py", "berrypick/envs/a.pyc"], GOOD)
    assert wheel_problems(wheel_names(made), SETUPTOOLS, project) == [
        "berrypick/envs/a.py is missing",
        "berrypick/envs/a.pyc must not ship",
        "berrypick/tests/x.py must not ship",
    ]
    names = sdist_names(sdist(project, [*SDIST_HOLDS[1:], "runs/demo/x", "envs/__pycache__/a.pyc", "docs/building.md"]))
    assert sdist_problems(names) == [
        "LICENSE is missing",
        "envs/__pycache__/a.pyc must not ship",
        "runs/demo/x must not ship",
    ]


def test_the_command_of_make_is_this_file() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "release-check: .venv/.dev\n\t$(BIN)/python tests/release_check.py" in makefile
    assert sys.modules["release_check"].__doc__
