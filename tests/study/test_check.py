"""`check`, on twenty standard activations as a newcomer writes them, right and with planted faults."""

import json
import math
import warnings

import numpy as np
import pytest

from actgrad import activation, activations
from actgrad.errors import CallError, DerivativeMismatchWarning, SurrogateWarning

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


def sigmoid(x):
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def phi(x):
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def Phi(x):
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def relu(x):
    return x if x > 0 else 0


def d_relu(x):
    return 1 if x > 0 else 0


def leaky(x):
    return x if x > 0 else 0.01 * x


def d_leaky(x):
    return 1 if x > 0 else 0.01


def elu(x):
    return x if x > 0 else math.exp(x) - 1


def d_elu(x):
    return 1.0 if x > 0 else math.exp(x)


def selu(x):
    return SCALE * x if x > 0 else SCALE * ALPHA * (math.exp(x) - 1)


def d_selu(x):
    return SCALE if x > 0 else SCALE * ALPHA * math.exp(x)


def gelu(x):
    return x * Phi(x)


def d_gelu(x):
    return Phi(x) + x * phi(x)


def silu(x):
    return x * sigmoid(x)


def d_silu(x):
    s = sigmoid(x)
    return s + x * s * (1 - s)


def softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


d_softplus = sigmoid


def mish(x):
    return x * math.tanh(softplus(x))


def d_mish(x):
    t = math.tanh(softplus(x))
    return t + x * (1 - t * t) * sigmoid(x)


def tanh(x):
    return math.tanh(x)


def d_tanh(x):
    return 1 - math.tanh(x) ** 2


def d_sigmoid(x):
    return sigmoid(x) * (1 - sigmoid(x))


def softsign(x):
    return x / (1 + abs(x))


def d_softsign(x):
    return 1 / (1 + abs(x)) ** 2


def hardtanh(x):
    return max(-1, min(1, x))


def d_hardtanh(x):
    return 1 if -1 < x < 1 else 0


def hardswish(x):
    return x * min(max(x + 3, 0), 6) / 6


def d_hardswish(x):
    if x < -3:
        return 0
    if x > 3:
        return 1
    return (2 * x + 3) / 6


def relu6(x):
    return min(max(x, 0), 6)


def d_relu6(x):
    return 1 if 0 < x < 6 else 0


def square(x):
    return x**2


def d_square(x):
    return 2 * x


def cube(x):
    return x * x * x


def d_cube(x):
    return 3 * x * x


def sine(x):
    return math.sin(x)


def d_sine(x):
    return math.cos(x)


def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


def d_spiky(x):
    return 1.0 if x % 1 <= 0.5 else 0.0


def logcosh(x):
    return math.log(math.cosh(x))


def d_logcosh(x):
    return math.tanh(x)


def bent(x):
    return (math.sqrt(x * x + 1) - 1) / 2 + x


def d_bent(x):
    return x / (2 * math.sqrt(x * x + 1)) + 1


def snake(x):
    return x + math.sin(x) ** 2


def d_snake(x):
    return 1 + math.sin(2 * x)


def step(x):
    return 1.0 if x >= 0 else 0.0


SMOOTH = {
    "elu": (elu, d_elu),
    "gelu": (gelu, d_gelu),
    "silu": (silu, d_silu),
    "softplus": (softplus, d_softplus),
    "mish": (mish, d_mish),
    "tanh": (tanh, d_tanh),
    "sigmoid": (sigmoid, d_sigmoid),
    "softsign": (softsign, d_softsign),
    "square": (square, d_square),
    "cube": (cube, d_cube),
    "sine": (sine, d_sine),
    "logcosh": (logcosh, d_logcosh),
    "bent": (bent, d_bent),
    "snake": (snake, d_snake),
}
KINKED = {
    "relu": (relu, d_relu, (0.0,)),
    "leaky": (leaky, d_leaky, (0.0,)),
    "selu": (selu, d_selu, (0.0,)),
    "hardtanh": (hardtanh, d_hardtanh, (-1.0, 1.0)),
    "hardswish": (hardswish, d_hardswish, (-3.0, 3.0)),
    "relu6": (relu6, d_relu6, (0.0, 6.0)),
    "spiky": (spiky, d_spiky, tuple(map(float, range(-7, 8)))),
}
ALL = SMOOTH | {name: row[:2] for name, row in KINKED.items()}


