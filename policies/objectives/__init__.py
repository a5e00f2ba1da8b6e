"""Objectives: shape of the reward, estimate of the advantage, loss of the tokens. Pure functions."""
