"""Activations and surrogates of the literature, as plain Python functions."""
