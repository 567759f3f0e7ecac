"""Every name in the table exists in the library, and means what the library computes."""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
import warnings
from typing import Any

import numpy as np
import pytest

from actgrad.errors import ActgradError, ActgradWarning, ImpureError, MixingError
from actgrad.reading.define import define
from actgrad.reading.libraries import (
    casts,
    flow,
    formulas,
    gradients,
    lookups,
    meanings,
    shipped,
    stacks,
    tables,
    torch_functional,
)
from actgrad.reading.libraries import names as aliases
from actgrad.reading.witnesses.original import points

NEWER = {"fma": (3, 13), "sumprod": (3, 12)}
"""Names that Python's own library got later than the oldest Python that we run on."""
ROWS = [
    (path, name, meaning)
    for path, text in aliases.NAMES.items()
    for name, (_, meaning) in aliases._parse(text).items()
    if sys.version_info >= NEWER.get(name, (3,))
]
ALIKE = {*aliases._parse(tables._OF_NUMPY), *aliases._parse(tables._ACTIVATIONS)}
"""They stand once for the libraries that have them; each other name exists in its library."""
DRAWING = """
tensorflow.random: categorical gamma normal poisson shuffle stateless_normal truncated_normal uniform
keras.random: beta binomial categorical dropout gamma normal randint shuffle truncated_normal uniform
jax.random: beta categorical choice exponential gamma gumbel laplace logistic normal randint uniform
"""
DRAWN = [row[:2] for row in ROWS if row[2] == "random"] + [
    (path, name)
    for path, _, each in (line.partition(":") for line in DRAWING.split("\n"))
    for name in each.split()
]
ELSEWHERE = frozenset(
    {"mixing", "random", "true", "false", *gradients.MEANINGS, *torch_functional.MEANINGS}
    | {*vars(casts), *vars(flow), *vars(stacks), *vars(lookups)}
    - ({"cast", "constant"} | {*vars(meanings), *vars(formulas), *vars(shipped)})
    | set(
        """dropout huber smooth_l1 squared_error absolute_error soft_margin cross_entropy_tf
    cross_entropy_with_logits fake_quantize log_poisson quantize_and_dequantize crelu""".split()
    )
)
"""Meanings that are no function of numbers: test_casts.py, test_flow.py and the tests below have them."""
OF_LISTS = frozenset({"largest", "smallest", "total", "product", "mean", "dot"})


def find(path: str, name: str = "") -> Any:
    """The library's function or module, or a skip where the library is not installed."""
    found = pytest.importorskip(path.partition(".")[0])
    for part in f"{path}.{name}".rstrip(".").split(".")[1:]:
        if not hasattr(found, part):
            importlib.import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)
    return found


def is_there(path: str, name: str) -> bool:
    """Whether the library has it, where it is installed."""
    if importlib.util.find_spec(path.partition(".")[0]) is None:
        return True
    try:
        find(path, name)
    except (AttributeError, ModuleNotFoundError):
        return False
    return True


COMPUTED = [
    row
    for row in ROWS
    if row[2] not in ELSEWHERE
    and is_there(*row[:2])
    and row[0] != "tensorflow.keras.backend"
    and row[2] != "prelu"  # its weight is a tensor: below
    and (row[2] not in OF_LISTS or row[0] in {"numpy", "math", "builtins"})
]


# Kinks, ties, both branches, and beyond every domain; each is exact in float32.
GRID = np.array(
    [-7.25, -4.0, -3.0, -2.5, -1.5, -1.0, -0.75, -0.5, -0.25, -0.0, 0.0]
    + [0.125, 0.25, 0.5, 0.625, 1.0, 1.5, 2.5, 3.0, 4.0, 6.0, 7.75]
)
X, Y = (column.ravel() for column in np.meshgrid(GRID, GRID))

