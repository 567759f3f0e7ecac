"""In PyTorch's eager mode a large call is one loop over memory: told by counting kernels, not by a clock."""

from __future__ import annotations

import gc
import math
import threading
import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from actgrad import activation
from actgrad.codegen.size import expanded, operations
from actgrad.errors import UnfusedWarning
from actgrad.frameworks import patience
from actgrad.frameworks.torch import fused as torch_fused
from actgrad.frameworks.torch import rule
from actgrad.frameworks.torch.dialect import DIALECT
from tests.sample import exhaustive_but

LARGE = torch_fused.LARGE
bump = activation(lambda x: math.tanh(x) * math.exp(-x * x), name="fused_bump")
shifted = activation(lambda x, a=2.0: x * x + a if x > 0 else a * x, name="fused_shifted")
product = activation(lambda x, y: x * y + x, name="fused_product")


ACTIVATIONS = (bump, shifted, product)


@pytest.fixture(scope="module", autouse=True)
def _what_is_here_is_not_looked_through_by_each_test() -> None:
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for f in ACTIVATIONS:
        for program in (f.program, f.program.structure):
            program.kept.clear()
    gc.collect()  # derivatives that nothing holds any more are in circles with their kernels
    monkeypatch.setattr(torch_fused, "_off", False)
    monkeypatch.setattr(torch_fused, "_warned", False)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the loops that were asked for. They run unfused, so that no test waits for a compiler."""
    names: list[str] = []

    def stand_in(self: Any, tensors: Any) -> Any:
        names.append(self.program.name)
        function = torch_fused.kernel(self.program, DIALECT, torch_fused.operator)

        def run(out: Any, *rest: Any) -> None:
            assert out.dim() == 1
            assert all(t.shape == out.shape for t in rest if t.dim())
            out.copy_(function(*(t.float() for t in rest)))

        return run

    monkeypatch.setattr(torch_fused.Fused, "_compile", stand_in)
    return names


def in_pieces(f: Any, *inputs: Any, **parameters: Any) -> Any:
    """The same, element by element too small to be fused."""
    pieces = [x.reshape(-1).split(LARGE // 2) for x in inputs]
    found = [f(*piece, **parameters) for piece in zip(*pieces, strict=True)]
    return torch.cat(found).reshape(inputs[0].shape)


def gradient(f: Any, x: Any, upstream: Any, **parameters: Any) -> Any:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(f(x, **parameters), x, upstream)[0]


# With the compiler.


@pytest.mark.parametrize(
    "dtype", exhaustive_but([torch.bfloat16], [torch.float32, torch.bfloat16]), ids=str
)
def test_value_and_gradient_are_one_kernel_each_whatever_the_shape(
    dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_one, names = torch_fused.Fused._compile, []
    monkeypatch.setattr(
        torch_fused.Fused,
        "_compile",
        lambda p, *rest: names.append(p.program.name) or compile_one(p, *rest),
    )
    for shape in ((LARGE,), (LARGE + 17,), (40, 1001), (3, 5, 64, 64)):
        x, upstream = torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)
        exact = x.double().numpy()
        slope = bump.derivative.program.evaluate(exact) * upstream.double().numpy()
        tolerance = {"rtol": 2e-6, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 5e-3}
        value, found = bump(x), gradient(bump, x, upstream)
        assert value.dtype == found.dtype == dtype
        np.testing.assert_allclose(
            value.double().numpy(), bump.program.evaluate(exact), **tolerance
        )
        np.testing.assert_allclose(found.double().numpy(), slope, **({"atol": 1e-2} | tolerance))
    assert names == ["fused_bump", "fused_bump_gradient"]


def test_small_numbers_are_right_although_the_compilers_own_functions_are_not() -> None:
    f = activation(lambda x: math.expm1(x), name="fused_expm1")
    x = torch.logspace(-8, 0, LARGE)
    torch.testing.assert_close(f(x), torch.expm1(x.double()).float(), rtol=1e-6, atol=0.0)


# Which calls are fused.


@pytest.mark.parametrize(
    "arrange",
    [
        lambda x: x,
        lambda x: x.t(),
        lambda x: x.reshape(4, 8, -1, 16).contiguous(memory_format=torch.channels_last),
        lambda x: x.reshape(8, -1, 32).permute(2, 0, 1),
        lambda x: x.reshape(-1)[1 : LARGE + 1],
    ],
    ids=["contiguous", "transposed", "channels_last", "permuted", "offset"],
)
def test_dense_memory_in_any_order_is_fused_and_kept(arrange: Any, compiled: list[str]) -> None:
    x = arrange(torch.randn(64, LARGE // 32))
    upstream = torch.randn(x.shape)  # contiguous, whatever x is
    got = bump(x)
    assert got.stride() == x.stride()
    torch.testing.assert_close(got, in_pieces(bump, x), rtol=0, atol=0)
    expected = in_pieces(lambda x, u: gradient(bump, x, u), x, upstream)
    torch.testing.assert_close(gradient(bump, x, upstream), expected, rtol=0, atol=0)
    assert compiled == ["fused_bump", "fused_bump_gradient"]


def test_gaps_in_memory_run_unfused(compiled: list[str]) -> None:
    x = torch.randn(4 * LARGE)[::2]
    torch.testing.assert_close(bump(x), in_pieces(bump, x), rtol=0, atol=0)
    assert compiled == []


def test_an_expanded_upstream_is_fused(compiled: list[str]) -> None:
    x = torch.randn(LARGE, requires_grad=True)
    bump(x).sum().backward()
    assert compiled == ["fused_bump", "fused_bump_gradient"]
    torch.testing.assert_close(x.grad, bump.derivative(x.detach()))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (LARGE - 1,)], ids=str)
def test_a_small_call_never_asks_for_a_compiler(shape: Any, compiled: list[str]) -> None:
    x = torch.randn(shape)
    bump(x), gradient(bump, x, x)
    assert compiled == []


def test_a_number_is_an_argument_of_the_one_loop(compiled: list[str]) -> None:
    x = torch.randn(LARGE)
    for a in (1.0, 2.5, -0.0, torch.tensor(3.0)):
        want = torch.where(x > 0, x * x + a, a * x)
        torch.testing.assert_close(shifted(x, a=a), want)
        if isinstance(a, float):
            torch.testing.assert_close(shifted(a=a)(x), want)
            torch.testing.assert_close(
                gradient(shifted(a=a), x, x), x * torch.where(x > 0, 2 * x, a)
            )
    assert compiled == ["fused_shifted", "fused_shifted_gradient_x"]


def test_several_inputs(compiled: list[str]) -> None:
    x, y = (torch.randn(LARGE, requires_grad=True) for _ in range(2))
    upstream = torch.randn(LARGE)
    product(x, y).backward(upstream)
    torch.testing.assert_close((x.grad, y.grad), (upstream * (y + 1), upstream * x))
    assert compiled == ["fused_product", "fused_product_gradient_x", "fused_product_gradient_y"]
    product(x, y[0])  # broadcast: a number is an argument too
    product(x.reshape(2, -1), y[: LARGE // 2])  # so much is not
    assert len(compiled) == 4


def test_switched_off(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_fused, "_off", True)
    bump(torch.randn(LARGE))
    assert compiled == []


# What must not change.


def test_one_tensor_is_kept_and_nothing_where_nothing_is_learnt(compiled: list[str]) -> None:
    kept: list[Any] = []
    x = torch.randn(LARGE, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        bump(x)
        assert [t.data_ptr() for t in kept] == [x.data_ptr()]
        with torch.no_grad():
            assert bump(x).grad_fn is None
        assert bump(x.detach()).grad_fn is None
    assert len(kept) == 1
    assert compiled == ["fused_bump"]


def test_second_order(compiled: list[str]) -> None:
    x = torch.randn(LARGE, requires_grad=True)
    (first,) = torch.autograd.grad(bump(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(second, bump.derivative.derivative(x.detach()))


def test_forward_mode_and_transforms(compiled: list[str]) -> None:
    x, tangent = torch.randn(LARGE), torch.randn(LARGE)
    expected = bump.derivative(x) * tangent
    with torch.autograd.forward_ad.dual_level():
        dual = bump(torch.autograd.forward_ad.make_dual(x, tangent))
        got = torch.autograd.forward_ad.unpack_dual(dual).tangent
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(torch.func.jvp(bump, (x,), (tangent,))[1], expected)
    torch.testing.assert_close(torch.vmap(torch.func.grad(bump))(x), bump.derivative(x))
    torch.testing.assert_close(
        torch.autograd.grad(
            bump(y := x.clone().requires_grad_()),
            y,
            torch.stack([tangent, tangent]),
            is_grads_batched=True,
        )[0][1],
        expected,
    )


def test_the_result_may_be_changed_in_place(compiled: list[str]) -> None:
    x = torch.randn(LARGE, requires_grad=True)
    bump(x).mul_(3.0).backward(torch.ones(LARGE))
    torch.testing.assert_close(x.grad, 3.0 * bump.derivative(x.detach()))


def test_what_has_no_numbers_in_its_memory_runs_unfused(compiled: list[str]) -> None:
    x = torch.randn(LARGE)
    negated = torch.complex(x, x).conj().imag  # to be negated when it is read
    assert negated.is_neg()
    torch.testing.assert_close(bump(negated.contiguous()), bump(-x))
    compiled.clear()
    torch.testing.assert_close(bump(negated), in_pieces(bump, -x), rtol=0, atol=0)
    bump(torch._efficientzerotensor(LARGE))
    bump(torch.empty(LARGE, device="meta"))
    with torch._subclasses.FakeTensorMode():
        bump(torch.empty(LARGE))
    assert compiled == []


# The compiler.


def test_threads_that_call_at_once_compile_once_and_none_waits(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = torch_fused.Fused._compile
    others_are_done = threading.Event()

    def slow(*arguments: Any) -> Any:
        assert others_are_done.wait(1200)
        return stand_in(*arguments)

    monkeypatch.setattr(torch_fused.Fused, "_compile", slow)
    x, found, lock = torch.randn(LARGE), [], threading.Lock()

    def once() -> None:
        got = bump(x)
        with lock:
            found.append(got)
            if len(found) == 3:  # all but the one that compiles
                others_are_done.set()

    threads = [threading.Thread(target=once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert compiled == ["fused_bump"]
    assert len(found) == 4
    for got in found:
        torch.testing.assert_close(got, in_pieces(bump, x), rtol=0, atol=0)


def test_without_a_compiler_it_runs_unfused_with_one_notice(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(torch_fused.Fused, "_compile", fails)
    x = torch.randn(LARGE)
    with pytest.warns(UnfusedWarning, match="fused_bump.*\n.*No working C") as said:
        got = bump(x)
    assert len(said) == 1
    torch.testing.assert_close(got, in_pieces(bump, x), rtol=0, atol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        product(x, x)


def test_a_long_compilation_says_so_once(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in, pause = torch_fused.Fused._compile, threading.Event()
    monkeypatch.setattr(patience, "SECONDS", 0.01)
    monkeypatch.setattr(patience, "_said", set())

    def slow(*arguments: Any) -> Any:
        while not caplog.messages and not pause.wait(0.01):
            pass
        return stand_in(*arguments)

    monkeypatch.setattr(torch_fused.Fused, "_compile", slow)
    bump(torch.randn(LARGE))
    gradient(bump, torch.randn(LARGE), torch.randn(LARGE))
    assert len(caplog.messages) == 1
    assert "'fused_bump'" in caplog.text


def newton(steps: int) -> Any:
    def root(x):
        y = x + 1.0
        for _ in range(steps):
            y = 0.5 * (y + x / y)
        return y

    return activation(root, name=f"newton{steps}")


def test_shared_parts_are_not_written_out_by_the_compiler() -> None:
    """Twelve steps: Inductor's own choice would expand them to 12,000 operations, and not end."""
    f = newton(12)
    assert expanded(f.program.value) > 10_000 > 50 * operations(f.program.value)
    x = torch.rand(LARGE) + 0.5
    torch.testing.assert_close(f(x), x.sqrt())
    assert None not in rule.plan(f.program).fused.loops.values()


