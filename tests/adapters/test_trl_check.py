"""`berrypick adapter-check trl` beside the real TRL, with the template that its trainer gives Qwen3."""

from __future__ import annotations

import pytest

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_every_row_passes_with_trls_training_template() -> None:
    from berrypick.policies.adapter_checks import Settings, check_adapter
    from fixtures.tokenizers_made import byte_tokenizer
    from trl.chat_template_utils import get_training_chat_template, qwen3_chat_template

    plain = byte_tokenizer(qwen3_chat_template)
    tokenizer = byte_tokenizer(get_training_chat_template(plain) or qwen3_chat_template)
    arguments = {"num_train": 4, "num_validation": 0, "num_test": 1}
    found = {row.name: row for row in check_adapter("trl", Settings(tokenizer, "berrypick/World-v0", arguments))}
    assert [row for row in found.values() if row.passed is False] == []
    assert found["trainer"].found.startswith("trl ") and "not installed" not in found["trainer"].found
