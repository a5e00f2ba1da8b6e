"""Measures of rollouts: accuracy, breadth, entropy, planning, and their intervals. Pure functions."""
