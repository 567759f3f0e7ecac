"""Whatever a function may be, and whatever it may call: read as what Python computes."""

from __future__ import annotations

import abc
import dataclasses
import enum
import functools
import importlib.util
import math
import textwrap
import typing

import numpy as np
import pytest

from actgrad import activation
from actgrad.reading.define import define

SLOPE = 0.25
TABLE = {"low": -1.0, "high": 2.0}
STEPS = [0.5, 1.0, 2.0]


def helper(x, a=2.0):
    return math.tanh(a * x) if x > 0 else SLOPE * x


def calls_a_helper(x):
    return helper(x) + helper(x, a=0.5)


def calls_through_a_variable(x):
    act = helper if SLOPE > 0 else None
    return act(x, 1.5)


def reads_globals(x):
    return min(max(x, TABLE["low"]), TABLE["high"]) + sum(s * x for s in STEPS)


def recursive(x, depth=4):
    return x if depth == 0 or abs(x) < 1 else 0.5 * recursive(x - 1, depth - 1)


def mutual_a(x, n=3):
    return x if n <= 0 else mutual_b(x + 1, n - 1)


def mutual_b(x, n):
    return mutual_a(2 * x, n - 1)


def recursive_exponential(x, depth=3):
    return math.exp(-abs(x)) if depth == 0 else 0.5 * recursive_exponential(x + 1, depth - 1)


def with_attributes(x):
    return with_attributes.scale * math.sin(x)


with_attributes.scale = 1.5


def nested(x):
    k = 3.0

    def inner(y):
        def innermost(z):
            return math.exp(-z * z) * k

        return innermost(y) + y

    return inner(x) * 0.5


def nonlocal_inside(x):
    total = 0.0

    def add(value):
        nonlocal total
        total += value

    for k in range(3):
        add(k * x)
    return total


def variadic(x):
    def norm(*values, scale=1.0, **more):
        return scale * sum(v * v for v in values) + more["shift"]

    return norm(x, 2 * x, *[1.0], scale=0.5, **{"shift": x})


def make_closure(alpha, act):
    def closure(x):
        return alpha * act(x) if x < alpha else x

    return closure


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args):
        return 2 * function(*args)

    return wrapper


@decorated
def doubled(x):
    return math.sin(x)


def calls_decorated(x):
    return doubled(x)


@functools.lru_cache(maxsize=None)
def cached(x):
    return math.tanh(x) if x > 0 else x


def calls_cached(x):
    return cached(x) + cached(2.0)


def two(x, y):
    return x * y if x > y else math.sin(x)


class Curve:
    scale = 2.0

    def __init__(self, a):
        self.a = a

    def helper(self, x):
        return math.exp(-self.a * x * x) * self.scale

    def method(self, x):
        return self.helper(x) if x > 0 else -self.helper(-x)

    def __call__(self, x):
        return self.method(x) + 1

    @property
    def doubled(self):
        return 2 * math.sqrt(self.a)

    def uses_property(self, x):
        return self.doubled * x

    @functools.cached_property
    def kept(self):
        return 3 * math.sqrt(self.a)

    def uses_cached_property(self, x):
        return self.kept * x + self.kept

    @staticmethod
    def static(x):
        return math.sin(x)

    @classmethod
    def of_class(cls, x):
        return cls.scale * math.cos(x)


class Steeper(Curve):
    scale = 3.0

    def helper(self, x):
        return super().helper(x) + 0.1 * x


class Steepest(Steeper):
    def helper(self, x):
        return super().helper(2 * x) * (1 if isinstance(self, Curve) else 0)

    @classmethod
    def of_class(cls, x):
        return super().of_class(x) + 1


class Mixed(Steeper):
    __slots__ = ("extra",)


class Slotted:
    __slots__ = ("a",)

    def __init__(self, a):
        self.a = a

    def __call__(self, x):
        return math.atan(self.a * x)


class Abstract(abc.ABC):
    @abc.abstractmethod
    def inner(self, x): ...

    def __call__(self, x):
        return self.inner(x) if x > 0 else 0.1 * x


class Concrete(Abstract):
    def inner(self, x):
        return math.log(1 + x)


