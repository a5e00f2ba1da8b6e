"""Records to measures."""
