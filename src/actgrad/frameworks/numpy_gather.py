"""How NumPy reads a table. `f.source("numpy")` prints this code where there is one."""

import numpy as np


def lookup(table, index, nan):
    """The entries of a table, whose further dimensions broadcast with the index."""
    table, index = np.asarray(table, np.float64), np.asarray(index)
    size = table[0].size
    whole = np.where(np.isnan(index), 0, np.clip(index, 0, len(table) - 1)).astype(np.intp)
    found = table.ravel()[whole * size + np.arange(size).reshape(table.shape[1:])]
    return np.where(np.isnan(index), np.nan, found) if nan else found


def still(x):
    """In a dtype that counts exactly."""
    half = getattr(getattr(x, "dtype", None), "itemsize", 0) == 2
    return x.astype(np.float32) if half else x
