"""PyTorch: dtypes, shapes, memory, modules, saving, and what is refused. Modes are in test_torch_modes."""

from __future__ import annotations

import copy
import gc
import importlib.util
import io
import math
import pickle
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actgrad import activation, trainable
from actgrad.errors import CallError, DtypeError, HostError, NoDerivativeError

torch = pytest.importorskip("torch")

from actgrad.frameworks.torch import operator
from tests.process import python
from tests.sample import exhaustive_but

SEVEN = activation(lambda x: x * x, name="seven", surrogate=7)
STEP = activation(
    lambda x, slope=3.0: 1.0 if x >= 0 else 0.0,
    name="step",
    surrogate=lambda x, slope: slope / (1 + (slope * x) * (slope * x)),
)
LEARNT = activation(
    lambda x, slope=3.0: 1.0 if x >= 0 else 0.0,
    name="learnt",
    surrogate=lambda x, slope: {"x": slope / (1 + (slope * x) * (slope * x)), "slope": x * slope},
)
SCALED = activation(lambda x, k=2.0: k * x * x, name="scaled")
HYPOT = activation(lambda a, b: math.hypot(a, b), name="length")
ON_HOST = activation(
    lambda x: math.floor(x) + 0.5, name="hosted", surrogate=lambda x: 7.0, host=True
)
HALVES = [torch.float16, torch.bfloat16]
FLOATS = [*HALVES, torch.float32, torch.float64]


def gradient(f: Any, x: Any) -> Any:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]


# Dtypes.


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_value_and_gradient_have_the_dtype_of_the_input(dtype: Any) -> None:
    x = torch.linspace(-2, 2, 9, dtype=dtype)
    assert SEVEN(x).dtype == dtype
    assert gradient(SEVEN, x).dtype == dtype
    assert gradient(SEVEN, x).tolist() == [7.0] * 9


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_types_compute_in_float32(dtype: Any) -> None:
    """In half precision x * 300 would overflow, or be rounded, before it is divided."""
    f = activation(lambda x: (x * 300.0) * 300.0 / 90000.0, name="there_and_back")
    x = torch.tensor([1.0, 1.1015625, 3.0], dtype=dtype)
    assert f(x).tolist() == x.tolist()
    assert gradient(f, x).tolist() == [1.0] * 3


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool], ids=str)
def test_what_has_no_derivative_is_refused(dtype: Any) -> None:
    with pytest.raises(DtypeError, match=r"(?s)'seven' got a tensor of dtype torch.*x\.float\(\)"):
        SEVEN(torch.ones(3).to(dtype))


def test_a_complex_tensor_is_refused_and_two_real_inputs_are_the_way_out() -> None:
    z = torch.tensor([3 + 4j, 0.6 - 0.8j])
    with pytest.raises(DtypeError, match=r"two real inputs.*\n?.*re\(z\.real, z\.imag\)") as caught:
        SEVEN(z)
    assert "float()" not in str(caught.value)
    re = activation(lambda a, b: a / math.hypot(a, b), name="re")
    got = torch.complex(re(z.real, z.imag), re(z.imag, z.real))
    torch.testing.assert_close(got, z / z.abs())


def test_a_sparse_tensor_is_refused() -> None:
    with pytest.raises(CallError, match="dense"):
        SEVEN(torch.eye(3).to_sparse())


def test_inputs_of_two_dtypes_meet_in_the_wider_and_gradients_return_in_their_own() -> None:
    a = torch.tensor([3.0], dtype=torch.bfloat16, requires_grad=True)
    b = torch.tensor([4.0], dtype=torch.float32, requires_grad=True)
    length = HYPOT(a, b)
    length.sum().backward()
    assert (length.dtype, a.grad.dtype, b.grad.dtype) == (b.dtype, a.dtype, b.dtype)
    assert length.item() == 5.0
    assert b.grad.item() == pytest.approx(0.8)


def test_plain_numbers_beside_a_tensor() -> None:
    assert HYPOT(torch.tensor([3.0]), 4.0).tolist() == [5.0]
    assert HYPOT(3, torch.tensor([4.0], dtype=torch.float64)).dtype == torch.float64


# Shapes and layouts.

