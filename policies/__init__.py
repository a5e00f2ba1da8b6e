"""Text models that act: scripted policies, language models, SFT and RL."""
