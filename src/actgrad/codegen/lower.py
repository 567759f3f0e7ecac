"""Lower once: what a framework lacks, or rounds badly, as expressions of the same vocabulary.

A dialect maps operations to the rules below. Within what a rule returns, the operation that it
decomposes is the framework's own: a rule may call it where the framework is right (`erfc` of a number
with few digits), and `lower` decomposes everything else that the rule brings.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping

from actgrad.language.expression import (
    Expr,
    as_row,
    const,
    is_const,
    make,
    operation,
    plain,
    rebuild,
    transform,
    walk,
)
from actgrad.language.rewrite import build
from actgrad.language.rows import ROWS

Rule = Callable[..., Expr | None]


def lower(root: Expr, lacks: Mapping[str, Rule]) -> Expr:
    """The same value in operations that a framework has. None from a rule: the operation stays."""
    everywhere = {"gather": gather, "mod": _first(mod_by_power_of_two, lacks.get("mod"))}
    return as_row(_lowered(plain(root), {**lacks, **everywhere}, {}), root.width)


def _first(rule: Rule, otherwise: Rule | None) -> Rule:
    return lambda *args: rule(*args) or (otherwise(*args) if otherwise else None)


def _lowered(root: Expr, lacks: Mapping[str, Rule], done: dict[Expr, Expr]) -> Expr:
    for node in walk(root, into=lambda node: () if node in done else node.args):
        if node in done:
            continue
        args = tuple(done[arg] for arg in node.args)
        rule = lacks.get(node.op)
        new = rule(*args) if rule else None
        if new is None:
            done[node] = _simple(node, args)
        else:
            rest = {op: other for op, other in lacks.items() if op != node.op}
            done[node] = _lowered(new, rest, dict(zip(args, args, strict=True)))
    return done[root]


_LOGIC = {"select", "and", "or", "not"}


def _simple(node: Expr, args: tuple[Expr, ...]) -> Expr:
    """Constant conditions, which rules bring, are decided. Nothing else of a program changes here."""
    if not args:
        return node
    if node.op in ROWS:
        return rebuild(node, args)
    decided = node.op in _LOGIC or (node.op != "host" and all(arg.op == "const" for arg in args))
    return build(node.op, *args) if decided else make(node.op, *args, value=node.value)


_abs, _select, _eq, _and, _or = map(operation, ("abs", "select", "eq", "and", "or"))
_floor, _ceil, _round, _sqrt = map(operation, ("floor", "ceil", "round", "sqrt"))
_exp, _log, _pow, _tanh = map(operation, ("exp", "log", "pow", "tanh"))
_INFINITY = math.inf


# Quotients and signs.


def mod(x: Expr, y: Expr) -> Expr:
    """Python's `%`, from the remainder of sizes, which is exact everywhere."""
    size = make("mod", _abs(x), _abs(y))
    rest = _select(_eq(size, 0.0), 0.0, _select(_signs_differ(x, y), _abs(y) - size, size))
    if y.op == "const":
        return -rest if math.copysign(1.0, float(y.value)) < 0 else rest  # type: ignore[arg-type]
    return make("copysign", rest, y)


def floordiv(x: Expr, y: Expr) -> Expr:
    """Python's `//`: not the floor of the rounded quotient, as 1.0 // 0.1 is 9.0."""
    size = make("mod", _abs(x), _abs(y))
    whole = (x - _select(x < 0.0, -size, size)) / y
    below = _and(make("not", _eq(size, 0.0)), _signs_differ(x, y))
    whole = _round(_select(below, whole - 1.0, whole))
    signed_zero = make("copysign", const(0.0), x / y)
    return _select(_eq(y, 0.0), x / y, _select(_eq(whole, 0.0), signed_zero, whole))


def _signs_differ(x: Expr, y: Expr) -> Expr:
    for number, other in ((x, y), (y, x)):
        if number.op == "const":
            negative = float(number.value) < 0  # type: ignore[arg-type]
            return make("not", other < 0.0) if negative else other < 0.0
    return make("not", _eq(x < 0.0, y < 0.0))


