"""The planted world and its exact frontier."""