BINARY = frozenset(
    """add subtract reversed_subtract multiply divide floor_divide mod power fmax fmin
    maximum_half minimum_half maximum_tnp fmax_jax fmin_jax copysign_torch logaddexp2 logaddexp2_keras xlog1py
    divide_zero squared_difference quotient_floor
    python_divide array_is_close prelu hypot hypot_jax copysign
    atan2 less less_equal equal
    greater greater_equal not_equal maximum minimum fmod remainder_nearest logaddexp xlogy heaviside
    truncate_divide divide_no_nan multiply_no_nan is_close""".split()
)
CALLS = {
    "logical_and": "f(x > 0, y > 0)",
    "logical_or": "f(x > 0, y > 0)",
    "logical_xor": "f(x > 0, y > 0)",
    "logical_not": "f(x > 0)",
    "where": "f(x > y, x, y)",
    "select_n": "f(x > y, x, y)",
    "select": "f([x > 1, x > 0], [x, y], 2.0)",
    "piecewise": "f(x, [x < 0, x > 1], [-1.0, 2.0])",
    "clip": "f(x, -0.75, 2.5)",
    "clamp": "f(x, -0.75, 2.5)",
    "lax_clamp": "f(-0.75, x, 2.5)",
    "threshold": "f(x, 0.5, -3.0)",
    "lerp": "f(x, y, 0.25)",
    "fma": "f(x, y, 0.5)",
    "full_like": "f(x, 3.0)",
    "polyval": "f([2.0, -1.0, 0.5], x)",
    "python_max": "f(x, y)",
    "python_min": "f(x, y)",
    "modf": "f(x)[0] + 10 * f(x)[1]",
    "ldexp": "f(x, 2)",
    "dot": "f([x, 1.0], [0.5, y])",
    "floor_divmod": "f(x, y)[0] + 100 * f(x, y)[1]",
    "addcmul": "f(x, y, 0.5, value=2.0)",
    "addcdiv": "f(x, y, 0.5, value=2.0)",
    "masked_fill": "f(x, x > y, 0.5)",
    "interp": "f(x, [-2.0, 0.5, 3.0], [1.0, -1.0, 4.0])",
    "interp_jax": "f(x, np.array([-2.0, 0.5, 3.0]), np.array([1.0, -1.0, 4.0]))",
    "distance": "f([x, 1.0], [0.5, y])",
    "norm": "f(x, y)",
    "bitwise_and": "f(x > 0, y > 0)",
    "bitwise_or": "f(x > 0, y > 0)",
    "bitwise_xor": "f(x > 0, y > 0)",
    "bitwise_not": "f(x > 0)",
    "nonzero": "np.where(x > 0, x, f(x > 0) is None)",
    "largest_of": "f(x, y)",
    "smallest_of": "f(x, y)",
    "factorial": "f(5) * x",
    "polygamma": "f(1, x * x + 0.25)",
    "zeta": "f(3, x * x + 0.25)",
    "multigammaln": "f(x * x + 2, 2)",
    "kl_div": "f(x, y)",
    "rel_entr": "f(x, y)",
    "pseudo_huber": "f(y, x)",
    "t_pdf": "f(x, 3.5)",
    "t_logpdf": "f(x, 3.5)",
    "iv": "f(1, x)",
    "ive": "f(1, x)",
    "betaln": "f(x * x + 0.25, 2.5)",
    "powm1": "f(x * x + 0.5, 1.5)",
    "boxcox": "f(x * x + 0.5, 0.5)",
    "boxcox1p": "f(x * x, 0.5)",
    "inv_boxcox": "f(x * x, 0.5)",
    **dict.fromkeys(("eval_chebyt", "eval_chebyu", "eval_hermite", "eval_hermitenorm"), "f(3, x)"),
    **dict.fromkeys(("eval_legendre", "eval_laguerre"), "f(3, x)"),
}
BY_NAME = {
    "builtins.any": "f([x > 1, y > 1])",
    "builtins.all": "f([x > 1, y > 1])",
    "math.fsum": "f([x, y, 0.5])",
    "math.prod": "f([x, y, 0.5])",
    "math.sumprod": "f([x, y], [y, 0.5])",
    "jax.numpy.astype": "f(x, float)",
    "jax.numpy.polyval": "f(np.array([2.0, -1.0, 0.5]), x)",
    "jax.lax.integer_pow": "f(x, 3)",
    "jax.lax.select": "f(x > y, x, y)",
    "keras.ops.cast": "f(x, 'int32')",
    "tensorflow.cast": "f(x, 'int32')",
    "torch.clamp_max": "f(x, 0.5)",
    "torch.clamp_min": "f(x, 0.5)",
    "torch.ldexp": "f(x, y)",
    "tensorflow.math.polygamma": "f(1.0, x * x + 0.25)",
    "tensorflow.math.zeta": "f(3.0, x * x + 0.25)",
    "jax.lax.polygamma": "f(1.0, x * x + 0.25)",
    "jax.lax.zeta": "f(3.0, x * x + 0.25)",
    "torch.addcmul": "f(x, y, x, value=2.0)",
    "torch.addcdiv": "f(x, y, x, value=2.0)",
    "tensorflow.math.polyval": "f([x, y], 2 * y)",
    "jax.numpy.interp": "f(x, np.array([-2.0, 0.5, 3.0]), np.array([1.0, -1.0, 4.0]))",
    "jax.lax.convert_element_type": "f(x, 'int32')",
    "keras.ops.saturate_cast": "f(x, 'int32')",
    "tensorflow.math.reduce_sum": "f([x, y])",
    "builtins.sum": "f([x, y, 0.5])",
    "numpy.max": "f([x, y])",
    "numpy.amax": "f([x, y])",
    "numpy.amin": "f([x, y])",
    "numpy.min": "f([x, y])",
    "numpy.sum": "f([x, y])",
    "numpy.prod": "f([x, y])",
    "numpy.mean": "f([x, y])",
    "numpy.any": "f([x, y])",
    "numpy.all": "f([x, y])",
    "jax.numpy.sum": "f(np.array([x, y]))",
    "jax.numpy.prod": "f(np.array([x, y]))",
}
FLOAT32 = {
    "tensorflow.compat.v1.nn.leaky_relu",
    "tensorflow.nn.gelu",
    "tensorflow.nn.leaky_relu",
    "keras.activations.gelu",
    "numpy.float32",
    "keras.activations.leaky_relu",
    "keras.ops.leaky_relu",
    "keras.ops.gelu",
    *("torch.polygamma", "torch.special.polygamma"),  # nine digits
    "tensorflow.raw_ops.LeakyRelu",
    "keras.ops.logaddexp2",
}
"""Computed by the library with constants of float32, whatever the input's dtype."""


