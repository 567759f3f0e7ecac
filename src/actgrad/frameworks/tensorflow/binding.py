"""How TensorFlow is given a value and its gradients. `f.source("tensorflow")` ends with this text."""

import threading
import warnings

import tensorflow as tf

LARGE = 32768  # elements, from which on XLA makes one loop of a call
SHAPES = 16  # XLA compiles anew for each shape; after so many, others run unfused
HALVES = frozenset([tf.float16, tf.bfloat16])


class Kernel:
    """A function of tensors: its operations one by one where they are small, one loop where large."""

    fuses = True

    def __init__(self, function, spans=True):
        self.function = function
        self.spans = spans  # whether the function mentions every argument
        self.compiled = {}

    def __call__(self, tensors, dtype):
        """The value, in this dtype."""
        if not (self.fuses and Kernel.fuses and any(map(is_large, tensors))):
            return self.run(tensors, dtype)
        if tf.executing_eagerly():
            return self.run_eagerly(tensors, dtype)
        if not tf.compat.v1.get_default_graph().building_function:
            return self.run(tensors, dtype)
        # The operations stay what they are, so that TFLite and a server without XLA can run them.
        with tf.xla.experimental.jit_scope():
            return self.run(tensors, dtype)

    def run(self, tensors, dtype):
        """Half types compute in float32 inside."""
        wide = [tf.cast(t, tf.float32) if t.dtype in HALVES else t for t in tensors]
        result = self.whole(self.function(*wide), wide)
        return result if result.dtype is dtype else tf.cast(result, dtype)

    def whole(self, result, tensors):
        """The result in the shape of all tensors."""
        return result if self.spans else spread(result, tensors)

    def run_eagerly(self, tensors, dtype):
        key = (dtype, *((t.dtype, *t.shape) for t in tensors))
        fused = self.compiled.get(key)
        if fused is not None:
            return fused(*tensors)
        if len(self.compiled) >= SHAPES:
            return self.run(tensors, dtype)
        try:
            self.compiled[key], result = self.compile(tensors, dtype)
        except (tf.errors.OpError, ValueError) as error:
            result = self.run(tensors, dtype)  # raises if the tensors do not fit together
            Kernel.fuses = False
            self.warn(
                f"XLA failed, so all activations do from here on: {str(error).partition(chr(10))[0]}"
            )
        return result

    def compile(self, tensors, dtype):
        """A loop for tensors of these shapes and dtypes, and its first result."""
        function = tf.function(lambda *t: self.run(t, dtype), autograph=False, jit_compile=True)
        specs = [tf.TensorSpec(t.shape, t.dtype) for t in tensors]
        # Called without what a ConcreteFunction does for tapes, of which there is none: 90 for 120 µs.
        fused = function.get_concrete_function(*specs).inference_fn
        return fused, fused(*tensors)

    def warn(self, reason):
        message = f"runs unfused in TensorFlow: {reason}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)


class RowKernel(Kernel):
    """A function of rows, which lie along the last axis; what is one number for a row has there the size 1,
    or is a tensor without dimensions."""

    def __init__(self, function, fuses=True):
        super().__init__(function)
        self.fuses = fuses

    def whole(self, result, tensors):
        result = result if result.shape.rank else tf.reshape(result, [1])
        like = [t[..., :1] for t in tensors if t.shape.rank]
        batches = [result[..., :1], *like]
        if any(t.shape != like[0].shape or not t.shape.is_fully_defined() for t in batches):
            static = result.shape[-1:]
            result = spread(result, [result, *like])
            result.set_shape(result.shape[:-1].concatenate(static))
        return result