def test_in_a_compiled_graph_they_are_one_operator() -> None:
    torch._dynamo.reset()
    f = newton(12)
    x = (torch.rand(300) + 0.5).requires_grad_()
    compiled = torch.compile(lambda x: f(x) * 2.0, fullgraph=True)
    (got,) = torch.autograd.grad(compiled(x).sum(), x)
    torch.testing.assert_close(compiled(x), 2.0 * x.sqrt())
    torch.testing.assert_close(got, x.detach().rsqrt())


def gammas(x):
    for _ in range(4):
        x = math.gamma(1.0 + abs(x) / 3.0)
    return x


def own_powers(x):
    for _ in range(20):
        x = (x**x) ** 0.25
    return x


@pytest.mark.parametrize(
    ("function", "count"),
    [
        pytest.param(newton(140), 421, id="newton"),
        pytest.param(activation(gammas), 576, id="what they are made of counts"),
        pytest.param(
            activation(own_powers), 3 * (2**20 - 1), id="what is taken twice is written out"
        ),
    ],
)
def test_a_program_too_large_to_compile_runs_unfused_with_one_notice(
    function: Any, count: int, compiled: list[str]
) -> None:
    x = torch.rand(LARGE) + 0.5
    said_of = f"{function.__name__!r} has {count:,} operations"
    with pytest.warns(UnfusedWarning, match=said_of) as said:
        found = [function(x) for _ in range(2)]
    assert len(said) == 1
    torch.testing.assert_close(found, [in_pieces(function, x)] * 2)
    assert compiled == []


def test_what_watches_the_operations_sees_them(compiled: list[str]) -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    x = torch.randn(LARGE)
    graph = make_fx(bump)(x)
    assert "tanh" in graph.code
    torch.testing.assert_close(graph(x), bump(x))
    assert compiled == ["fused_bump"]


def test_inference_mode(compiled: list[str]) -> None:
    x = torch.randn(LARGE)
    with torch.inference_mode():
        y = bump(x)
    torch.testing.assert_close(y, bump(x))
    assert compiled == ["fused_bump"]
