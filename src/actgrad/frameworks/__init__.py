"""How a program becomes a native function: one rule for each framework."""
