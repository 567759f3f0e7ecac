"""Derivatives as plain data flow, where TensorFlow would lose a rule."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import combinations_with_replacement

import tensorflow as tf

from actgrad.frameworks.tensorflow.binding import HALVES
from actgrad.language.program import Program

Evaluate = Callable[[Program, Sequence[tf.Tensor]], tf.Tensor]


def data_flow(
    program: Program,
    tensors: Sequence[tf.Tensor],
    learnt: Sequence[bool],
    orders: int,
    evaluate: Evaluate,
) -> tf.Tensor:
    """The program's value, and its derivatives up to an order, as operations that need no rule.

    With z = x - stop(x), which is zero with derivative one: stop(f) + stop(d) z + stop(d') z² / 2 + ...
    Slower, because every derivative is computed along with the value. Beyond the last order the
    derivative is inf or nan, not a zero that looks right.
    """
    tensors = [tf.cast(t, tf.float32) if t.dtype in HALVES else t for t in tensors]
    stopped = [tf.stop_gradient(tensor) for tensor in tensors]
    # (inf - inf is nan; nested forward accumulators in a graph fail in tf.where, TensorFlow 2.21)
    moves = {
        name: tf.math.multiply_no_nan(x - s, tf.cast(tf.math.is_finite(s), s.dtype))
        for name, x, s, by in zip(program.arguments, tensors, stopped, learnt, strict=True)
        if by
    }
    working = stopped[0].dtype
    total = tf.stop_gradient(evaluate(program, stopped))
    goes_on = False
    for order in range(1, orders + 1):
        for names in combinations_with_replacement(moves, order):
            derived = reduce(Program.partial, names, program)
            goes_on |= order == orders and derived.value.op != "const"
            slope = tf.stop_gradient(evaluate(derived, stopped))
            slope = tf.where(tf.math.is_nan(slope), tf.zeros_like(slope), slope)
            slope = tf.clip_by_value(slope, working.min, working.max)  # inf times zero is nan
            for name in names:
                slope *= moves[name]
            total += slope / math.prod(math.factorial(n) for n in Counter(names).values())
    if goes_on:  # zero, with its derivatives up to the last order; the next one is infinite
        total += tf.pow(sum(moves.values()), orders + 0.5)
    return total
