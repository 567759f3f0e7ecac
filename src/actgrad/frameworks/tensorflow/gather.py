"""How TensorFlow reads a table. `f.source("tensorflow")` prints this code where there is one."""

import tensorflow as tf


def lookup(table, index, nan):
    """The entries of a table, whose further dimensions broadcast with the index."""
    table = tf.convert_to_tensor(table) if tf.is_tensor(table) else tf.constant(table, index.dtype)
    table = tf.cast(table, index.dtype)
    # A nan is no integer that all devices agree on.
    counted = tf.where(tf.math.is_nan(index), tf.zeros_like(index), index)
    last = tf.cast(tf.shape(table)[0] - 1, index.dtype)
    at = tf.cast(tf.clip_by_value(counted, tf.zeros_like(last), last), tf.int32)
    if table.shape.rank > 1:
        rest = tf.shape(table)[1:]
        at = at * tf.reduce_prod(rest) + tf.reshape(tf.range(tf.reduce_prod(rest)), rest)
    found = tf.gather(tf.reshape(table, [-1]), at)
    missing = tf.constant(float("nan"), index.dtype)
    return tf.where(tf.math.is_nan(index), missing, found) if nan else found


def still(x):
    """Without its derivative, in a dtype that counts exactly."""
    if not tf.is_tensor(x):
        return x
    stopped = tf.stop_gradient(x)
    return tf.cast(stopped, tf.float32) if stopped.dtype.size == 2 else stopped
