"""Helpers that know nothing of activations, and import nothing of actgrad but its errors."""
