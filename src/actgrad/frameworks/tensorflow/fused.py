"""TensorFlow on the CPU at the speed of memory: XLA makes one loop of a large call.

In eager mode it is called as a function that XLA compiles. In a graph the operations stay what they are,
with a mark: the runtime compiles what is marked, counts compilations itself, and where there is no XLA
(TFLite, a server without it) the mark means nothing.

A small call never waits for a compiler and runs unfused for good. What is not a plain tensor on the one
CPU of this process (other devices, strategies, unknown shapes) runs unfused too.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from actgrad.errors import UnfusedWarning
from actgrad.frameworks.patience import saying

LARGE = 1 << 15
"""From this many elements on a loop pays."""

SHAPES = 16
"""XLA compiles anew for each shape. After so many, others run unfused."""

_HOST = "/job:localhost/replica:0/task:0/device:CPU:0"

_off = False


class Loop:
    """A function of large tensors, compiled for eager calls: one for each program and dtype."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._function = function
        self._compiled: dict[tuple[Any, ...], bytes] = {}
        self._alive: list[Any] = []
        self.shapes: set[tuple[Any, ...]] = set()

    def __call__(self, tensors: Sequence[Any]) -> Any:
        """The value, or None where it has to run unfused. Called where nothing is recorded."""
        from tensorflow.python.eager import context

        if _off:
            return None
        eager = context.context()
        if eager.device_name not in (None, "", _HOST) or not _only_cpu():
            return None
        if any(t.device != _HOST for t in tensors) or _has_strategy():
            return None
        shape = tuple((t.dtype, *t.shape) for t in tensors)
        if shape in self.shapes:
            return self._call(eager, tensors)
        if len(self.shapes) >= SHAPES:
            return None
        return self._first_call(eager, tensors, shape)

    def _call(self, eager: Any, tensors: Sequence[Any]) -> Any:
        return eager.call_function(self._of(tensors), list(tensors), 1)[0]

    def _of(self, tensors: Sequence[Any]) -> bytes:
        import tensorflow as tf

        dtypes = tuple(t.dtype for t in tensors)
        if dtypes not in self._compiled:
            function = tf.function(self._function, autograph=False, jit_compile=True)
            concrete = function.get_concrete_function(*(tf.TensorSpec(None, d) for d in dtypes))
            self._alive.append(concrete)
            # tf.function's own call takes 50 microseconds, this one 10.
            self._compiled[dtypes] = concrete.inference_fn.name
        return self._compiled[dtypes]

    def _first_call(self, eager: Any, tensors: Sequence[Any], shape: tuple[Any, ...]) -> Any:
        global _off
        import tensorflow as tf

        try:
            with saying("XLA", self._name, on_disk=False):
                result = self._call(eager, tensors)
        except tf.errors.OpError as error:
            result = self._function(*tensors)  # raises where the tensors do not fit together
            _off = True
            warnings.warn(
                f"XLA could not compile {self._name!r}, so activations run unfused in TensorFlow: right, and "
                f"several times slower\n  {str(error).partition(chr(10))[0]}",
                UnfusedWarning,
                stacklevel=2,
            )
        else:
            self.shapes.add(shape)
        return result


@contextlib.contextmanager
def marked(tensors: Sequence[Any]) -> Iterator[bool]:
    """Within this, the operations of a graph are one loop for XLA; whether they are."""
    import tensorflow as tf

    if inside_xla():
        yield True
    elif _worth_marking(tensors):
        with tf.xla.experimental.jit_scope():
            yield True
    else:
        yield False


def inside_xla() -> bool:
    """Whether the graph that is being built is compiled as a whole."""
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util

    return bool(control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def _worth_marking(tensors: Sequence[Any]) -> bool:
    import tensorflow as tf

    graph = tf.compat.v1.get_default_graph()
    sizes = [tensor.shape.num_elements() for tensor in tensors]
    return (
        not _off
        and graph.building_function
        and None not in sizes
        and max(sizes) >= LARGE
        and _only_cpu()
        and not _has_strategy()
    )


def _has_strategy() -> bool:
    import tensorflow as tf

    return bool(tf.distribute.has_strategy())


@cache
def _only_cpu() -> bool:
    import tensorflow as tf

    return {device.device_type for device in tf.config.get_visible_devices()} == {"CPU"}
