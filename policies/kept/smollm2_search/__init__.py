"""The adapter of the policy `smollm2-search`; README.md is its model card."""

__all__: list[str] = []
