"""The main job on the embedded world, end to end."""
