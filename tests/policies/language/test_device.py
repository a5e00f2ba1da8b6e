"""Where weights go: the GPU if torch finds one, or where the user says; nowhere else silently."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from berrypick.__main__ import main
from berrypick.policies.language.model import find_device
from berrypick.retrieval_index.errors import BerrypickError


def test_auto_is_this_process_gpu_or_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert find_device("auto") == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert find_device("auto") == torch.device("cuda", 3)
    assert find_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(BerrypickError, match="finds no cuda:4 here"):
        find_device("cuda:4")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:x"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(BerrypickError, match="choose auto, cpu, cuda or cuda:N"):
        find_device(name)


def test_a_gpu_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    command = ["train", "--env", "berrypick/World-v0", "--device", "cuda", "--out", str(tmp_path / "x")]
    assert main(command) == 2
    assert "torch finds no cuda here; choose --device cpu" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
