"""PyTorch: native operations with the derivative in force, in every mode: see `binding`."""
