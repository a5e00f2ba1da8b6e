"""What an environment id stands for."""