def copysign(x: Expr, y: Expr) -> Expr:
    """1 / y tells the two zeros apart."""
    size = _abs(x)
    return _select(_select(_eq(y, 0.0), 1.0 / y, y) < 0.0, -size, size)


def trunc(x: Expr) -> Expr:
    return _select(x < 0.0, _ceil(x), _floor(x))


def mod_by_power_of_two(x: Expr, y: Expr) -> Expr | None:
    if y.op != "const":
        return None
    divisor = float(y.value)  # type: ignore[arg-type]
    if divisor == 1.0:
        return x - _floor(x)
    if not (1.0 < divisor <= 2.0**20 and math.frexp(divisor)[0] == 0.5):
        return None
    rest = x - _floor(x * (1.0 / divisor)) * divisor
    # A negative x so small that x / divisor is zero; Python rounds divisor + x.
    return _select(rest < 0.0, divisor, rest)


# Vectors.


def gather(vector: Expr, index: Expr) -> Expr:
    """At an index within the vector; frameworks do not agree on others, nor on nan."""
    if index.op == "const":
        return build("gather", vector, index)  # a number
    last = len(vector.value) - 1.0  # type: ignore[arg-type]
    inside = _select(index > 0.0, _select(index < last, index, last), 0.0)
    return _select(_eq(index, index), make("gather", vector, inside), math.nan)


# Roots, exponentials, logarithms.


def hypot(x: Expr, y: Expr) -> Expr:
    x, y = _abs(x), _abs(y)
    large, small = _select(x < y, y, x), _select(x < y, x, y)
    ratio = _select(_eq(large, 0.0), small, small / large)  # small may be nan
    infinite = _or(_eq(x, _INFINITY), _eq(y, _INFINITY))
    return _select(infinite, _INFINITY, large * _sqrt(1.0 + ratio * ratio))


def cbrt(x: Expr) -> Expr:
    """A power, with one step of Newton's method."""
    size = _abs(x)
    root = _pow(size, 1.0 / 3.0)
    better = root - (root - size / root / root) / 3.0
    final = _or(_eq(size, 0.0), _eq(size, _INFINITY))
    return make("copysign", _select(final, size, better), x)


def exp2(x: Expr) -> Expr:
    return _pow(2.0, x)


def expm1(x: Expr) -> Expr:
    return _tanh(0.5 * x) * (_exp(x) + 1.0)


def log2(x: Expr) -> Expr:
    return _log_to_base(x, make("log", x) * 1.4426950408889634, lambda n: make("exp2", n))


def log10(x: Expr) -> Expr:
    return _log_to_base(x, make("log", x) * 0.4342944819032518, lambda n: _pow(10.0, n))


def _log_to_base(x: Expr, near: Expr, power: Callable[[Expr], Expr]) -> Expr:
    """Exact at whole powers of the base."""
    whole = _round(near)
    return _select(_eq(power(whole), x), whole, near)


def log1p(x: Expr) -> Expr:
    """XLA's own loses seven bits in float64 at -0.41."""
    return _select(_abs(x) < 0.3, make("log1p", x), _log(1.0 + x))


def sinh(x: Expr) -> Expr:
    """XLA takes exp(x + log(0.5)), whose error grows with x."""
    size = _abs(x)
    less = make("expm1", size)
    root = _exp(0.5 * size)
    large = 0.5 * root * root - 0.5 / root / root
    small = 0.5 * (less + less / (less + 1.0))
    return make("copysign", _select(size < 1.0, small, large), x)


def cosh(x: Expr) -> Expr:
    root = _exp(0.5 * _abs(x))
    return 0.5 * root * root + 0.5 / root / root


def atanh(x: Expr) -> Expr:
    size = _abs(x)
    return make("copysign", 0.5 * make("log1p", 2.0 * size / (1.0 - size)), x)


# Error functions.