class Rule:
    """A differentiable function of tensors, inputs before parameters: its value and its gradients."""

    def __init__(self, value, gradients, size, long=False):
        self.long = long
        self.value = value
        self.gradients = gradients
        self.size = size
        self.own = threading.local()
        self.custom = tf.custom_gradient(self.forward)

    def __call__(self, *tensors):
        if not tf.executing_eagerly():
            # The gradient may be built in another graph, which can reach tensors of this one only.
            tensors = [tf.identity(t) for t in tensors]
            if have_tangents(tensors):
                return self.in_forward_mode(tensors)
        return self.differentiable(*tensors)

    def differentiable(self, *tensors):
        (result,) = self.custom(*tensors)
        self.own.results.clear()
        self.own.results.append(None)
        return result

    def in_forward_mode(self, tensors):
        """Forward accumulators follow tf.custom_gradient in a function, not beside them in a graph."""
        return tf.function(self.differentiable, autograph=False)(*tensors)

    def forward(self, *tensors):
        def backward(upstream):
            return self.backward(tensors, upstream)

        # A tape keeps this list as long as it keeps `backward`. Emptied, it does not keep the value.
        self.own.results = [self.value(self.hidden(tensors), self.dtype(tensors))]
        return self.own.results, backward

    def hidden(self, tensors):
        """The tensors without their history: tapes keep no intermediates, and forward accumulators
        follow the rule instead of the operations inside."""
        return [tf.stop_gradient(t) for t in tensors]

    def dtype(self, tensors):
        return tensors[0].dtype

    def backward(self, tensors, upstream):
        gradients = [self.gradient(i, tensors, upstream) for i in range(len(tensors))]
        return [None if g is None else sum_to(g, tensors, i) for i, g in enumerate(gradients)]

    def gradient(self, i, tensors, upstream):
        """The gradient by one tensor, before it is summed to that tensor's shape."""
        return self.gradients[i](self.arguments(tensors, upstream), tensors[i].dtype)

    def arguments(self, tensors, upstream):
        if self.long:
            tensors = list(map(apart, tensors))
        return (*tensors[: self.size], upstream, *tensors[self.size :])


class Views:
    """What `along_axis` asks of TensorFlow."""

    @staticmethod
    def moveaxis(x, source, target):
        order = list(range(x.shape.rank))
        order.insert(target, order.pop(source))
        return tf.transpose(x, order)

    @staticmethod
    def reshape(x, shape):
        missing = len(shape) - x.shape.rank
        return x[(None,) * missing] if missing > 0 else tf.reshape(x, shape)

    @staticmethod
    def broadcast_to(x, shape):
        return tf.broadcast_to(x, tf.concat([tf.shape(x)[:-1], [shape[-1]]], 0))


def apart(x):
    """The same numbers. XLA does not know that they are, and computes what is made of them apart: of a long
    value and its gradient in one it would write out what they share many times."""
    return tf.where(tf.equal(x, x), x, tf.constant(float("nan"), x.dtype))


def have_tangents(tensors):
    """Whether a forward accumulator within this graph watches one of them: it adds operations."""
    graph = tf.compat.v1.get_default_graph()
    before = graph.version
    for tensor in tensors:
        tf.identity(tensor)
    return graph.version - before > len(tensors)


def is_large(tensor):
    """False if the shape is unknown."""
    return (tensor.shape.num_elements() or 0) >= LARGE


def spread(result, tensors):
    """A value that does not mention every argument, in the shape of all of them."""
    shape = tf.shape(tensors[0])
    static = tensors[0].shape
    for tensor in tensors[1:]:
        shape = tf.broadcast_dynamic_shape(shape, tf.shape(tensor))
        static = tf.broadcast_static_shape(static, tensor.shape)
    result = tf.broadcast_to(result, shape)
    result.set_shape(static)
    return result


def sum_to(gradient, tensors, i):
    """Add up the gradient over the dimensions in which that tensor was broadcast."""
    tensor, others = tensors[i], (*tensors[:i], *tensors[i + 1 :])
    # Beside numbers it was not, though its shape may be unknown.
    if all(other.shape.rank == 0 for other in others):
        return gradient
    if gradient.shape.is_fully_defined() and gradient.shape == tensor.shape:
        return gradient
    shape = tf.shape(tensor)
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=shape, s1=tf.shape(gradient))
    summed = tf.reshape(tf.reduce_sum(gradient, axes), shape)
    summed.set_shape(tensor.shape)
    return summed


def as_tensors(arguments, size):
    """The inputs as tensors of one dtype, the parameters in the dtype that is computed in."""
    first = tf.convert_to_tensor(arguments[0])
    working = tf.float32 if first.dtype in HALVES else first.dtype
    inputs = [tf.convert_to_tensor(x, first.dtype) for x in arguments[:size]]
    return inputs + [cast(p, working) for p in arguments[size:]]


def cast(x, dtype):
    """In this dtype; a plain number at once, as TensorFlow would first round it to float32."""
    return tf.cast(x, dtype) if tf.is_tensor(x) else tf.constant(x, dtype)
