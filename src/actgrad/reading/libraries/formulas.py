"""What libraries call by a name and is a formula over the vocabulary: `lerp`, `xlogy`, `elu`, `log_ndtr`.

At a tie or a kink libraries differ: PyTorch's `hardtanh` has the derivative 0 at both edges, TensorFlow's
clip 1, JAX's half of it. A name without a suffix is what most of them do, and of two that are equal it takes
the first.
"""

from __future__ import annotations

from actgrad.common.types import Function
from actgrad.reading.libraries import meanings
from actgrad.reading.libraries.notation import formulas

_FORMULAS = """
# Comparisons and choices.
greater(x, y) = x > y
greater_equal(x, y) = x >= y
not_equal(x, y) = x != y
logical_xor(x, y) = number(truth(x)) != number(truth(y))
is_nan(x) = x != x
is_inf(x) = abs(x) == math.inf
is_posinf(x) = x == math.inf
is_neginf(x) = x == -math.inf
is_finite(x) = abs(x) < math.inf
is_integer(x) = floor(x) == x
is_close(a, b, *, rel_tol=1e-9, abs_tol=0.0) =
    a == b or abs(a - b) <= python_max(rel_tol * python_max(abs(a), abs(b)), abs_tol)
array_is_close(x, y, rtol=1e-5, atol=1e-8, equal_nan=False) =
    x == y or is_finite(y) and abs(x - y) <= atol + rtol * abs(y) or equal_nan and is_nan(x) and is_nan(y)
signbit(x) = copysign(1, x) < 0
sign(x) = 1 if 0 < x else -1 if x < 0 else x if is_nan(x) else 0
heaviside(x, at_zero) = 0 if x < 0 else at_zero if x == 0 else x if is_nan(x) else 1
# The larger, and nan if either is; with half of the derivative for each of two that are equal.
maximum(x, y) = y if x < y else y if is_nan(y) else x
minimum(x, y) = y if y < x else y if is_nan(y) else x
maximum_half(x, y) = 0.5 * x + 0.5 * y if x == y else maximum(x, y)
minimum_half(x, y) = 0.5 * x + 0.5 * y if x == y else minimum(x, y)
# The larger, and the other one where one is nan. JAX takes the second of two that are equal.
fmax(x, y) = y if is_nan(x) else y if x < y else x
fmin(x, y) = y if is_nan(x) else y if y < x else x
fmax_jax(x, y) = fmax(y, x)
fmin_jax(x, y) = fmin(y, x)
clip_below(x, low) = clip(x, low)
clip_above(x, high) = clip(x, None, high)
# With the derivative 0 at each of the bounds.
clip_open(x, low, high) = low if x <= low else high if high <= x else x
lax_clamp(low, x, high) = clip_open(x, low, high)
# JAX's, with the derivative of the right side at 0; PyTorch's, with the derivative 0 there.
absolute_jax(x) = -x if x < 0 else x + 0.0
hypot_jax(x, y) = maximum_half(absolute_jax(x), absolute_jax(y)) if x == 0 and y == 0 else hypot(x, y)
copysign_torch(x, y) = copysign(0.0, y) if x == 0 else copysign(x, y)

# Arithmetic.
identity(x) = x
reversed_subtract(x, y, alpha=1) = subtract(y, x, alpha)
square(x) = x * x
reciprocal(x) = 1.0 / x
rsqrt(x) = 1.0 / sqrt(x)
squared_difference(x, y) = square(x - y)
fma(x, y, z) = x * y + z
addcmul(x, a, b, value=1) = x + scaled(a * b, value)
addcdiv(x, a, b, value=1) = x + scaled(a / b, value)
lerp(start, end, weight) = start + weight * (end - start)
ldexp(x, exponent) = x * exp2(exponent)
exp10(x) = 10.0 ** x
degrees(x) = x * (180 / math.pi)
radians(x) = x * (math.pi / 180)
# Of a real number: 0, or pi where it is negative; NumPy's also at -0.0.
angle(x) = math.pi if x < 0 else x if is_nan(x) else 0.0
angle_numpy(x) = x if is_nan(x) else math.pi if copysign(1, x) < 0 else 0.0
divide_no_nan(x, y) = 0 if y == 0 else x / y
multiply_no_nan(x, y) = 0 if y == 0 else x * y
reciprocal_no_nan(x) = divide_no_nan(1.0, x)
# TensorFlow's `xdivy`.
divide_zero(x, y) = 0 if x == 0 else x / y
sinc(x) = 1 if x == 0 else sin(math.pi * x) / (math.pi * x)
cosm1(x) = -2.0 * square(sin(0.5 * x))

# Rounding, remainders and whole quotients, which libraries cut at different places.
fraction(x) = x - trunc(x)
# The part behind the point, with the sign of x, and the whole part.
modf(x) =
    (x if abs(x) < 1.0 else copysign(0.0, x) if is_inf(x) else -(trunc(x) - x) if x < 0 else x - trunc(x)),
    trunc(x)
floor_divmod(x, y) = x // y, x % y
# TensorFlow's `floordiv`: the floor of the rounded quotient.
quotient_floor(x, y) = floor(x / y)
truncate_divide(x, y) = trunc(x / y)
# C's remainder, with the sign of x; its slope at zero is one, as beside it.
fmod(x, y) = x if abs(x) < abs(y) else copysign(abs(x) % abs(y), x)
# IEEE's remainder, by exact steps; of two nearest multiples the even one.
remainder_nearest(x, y) =
    x if is_inf(y) else copysign(1.0, x) * _nearest_rest(abs(x), abs(y), abs(x) % abs(y))
_nearest_rest(x, y, rest) =
    rest if rest < y - rest else -(y - rest) if y - rest < rest else rest - 2.0 * (0.5 * (x - rest) % y)
# JAX's `lax.round`: ties away from zero by default. Not floor(|x| + 0.5), whose sum is rounded:
# 0.49999999999999994 is nearer to 0.
round_away(x, rounding_method=0) = rint(x) if int(rounding_method) else copysign(_rounded_up(abs(x)), x)
_rounded_up(x) = floor(x) if x - floor(x) < 0.5 else floor(x) + 1
# To one of the whole numbers around x, which is beyond the tie between them by `beyond`.
to_nearest(x, beyond) =
    (floor(x) + 1 if 0 < beyond else floor(x) if beyond < 0 else rint(x)) if x - floor(x) == 0.5 else rint(x)
# PyTorch's `fake_quantize_per_tensor_affine`: rounded, with the derivative of the clip.
fake_quantize(x, scale, zero_point, quant_min, quant_max) =
    _quantized(x, rint(x / scale) + zero_point, scale, zero_point, quant_min, quant_max)
_quantized(x, step, scale, zero_point, least, most) =
    given((clip(step, least, most) - zero_point) * scale, x, 1.0 if least <= step and step <= most else 0.0)
# A value, with the derivative 1 between the bounds and at them, and 0 outside.
straight_through(x, value, low, high) = given(value, x, 0.0 if x < low else 0.0 if high < x else 1.0)

# Logarithms and entropies.
logaddexp(x, y) = y + softplus(x - y)
logaddexp2(x, y, scale=math.log(2.0)) = y + softplus(scale * (x - y)) / scale
# Keras's on TensorFlow, with the logarithm of 2 in float32.
logaddexp2_keras(x, y) = logaddexp2(x, y, float(np.float32(math.log(2.0))))
xlogy(x, y) = 0 if x == 0 and not is_nan(y) else x * log(y)
xlog1py(x, y) = 0 if x == 0 and not is_nan(y) else x * log1p(y)
log1mexp(x) = log(-expm1(-x)) if x < math.log(2) else log1p(-exp(-x))
entropy_term(x) = x if is_nan(x) else -(x * log(x)) if 0 < x else 0.0 if x == 0 else -math.inf
rel_entr(x, y) =
    math.nan if is_nan(x + y) else x * log(x / y) if 0 < x and 0 < y else 0 if x == 0 and 0 <= y else math.inf
kl_div(x, y) =
    math.nan if is_nan(x + y) else x * log(x / y) - x + y if 0 < x and 0 < y
    else y if x == 0 and 0 <= y else math.inf

# Special functions. Of a negative number SciPy's `loggamma` is complex, and nan among real ones.
loggamma(x) = math.nan if x < 0 else lgamma(x)
# Nan at the poles of gamma but for 0.
gamma_sign(x) =
    1 if 0 < x else copysign(1, x) if x == 0 else math.nan if floor(x) == x
    else 1 if floor(x) % 2 == 0 else -1
# TensorFlow's and JAX's, nan at 0 too.
digamma_open(x) = math.nan if x == 0 else digamma(x)
# 1 / gamma(x), which is 0 at the poles of gamma; there by reflection.
rgamma(x) =
    given(1 / gamma(x), x, -digamma(x) / gamma(x)) if x > 0.5
    else 0.0 if x < -170 and floor(x) == x else _sin_turns(x) * _whole_sign(x) * gamma(1 - x) / math.pi
_sin_turns(x) = sin(math.pi * (x - rint(x)))
_whole_sign(x) = 1 - 2 * (rint(x) % 2)
# Sine, cosine and tangent of degrees, exact at multiples of 90.
sindg(x) = given(_sindg(x), x, math.pi / 180 * _cosdg(x))
cosdg(x) = given(_cosdg(x), x, -math.pi / 180 * _sindg(x))
tandg(x) = given(_tandg(x), x, math.pi / 180 * (1 + square(_tandg(x))))
cotdg(x) = given(_cotdg(x), x, -math.pi / 180 * (1 + square(_cotdg(x))))
_sindg(x) = sin(math.pi / 180 * (x - 180 * rint(x / 180))) * _whole_sign(x / 180)
_cosdg(x) = _sindg(90 - abs(x))
_tandg(x) = math.inf if _cosdg(x) == 0 else _sindg(x) / _cosdg(x)
_cotdg(x) = math.inf if _sindg(x) == 0 else _cosdg(x) / _sindg(x)
boxcox(x, power) = log(x) if power == 0 else expm1(power * log(x)) / power
boxcox1p(x, power) = log1p(x) if power == 0 else expm1(power * log1p(x)) / power
inv_boxcox(x, power) = exp(x) if power == 0 else exp(log1p(power * x) / power)
powm1(x, y) = expm1(y * log(x)) if abs(y * log(x)) < 0.5 else x ** y - 1
betaln(a, b) = lgamma(a) + lgamma(b) - lgamma(a + b)
# PyTorch's have no derivative: it takes their results for constants.
constant_i0(x) = stop_gradient(i0_value(x))
constant_j0(x) = stop_gradient(0.0 if is_inf(x) else 1.0 if x == 0 else sin(x) / x)
normal_cdf(x) = 0.5 * erfc(x * -math.sqrt(0.5))
erfcinv(x) = -math.sqrt(0.5) * ndtri(0.5 * x)
log_ndtr(x) =
    given(log(0.5 * _scaled_tail(x)) - 0.5 * (x * x) if x < -1 else log1p(-0.5 * erfc(math.sqrt(0.5) * x)),
    x, math.sqrt(2 / math.pi) / _scaled_tail(x))
_scaled_tail(x) = erfcx(-math.sqrt(0.5) * x)
i0_value(x) = times_exp(x, i0e(x), abs(x))
# scaled * exp(|x|) in two parts, as exp(|x|) overflows first.
times_exp(x, scaled, limit) = limit if abs(x) == math.inf else exp(0.5 * abs(x)) * scaled * exp(0.5 * abs(x))

# The activations that frameworks ship.
relu6(x) = clip_open(x, 0.0, 6.0)
leaky_relu(x, slope=0.01) = x if 0 < x else slope * x
leaky_relu_jax(x, slope=0.01) = x if x >= 0 else slope * x
prelu(x, weight) = x if 0 < x else weight * x
threshold(x, at, value) = x if x > at else value
elu(x, alpha=1.0) = x if 0 < x else alpha * expm1(x)
celu(x, alpha=1.0) = x if 0 < x else alpha * expm1(x / alpha)
selu(x) = SELU_SCALE * x if 0 < x else SELU_SCALE * SELU_ALPHA * expm1(x)
# TensorFlow's: at 0 the slope of the right side; of selu also where exp(x) rounds to 1.
elu_tf(x, alpha=1.0) = alpha * expm1(x) if x < 0 else x
selu_tf(x) = SELU_SCALE * SELU_ALPHA * expm1(x) if x + 1.0 < 1.0 else SELU_SCALE * x
silu(x, beta=1.0) = x * sigmoid(scaled(x, beta))
# log(1 + exp(beta x)) / beta
softplus(x, beta=1.0) = apply("softplus", scaled(x, beta)) / beta
mish(x) = x * tanh(softplus(x))
log_sigmoid(x) = -softplus(-x)
softsign(x) = x / (1 + abs(x))
tanh_shrink(x) = x - tanh(x)
soft_shrink(x, threshold=0.5) = x - threshold if x > threshold else x + threshold if x < -threshold else 0.0
hard_shrink(x, threshold=0.5) = x if x > threshold or x < -threshold else 0.0
hard_tanh(x, low=-1.0, high=1.0) = clip(x, low, high)
hard_tanh_open(x, low=-1.0, high=1.0) = clip_open(x, low, high)
hard_sigmoid(x) = clip(x + 3, 0.0, 6.0) / 6
hard_sigmoid_open(x) = clip_open(x + 3, 0.0, 6.0) / 6
hard_sigmoid_keras2(x) = clip(0.2 * x + 0.5, 0.0, 1.0)
hard_silu(x) = x * hard_sigmoid(x)
hard_silu_open(x) = x * hard_sigmoid_open(x)
squareplus(x, b=4.0) = 0.5 * (x + sqrt(square(x) + b))
sparse_plus(x) = 0.0 if x <= -1 else x if x >= 1 else 0.25 * square(x + 1)
sparse_sigmoid(x) = 0.0 if x <= -1 else 1.0 if x >= 1 else 0.5 * (x + 1)
sparse_sigmoid_half(x) = 0.5 * minimum_half(maximum_half(x + 1, 0.0), 2.0)

# Losses, of one element.
huber(x, target, reduction="mean", delta=1.0) = each(reduction, "huber_loss", _huber(abs(x - target), delta))
_huber(distance, delta) = 0.5 * square(distance) if distance <= delta else delta * (distance - 0.5 * delta)
smooth_l1(x, target, reduction="mean", beta=1.0) =
    each(reduction, "smooth_l1_loss", _smooth_l1(abs(x - target), beta))
_smooth_l1(distance, beta) = 0.5 * square(distance) / beta if distance < beta else distance - 0.5 * beta
squared_error(x, target, reduction="mean") = each(reduction, "mse_loss", square(x - target))
absolute_error(x, target, reduction="mean") = each(reduction, "l1_loss", abs(x - target))
soft_margin(x, target, reduction="mean") = each(reduction, "soft_margin_loss", softplus(-(target * x)))
# PyTorch's `binary_cross_entropy_with_logits`, and TensorFlow's.
cross_entropy_with_logits(x, target, pos_weight=1.0, reduction="mean") =
    each(reduction, "binary_cross_entropy_with_logits", _cross_entropy(x, target, pos_weight))
cross_entropy_tf(labels, logits) = _cross_entropy(logits, labels, 1.0)
_cross_entropy(x, target, weight) = weight * target * softplus(-x) + (1 - target) * softplus(x)
pseudo_huber(delta, x) =
    math.inf if delta < 0 else 0 if delta == 0 else square(delta) * (sqrt(1 + square(x / delta)) - 1)
"""


def __getattr__(name: str) -> Function:
    """To a type checker, the names of the formulas."""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


globals().update(formulas(_FORMULAS, vars(meanings), __file__))
