"""How turns are written and read."""
