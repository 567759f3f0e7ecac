"""Models that are already built: swap their activations, or only the derivatives."""