SHAPES = {
    "empty": lambda: torch.empty(0, 3),
    "0-d": lambda: torch.tensor(1.5),
    "transposed": lambda: torch.randn(3, 4).T,
    "expanded": lambda: torch.randn(3, 1).expand(3, 4),
    "strided": lambda: torch.randn(8)[::2],
    "channels_last": lambda: torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("make", SHAPES.values(), ids=SHAPES)
def test_every_layout(make: Any) -> None:
    x = make()
    torch.testing.assert_close(SEVEN(x), x * x)
    torch.testing.assert_close(gradient(SEVEN, x), torch.full(x.shape, 7.0))


def test_channels_last_stays() -> None:
    x = SHAPES["channels_last"]()
    assert SEVEN(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("f", [lambda x: x, lambda x: 2.0], ids=["identity", "constant"])
def test_the_value_is_a_tensor_of_its_own(f: Any) -> None:
    x = torch.zeros(2, 3)
    y = activation(f, name="f", surrogate=7)(x)
    y += 1.0
    assert x.tolist() == [[0.0] * 3] * 2
    assert y.shape == x.shape


@pytest.mark.parametrize("shapes", [((2, 1), (3,)), ((), (2, 3)), ((4, 1, 3), (2, 1))], ids=str)
def test_inputs_broadcast_and_their_gradients_are_added_up(shapes: Any) -> None:
    product = activation(lambda a, b: a * b, name="product", surrogate=lambda a, b: (7.0, 5.0))
    a, b = (torch.randn(shape, requires_grad=True) for shape in shapes)
    value = product(a, b)
    torch.testing.assert_close(value, a * b)
    value.sum().backward()
    torch.testing.assert_close(a.grad, torch.full(a.shape, 7.0 * value.numel() / a.numel()))
    torch.testing.assert_close(b.grad, torch.full(b.shape, 5.0 * value.numel() / b.numel()))


def test_vmap_over_one_of_two_inputs_of_different_rank() -> None:
    a, b = torch.randn(5, 3), torch.randn(4, 3, 2)
    got = torch.vmap(HYPOT, in_dims=(None, 2), out_dims=2)(a[0], b)
    torch.testing.assert_close(got, torch.hypot(a[0][:, None], b))
    got = torch.vmap(HYPOT, in_dims=(0, None))(a, b[:, :, 0])
    torch.testing.assert_close(got, torch.hypot(a[:, None, :], b[None, :, :, 0]))


def test_an_array_as_parameter_has_its_gradient_in_its_own_shape() -> None:
    x, k = torch.randn(5, 3), torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    SCALED(x, k=k).sum().backward()
    torch.testing.assert_close(k.grad, (x * x).sum(0))


@pytest.mark.parametrize("k", [2.0, np.float64(2.0), np.array([2.0]), (2.0,)], ids=repr)
def test_a_parameter_given_as_any_kind_of_number(k: Any) -> None:
    assert SCALED(torch.tensor([3.0]), k=k).tolist() == [18.0]


# What is kept.


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_one_tensor_is_kept_for_the_backward_pass(dtype: Any) -> None:
    kept = []
    x = torch.randn(1000, dtype=dtype, requires_grad=True)
    f = activation(lambda x: math.tanh(x) * math.exp(-x * x), name="bump")
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        f(x)
    assert [(t.data_ptr(), t.dtype) for t in kept] == [(x.data_ptr(), dtype)]


def test_a_branch_not_taken_cannot_make_a_gradient_nan() -> None:
    f = activation(lambda x: math.log(x) if x > 0 else 0.0, name="safe_log")
    x = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    (first,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert first.tolist() == [0.0, 0.0, 0.5]
    assert second.tolist() == [0.0, 0.0, -0.25]


# Autocast, meta and fake tensors, threads.


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_autocast(dtype: Any) -> None:
    layer, x = torch.nn.Linear(3, 4), torch.randn(5, 3)
    f = activation(lambda x: x * x / (1 + x * x), name="rational")
    with torch.autocast("cpu", dtype=dtype):
        hidden = layer(x)
        out = f(hidden)
    assert (hidden.dtype, out.dtype) == (dtype, dtype)
    out.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    wanted = f.derivative(hidden.detach().float()).to(dtype).float()
    torch.testing.assert_close(layer.bias.grad, wanted.sum(0), rtol=0.05, atol=0.01)


@pytest.mark.parametrize("f", [SEVEN, STEP, ON_HOST], ids=lambda f: f.name)
def test_meta_tensors(f: Any) -> None:
    x = torch.empty(2, 3, device="meta", requires_grad=True)
    y = f(x)
    y.sum().backward()
    assert (y.device.type, y.shape) == ("meta", (2, 3))
    assert x.grad.shape == x.shape


def test_fake_tensors() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        x = torch.empty(2, 3, dtype=torch.bfloat16, requires_grad=True)
        y = STEP(x, slope=2.0)
        y.sum().backward()
    assert (y.shape, y.dtype, x.grad.dtype) == ((2, 3), torch.bfloat16, torch.bfloat16)


def test_many_threads_that_call_a_first_time_at_once() -> None:
    f = activation(lambda x: x * x + 0.125, name="threaded", surrogate=7)
    start, found = threading.Barrier(8), []

    def once() -> None:
        x = torch.ones(4, requires_grad=True)
        start.wait()
        y = f(x)
        y.sum().backward()
        found.append((y.tolist(), x.grad.tolist()))

    threads = [threading.Thread(target=once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [([1.125] * 4, [7.0] * 4)] * 8


# A function that runs on the host.


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_function_on_the_host(compiled: bool) -> None:
    torch._dynamo.reset()
    f = (
        torch.compile(lambda x: ON_HOST(x), backend="aot_eager", fullgraph=True)
        if compiled
        else ON_HOST
    )
    x = torch.tensor([-1.2, 0.3, 2.0], dtype=torch.bfloat16)
    assert f(x).tolist() == [-1.5, 0.5, 2.5]
    assert f(x).dtype == torch.bfloat16
    assert gradient(f, x).tolist() == [7.0] * 3
    assert torch.vmap(ON_HOST)(x).tolist() == [-1.5, 0.5, 2.5]


def test_a_function_on_the_host_is_not_exported() -> None:
    with pytest.raises(HostError, match="'hosted' runs on the host"):
        torch.export.export(ON_HOST.module(), (torch.ones(3),))


# Modules.


def test_a_module_learns_its_parameter() -> None:
    torch.manual_seed(0)
    model = SCALED.module(k=trainable(0.5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(200)
    for _ in range(200):
        optimizer.zero_grad()
        (model(x) - 1.75 * x * x).square().mean().backward()
        optimizer.step()
    assert model.k.item() == pytest.approx(1.75, abs=1e-4)


@pytest.mark.parametrize("goal", [-3.0, 5.0])
def test_a_parameter_stays_within_its_bounds_after_every_step(goal: float) -> None:
    model = SCALED.module(k=trainable(1.0, low=0.5, high=2.0))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.3)
    x = torch.tensor([1.0, 2.0])
    for _ in range(20):
        optimizer.zero_grad()
        (model(x) - goal * x * x).square().mean().backward()
        optimizer.step()
        assert 0.5 <= model.k.item() <= 2.0
    assert model.k.item() == (0.5 if goal < 0 else 2.0)


def test_what_is_used_is_within_the_bounds_whatever_set_the_parameter() -> None:
    model = SCALED.module(k=trainable(1.0, low=0.5, high=2.0))
    model.load_state_dict({"k": torch.tensor([9.0])})
    assert model(torch.tensor([1.0])).tolist() == [2.0]
    model(torch.tensor([1.0])).sum().backward()
    assert model.k.grad.tolist() == [1.0]


def test_the_same_module_in_two_places_of_a_model() -> None:
    model = SCALED.module(k=trainable(1.0, low=0.5, high=2.0))
    x = torch.tensor([1.5], requires_grad=True)
    model(model(x)).sum().backward()
    assert x.grad.item() == pytest.approx(4 * 1.5**3)
    assert model.k.grad.item() == pytest.approx(3 * 1.5**4)


@pytest.mark.parametrize(
    ("shape", "channels"), [((7,), 7), ((2, 5), 5), ((2, 5, 3), 5), ((2, 5, 3, 4), 5)], ids=str
)
def test_one_parameter_per_channel(shape: tuple[int, ...], channels: int) -> None:
    model = SCALED.module(k=trainable(2.0, per_channel=True))
    x = torch.randn(shape)
    torch.testing.assert_close(model(x), 2.0 * x * x)
    assert model.k.shape == (channels,)
    model(x).sum().backward()
    other = [
        axis for axis in range(len(shape)) if axis != (1 if len(shape) > 2 else len(shape) - 1)
    ]
    torch.testing.assert_close(model.k.grad, (x * x).sum(other) if other else x * x)


def learnt() -> Any:
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4),
        LEARNT.module(slope=trainable(2.0, low=0.1, per_channel=True)),
        SEVEN.module(),
    )
    model(torch.randn(2, 3)).sum().backward()
    with torch.no_grad():
        model[1].slope += torch.tensor([0.0, 0.5, 1.0, 1.5])
    return model


def same(a: Any, b: Any) -> None:
    x = torch.randn(6, 3)
    for model in (a, b):
        model.zero_grad()
        model(x).sum().backward()
    for left, right in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(left, right)
        assert torch.equal(left.grad, right.grad)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["deepcopy", "pickle"],
)
def test_a_module_is_copied(copied: Any) -> None:
    model = learnt()
    other = copied(model)
    same(model, other)
    with torch.no_grad():
        other[1].slope += 1.0
    assert not torch.equal(model[1].slope, other[1].slope)


def test_a_module_is_saved_whole() -> None:
    model, file = learnt(), io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    same(model, torch.load(file, weights_only=False))


def test_a_state_dict_loads_with_weights_only_into_a_fresh_module() -> None:
    model, file = learnt(), io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    fresh = torch.nn.Sequential(
        torch.nn.Linear(3, 4),
        LEARNT.module(slope=trainable(2.0, low=0.1, per_channel=True)),
        SEVEN.module(),
    )
    fresh.load_state_dict(torch.load(file, weights_only=True))
    same(model, fresh)


def test_a_pickled_module_in_a_fresh_process(tmp_path: Path) -> None:
    torch.save(SEVEN.module(), tmp_path / "model.pt")
    code = (
        "import sys, torch; m = torch.load(sys.argv[1], weights_only=False);"
        "x = torch.ones(3, requires_grad=True); m(x).sum().backward(); print(x.grad.tolist())"
    )
    assert python("-c", code, tmp_path / "model.pt")[-1] == "[7.0, 7.0, 7.0]"


def test_a_module_goes_to_float64_and_to_meta() -> None:
    model = SCALED.module(k=trainable(2.0))
    assert model.double()(torch.ones(2, dtype=torch.float64)).dtype == torch.float64
    assert model.to("meta")(torch.ones(2, device="meta")).shape == (2,)


def test_a_wrong_number_of_inputs() -> None:
    with pytest.raises(CallError, match="takes 2 inputs"):
        HYPOT.module()(torch.ones(2))


# torch.export.


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 4)
        self.step = LEARNT.module(slope=trainable(1.5))
        self.seven = SEVEN.module()

    def forward(self, x: Any) -> Any:
        hidden = self.layer(x)
        return self.seven(hidden) + self.step(hidden)


def exported(model: Any, x: Any) -> Any:
    file = io.BytesIO()
    torch.export.save(torch.export.export(model, (x,)), file)
    file.seek(0)
    return torch.export.load(file).module()


def test_an_exported_model_trains_on_with_the_same_derivative() -> None:
    model, x = Small(), torch.randn(5, 3)
    other = exported(model, x)
    assert torch.equal(other(x), model(x))
    same_gradients = [torch.autograd.grad(m(x).sum(), list(m.parameters())) for m in (model, other)]
    for left, right in zip(*same_gradients, strict=True):
        torch.testing.assert_close(left, right)
    hessians = [torch.func.hessian(lambda v, m=m: m(v).sum())(x) for m in (model, other)]
    torch.testing.assert_close(*hessians)


def test_a_third_derivative_that_an_export_does_not_keep_is_no_number() -> None:
    x = torch.tensor([-0.7, 0.2])

    def third(f: Any) -> Any:
        return torch.func.jacrev(torch.func.jacrev(torch.func.jacrev(lambda x: f(x).sum())))(x)

    found = torch.einsum("iii->i", third(exported(STEP.module(slope=2.0), x)))
    assert not torch.isfinite(found).any()
    assert not third(exported(SEVEN.module(), x)).any()


def test_an_exported_value_is_right_where_derivative_or_input_is_infinite() -> None:
    root = activation(lambda x: math.sqrt(x) if x >= 0 else -1.0, name="root")
    x = torch.tensor([0.0, 4.0, math.inf, -math.inf])
    other = exported(root.module(), x)
    assert other(x).tolist() == [0.0, 2.0, math.inf, -1.0]
    assert gradient(other, x).tolist() == [0.0, 0.25, 0.0, 0.0]


def test_a_whole_gradient_is_exported_for_inference_only() -> None:
    guided = activation(
        lambda x: max(x, 0.0), name="guided", gradient=lambda x, up: up if up > 0 and x > 0 else 0.0
    )
    x = torch.tensor([-1.0, 2.0])
    with pytest.raises(NoDerivativeError, match=r"`gradient=` rule.*\n.*torch\.no_grad"):
        torch.export.export(guided.module(), (x,))
    with torch.no_grad():
        assert torch.export.export(guided.module(), (x,)).module()(x).tolist() == [0.0, 2.0]


# Recorded by torch.fx and torch.jit.


class Recorded(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 4)
        self.act = SCALED.module(k=trainable(1.5, per_channel=True))

    def forward(self, x: Any) -> Any:
        return SEVEN(self.act(self.layer(x)))


def test_torch_fx_records_the_activation_as_one_call() -> None:
    model, x = Recorded(), torch.randn(5, 3)
    expected = model(x)
    graph = torch.fx.symbolic_trace(model)
    assert [n.op for n in graph.graph.nodes][1:-1] == ["call_module"] * 2 + ["call_function"]
    torch.testing.assert_close(graph(x), expected)
    for m in (model, graph):
        m.zero_grad()
        m(x).sum().backward()
        m.grads = [p.grad.clone() for p in m.parameters()]
    torch.testing.assert_close(model.grads, graph.grads)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_jit_traces_value_and_derivative() -> None:
    model, x = Recorded(), torch.randn(5, 3)
    model(x)
    traced = torch.jit.trace(model, x)  # it checks itself what it recorded
    same(model, traced)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_with_the_way_out() -> None:
    with pytest.raises(CallError, match=r"TorchScript.*\n.*torch\.jit\.trace"):
        torch.jit.script(torch.nn.Sequential(SEVEN.module()))


# The checks of PyTorch itself.

CHECKED = [
    activation(lambda x: math.tanh(x) * math.exp(-x * x), name="bump"),
    activation(lambda x, k=1.5: x / (1 + math.exp(-k * x)), name="swish"),
    HYPOT,
]


@pytest.mark.parametrize("f", CHECKED, ids=lambda f: f.name)
def test_gradcheck(f: Any) -> None:
    x = [torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in f.inputs]
    k = [torch.tensor(0.8, dtype=torch.float64, requires_grad=True) for _ in f.parameters]

    def call(*tensors: Any) -> Any:
        n = len(f.inputs)
        return f(*tensors[:n], **dict(zip(f.parameters, tensors[n:], strict=True)))

    options = {"check_forward_ad": True, "check_batched_grad": True}
    assert torch.autograd.gradcheck(call, (*x, *k), **options, check_batched_forward_grad=True)
    assert torch.autograd.gradgradcheck(
        call, (*x, *k), check_batched_grad=True, check_fwd_over_rev=True, check_rev_over_rev=True
    )


def test_gradcheck_sees_a_false_derivative() -> None:
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(SEVEN, (x,))


def newton(steps: int) -> Any:
    """The square root, which a compiler that writes out shared parts would not end with."""

    def root(x: float) -> float:
        y = x
        for _ in range(steps):
            y = 0.5 * (y + x / y)
        return y

    return activation(root, name="root")


def opaque_call(f: Any, *shapes: tuple[int, ...]) -> tuple[int, list[torch.Tensor]]:
    """The arguments of actgrad's one operator, as a compiled call of this activation gives them."""
    before = set(operator._functions)
    torch.compile(f, fullgraph=True, backend="aot_eager")(torch.ones(3))
    (number,) = set(operator._functions) - before
    return number, [torch.rand(shape) + 1 for shape in shapes]


OPAQUE = {
    "host": lambda: activation(lambda x: x * 3.25, host=True, name="of_this_test"),
    "too large for a compiler": lambda: newton(8),
}


@pytest.mark.parametrize("kind", OPAQUE)
def test_opcheck_of_the_operator(kind: str) -> None:
    """There is no other operator: everything else is `torch.autograd.Function`."""
    f = OPAQUE[kind]()
    arguments = opaque_call(f, (3, 2))
    torch.library.opcheck(torch.ops.actgrad.opaque.default, arguments)


def test_the_operator_keeps_no_function_that_was_dropped() -> None:
    f = OPAQUE["host"]()
    arguments = opaque_call(f, (3,))
    same = torch.ops.actgrad.opaque.default
    torch.testing.assert_close(same(*arguments), arguments[1][0] * 3.25)
    torch.compiler.reset()
    del f
    gc.collect()
    with pytest.raises(HostError, match=r"an activation that is gone\n.*Keep the activation"):
        same(*arguments)


# Every device.


def test_a_default_device_changes_nothing() -> None:
    x = torch.linspace(-2, 2, 9, requires_grad=True)
    expected = STEP(x, slope=2.0)
    with torch.device("meta"):
        y = STEP(x, slope=2.0)
        torch.autograd.backward(y, torch.ones(9, device="cpu"))
    torch.testing.assert_close(y, expected)
    assert x.grad.device.type == "cpu"


@pytest.mark.parametrize("device", ["cuda", "mps", "xpu"])
def test_devices_that_are_not_here_go_the_same_way(device: str) -> None:
    """Fake tensors of a device refuse what moves data to the host, and a mix of devices."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    # (Without autograd, whose engine asks for the device itself.)
    with FakeTensorMode():
        x = torch.empty(300, 300, device=device)
        found = [f(x, slope=2.0) for f in (STEP, STEP.derivative)]
    assert {(y.device.type, y.shape, y.dtype) for y in found} == {(device, x.shape, x.dtype)}


# Memory.


def test_dropped_activations_leave_nothing() -> None:
    x = torch.linspace(-1, 1, 8, requires_grad=True)

    def leave(count: int, start: int) -> None:
        for i in range(count):
            f = STEP(slope=1.0 + (start + i) / 1e6)
            torch.autograd.grad(f(x).sum(), x)
        gc.collect()

    leave(100, 0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    leave(500, 1000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 500 * 1024


# The source.


@pytest.mark.parametrize(
    "f", exhaustive_but([HYPOT], [SEVEN, STEP, HYPOT, SCALED]), ids=lambda f: f.name
)
def test_the_source_stands_alone(f: Any, tmp_path: Path) -> None:
    (tmp_path / "written.py").write_text(f.source("torch"))
    arguments = ", ".join(["x", "x + 1.0"][: len(f.inputs)])
    code = f"""
import sys
sys.modules["actgrad"] = None
sys.path.insert(0, sys.argv[1])
import torch
from written import {f.name}
x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
y = {f.name}({arguments})
y.sum().backward()
half = x.detach().bfloat16().requires_grad_()
torch.func.vmap({f.name})(*({arguments},))
assert {f.name}(*[half] * {len(f.inputs)}).dtype == torch.bfloat16
print(torch.stack([y, x.grad]).tolist())
"""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    y = f(*(x, x + 1.0)[: len(f.inputs)])
    y.sum().backward()
    got = eval(python("-c", code, tmp_path)[-1])
    np.testing.assert_allclose(got, torch.stack([y, x.grad]).tolist(), rtol=1e-12)


def test_the_source_needs_no_framework_here() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\nfrom actgrad import activation\n"
        "print('autograd.Function' in activation(lambda x: x * x, name='f').source('torch'))"
    )
    assert python("-c", code) == ["True"]


# In Keras.

KERAS = """
import keras, numpy as np, torch
from actgrad import activation, trainable
seven = activation(lambda x: x * x, name="seven", surrogate=7)
square = activation(lambda x: x * x, name="square")
scaled = activation(lambda x, k=2.0: k * x, name="scaled")
keras.utils.set_random_seed(0)
model = keras.Sequential([
    keras.Input((3,)), keras.layers.Dense(4, activation=square), scaled.layer(k=trainable(1.0)),
    keras.layers.Dense(1),
])
rng = np.random.default_rng(0)
x = rng.normal(size=(64, 3)).astype("float32")
y = (x ** 2).sum(1, keepdims=True)
model.compile(keras.optimizers.Adam(0.01), "mse")
losses = model.fit(x, y, epochs=8, verbose=0).history["loss"]
assert losses[-1] < losses[0], losses
v = torch.ones(3, requires_grad=True)
seven(v).sum().backward()
print(keras.backend.backend(), v.grad.tolist(), model.compute_output_shape((None, 3)))
"""


@pytest.mark.exhaustive
def test_keras_on_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert python("-c", KERAS)[-1] == "torch [7.0, 7.0, 7.0] (None, 1)"
