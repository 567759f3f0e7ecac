"""A large call in TensorFlow is one loop over memory: told by counting kernels, not by a clock."""

from __future__ import annotations

import logging
import math
import sys
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
from tensorflow.python.framework import op_callbacks

from actgrad import activation
from actgrad.errors import UnfusedWarning
from actgrad.frameworks import patience
from actgrad.frameworks.tensorflow import binding
from actgrad.frameworks.tensorflow.rule import ProgramKernel
from tests.frameworks.conftest import CASES

LARGE = binding.LARGE
SPIKY = CASES["spiky"].activation
X = np.random.default_rng(0).normal(size=LARGE).astype(np.float32)
X[:6] = [0.0, -0.0, np.inf, -np.inf, np.nan, 0.5]


def fresh(name: str) -> Any:
    """An activation that nothing has compiled yet."""
    return activation(lambda x: math.tanh(x) * math.exp(-x * x), name=name)


def gradient(f: Any, x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The shapes that were compiled for an eager call."""
    shapes: list[Any] = []
    first_call = ProgramKernel.compile

    def counted(self: Any, tensors: Any, dtype: Any) -> Any:
        shapes.append([tensor.shape for tensor in tensors])
        return first_call(self, tensors, dtype)

    monkeypatch.setattr(ProgramKernel, "compile", counted)
    return shapes


@pytest.fixture
def executed() -> Any:
    """What ran in eager mode, by name."""
    names: list[str] = []

    def note(
        op_type: Any, inputs: Any, attrs: Any, outputs: Any, op_name: Any, graph: Any = None
    ) -> None:
        if tf.executing_eagerly():
            names.append(op_type if isinstance(op_type, str) else op_type.decode())

    op_callbacks.add_op_callback(note)
    yield names
    op_callbacks.remove_op_callback(note)


def test_operations_are_called_from_one_line() -> None:
    """TensorFlow keeps each line of code that has called one, as long as the process lives."""
    places = []

    def note(*_: Any, **__: Any) -> None:
        frame = sys._getframe()
        while frame.f_back is not None:
            frame = frame.f_back
            if frame.f_code.co_filename.startswith("<actgrad tensorflow one_line"):
                places.append((frame.f_code.co_name, frame.f_lineno))

    f = activation(
        lambda x: (math.tanh(x) * 1.5) % 0.7 + (x * x if x > 0.2 else 0), name="one_line"
    )
    x = tf.constant(X[:9])
    op_callbacks.add_op_callback(note)
    try:
        f(x), gradient(f, x)
    finally:
        op_callbacks.remove_op_callback(note)
    assert len(places) > 10
    assert len(set(places)) == 2  # a line for the value, and one for the gradient


# Eager.


def test_value_and_gradient_are_one_function_each(executed: list[str]) -> None:
    x = tf.constant(X)
    SPIKY(x), gradient(SPIKY, x)
    executed.clear()
    SPIKY(x)
    assert len(executed) == 1
    assert executed[0].startswith("__inference")
    executed.clear()
    gradient(SPIKY, x)
    assert Counter(name.startswith("__inference") for name in executed)[True] == 2
    assert len(executed) <= 5  # and what the tape does itself


def test_a_small_call_never_waits_for_a_compiler(compilations: list[Any]) -> None:
    f = fresh("small")
    gradient(f, tf.constant(X[: LARGE - 1]))
    assert compilations == []


def test_one_compilation_for_each_shape_and_a_bounded_number(
    compilations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "SHAPES", 2)
    f = fresh("shapes")
    for length in (0, 1, 0, 2, 3, 1):
        x = np.concatenate([X, X])[: LARGE + length]
        np.testing.assert_allclose(
            f(tf.constant(x)).numpy(), f.program.evaluate(x), rtol=1e-5, atol=1e-6
        )
    assert len(compilations) == 2


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.bfloat16, tf.float16], ids=repr)
def test_the_numbers_are_those_of_a_small_call(dtype: Any) -> None:
    x = tf.cast(tf.constant(X), dtype)
    pieces = tf.split(x, 2)
    for f in (SPIKY, CASES["heaviside"].activation):
        for of in (f, lambda x, f=f: gradient(f, x)):
            whole, parts = of(x), tf.concat([of(piece) for piece in pieces], 0)
            assert whole.dtype == dtype
            np.testing.assert_allclose(
                whole.numpy().astype(np.float64), parts.numpy().astype(np.float64), rtol=1e-6
            )


def test_parameters_and_several_inputs() -> None:
    f = activation(lambda x, y, a=2.0, b=1.0: x * y**2 * a + b, name="parameters_fused")
    x, y, a = tf.constant(X[6:].reshape(-1, 2)), tf.constant([[3.0, 4.0]]), tf.constant([5.0, 6.0])
    x = tf.concat([x] * 3, 0)
    with tf.GradientTape() as tape:
        tape.watch([x, y, a])
        value = f(x, y, a=a)
    found = tape.gradient(value, [x, y, a])
    np.testing.assert_allclose(value, x * y**2 * a + 1, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[0], tf.broadcast_to(y**2 * a, x.shape), rtol=1e-6)
    np.testing.assert_allclose(found[1], tf.reduce_sum(2 * x * y * a, 0, keepdims=True), rtol=1e-3)
    np.testing.assert_allclose(found[2], tf.reduce_sum(x * y**2, 0), rtol=1e-3)


def test_every_order_and_forward_mode_follow_the_derivative_in_force() -> None:
    seven = CASES["seven"].activation
    x = tf.constant(X[6:].repeat(2))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = seven(x) * x
        first = inner.gradient(y, x)
    np.testing.assert_allclose(first, 7 * x + x * x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outer.gradient(first, x), 14 + 0 * x, rtol=1e-5)
    with tf.autodiff.ForwardAccumulator(x, 2 * tf.ones_like(x)) as accumulator:
        y = seven(x)
    np.testing.assert_array_equal(accumulator.jvp(y), 14 + 0 * x)


def test_without_xla_it_runs_unfused_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Any, tensors: Any, dtype: Any) -> Any:
        raise tf.errors.UnimplementedError(None, None, "no compiler in this test\nsecond line")

    monkeypatch.setattr(ProgramKernel, "compile", fails)
    monkeypatch.setattr(binding.Kernel, "fuses", True)
    f = fresh("without_xla")
    with pytest.warns(UnfusedWarning, match="no compiler in this test$"):
        y = f(tf.constant(X))
    np.testing.assert_allclose(y, f.program.evaluate(X), rtol=1e-5, atol=1e-6)
    f(tf.constant(X))


def test_tensors_that_do_not_fit_together_are_no_failure_of_the_compiler() -> None:
    f = activation(lambda x, y: x * y, name="two_fused")
    with pytest.raises(tf.errors.InvalidArgumentError, match="Incompatible shapes"):
        f(tf.zeros([LARGE]), tf.zeros([LARGE + 1]))
    assert binding.Kernel.fuses


def test_threads_may_call_one_activation_first() -> None:
    f = fresh("threads")
    x = tf.constant(X)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: gradient(f, x), range(4)))
    for each in found:
        np.testing.assert_allclose(each, f.derivative.program.evaluate(X), rtol=1e-4, atol=1e-6)


def test_a_long_compilation_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(patience, "SECONDS", 0.0)
    monkeypatch.setattr(patience, "_said", set())
    with caplog.at_level(logging.WARNING, "actgrad"):
        fresh("long")(tf.constant(X))
    assert [record.getMessage() for record in caplog.records] == [
        "actgrad: XLA compiles 'long' for the CPU, once in each process"
    ]


# In graphs.


@tf.function(autograph=False)
def step(x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = SPIKY(x)
    return y, tape.gradient(y, x)


def marks(function: Any, shape: Any) -> int:
    graph = function.get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph
    return sum("_XlaCompile" in operation.node_def.attr for operation in graph.get_operations())


def test_a_graph_runs_one_loop_for_the_value_and_one_for_the_gradient() -> None:
    v1 = tf.compat.v1
    traced = v1.RunMetadata()
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [LARGE])
        outputs = step(x)
        value, slope = session.run(
            outputs,
            {x: X},
            options=v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE),
            run_metadata=traced,
        )
    labels = [n.timeline_label for d in traced.step_stats.dev_stats for n in d.node_stats]
    kinds = Counter(label.partition(" = ")[2].partition("(")[0] for label in labels)
    assert kinds["_XlaRun"] == 2
    assert not kinds.keys() & {"Floor", "Sub", "LessEqual", "SelectV2", "Mul"}
    finite = np.isfinite(X)
    assert value[finite].tolist() == SPIKY.program.evaluate(X).astype(np.float32)[finite].tolist()
    assert slope[finite].tolist() == SPIKY.derivative.program.evaluate(X)[finite].tolist()


@pytest.mark.parametrize("shape", [[LARGE - 1], [None], None, [None, LARGE - 1]], ids=str)
def test_small_and_unknown_shapes_are_not_marked(shape: Any) -> None:
    assert marks(step, [LARGE]) > 0
    assert marks(step, shape) == 0


@pytest.mark.parametrize("kind", ["while", "cond", "map", "vectorized"])
def test_control_flow(kind: str) -> None:
    x = tf.constant(X[6:].repeat(2)[: 2 * LARGE - 16].reshape(2, -1))
    seven = CASES["seven"].activation

    def value(x: Any) -> Any:
        if kind == "while":
            return tf.while_loop(
                lambda i, x: i < 1, lambda i, x: (i + 1, seven(x)), (tf.constant(0), x)
            )[1]
        if kind == "cond":
            return tf.cond(tf.reduce_sum(x) < 1e9, lambda: seven(x), lambda: x)
        return (tf.map_fn if kind == "map" else tf.vectorized_map)(seven, x)

    found = tf.function(lambda x: (value(x), gradient(value, x)), autograph=False)(x)
    np.testing.assert_allclose(found[0], x * x, rtol=1e-6)
    np.testing.assert_array_equal(found[1], 7 + 0 * x)


@pytest.mark.filterwarnings("ignore:.*experimental_custom_gradients.*")
def test_a_saved_model_keeps_value_and_derivative(tmp_path: Any) -> None:
    module = tf.Module()
    module.step = tf.function(
        CASES["seven"].activation, input_signature=[tf.TensorSpec([LARGE], tf.float32)]
    )
    tf.saved_model.save(
        module, tmp_path, options=tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    )
    again = tf.saved_model.load(tmp_path)
    x = tf.constant(X[6:].repeat(2)[:LARGE])
    np.testing.assert_allclose(again.step(x), x * x, rtol=1e-6)
    np.testing.assert_array_equal(gradient(again.step, x), 7 + 0 * x)


def test_tflite_gets_plain_operations() -> None:
    function = tf.function(SPIKY).get_concrete_function(tf.TensorSpec([LARGE], tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], SPIKY)
    content = converter.convert()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's: the interpreter will move to ai_edge_litert
        interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    x = X[6:].repeat(2)[:LARGE]
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(found, SPIKY.program.evaluate(x).astype(np.float32))
