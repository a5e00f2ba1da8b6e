"""`berrypick adapter-check verl` beside the real verl."""

from __future__ import annotations

import pytest

pytest.importorskip("verl")
pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_every_row_passes() -> None:
    from berrypick.policies.adapter_checks import Settings, check_adapter
    from fixtures.tokenizers_made import byte_tokenizer

    arguments = {"num_train": 4, "num_validation": 0, "num_test": 1}
    rows = list(check_adapter("verl", Settings(byte_tokenizer(), "berrypick/World-v0", arguments)))
    assert [row for row in rows if row.passed is False] == []
    assert rows[0].found.startswith("verl ") and "not installed" not in rows[0].found
