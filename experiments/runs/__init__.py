"""Training runs, evaluations and their folders."""
