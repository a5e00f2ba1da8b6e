"""Passages in, hits out: corpora, indexes on disk and the searchers that read them."""
