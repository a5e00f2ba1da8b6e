"""The locks hold a digest for every pinned version, and nothing that the pins do not name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("core", "dev", "docs", "weights")
UNHASHED = {"torch"}
"""Where pip finds torch decides whether it is a build for CPUs or for CUDA, each with digests of its own."""

_DIGEST = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def entries(name: str) -> dict[str, tuple[str, str, int]]:
    """Package -> version, marker, number of digests."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            pin, *digests = line.split("--hash=")
            requirement, _, marker = pin.partition(";")
            package, _, version = requirement.strip().partition("==")
            key = canonical(package)
            assert key not in found, f"{name}.lock names {key} twice"
            assert len(_DIGEST.findall(line)) == len(digests)
            found[key] = version, marker.strip(), len(digests)
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    """Package -> version, of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(name): version for name, version in pairs}


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_of_a_lock_is_exact_and_has_digests(name: str) -> None:
    found = entries(name)
    assert found
    assert [key for key, (version, _, digests) in found.items() if not version or not digests] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_the_pinned_versions_and_pins_are_missing_only_of_other_systems(name: str) -> None:
    pinned = pins()
    for key, (version, marker, _) in entries(name).items():
        if key in pinned:
            assert version == pinned[key], f"{key} differs from constraints.txt; run make lock"
        else:
            assert re.search("platform|python|os_name|implementation", marker), f"constraints.txt does not pin {key}"


def test_every_pin_is_in_a_lock() -> None:
    locked = {key for name in LOCKS for key in entries(name)}
    assert sorted(set(pins()) - locked) == sorted(UNHASHED)


def test_what_users_of_the_demo_get_is_part_of_what_developers_get() -> None:
    core, dev = entries("core"), entries("dev")
    assert {key: core[key][0] for key in core} == {key: dev[key][0] for key in core}
