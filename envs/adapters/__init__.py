"""The environments inside other trainers: one state machine, their interfaces. Each module needs its trainer alone."""
