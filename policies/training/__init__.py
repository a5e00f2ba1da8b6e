"""Training procedures: SFT, RL, preference tuning, critique, multi-agent."""