def read(call: str, function: Any, arguments: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        return define(eval(f"lambda {arguments}: {call}", {"f": function, "np": np}))


def of_library(root: str, values: np.ndarray) -> Any:
    """The numbers as a tensor of the library that a name belongs to."""
    if root in {"tensorflow", "keras"}:
        return pytest.importorskip("tensorflow").constant(values, "float64")
    if root == "torch":
        return pytest.importorskip("torch").tensor(values)
    return values


def by_jax(function: Any, columns: list[np.ndarray]) -> np.ndarray:
    """In pieces of the shape that the witness takes, for which XLA has then compiled each function."""
    jax = pytest.importorskip("jax")
    shape = points(1)[0].shape
    pieces = []
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        for at in range(0, columns[0].size, *shape):
            taken = [np.resize(column[at:], shape) for column in columns]
            found = function(*map(jax.numpy.asarray, taken))
            pieces.append(np.broadcast_to(np.asarray(found, np.float64), shape))
    return np.concatenate(pieces)[: columns[0].size]


def on_numbers(function: Any, columns: list[np.ndarray]) -> np.ndarray:
    """One number at a time; nan where Python raises."""
    found = []
    for row in zip(*columns, strict=True):
        try:
            found.append(float(function(*map(float, row))))
        except (ValueError, ArithmeticError):
            found.append(math.nan)
    return np.array(found)


def of_its_own(path: str, call: str, function: Any, columns: list[np.ndarray], names: str) -> Any:
    own = eval(f"lambda {names}: {call}", {"f": function, "np": np})
    root = path.partition(".")[0]
    if root in {"builtins", "math"} or call.startswith(
        ("f([x, y])", "f([x, 1.0]", "f(np.array([x")
    ):
        return on_numbers(own, columns)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if root == "jax":
            return by_jax(own, columns)
        return np.asarray(own(*(of_library(root, column) for column in columns)), np.float64)


@pytest.mark.parametrize("path", dict.fromkeys(row[0] for row in ROWS))
def test_the_names_exist(path: str) -> None:
    names = [
        row[1] for row in ROWS if row[0] == path and (row[1] not in ALIKE or is_there(*row[:2]))
    ]
    assert [name for name in names if not is_known(find(path, name))] == []


def is_known(function: Any) -> bool:
    """Also where Lightning, when it is imported, has wrapped it, as it does `torch.compile`."""
    forms = (function, getattr(function, "__wrapped__", function))
    return any(aliases.meaning(form) is not None for form in forms)


@pytest.mark.parametrize("name", sorted(ALIKE))
def test_a_name_of_many_libraries_is_in_two(name: str) -> None:
    assert sum(is_there(*row[:2]) for row in ROWS if row[1] == name) > 1


@pytest.mark.parametrize(("path", "name", "meaning"), COMPUTED, ids=lambda value: value)
def test_the_name_means_what_the_library_computes(path: str, name: str, meaning: str) -> None:
    function = find(path, name)
    default = "f(x, y)" if meaning in BINARY else "f(x)"
    call = BY_NAME.get(f"{path}.{name}", CALLS.get(meaning, default))
    if name.endswith("_") and path.startswith("torch"):
        call = call.replace("f(x", "f(x.clone()")
    if path == "tensorflow.raw_ops":  # by keyword only
        given = zip(inspect.signature(function).parameters, call[2:-1].split(", "), strict=False)
        call = f"f({', '.join(f'{name}={value}' for name, value in given)})"
    names, columns = ("x, y", [X, Y]) if "y" in call.replace("np.array", "") else ("x", [GRID])
    true = of_its_own(path, call, function, columns, names)
    ours = np.broadcast_to(read(call, function, names).evaluate(*columns), columns[0].shape)
    if path in {"math", "builtins"}:
        ours = np.where(np.isnan(true), true, ours)
    loose = path.startswith("jax") or f"{path}.{name}" in FLOAT32
    tolerance = 3e-6 if loose else 1e-13
    np.testing.assert_allclose(ours, np.broadcast_to(true, ours.shape), tolerance, tolerance)


SPELLED = [
    ("torch", "clamp", "f(x, min=-0.5, max=2.0)"),
    ("torch", "clamp", "f(input=x, max=2.0)"),
    ("torch", "where", "f(condition=x > 0, input=x, other=0.5 * x)"),
    ("torch", "clamp_min", "f(x, min=0.5)"),
    ("torch", "maximum", "f(input=x, other=0.5 * x)"),
    ("torch", "pow", "f(x, exponent=3)"),
    ("torch", "sin", "f(input=x)"),
    ("torch", "div", "f(x, 0.75, rounding_mode='floor')"),
    ("torch", "div", "f(x, 0.75, rounding_mode='trunc')"),
    ("torch", "round", "f(x, decimals=1)"),
    ("torch", "lerp", "f(input=x, end=2 * x, weight=0.25)"),
    ("torch.nn.functional", "leaky_relu", "f(x, negative_slope=0.3)"),
    ("torch.nn.functional", "elu", "f(x, alpha=0.5)"),
    ("torch.nn.functional", "celu", "f(x, alpha=0.5)"),
    ("torch.nn.functional", "softplus", "f(x, beta=2.0)"),
    ("torch.nn.functional", "gelu", "f(x, approximate='tanh')"),
    ("torch.nn.functional", "relu", "f(x, inplace=False)"),
    ("torch.nn.functional", "threshold", "f(x, threshold=0.5, value=-1.0)"),
    ("torch.nn.functional", "softshrink", "f(x, lambd=0.75)"),
    ("torch.nn.functional", "hardtanh", "f(x, min_val=-2.0, max_val=0.5)"),
    ("tensorflow", "clip_by_value", "f(x, clip_value_min=-1.0, clip_value_max=0.5)"),
    ("tensorflow", "where", "f(condition=x > 0, x=x, y=0.5 * x)"),
    ("tensorflow", "maximum", "f(x=x, y=0.5 * x, name='larger')"),
    ("tensorflow.nn", "leaky_relu", "f(x, alpha=0.25)"),
    ("tensorflow.nn", "relu", "f(features=x)"),
    ("tensorflow.nn", "silu", "f(features=x, beta=2.0)"),
    ("tensorflow.nn", "gelu", "f(x, approximate=True)"),
    ("jax.nn", "leaky_relu", "f(x, negative_slope=0.25)"),
    ("jax.nn", "elu", "f(x, alpha=0.5)"),
    ("jax.nn", "gelu", "f(x, approximate=False)"),
    ("jax.numpy", "where", "f(x > 0, x, 0.5 * x)"),
    ("jax.numpy", "clip", "f(x, min=-1.0, max=0.5)"),
    ("jax.lax", "clamp", "f(min=-1.0, x=x, max=0.5)"),
    ("jax.lax", "select", "f(pred=x > 0, on_true=x, on_false=-x)"),
    ("keras.ops", "leaky_relu", "f(x, negative_slope=0.25)"),
    ("keras.ops", "clip", "f(x, x_min=-1.0, x_max=0.5)"),
    ("keras.ops", "where", "f(x > 0, x1=x, x2=0.5 * x)"),
    ("keras.ops", "maximum", "f(x1=x, x2=0.5 * x)"),
    ("keras.ops", "gelu", "f(x, approximate=False)"),
    ("keras.ops", "threshold", "f(x, threshold=0.5, default_value=-1.0)"),
    ("keras.activations", "relu", "f(x, negative_slope=0.25, max_value=2.0, threshold=0.5)"),
    ("numpy", "clip", "f(x, a_min=-1.0, a_max=0.5)"),
    ("numpy", "round", "f(x, decimals=1)"),
    ("numpy", "select", "f(condlist=[x > 1, x > 0], choicelist=[x, -x], default=0.5)"),
]


@pytest.mark.parametrize(("path", "name", "call"), SPELLED, ids=lambda value: value)
def test_keywords_are_spelled_as_in_the_library(path: str, name: str, call: str) -> None:
    function = find(path, name)
    true = of_its_own(path, call, function, [GRID], "x")
    ours = read(call, function, "x").evaluate(GRID)
    tolerance = 3e-6 if path.startswith("jax") or f"{path}.{name}" in FLOAT32 else 1e-12
    np.testing.assert_allclose(ours, true, tolerance, tolerance)


METHODS = [
    "x.abs()", "x.sigmoid()", "x.tanh()", "x.exp()", "x.clamp(min=0)", "x.clamp(-1, 0.5)",
    "x.clamp_max(0.5)", "x.relu()", "x.pow(2)", "x.mul(2).add(1).neg()", "x.sub(1).div(2)",
    "x.where(x > 0, 0.5 * x)", "x.masked_fill(x < 0, 0.25)", "x.square().sqrt()", "x.lt(0).double()",
    "x.floor()", "x.round()", "x.remainder(1)", "x.fmod(1.5)", "x.sign()", "x.erf()", "x.maximum(0.5 * x)",
    "(x > 0).to(x.dtype) * x", "x.log1p()", "x.reciprocal()", "x.expm1()", "x.sin().cos()", "x.copysign(-x)",
]  # fmt: skip


@pytest.mark.parametrize("call", METHODS)
def test_a_tensors_method_means_what_torch_computes(call: str) -> None:
    torch = pytest.importorskip("torch")
    own = eval(f"lambda x: {call}", {"torch": torch})
    ours = read(call, None, "x").evaluate(GRID)
    np.testing.assert_allclose(ours, own(torch.tensor(GRID)).numpy(), 1e-13, 1e-13)


EQUAL = [
    ("tensorflow", "lambda x: tf.where(x > 0, x, 0.1 * x)", "x if x > 0 else 0.1 * x"),
    (
        "tensorflow",
        "lambda x: tf.cast(tf.math.floormod(x, 1) <= 0.5, tf.float32)",
        "1.0 if x % 1 <= 0.5 else 0.0",
    ),
    ("tensorflow", "lambda x: tf.exp(-tf.square(x))", "math.exp(-(x * x))"),
    ("tensorflow", "lambda x: tf.nn.leaky_relu(x, alpha=0.1)", "x if 0 < x else 0.1 * x"),
    ("torch", "lambda x: torch.where(x > 0, x, torch.expm1(x))", "x if x > 0 else math.expm1(x)"),
    ("torch", "lambda x: x * torch.sigmoid(1.5 * x)", "x / (1 + math.exp(-1.5 * x))"),
    ("torch", "lambda x: x.tanh().mul(2)", "math.tanh(x) * 2"),
    ("jax", "lambda x: jax.numpy.where(x > 0, x, 0.0)", "x if x > 0 else 0.0"),
    ("jax", "lambda x: jax.nn.softplus(x)", "math.log(1 + math.exp(x))"),
    ("jax", "lambda x: jax.lax.select(x > 0, x, -x)", "x if x > 0 else -x"),
    ("keras", "lambda x: keras.ops.abs(x) + keras.ops.sqrt(x)", "abs(x) + math.sqrt(x)"),
    ("keras", "lambda x: keras.ops.silu(x)", "x / (1 + math.exp(-x))"),
]  # fmt: skip


@pytest.mark.parametrize(("library", "written", "plainly"), EQUAL, ids=lambda value: value)
def test_a_function_of_tensors_is_the_same_program_as_plain_python(
    library: str, written: str, plainly: str
) -> None:
    module = pytest.importorskip(library)
    function = eval(written, {"tf" if library == "tensorflow" else library: module})
    own = eval(f"lambda x: {plainly}", {"math": math})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        assert define(function) == define(own)


def test_a_tensor_function_by_its_own_name_is_not_run_on_plain_floats() -> None:
    sin = find("jax.numpy", "sin")  # in float32, so it differs from what is read
    assert str(read("f(x)", sin, "x")) == "sin(x)"


def test_what_takes_a_row_is_refused_and_says_so() -> None:
    wrong, asked = [], 0
    paths = [path for path in aliases.NAMES if aliases.taken(path)]
    own = {id(find(*row[:2])) for row in ROWS if row[0] in paths and is_there(*row[:2])}
    for path in paths:
        for name in aliases.taken(path):
            function = getattr(find(path), name, None)
            if not callable(function) or id(function) in own:
                continue
            asked += 1
            with pytest.raises(ActgradError) as refused:
                define(eval("lambda x: f(x)", {"f": function}))
            named = name in str(refused.value) or function.__name__ in str(refused.value)
            if not isinstance(refused.value, MixingError) or not named:
                wrong.append((path, name, str(refused.value)))
    assert wrong == []
    assert asked > 300


def test_what_draws_at_random_is_refused_and_says_so() -> None:
    wrong = []
    for path, name in DRAWN:
        function = find(path, name)
        with pytest.raises(ActgradError) as refused:
            define(eval("lambda x: x * f(0.5)", {"f": function}))
        if not isinstance(refused.value, ImpureError) or f"{path}.{name}" not in str(refused.value):
            wrong.append((path, name, str(refused.value)))
    assert wrong == []


@pytest.mark.parametrize("module", ["torch", "torch.nn.functional"])
def test_prelu_takes_its_weight_as_a_tensor(module: str) -> None:
    torch = pytest.importorskip("torch")
    function, weight = find(module, "prelu"), torch.tensor([0.25])
    ours = define(eval("lambda x: f(x, w)", {"f": function, "w": weight}))
    own = function(torch.tensor(GRID, dtype=torch.float32), weight).numpy()
    np.testing.assert_allclose(ours.evaluate(GRID), own, 1e-6, 1e-6)
