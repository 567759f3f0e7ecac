"""Python function to program: the function is run on symbols, once for each of its paths."""
