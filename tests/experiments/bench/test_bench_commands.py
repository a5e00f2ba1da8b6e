"""`berrypick bench`: what cannot be measured is refused in one line before a folder is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from berrypick.__main__ import main


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("quality", "--data", "nowhere"), "there is no nowhere/hotpotqa/corpus.jsonl.gz; give --data"),
        (("quality", "--data", ".", "--backends", "lucen"), "did you mean lucene"),
        (("envs", "--num-envs", "0"), "--num-envs must be at least 1, got 0"),
        (("envs", "--passages", "nan"), "--passages must be at least 6, got nan"),
        (("retrieval", "--sizes", "0"), "--sizes must be at least 1, got 0"),
        (("retrieval", "--seconds", "-1"), "--seconds must be at least 0, got -1"),
        (("train", "--env", "berrypick/Wordl-v0"), "did you mean berrypick/World-v0"),
    ],
)
def test_what_cannot_be_measured_is_one_line_and_leaves_nothing(
    words: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("berrypick: ") and err.count("\n") == 1 and says in err
    assert list(tmp_path.iterdir()) == []