@dataclasses.dataclass(frozen=True)
class Data:
    a: float
    b: float = 0.5

    def __call__(self, x):
        return math.tanh(self.a * x) + self.b


class Pair(typing.NamedTuple):
    low: float
    high: float

    def clip(self, x):
        return min(max(x, self.low), self.high)


class Mode(enum.Enum):
    SOFT = 1
    HARD = 2


PAIR = Pair(-1.0, 1.0)
MODE = Mode.HARD
CURVE = Curve(0.3)


def uses_named_tuple(x):
    return PAIR.clip(x) + PAIR.low * x + PAIR[1]


def uses_enum(x):
    return math.tanh(x) if MODE is Mode.SOFT else (x if MODE == Mode.HARD else 0)


def uses_an_object(x):
    return CURVE.method(x) + CURVE(x)


def makes_an_object(x):
    return Steepest(0.2).method(x)


def stores_on_a_local_object(x):
    curve = Curve(0.2)
    curve.a = 1.5
    curve.value = curve.helper(x)
    return curve.value


class Vector:
    """Operators of a user's own class, computing with the symbol."""

    def __init__(self, *parts):
        self.parts = parts

    def __add__(self, other):
        return Vector(*(a + b for a, b in zip(self.parts, other.parts, strict=True)))

    def __rmul__(self, k):
        return Vector(*(k * part for part in self.parts))

    def __abs__(self):
        return math.sqrt(sum(part * part for part in self.parts))


def uses_operators(x):
    return abs(Vector(x, 2.0) + x * Vector(1.0, 0.5))


def partial_positional(a, x):
    return a * math.tanh(x)


def powers(x, exponent, scale):
    return scale * x**exponent


class JitLike:
    """What Numba makes: the Python function is its `py_func`."""

    def __init__(self, function):
        self.py_func = function

    def __call__(self, *args):
        raise AssertionError("machine code cannot be followed")


@JitLike
def jitted(x):
    return math.exp(-x) if x > 0 else 1 + x * jitted_helper(x)


jitted_helper = JitLike(lambda x: x * 0.5)


def from_text(text, name):
    namespace = {}
    exec(textwrap.dedent(text), namespace)
    return namespace[name]


TYPED = from_text(
    """
    import math
    from math import exp as e
    half = 0.5
    def inner(x): return e(-x * x)
    def typed(x):
        return inner(x) if x > half else math.sin(x)
    """,
    "typed",
)

CASES = {
    "helper": calls_a_helper,
    "helper in a variable": calls_through_a_variable,
    "globals": reads_globals,
    "recursion": functools.partial(recursive),
    "recursion, mutual": lambda x: mutual_a(x),
    "recursion with math": lambda x: recursive_exponential(x),
    "function attributes": with_attributes,
    "nested functions": nested,
    "nonlocal of a local": nonlocal_inside,
    "star arguments": variadic,
    "closure": make_closure(0.5, math.tanh),
    "closure of a closure": make_closure(1.5, make_closure(0.25, lambda x: x * x)),
    "decorated": calls_decorated,
    "lru_cache": calls_cached,
    "lambda": lambda x: math.exp(x) if x < 0 else 1 + x,
    "immediate lambda": lambda x: (lambda y: y * math.sin(y))(x),
    "bound method": Curve(0.3).method,
    "property": Curve(0.3).uses_property,
    "cached property": Curve(0.3).uses_cached_property,
    "static method": Curve.static,
    "class method": Curve.of_class,
    "inherited": Steeper(0.3).method,
    "super": Steepest(0.3).method,
    "super in a class method": Steepest.of_class,
    "callable object": Curve(0.3),
    "callable object, inherited": Steepest(0.3),
    "slots": Slotted(0.7),
    "slots and dict": Mixed(0.7),
    "abstract base": Concrete(),
    "dataclass": Data(0.7),
    "named tuple": uses_named_tuple,
    "enum": uses_enum,
    "object of a global": uses_an_object,
    "object made inside": makes_an_object,
    "object changed inside": stores_on_a_local_object,
    "own operators": uses_operators,
    "partial, positional": functools.partial(partial_positional, 0.7),
    "partial, keywords": functools.partial(powers, exponent=2, scale=0.5),
    "partial, both": functools.partial(functools.partial(two, 0.5)),
    "partial of a method": functools.partial(Curve(0.3).method),
    "partialmethod result": functools.partial(Curve.method, Curve(0.3)),
    "np.vectorize": np.vectorize(helper),
    "np.vectorize of a lambda": np.vectorize(lambda x: x % 1 if x % 1 <= 0.5 else 0),
    "py_func": jitted,
    "exec": TYPED,
}


