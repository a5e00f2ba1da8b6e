"""Fixtures: a small World, a tiny tokenizer, and language models that write random turns."""

from __future__ import annotations

from fixtures.babbler import make_babbler, make_babbler_of, stand_in_vllm, tokenizer, world
from fixtures.endpoint import serve

__all__ = ["make_babbler", "make_babbler_of", "serve", "stand_in_vllm", "tokenizer", "world"]
