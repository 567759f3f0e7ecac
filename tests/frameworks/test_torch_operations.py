"""PyTorch: every operation of the vocabulary against its NumPy meaning, in units in the last place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actgrad.language.decomposed import DECOMPOSITIONS
from actgrad.language.expression import const, make, var
from actgrad.language.ops import OPS
from actgrad.language.program import Program

torch = pytest.importorskip("torch")
from actgrad.frameworks.dispatch import native
from tests.sample import exhaustive_but

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
OPERATIONS = sorted(OPS.keys() - {"given", "host", "select", "gather", *DECOMPOSITIONS})
EXACT = {
    "neg", "abs", "add", "sub", "mul", "div", "mod", "copysign", "floor", "ceil", "trunc",
    "round", "lt", "le", "eq", "and", "or", "not",
}  # fmt: skip
SPECIAL = [
    0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2, -2, 2.5, -2.5, 3, -3, 7.25, -7.25, 10, 100, -100, 1024,
    0.1, -0.1, 0.3, 1e-3, -1e-3, 1e4, -1e4, 1e-30, -1e-30, np.inf, -np.inf, np.nan,
]  # fmt: skip


def program(op: str) -> Program:
    """The operation alone; conditions as 1 and 0, of arguments that are conditions where it takes them."""
    names = OPS[op].arguments.split()
    arguments = [var(name) for name in names]
    if op in ("and", "or", "not"):
        arguments = [make("lt", const(0.0), argument) for argument in arguments]
    value = make(op, *arguments)
    if OPS[op].boolean:
        value = make("select", value, const(1.0), const(0.0))
    return Program(op, tuple(names), (), value)


def points(arity: int, dtype: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    size = np.exp(rng.uniform(-25, 8, 100))
    column = np.concatenate([SPECIAL, rng.normal(0, 3, 200), rng.uniform(-1, 1, 200), size, -size])
    if arity == 1:
        return [torch.tensor(column).to(dtype)]
    a, b = (part.ravel() for part in np.meshgrid(SPECIAL, SPECIAL))
    pairs = (np.concatenate([column, a]), np.concatenate([rng.permutation(column), b]))
    return [torch.tensor(values).to(dtype) for values in pairs]


def distance(got: Any, wanted: Any, dtype: Any) -> Any:
    """In units in the last place of what was wanted; a subnormal number may be taken for zero."""
    info = torch.finfo(dtype)
    _, exponent = np.frexp(np.maximum(np.abs(wanted), info.tiny))
    unit = np.where(np.abs(wanted) < info.tiny, info.tiny, np.ldexp(info.eps, exponent - 1))
    return np.abs(got - wanted) / unit


def compare(function: Any, oracle: Program, dtype: Any, ulp: float) -> None:
    at = points(len(oracle.inputs), dtype)
    with np.errstate(all="ignore"):
        exact = torch.as_tensor(np.asarray(oracle.evaluate(*(x.double().numpy() for x in at))))
    result = function(*at)
    assert result.dtype == dtype
    got, wanted = result.double().numpy(), exact.to(dtype).double().numpy()
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    same &= (got != 0) | (np.signbit(got) == np.signbit(wanted)) | np.isnan(wanted)
    finite = np.isfinite(got) & np.isfinite(wanted) & ((got != 0) | (wanted != 0))
    with np.errstate(all="ignore"):
        far = np.where(finite, distance(got, wanted, dtype), np.where(same, 0.0, np.inf))
    worst = int(np.argmax(far))
    assert far[worst] <= ulp, (
        f"{oracle.name}({', '.join(str(float(x[worst])) for x in at)}) is {wanted[worst]!r}, "
        f"and got {got[worst]!r}: {far[worst]:.1f} ulp"
    )


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_operation(op: str, dtype: str) -> None:
    compare(native(program(op), "torch"), program(op), DTYPES[dtype], 0 if op in EXACT else 4)


@pytest.mark.parametrize("op", [op for op in OPERATIONS if OPS[op].partials])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_derivative_of_an_operation(op: str, dtype: str) -> None:
    """By rule, of finite results: what is near infinity in one dtype is infinite in another."""
    rule = program(op).partial(OPS[op].arguments.split()[0])
    x = [p[32:532] for p in points(len(rule.inputs), DTYPES[dtype])]
    with np.errstate(all="ignore"):
        wanted = np.broadcast_to(rule.evaluate(*(v.double().numpy() for v in x)), x[0].shape)
    leaf = x[0].clone().requires_grad_()
    (got,) = torch.autograd.grad(native(program(op), "torch")(leaf, *x[1:]).sum(), leaf)
    assert got.dtype == DTYPES[dtype]
    info = torch.finfo(DTYPES[dtype])
    ordinary = np.isfinite(wanted) & (np.abs(wanted) < info.max / 1e3)
    np.testing.assert_allclose(
        got.double().numpy()[ordinary], wanted[ordinary], rtol=200 * info.eps, atol=info.tiny * 1e3
    )
    assert ordinary.sum() > 50


# Where Inductor lowers an operation in a way of its own; it takes seconds for each.
@pytest.mark.slow
@pytest.mark.parametrize(
    "op",
    exhaustive_but(["mod", "softplus"], ["mod", "expm1", "atanh", "erf", "sigmoid", "softplus"]),
)
def test_an_operation_compiled(op: str) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(native(program(op), "torch"), fullgraph=True)
    compare(compiled, program(op), torch.float32, 0 if op in EXACT else 6)