def made(*args, **options):
    """An activation whose fault is on purpose: `check` speaks, not the warning at its definition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return activation(*args, **options)


@pytest.mark.parametrize("name", SMOOTH)
def test_no_false_alarm_on_smooth_functions(name):
    function, derivative = SMOOTH[name]
    found = activation(function, derivative=derivative).check()
    assert (found.verdict, found.kinks, found.jumps, found.worst) == ("exact", (), (), ())
    assert found.inputs[0].compared > 600
    assert found.oracle == "the Python function"


@pytest.mark.parametrize("name", KINKED)
def test_no_false_alarm_on_functions_with_kinks(name):
    function, derivative, kinks = KINKED[name]
    found = activation(function, derivative=derivative).check(-7.3, 7.3)
    assert (found.verdict, found.kinks, found.worst) == ("exact except at kinks", kinks, ())


@pytest.mark.parametrize("name", ALL)
def test_derivative_by_rule_is_exact(name):
    found = activation(ALL[name][0]).check()
    assert found.verdict.startswith("exact")
    assert not found.not_finite


FAULTS = {
    "one percent": lambda d: lambda x: 1.01 * d(x),
    "a thousandth": lambda d: lambda x: 1.001 * d(x),
    "sign": lambda d: lambda x: -d(x),
    "shifted": lambda d: lambda x: d(x - 0.01),
    "offset": lambda d: lambda x: d(x) + 0.001,
    "zero far out": lambda d: lambda x: d(x) if abs(x) < 0.8 else 0.0,
}


@pytest.mark.diagonal
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ALL)
def test_planted_fault_is_caught(name, fault):
    function, derivative = ALL[name]
    found = made(function, derivative=FAULTS[fault](derivative)).check()
    assert found.verdict == "WRONG"
    assert not found
    place = found.worst[0]
    assert place.true == pytest.approx(derivative(place.x), rel=1e-3, abs=1e-6)
    assert place.claimed == pytest.approx(FAULTS[fault](derivative)(place.x), abs=1e-12)


@pytest.mark.parametrize("name", KINKED)
def test_missing_jump_of_the_derivative_is_caught(name):
    function, derivative, _ = KINKED[name]
    at = derivative(0.4)
    assert made(function, derivative=lambda x: at).check().verdict == "WRONG"


@pytest.mark.parametrize(
    ("at_zero", "verdict"),
    [(0.0, "exact"), (0.5, "exact"), (1.0, "exact"), (7.0, "WRONG"), (-0.1, "WRONG")],
)
def test_at_a_kink_anything_between_both_slopes_is_good(at_zero, verdict):
    found = made(relu, derivative=lambda x: at_zero if x == 0 else d_relu(x)).check()
    assert found.verdict.startswith(verdict)


def test_one_wrong_point_of_a_smooth_function():
    found = made(tanh, derivative=lambda x: 5.0 if x == 0.3 else d_tanh(x)).check()
    assert found.verdict == "WRONG"
    assert [(p.x, p.claimed) for p in found.worst] == [(0.3, 5.0)]
    assert found.worst[0].true == pytest.approx(d_tanh(0.3))


def test_a_derivative_that_is_nan_where_the_function_is_smooth():
    found = made(tanh, derivative=lambda x: d_tanh(x) if x < 2 else math.inf - math.inf).check()
    assert found.verdict == "WRONG"
    assert min(found.not_finite) >= 2


def test_kinks_that_cancel_are_named_for_the_rule_and_not_called_wrong():
    """By rule, max(x, 0) + log1p(exp(-|x|)) has the branch's derivative at 0, which is not the slope."""
    found = activation(softplus).check()
    assert (found.verdict, found.kinks) == ("exact except at kinks", (0.0,))


def test_surrogate_is_declared_and_its_distance_shown():
    found = activation(step, surrogate=lambda x: max(0, 1 - abs(x))).check()
    assert (found.verdict, found.jumps) == ("surrogate (declared)", (0.0,))
    assert found
    assert found.worst


def test_zero_derivative():
    found = made(step).check()
    assert found.zero
    assert "nothing before this activation can learn" in str(found)


