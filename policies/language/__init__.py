"""Language-model policies."""
