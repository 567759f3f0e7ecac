"""`actgrad compare`: activations trained side by side, and what the differences are worth."""