def erf_near_zero(x: Expr) -> Expr:
    """A series where Inductor's own is wrong on the CPU: by 4e-4 at 1e-4 (PyTorch 2.13)."""
    square = x * x
    coefficients = [(-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in range(13)]
    series = const(coefficients.pop())
    for coefficient in reversed(coefficients):
        series = coefficient + series * square
    return _select(square < 0.25, 2 / math.sqrt(math.pi) * x * series, make("erf", x))


def erf_far_out(x: Expr) -> Expr:
    """TensorFlow's own is nan at 1e200 in float64."""
    return make("erf", _clipped(x, 6.0))


def erfc(grid: float) -> Rule:
    """Libraries take exp(-x²) of the rounded x². `near`, a multiple of 1 / grid, has an exact square, and
    from there to x goes a short series."""

    def rule(x: Expr) -> Expr:
        y = _clipped(x, 28.0)
        near = _round(y * grid) / grid
        step = y - near
        part = near * step
        area = step * (1.0 - part * (1.0 - part * (2.0 / 3.0)))
        tail = make("erfc", near)
        slope = 2 / math.sqrt(math.pi) * _exp(-(near * near)) / tail
        return tail * (1.0 - _select(_eq(tail, 0.0), 0.0, slope) * area)

    return rule


def _clipped(x: Expr, bound: float) -> Expr:
    return _select(x < -bound, -bound, _select(bound < x, bound, x))


# Quotients at a step.

_STEPS = {"floor", "ceil", "trunc", "round", "floordiv", "mod", "lt", "le", "eq", "gather"}


def exact_quotients(root: Expr) -> Expr:
    """XLA multiplies by the reciprocal of a constant divisor, and so does PyTorch on CUDA: floor(x / 49)
    would be 0 at 49. Where a step shows the last digit, the divisor is made to depend on the dividend.
    """
    nodes = walk(root)
    shown = set(walk(*(arg for node in nodes if node.op in _STEPS for arg in node.args)))
    levels: set[Expr] = set()
    """What takes a value of a step's, not one of a continuum."""
    names: dict[Expr, frozenset[str]] = {}
    for node in nodes:
        own = [str(node.value)] if node.op == "var" else []
        names[node] = frozenset(own).union(*(names[arg] for arg in node.args))
        parts = node.args[1:] if node.op == "select" else node.args
        if node.op in _STEPS - {"mod"} or (node.op != "var" and levels.issuperset(parts)):
            levels.add(node)

    def visit(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "div" and (node in shown or node.args[0] in levels):
            x, divisor = args
            if not (names[node.args[0]] & names[node.args[1]] or _is_power_of_two(divisor)):
                return x / _select(_eq(x, x), divisor, x)
        return rebuild(node, args)

    return transform([root], visit)[0]


def _is_power_of_two(node: Expr) -> bool:
    return is_const(node) and abs(math.frexp(float(node.value))[0]) == 0.5  # type: ignore[arg-type]


# What is defined over exp.


def sigmoid(x: Expr) -> Expr:
    less = _exp_of_minus_size(x)
    return _select(x < 0.0, less, 1.0) / (1.0 + less)


def softplus(x: Expr) -> Expr:
    return _select(x > 0.0, x, 0.0) + make("log1p", _exp_of_minus_size(x))


def _exp_of_minus_size(x: Expr) -> Expr:
    """exp(-|x|), one and the same expression for x and -x."""
    factor, x = _factor(x)
    size = _abs(x)
    return _exp(-size if abs(factor) == 1.0 else -abs(factor) * size)


def _factor(x: Expr) -> tuple[float, Expr]:
    """x as a number times the rest."""
    if x.op == "neg":
        factor, rest = _factor(x.args[0])
        return -factor, rest
    if x.op == "mul":
        for number, rest in (x.args, x.args[::-1]):
            if number.op == "const":
                return float(number.value), rest  # type: ignore[arg-type]
    return 1.0, x


# For compilers that make one loop of the text: there `exp` costs, and what is shared does not.


def plus_zero(x: Expr, y: Expr) -> Expr | None:
    """To a compiler -0.0 + 0.0 may be -0.0."""
    for number, other in ((x, y), (y, x)):
        if is_const(number, 0.0):
            return _select(_eq(other, 0.0), 0.0, other)
    return None


def share_exponentials(root: Expr, sigmoids: bool = True) -> Expr:
    """Where several of exp's functions have one argument, up to its sign, over one exponential.

    Without `sigmoids` a sigmoid(x) and a sigmoid(-x) stay, as in the derivative of a sigmoid. XLA has the one
    from the value, and what both were made of would be loops of its own: under `jax.jit` a step of SwiGLU
    takes 1.1 times that of `a * jax.nn.silu(b)`, with them 1.5, silu 1.4 and 1.5 times `jax.nn.silu`'s.
    """
    sigmoids = sigmoids or any(node.op == "softplus" for node in walk(root))
    root = transform([root], _without_softplus)[0]
    users: dict[tuple[float, Expr], list[Expr]] = defaultdict(list)
    for node in walk(root):
        if node.op in _OVER_EXP:
            factor, rest = _factor(node.args[0])
            users[abs(factor), rest].append(node)
    shared = {
        node
        for (factor, _), nodes in users.items()
        if len(nodes) > 1 and (sigmoids or factor != 1.0)  # the derivative of tanh has sigmoid(2 x)
        for node in nodes
    }

    def visit(node: Expr, args: tuple[Expr, ...]) -> Expr:
        return _OVER_EXP[node.op](*args) if node in shared else rebuild(node, args)

    return transform([root], visit)[0]


def _without_softplus(node: Expr, args: tuple[Expr, ...]) -> Expr:
    """tanh(s) and sigmoid(±2 s), which is in its derivative, of s = softplus(x): mish without a log.

    exp(-s) is sigmoid(-x), and no difference is taken that could lose digits.
    """
    factor, inner = _factor(args[0]) if node.op == "sigmoid" else (1.0, args[0] if args else node)
    if inner.op == "softplus" and (node.op, factor) in _OF_SOFTPLUS:
        yes, no = (make("sigmoid", x) for x in (inner.args[0], make("neg", inner.args[0])))
        square = no * no
        return _quotient(_OF_SOFTPLUS[node.op, factor](yes, no, square), square)
    return rebuild(node, args)


_OF_SOFTPLUS: dict[tuple[str, float], Callable[[Expr, Expr, Expr], Expr]] = {
    ("tanh", 1.0): lambda yes, no, square: yes * (1.0 + no),
    ("sigmoid", 2.0): lambda yes, no, square: const(1.0),
    ("sigmoid", -2.0): lambda yes, no, square: square,
}


def _quotient(part: Expr, rest: Expr) -> Expr:
    """part / (1 + rest). XLA makes another loop for each quotient that it needs twice."""
    return build("mul", part, 1.0 / (1.0 + rest))


def _shared_sigmoid(x: Expr) -> Expr:
    less = _exp_of_minus_size(x)
    return _quotient(_select(x < 0.0, less, 1.0), less)


_OVER_EXP: dict[str, Callable[[Expr], Expr]] = {"sigmoid": _shared_sigmoid, "softplus": softplus}


def let_exp_overflow(root: Expr) -> Expr:
    """tanh(softplus(x)) as tanh(log1p(exp(x))): of an infinite exp it is 1, as it is of a finite one."""
    elsewhere = {arg for node in walk(root) if node.op != "tanh" for arg in node.args}

    def visit(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "tanh" and args[0].op == "softplus" and node.args[0] not in elsewhere:
            return _tanh(make("log1p", _exp(args[0].args[0])))
        return rebuild(node, args)

    return transform([root], visit)[0]


XLA: dict[str, Rule] = {
    "mod": mod,
    "floordiv": floordiv,
    "exp2": exp2,
    "log2": log2,
    "log10": log10,
    "sinh": sinh,
    "cosh": cosh,
    "erfc": erfc(2.0**8),
}
"""What XLA lacks or rounds badly."""
XLA_IN_FLOAT64: dict[str, Rule] = {"log1p": log1p, "atanh": atanh, "erfc": erfc(2.0**21)}