def test_one_verdict_per_input():
    found = made(
        lambda a, b: a * b + max(a, b),
        derivative=lambda a, b: (b + 1, a) if a > b else (b, 1.01 * (a + 1)),
    ).check()
    assert [(i.input, i.verdict) for i in found.inputs] == [
        ("a", "exact except at kinks"),
        ("b", "WRONG"),
    ]
    assert found.verdict == "WRONG"


def test_swapped_gradients_of_two_inputs():
    found = made(lambda a, b: a - b, derivative=lambda a, b: (-1, 1)).check()
    assert [i.verdict for i in found.inputs] == ["WRONG", "WRONG"]
    assert (
        activation(lambda a, b: a - b, derivative=lambda a, b: (1, -1)).check().verdict == "exact"
    )


@pytest.mark.parametrize(
    ("rule", "verdict", "linear"),
    [
        (lambda x, g: g * d_relu(x), "exact except at kinks", True),
        (lambda x, g: g if x > 0 and g > 0 else 0.0, "surrogate (declared)", False),
        (lambda x, g: 2 * g, "surrogate (declared)", True),
        (lambda x, g: g * d_relu(x) + 1e-3, "surrogate (declared)", False),
    ],
    ids=["true", "guided", "doubled", "not through zero"],
)
def test_gradient_rule(rule, verdict, linear):
    found = activation(relu, gradient=rule).check()
    assert (found.verdict, found.inputs[0].linear) == (verdict, linear)


@pytest.mark.parametrize("name", ["silu", "relu", "spiky"])
def test_function_on_the_host(name):
    function, derivative = ALL[name]
    assert (
        activation(function, derivative=derivative, host=True).check().verdict.startswith("exact")
    )
    wrong = activation(function, derivative=lambda x: 1.01 * derivative(x), host=True).check()
    assert wrong.verdict == "WRONG"


def swish(x, beta=1.0):
    return x * sigmoid(beta * x)


def d_swish(x, beta):
    s = sigmoid(beta * x)
    return s + beta * x * s * (1 - s)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_parameters(beta):
    made_once = activation(swish, derivative=d_swish)
    assert made_once.check(beta=beta).verdict == "exact"
    assert made_once(beta=beta).check().verdict == "exact"


def test_a_derivative_right_only_for_the_default_parameter():
    found = activation(swish, derivative=lambda x: d_swish(x, 1.0))
    assert found.check().verdict == "exact"
    assert found.check(beta=2.0).verdict == "WRONG"


def test_without_the_python_function_the_formula_is_measured():
    from actgrad import from_json

    stored = from_json(made(gelu, derivative=lambda x: 1.01 * d_gelu(x)).to_json())
    assert stored.check().oracle == "its formula"
    assert stored.check().verdict == "WRONG"
    assert from_json(activation(gelu).to_json()).check().verdict == "exact"


@pytest.mark.parametrize(
    "function",
    [
        math.sqrt,
        math.tan,
        lambda x: 1 / x,
        lambda x: math.cbrt(x),
        lambda x: math.sin(1000 * x),
        lambda x: 1e-20 * math.tanh(x),
        math.exp,
    ],
    ids=["sqrt", "tan", "pole", "vertical", "fast", "tiny", "huge"],
)
def test_hard_functions_raise_no_alarm(function):
    assert made(function, name="hard").check().verdict.startswith("exact")


def test_a_tiny_function_is_not_below_notice():
    found = made(lambda x: 1e-20 * math.tanh(x), derivative=lambda x: 1.01e-20 * d_tanh(x)).check()
    assert found.verdict == "WRONG"


def test_printed():
    found = made(square, derivative=lambda x: -2 * x, name="square").check(-1, 1)
    first, second, titles, row, *_ = str(found).splitlines()
    assert first == "square: WRONG"
    assert "is not the slope at" in second
    assert titles.split() == ["x", "claimed", "slope"]
    assert float(row.split()[1]) == pytest.approx(-float(row.split()[2]), rel=1e-4)


def test_as_json():
    found = activation(math.sqrt, name="root").check()
    back = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (back["name"], back["verdict"]) == ("root", "exact except at kinks")
    assert back["inputs"][0]["jumps"] == [0.0]


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, -2), (math.nan, 1), (0, math.inf)])
def test_empty_range(low, high):
    with pytest.raises(CallError, match="from low to high"):
        activation(math.tanh).check(low, high)


