"""Episodes: questions, worlds, the state machine and the Gymnasium environments around it."""
