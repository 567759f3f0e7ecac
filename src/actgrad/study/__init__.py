"""Is it right, and what is it like: check, breakpoints, plots, propagation, export targets."""
