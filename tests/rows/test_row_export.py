"""Functions of a row that leave the process: ONNX, TFLite, torch.export with its derivatives, traces."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actgrad import activation
from actgrad import rows as catalogue
from actgrad.errors import NoDerivativeError
from tests.rows.functions import FUNCTIONS, SIZE, by_row, gradients, rows
from tests.sample import exhaustive_but
from tests.saved.keras_onnx import shape_of

torch = pytest.importorskip("torch")

NAMES = exhaustive_but(["softmax", "sparsemax", "crelu", "masked_softmax", "norm"], list(FUNCTIONS))
TIED = np.array([[1.0, 3.0, 3.0, 0.0, 3.0, 1.0], [2.0, 2.0, 2.0, 2.0, 2.0, 2.0]])
STEP = dict(rtol=2e-5, atol=2e-7)


def module(function: Any) -> Any:
    class Module(torch.nn.Module):
        def forward(self, *tensors: Any) -> Any:
            return function(*tensors)

    return Module().eval()


def made(name: str) -> Any:
    return activation(FUNCTIONS[name], axis=-1)


SOFTMAX, HARDMAX, GLU = catalogue.softmax, catalogue.hardmax, catalogue.glu

# ONNX and TFLite.


def onnx_of(function: Any, *arrays: Any) -> tuple[Any, Any]:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    tensors = tuple(map(torch.tensor, arrays))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.onnx.export(module(function), tensors, dynamo=True, verbose=False)
    model = exported.model_proto
    session = runtime.InferenceSession(model.SerializeToString())
    names = [i.name for i in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))[0], model


@pytest.mark.parametrize("name", exhaustive_but(["sparsemax", "masked_softmax"], list(FUNCTIONS)))
def test_onnx_is_numpy_on_each_row(name: str) -> None:
    inputs = rows(name, 2, 3)
    found, model = onnx_of(made(name), *inputs)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, by_row(name, inputs), rtol=1e-12, atol=1e-14)
    assert {node.domain for node in model.graph.node} == {""}
    found, _ = onnx_of(made(name), *(x.astype(np.float32) for x in inputs))
    np.testing.assert_allclose(found, by_row(name, inputs), rtol=1e-5, atol=1e-6)


def test_onnx_sorts_equal_numbers_in_their_order() -> None:
    places = activation(
        lambda x: np.argsort(x) * 1.0, axis=-1, name="places", surrogate=lambda x: x
    )
    found, _ = onnx_of(places, TIED)
    np.testing.assert_array_equal(found, np.argsort(TIED, -1, kind="stable"))


def test_onnx_along_another_axis_and_in_half() -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float16)
    found, _ = onnx_of(lambda x: SOFTMAX(x, axis=1), x)
    assert found.dtype == np.float16
    wide = np.exp(x.astype(float))
    np.testing.assert_allclose(found, wide / wide.sum(1, keepdims=True), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("axis", [1, -2])
def test_the_older_exporter_along_another_axis(axis: int) -> None:
    """The one that Keras uses on PyTorch."""
    runtime = pytest.importorskip("onnxruntime")
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    model = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        along = module(lambda x: SOFTMAX(x, axis=axis))
        torch.onnx.export(along, (torch.tensor(x),), model, input_names=["x"], dynamo=False)
    (found,) = runtime.InferenceSession(model.getvalue()).run(None, {"x": x})
    wide = np.exp(x.astype(float))
    np.testing.assert_allclose(found, wide / wide.sum(1, keepdims=True), rtol=1e-5)


LAYERS = """
warnings.simplefilter("ignore")
from actgrad import rows, trainable
layers = [
    keras.layers.Dense(8, activation=rows.sparsemax),
    rows.rms_norm.layer(gain=trainable(1.5, per_channel=True)),
    keras.layers.Dense(6, activation=rows.glu),
]
"""


@pytest.mark.exhaustive
def test_onnx_of_a_keras_model_on_torch(tmp_path: Path) -> None:
    assert shape_of(LAYERS, tmp_path) == "(5, 3)"


def tflite_of(function: Any, *arrays: Any) -> Any:
    tf = pytest.importorskip("tensorflow")
    specs = [tf.TensorSpec(x.shape, tf.float32, f"x{i}") for i, x in enumerate(arrays)]
    traced = tf.function(lambda *x: function(*x), input_signature=specs)
    concrete = [traced.get_concrete_function()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = tf.lite.TFLiteConverter.from_concrete_functions(concrete, traced).convert()
        interpreter = tf.lite.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    details = sorted(interpreter.get_input_details(), key=lambda detail: detail["name"])
    for detail, x in zip(details, arrays, strict=True):
        interpreter.set_tensor(detail["index"], x.astype(np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("name", NAMES)
def test_tflite_is_numpy_on_each_row(name: str) -> None:
    inputs = rows(name, 2, 3)
    found = tflite_of(made(name), *inputs)
    np.testing.assert_allclose(found, by_row(name, inputs), rtol=1e-5, atol=1e-6)


def test_tflite_sorts_equal_numbers_in_their_order() -> None:
    places = activation(
        lambda x: np.argsort(x) * 1.0, axis=-1, name="places", surrogate=lambda x: x
    )
    np.testing.assert_array_equal(tflite_of(places, TIED), np.argsort(TIED, -1, kind="stable"))


# Graphs of PyTorch with their derivatives.


def recorded(kind: str, function: Any, *tensors: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        if kind == "export":
            return torch.export.export(module(function), tensors).module()
        if kind == "trace":
            return torch.jit.trace(module(function), tensors)
        return torch.fx.symbolic_trace(function)


@pytest.mark.parametrize("kind", ["export", "trace"])
@pytest.mark.parametrize("name", NAMES)
def test_a_graph_has_value_and_two_derivatives(name: str, kind: str) -> None:
    f, inputs = made(name), rows(name, 3)
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    graph = recorded(kind, lambda *x: f(*x), *tensors)
    expected = by_row(name, inputs)
    upstream = np.random.default_rng(1).normal(size=expected.shape)
    firsts = []
    for each in (graph, f):
        result = each(*tensors)
        np.testing.assert_allclose(result.detach(), expected, rtol=1e-11, atol=1e-13)
        total = (result * torch.tensor(upstream)).sum()
        firsts.append(
            torch.autograd.grad(total, tensors, create_graph=True, materialize_grads=True)
        )
    for own, slope in zip(firsts[0], gradients(name, inputs, upstream), strict=True):
        np.testing.assert_allclose(own.detach(), slope, **STEP)
    seconds = []
    for first in firsts:  # the second order of eager mode is held by gradgradcheck elsewhere
        total = sum((g * torch.cos(x.detach())).sum() for g, x in zip(first, tensors, strict=True))
        seconds.append(
            torch.autograd.grad(total, tensors, materialize_grads=True, allow_unused=True)
            if total.requires_grad
            else [torch.zeros_like(x) for x in tensors]
        )
    for own, other in zip(*seconds, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ["export", "trace"])
def test_the_derivative_in_force_and_a_branch_not_taken(kind: str) -> None:
    x = torch.tensor([[0.0, -1.0, 4.0, 0.0]], dtype=torch.float64, requires_grad=True)
    above = torch.tensor([[1.0, -2.0, 3.0, 0.5]], dtype=torch.float64)
    hard = recorded(kind, lambda x: HARDMAX(x), x)
    (found,) = torch.autograd.grad(hard(x), x, above)
    (soft,) = torch.autograd.grad(torch.softmax(x, -1), x, above)
    torch.testing.assert_close(found, soft)

    def roots(x: Any) -> Any:
        return np.sum(np.sqrt(np.where(x > 0, x, 0.0))) * x

    f = activation(roots, axis=-1)
    graph = recorded(kind, lambda x: f(x), x)
    own = [torch.autograd.grad(each(x), x, above)[0] for each in (graph, f)]
    # sum(roots) is 2; d/dx_j = 2 g_j + (sum g x) / (2 sqrt(x_j)) where x_j > 0
    expected = 2 * above + torch.tensor([[0, 0, (above * x).sum().item() / 4, 0]])
    torch.testing.assert_close(own[0], expected)
    torch.testing.assert_close(own[1], expected)


def test_a_third_derivative_of_a_graph_is_not_a_number_that_looks_right() -> None:
    x = torch.tensor([[0.3, -1.0, 0.7]], dtype=torch.float64, requires_grad=True)
    graph = recorded("export", lambda x: SOFTMAX(x), x)
    first = torch.autograd.grad(graph(x)[0, 0], x, create_graph=True)[0]
    second = torch.autograd.grad(first[0, 0], x, create_graph=True)[0]
    third = torch.autograd.grad(second[0, 0], x)[0]
    assert not torch.isfinite(third).any()


def test_a_graph_of_any_batch_and_length() -> None:
    x = torch.tensor(rows("softmax", 3)[0], requires_grad=True)
    b, n = torch.export.Dim("b"), torch.export.Dim("n")
    exported = torch.export.export(
        module(lambda x: SOFTMAX(x)), (x,), dynamic_shapes=(({0: b, 1: n},),)
    ).module()
    traced = recorded("trace", lambda x: SOFTMAX(x), x)
    other = torch.randn(5, 9, dtype=torch.float64, requires_grad=True)
    for graph in (exported, traced):
        result = graph(other)
        torch.testing.assert_close(result, torch.softmax(other, -1))
        (found,) = torch.autograd.grad(result[:, 0].sum(), other)
        (own,) = torch.autograd.grad(torch.softmax(other, -1)[:, 0].sum(), other)
        torch.testing.assert_close(found, own)
    halves = torch.export.export(
        module(lambda x: GLU(x)), (x,), dynamic_shapes=(({0: b},),)
    ).module()
    wide = torch.randn(4, SIZE, dtype=torch.float64)
    torch.testing.assert_close(halves(wide), torch.nn.functional.glu(wide, -1))


def test_without_gradients_a_graph_refuses_to_be_trained() -> None:
    x = torch.tensor(rows("softmax", 3)[0], requires_grad=True)
    with torch.no_grad():
        graph = torch.export.export(module(lambda x: HARDMAX(x)), (x,)).module()
    torch.testing.assert_close(graph(x).detach(), HARDMAX(x).detach())
    with pytest.raises(RuntimeError, match="not implemented"):
        graph(x).sum().backward()
    rule = activation(
        lambda x: x / np.sum(np.abs(x)),
        axis=-1,
        name="share",
        gradient=lambda x, upstream: upstream,
    )
    with pytest.raises(NoDerivativeError, match="no_grad"):
        torch.export.export(module(lambda x: rule(x)), (x,))
    with torch.no_grad():
        graph = torch.export.export(module(lambda x: rule(x)), (x,)).module()
    torch.testing.assert_close(graph(x).detach(), rule(x).detach())


def test_fx_has_it_as_one_call() -> None:
    x = torch.tensor(rows("softmax", 3)[0], requires_grad=True)
    graph = recorded("fx", lambda x: 2 * SOFTMAX(x, temperature=2.0, axis=0))
    assert [n.name for n in graph.graph.nodes if n.op == "call_function"] == ["softmax", "mul"]
    own = 2 * torch.softmax(x / 2, 0)
    torch.testing.assert_close(graph(x), own)
    above = torch.cos(x.detach())
    found, expected = (torch.autograd.grad(y, x, above)[0] for y in (graph(x), own))
    torch.testing.assert_close(found, expected)
