"""Files from strangers name no code, no server and no index that would then be run, asked or opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord
from berrypick.experiments.measures.score_again import episode_to_score
from berrypick.policies.policy_rules import rules_of_policy
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError

GOLDEN = Path(__file__).parent / "envs" / "golden" / "rollouts_v1.jsonl"


@pytest.fixture
def evil(tmp_path: Path) -> tuple[Path, Path]:
    """A file of code, and the file that it leaves if it is run."""
    code, trace = tmp_path / "evil.py", tmp_path / "PWNED"
    code.write_text(f"open({str(trace)!r}, 'w').close()\n")
    return code, trace


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("index", "http://127.0.0.1:9"),  # would get the user's token
        ("index", "EVIL:bm25s"),
        ("corpus", "/etc/passwd"),
        ("reward", "EVIL:em"),
        ("turn_format", "EVIL:tags"),
        ("max_new_tokens", "many"),
        ("max_new_tokens", [1]),
        ("max_new_tokens", True),
        ("max_new_tokens", 0),
    ],
)
def test_rules_of_an_adapter(
    tmp_path: Path, evil: tuple[Path, Path], capsys: pytest.CaptureFixture[str], rule: str, value: Any
) -> None:
    code, trace = evil
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    value = value.replace("EVIL", str(code)) if isinstance(value, str) else value
    (folder / "rules.json").write_text(json.dumps({"top_k": 2, rule: value}))
    with pytest.raises(BerrypickError, match=rule):
        rules_of_policy(str(folder))
    words = ("eval", "--env", "berrypick/World-v0", "--policy", str(folder), "--out", str(tmp_path / "out"))
    assert main(words) == 2
    assert "rules.json" in capsys.readouterr().err and not trace.exists()


def played_by(turn_format: str) -> dict[str, Any]:
    """A record whose rules name a turn format."""
    record: dict[str, Any] = json.loads(GOLDEN.read_text().splitlines()[0])
    return {**record, "spec": {"turn_format": turn_format, "num_answers": 2}}


def test_turn_format_of_a_record(tmp_path: Path, evil: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    code, trace = evil
    rollouts = tmp_path / "rollouts.jsonl"
    rollouts.write_text(json.dumps(played_by(f"{code}:brackets")) + "\n")
    assert main(["rescore", str(rollouts), "--reward", "f1", "--out", str(tmp_path / "new.jsonl")]) == 2
    assert "unknown turn format 'brackets'" in capsys.readouterr().err
    with pytest.raises(UnknownNameError, match="brackets"):
        episode_to_score(EpisodeRecord.model_validate(played_by(f"{code}:brackets")))
    assert not trace.exists()
    known = EpisodeRecord.model_validate(played_by(f"{code}:tags"))  # a format that has been registered before
    assert episode_to_score(known).spec.turn_format == "tags" and not trace.exists()
