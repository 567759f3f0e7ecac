"""PyTorch: pickled, exported, packaged, and as ONNX, with what each can carry."""

from __future__ import annotations

import copy
import json
import math
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actgrad
from actgrad import activation
from actgrad.errors import NoDerivativeError
from tests.process import python
from tests.sample import exhaustive_but
from tests.saved.keras_onnx import shape_of

torch = pytest.importorskip("torch")

X = np.array([[-1.7, -0.6, -0.2], [0.3, 0.7, 1.1]])
# Announcements of PyTorch about its own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # A surrogate gives the step's parameter no gradient, and learning it says so.
    pytest.mark.filterwarnings("ignore::actgrad.errors.SurrogateWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def _spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


def _d_spiky(x):
    return 1.0 if x % 1 <= 0.5 else 0.0


def _step(x, k=2.0):
    return 1.0 if x >= 0 else 0.0


def _triangle(x, k):
    return k / (1 + (k * x) ** 2)


spiky = activation(_spiky, derivative=_d_spiky, name="spiky")
step = activation(_step, surrogate=_triangle, name="step")
swish = activation(lambda x, b=1.0: x / (1 + math.exp(-b * x)), name="swish")
seven = activation(lambda x: x * x, surrogate=lambda x: 7.0, name="seven")
guided = activation(
    lambda x: max(x, 0.0), gradient=lambda x, g: g if x > 0 < g else 0, name="guided"
)


def network(dtype: Any = torch.float32) -> Any:
    torch.manual_seed(0)
    layers = [
        torch.nn.Linear(3, 4),
        swish.module(b=actgrad.trainable(1.5, low=0.0, per_channel=True)),
        step.module(k=actgrad.trainable(3.0)),
        torch.nn.Linear(4, 3),
        spiky.module(),
        torch.nn.Linear(3, 2),
        seven.module(),
    ]
    model = torch.nn.Sequential(*layers).to(dtype)
    model(torch.zeros(1, 3, dtype=dtype))
    return model


def trained_once(model: Any) -> dict[str, Any]:
    """The value, and every gradient."""
    x = torch.tensor(X, dtype=next(model.parameters()).dtype)
    model.zero_grad()
    y = model(x)
    (y * torch.arange(1.0, 5.0).reshape(2, 2)).sum().backward()
    found = {name: p.grad.tolist() for name, p in model.named_parameters()}
    return {"value": y.tolist(), **found}


OPENED = """
import json, sys, warnings
warnings.simplefilter("error")
warnings.simplefilter("ignore", DeprecationWarning)
warnings.simplefilter("ignore", FutureWarning)
import torch
path, kind, x = sys.argv[1], sys.argv[2], torch.tensor(json.loads(sys.argv[3]))
if kind == "torch.export":
    model = torch.export.load(path).module()
else:
    model = torch.load(path, weights_only=False)
y = model(x)
(y * torch.arange(1.0, 5.0).reshape(2, 2)).sum().backward()
found = {name: p.grad.tolist() for name, p in model.named_parameters() if p.grad is not None}
if kind == "torch.export":
    assert "actgrad" not in sys.modules
print(json.dumps({"value": y.tolist(), **found}))
"""


def opened(path: Path, kind: str) -> Any:
    arguments = ("-c", OPENED, path, kind, json.dumps(X.tolist()))
    return json.loads(python(*arguments, folder=path.parent, actgrad=kind != "torch.export")[-1])


def check(found: Any, wanted: Any) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_torch_save(tmp_path: Path) -> None:
    model = network()
    torch.save(model, tmp_path / "m.pt")
    check(opened(tmp_path / "m.pt", "torch.save"), trained_once(model))


def test_torch_export_is_trained_on_without_actgrad(tmp_path: Path) -> None:
    model = network()
    x = torch.tensor(X, dtype=torch.float32)
    torch.export.save(torch.export.export(model, (x,)), tmp_path / "m.pt2")
    check(opened(tmp_path / "m.pt2", "torch.export"), trained_once(model))


def test_a_gradient_rule_cannot_be_exported_for_training() -> None:
    with pytest.raises(NoDerivativeError, match="for inference"):
        torch.export.export(torch.nn.Sequential(guided.module()), (torch.ones(3),))


def test_a_gradient_rule_is_exported_for_inference() -> None:
    with torch.no_grad():
        exported = torch.export.export(torch.nn.Sequential(guided.module()), (torch.ones(3),))
    x = torch.tensor(X[1], dtype=torch.float32, requires_grad=True)
    y = exported.module()(x)
    assert y.tolist() == [max(v, 0.0) for v in x.tolist()]
    with pytest.raises(RuntimeError, match="not implemented"):
        y.sum().backward()


@pytest.mark.parametrize("f", [spiky, step, seven, guided], ids=lambda f: f.name)
def test_what_was_exported_for_inference_refuses_to_be_trained(f: Any) -> None:
    x = torch.tensor([-math.inf, -1.5, -0.0, 0.25, 3.0, math.nan], requires_grad=True)
    with torch.no_grad():
        exported = torch.export.export(torch.nn.Sequential(f.module()), (torch.ones(6),))
    y = exported.module()(x)
    np.testing.assert_array_equal(y.detach(), f(x).detach())
    np.testing.assert_array_equal(np.signbit(y.detach()), np.signbit(f(x).detach()))
    with pytest.raises(RuntimeError, match="not implemented"):
        y.sum().backward()


def test_state_dict() -> None:
    model, other = network(), network()
    for p in model.parameters():
        p.data.add_(0.25)
    other.load_state_dict(model.state_dict(), strict=True)
    check(trained_once(other), trained_once(model))


def test_deepcopy() -> None:
    model = network()
    check(trained_once(copy.deepcopy(model)), trained_once(model))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="AOTInductor needs a C++ compiler")