def plain(function):
    function = getattr(function, "py_func", function)
    return getattr(function, "pyfunc", function)


@pytest.mark.parametrize("function", CASES.values(), ids=CASES)
def test_is_read_as_python(function, reads_as_python, monkeypatch):
    # The oracle calls the Python function inside the stand-in for Numba's object.
    monkeypatch.setattr(JitLike, "__call__", lambda self, *args: self.py_func(*args))
    reads_as_python(function, tolerance=1e-12)


@pytest.mark.parametrize("wrap", [lambda f: f, np.vectorize, JitLike, functools.partial])
def test_is_read_through_its_wrapping(wrap):
    assert define(wrap(helper)).value is define(helper).value


def test_helpers_in_another_module_are_read(tmp_path, reads_as_python):
    file = tmp_path / "other_module.py"
    file.write_text(
        "import math\nfrom math import exp\nimport numpy as np\nK = 0.5\n"
        "def soft(x):\n    return np.tanh(x) * exp(-abs(x)) + _own(x)\n"
        "def _own(x):\n    return math.sin(K * x) if x > K else K\n"
        "class Box:\n    def __call__(self, x):\n        return math.cos(x) * self.k\n    k = 2.0\n"
    )
    spec = importlib.util.spec_from_file_location("other_module", file)
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    box, soft = other.Box(), other.soft

    def by_module(x):
        return other.soft(x) + other.K + other.Box()(x)

    def by_name(x):
        return soft(x) * box(x)

    reads_as_python(by_module, tolerance=1e-12)
    reads_as_python(by_name, tolerance=1e-12)


def test_a_module_imported_inside_is_read(reads_as_python):
    def imports_inside(x):
        import math as m
        from math import sqrt

        import numpy as np

        return m.exp(-abs(x)) + sqrt(abs(x) + 1) + np.tanh(x)

    reads_as_python(imports_inside, tolerance=1e-12)


def test_an_activation_inside_a_function_is_read(reads_as_python):
    from actgrad import activation

    inner = activation(lambda x, a=2.0: a * max(x, 0), name="inner", surrogate=lambda x, a: 7.0)
    outer = define(lambda x: inner(x) + inner(x, a=3.0))
    assert outer.evaluate(2.0) == 10.0
    assert outer.partial("x").evaluate(2.0) == 14.0


def test_several_inputs():
    program = define(two)
    assert program.inputs == ("x", "y")
    assert program.evaluate(3.0, 2.0) == two(3.0, 2.0)
    assert program.evaluate(1.0, 2.0) == two(1.0, 2.0)
    assert program.partial("x").evaluate(3.0, 2.0) == 2.0
    assert program.partial("y").evaluate(3.0, 2.0) == 3.0
    assert program.partial("y").evaluate(1.0, 2.0) == 0.0


def keyword_only(x, *, y, a=2.0):
    return a * x - y


def positional_only(x, y, /, a=2.0):
    return a * x - y


def test_the_bits_of_a_parameter():
    def quantised(x, bits=4, flags=3):
        steps = (1 << bits) - (flags & 1)
        return round(x * steps) / steps + x * (bits >> 1)

    made = activation(quantised, name="f")
    assert [made(x) for x in (-0.77, 0.2, 1.0)] == [quantised(x) for x in (-0.77, 0.2, 1.0)]


@pytest.mark.parametrize("function", [keyword_only, positional_only])
def test_kinds_of_arguments(function):
    program = define(function)
    assert program.inputs == ("x", "y")
    assert dict(program.parameters) == {"a": 2.0}
    assert program.evaluate(3.0, 1.0, a=5.0) == 14.0
