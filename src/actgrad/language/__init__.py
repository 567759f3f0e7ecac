"""What an activation is: the vocabulary, the expression graph, derivatives, files. Runs no user code."""
