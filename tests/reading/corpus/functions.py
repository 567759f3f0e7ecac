"""The elementwise functions of one argument that the libraries ship, by name."""

from __future__ import annotations

_NUMPY = """
abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh around asin asinh atan atanh
cbrt ceil conj conjugate copy cos cosh deg2rad degrees exp exp2 expm1 fabs floor i0 imag isfinite isinf
isnan isneginf isposinf isreal log log10 log1p log2 logical_not nan_to_num negative ones_like positive
rad2deg radians real reciprocal rint round sign signbit sin sinc sinh spacing sqrt square tan tanh trunc
zeros_like
"""

FUNCTIONS: dict[str, str] = {
    "numpy": _NUMPY + " fix asarray array",
    "scipy.special": """
        bei ber cbrt cosdg cosm1 dawsn digamma ellipe ellipk entr erf erfc erfcinv erfcx erfi erfinv exp1
        exp10 exp2 expi expit expm1 exprel factorial gamma gammaln gammasgn i0 i0e i1 i1e j0 j1 k0 k0e k1
        k1e kei ker kolmogorov log1p log_expit log_ndtr loggamma logit ndtr ndtri psi rgamma round sinc
        sindg softplus spence tandg wrightomega y0 y1 zeta
    """,
    "torch": """
        abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh
        ceil clone conj cos cosh deg2rad detach digamma erf erfc erfinv exp exp2 expm1 fix floor frac
        hardshrink i0 isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2
        logical_not logit nan_to_num neg negative positive rad2deg real reciprocal relu round rsqrt sgn
        sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc ones_like zeros_like celu selu
    """,
    "torch.nn.functional": """
        celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu relu6
        rrelu selu sigmoid silu softplus softshrink softsign tanh tanhshrink
    """,
    "torch.special": """
        airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 digamma entr erf erfc erfcx erfinv exp2 expit
        expm1 gammaln i0 i0e i1 i1e log1p log_ndtr logit modified_bessel_i0 modified_bessel_i1
        modified_bessel_k0 modified_bessel_k1 ndtr ndtri psi round sinc spherical_bessel_j0
    """,
    "tensorflow.nn": "elu gelu leaky_relu relu relu6 selu sigmoid silu softplus softsign swish tanh",
    "tensorflow.math": """
        abs acos acosh angle asin asinh atan atanh bessel_i0 bessel_i0e bessel_i1 bessel_i1e ceil conj
        cos cosh digamma erf erfc erfcinv erfinv exp expm1 floor imag is_finite is_inf is_nan lgamma log
        log1p log_sigmoid ndtri negative real reciprocal reciprocal_no_nan rint round rsqrt sigmoid sign
        sin sinh softplus softsign sqrt square tan tanh
    """,
    "keras.activations": """
        celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu
        linear log_sigmoid mish relu relu6 selu sigmoid silu soft_shrink softplus softsign sparse_plus
        sparse_sigmoid squareplus swish tanh tanh_shrink
    """,
    "keras.ops": """
        abs absolute angle arccos arccosh arcsin arcsinh arctan arctanh array cbrt ceil celu conj
        conjugate convert_to_tensor copy cos cosh deg2rad elu erf erfc erfinv exp exp2 expm1 fabs floor
        gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh i0 imag isfinite isinf isnan
        isneginf isposinf isreal leaky_relu log log10 log1p log2 log_sigmoid logical_not nan_to_num
        negative ones_like rad2deg real reciprocal relu relu6 round rsqrt selu sigmoid sign signbit silu
        sin sinc sinh soft_shrink softplus softsign sparse_plus sparse_sigmoid sqrt square squareplus
        stop_gradient swish tan tanh tanh_shrink trunc zeros_like
    """,
    "jax.nn": """
        celu elu gelu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log1mexp
        log_sigmoid mish relu relu6 selu sigmoid silu soft_sign softplus sparse_plus sparse_sigmoid
        squareplus swish tanh
    """,
    "jax.numpy": _NUMPY + " asarray array",
    "jax.lax": """
        abs acos acosh asin asinh atan atanh bessel_i0e bessel_i1e cbrt ceil conj cos cosh digamma erf
        erf_inv erfc exp exp2 expm1 floor is_finite lgamma log log1p logistic neg optimization_barrier
        reciprocal round rsqrt sign sin sinh sqrt square stop_gradient tan tanh
    """,
}

_MIDDLE = (
    "JAX takes the slope from the right, 1; every other library and actgrad take the middle, 0"
)
_TIE = "a formula of {} whose terms tie here; actgrad has the slope of one side"
AT_KINKS = {
    "jax.numpy.abs": _MIDDLE,
    "jax.numpy.absolute": _MIDDLE,
    "jax.numpy.fabs": _MIDDLE,
    "jax.lax.abs": _MIDDLE,
    "jax.nn.sparse_sigmoid": _TIE.format("JAX"),
    "keras.activations.celu": _TIE.format("Keras"),
    "keras.ops.celu": _TIE.format("Keras"),
    "tensorflow.math.bessel_i1": "TensorFlow has the slope 1 at 0, where it is 1/2",
}
"""Functions whose derivative at a kink is another than the library's, and why."""
