"""Experiments, run folders and reports."""