@pytest.mark.exhaustive
def test_aotinductor_package(tmp_path: Path) -> None:
    f = activation(lambda x: x % 0.75 if x < 1 else math.exp(-x), name="f")
    x = torch.tensor(X, dtype=torch.float32)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(torch.nn.Sequential(f.module()), (x,))
        path = str(tmp_path / "m.pt2")
        torch._inductor.aoti_compile_and_package(exported, package_path=path)
        found = torch._inductor.aoti_load_package(path)(x)
    wanted = [[v % 0.75 if v < 1 else math.exp(-v) for v in row] for row in x.tolist()]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


# ONNX.


def onnx_of(function: Any, *arrays: Any) -> tuple[Any, Any]:
    """What onnxruntime makes of it, and the model. Standard operations only."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")

    class Module(torch.nn.Module):
        def forward(self, *tensors: Any) -> Any:
            return function(*tensors)

    tensors = tuple(map(torch.tensor, arrays))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.onnx.export(Module().eval(), tensors, dynamo=True, verbose=False)
    model = exported.model_proto
    session = runtime.InferenceSession(model.SerializeToString())
    names = [i.name for i in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))[0], model


FUNCTIONS = {
    "spiky": _spiky,
    "a remainder": lambda x: x % 0.7,
    "a negative divisor": lambda x: x % -0.75,
    "a floored quotient": lambda x: x // 0.4 - x // -2,
    "swish": lambda x: x / (1 + math.exp(-x)),
    "logarithms": lambda x: math.log2(x + 3) * 0.1 + math.log10(x + 4),
    "signs": lambda x: math.copysign(0.3, x) + math.hypot(x, 0.1),
    "branches": lambda x: math.log(x) if x > 0.5 else math.expm1(x) if x > -1 else round(x * 3),
}
POINTS = np.arange(-13, 14) / 5 + 0.03
TOLERANCE = {"float16": 2e-3, "float32": 1e-5, "float64": 1e-13}


@pytest.mark.diagonal
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "name", exhaustive_but(["spiky", "a floored quotient", "logarithms", "branches"], FUNCTIONS)
)
def test_onnx_is_python(name: str, dtype: str) -> None:
    x = POINTS.astype(dtype)
    found, model = onnx_of(activation(FUNCTIONS[name], name="f", surrogate=1), x)
    wanted = [FUNCTIONS[name](float(v)) for v in x]
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert {node.domain for node in model.graph.node} == {""}
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 20)]


def test_onnx_of_several_inputs() -> None:
    f = activation(lambda a, b, k=0.5: a % b if a < k else a * b, name="f")
    a, b = X.astype("f"), np.float32([[0.7, -0.3, 2.0]])
    found, _ = onnx_of(f, a, b)
    wanted = [
        [u % v if u < 0.5 else u * v for u, v in zip(row, b.tolist()[0], strict=True)]
        for row in a.tolist()
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_onnx_of_a_network_with_learnt_parameters() -> None:
    model = network(torch.float64)
    found, _ = onnx_of(model.eval(), X)
    np.testing.assert_allclose(found, trained_once(model)["value"], rtol=1e-12)


LAYERS = """
from actgrad import activation, trainable
f = activation(lambda x: x % 0.7 if x < 1 else x, name="f")
g = activation(lambda x, b=1.0: x * abs(b * x), name="g")
layers = [keras.layers.Dense(8, activation=f), g.layer(b=trainable(0.7)), keras.layers.Dense(2)]
"""


@pytest.mark.exhaustive
def test_onnx_of_a_keras_model_on_torch(tmp_path: Path) -> None:
    assert shape_of(LAYERS, tmp_path) == "(5, 2)"