def test_unknown_parameter():
    with pytest.raises(CallError, match="did you mean 'beta'"):
        activation(swish).check(betta=2.0)


soft_step = activation(lambda x: 1.0 if x >= 0 else 0.0, surrogate=lambda x: max(0, 1 - abs(x)))


def test_a_surrogate_inside_a_function_is_declared_too():
    found = activation(lambda x: x + 2 * soft_step(x), name="f").check()
    assert found.verdict == "surrogate (declared)"
    assert found.jumps == (0.0,)


def test_a_wrong_derivative_is_not_excused_by_a_surrogate_inside():
    with pytest.warns(DerivativeMismatchWarning):
        f = activation(lambda x: x + 2 * soft_step(x), name="f", derivative=3)
    assert f.check().verdict == "WRONG"


def triangle(u):
    return max(0.0, 1.0 - abs(u))


def test_parameters_are_listed_beside_inputs():
    f = activation(lambda x, a=2.0, b=0.5: a * x + math.sin(b * x), name="f")
    found = f.check()
    assert [(item.input, item.verdict) for item in found.parameters] == [
        ("a", "exact"),
        ("b", "exact"),
    ]
    text = str(found)
    assert "  by x: exact" in text
    assert "  by a: exact" in text
    assert [item["input"] for item in found.to_dict()["parameters"]] == ["a", "b"]


def test_a_false_claim_by_a_parameter_is_wrong():
    with pytest.warns(DerivativeMismatchWarning):
        f = activation(lambda x, a=2.0: a * x, derivative={"a": lambda x, a: 2 * x}, name="f")
    found = f.check()
    assert not found
    (by_a,) = found.parameters
    assert (by_a.input, by_a.verdict) == ("a", "WRONG")
    assert found.inputs[0].verdict == "exact"
    point = found.worst[0]
    assert (point.claimed, point.true) == pytest.approx((2 * point.x, point.x), rel=1e-4)


def test_a_rule_for_a_parameter_is_a_surrogate():
    with pytest.warns(SurrogateWarning, match="zero everywhere"):  # by v
        f = activation(
            lambda v, threshold=1.0: 1.0 if v >= threshold else 0.0,
            surrogate=lambda v, threshold: {"threshold": -triangle(v - threshold)},
            name="spike",
        )
    found = f.check()
    assert found.verdict == found.parameters[0].verdict == "surrogate (declared)"
    assert not found.parameters[0].zero
    assert found.inputs[0].zero


def test_a_parameter_that_cannot_be_learnt_is_said_to_be_so():
    f = activation(
        lambda v, width=1.0: 1.0 if v >= 0 else 0.0,
        surrogate=lambda v, width: triangle(v / width),
        name="step",
    )
    found = f.check()
    assert found.parameters[0].zero
    assert "it is zero at every point: it cannot be learnt" in str(found)
    assert not found.zero


def test_a_whole_gradient_of_a_parameter_is_measured():
    def rule(x, upstream, a):
        return {"x": upstream * a, "a": 3 * upstream * x}

    f = activation(lambda x, a=2.0: a * x, gradient=rule, name="f")
    found = f.check()
    assert found.inputs[0].verdict == "exact"
    assert found.parameters[0].verdict == "surrogate (declared)"
    assert found.parameters[0].linear


@pytest.mark.parametrize("name", ["leaky_relu", "celu", "smelu", "snake", "swish", "soft_shrink"])
def test_parameters_of_the_catalogue(name):
    f = getattr(activations, name)
    found = f.check()
    assert found.parameters
    assert all(item.verdict != "WRONG" for item in found.parameters)


def test_a_derivative_outside_of_both_slopes_is_told() -> None:
    doubled = activation(lambda x: max(x, 0) - max(-x, 0), name="doubled").check()
    assert doubled.verdict == "exact except at kinks"
    assert doubled.inputs[0].outside == (0.0,)
    assert "at 0 lies outside of the slopes from the left and the right" in str(doubled)
    relu = activation(lambda x: max(x, 0), name="relu").check()
    assert relu.inputs[0].outside == ()
    assert "outside" not in str(relu)


def test_what_numpy_says_of_the_largest_numbers_is_not_shown() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert activation(lambda x, c=(1.0, 2.0, 3.0): np.polyval(c, x), name="f").check()
