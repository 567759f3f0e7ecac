"""The second witness: a function's own run on real arrays, against its reading."""
