"""Fixtures: a small World, a tiny tokenizer, and language models that write random turns."""

from __future__ import annotations

from fixtures.babbler import make_babbler, tokenizer, world

__all__ = ["make_babbler", "tokenizer", "world"]
