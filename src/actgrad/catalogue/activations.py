"""Activations of the literature, in the library's own language.

`actgrad.activations.mish` is an activation like one that you write yourself; it is read when it is
first used. `ENTRIES` holds what is known of each: formula, source, value of the derivative at
kinks, and its name in the frameworks. Parameters have the authors' defaults.

>>> from actgrad import activations
>>> activations.relu(-1.5), activations.leaky_relu(-1.0, slope=0.2)
(0.0, -0.2)
>>> "mish" in dir(activations) and len(activations.ENTRIES) >= 40
True
"""

import math

from actgrad.catalogue import formulas
from actgrad.catalogue.entry import Catalogue, served

ENTRIES = Catalogue()
_add = ENTRIES.add


# Piecewise linear.


@_add("identity", same="keras")
def linear(x):
    """x"""
    return x


@_add("Fukushima 1969; Nair & Hinton 2010", {0.0: 0.0}, same="keras torch jax tensorflow")
def relu(x):
    """max(0, x)"""
    return max(0, x)


@_add(
    "Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10",
    {0.0: 0.0, 6.0: 1.0},
    same="keras torch jax tensorflow",
)
def relu6(x):
    """min(max(0, x), 6)"""
    return min(max(0, x), 6)


@_add("Maas, Hannun & Ng 2013", {0.0: 1.0}, same="torch jax")
def leaky_relu(x, slope=0.01):
    """x if x >= 0 else slope x"""
    return x if x >= 0 else slope * x


@_add("Glorot 2011; Collobert 2004", {-1.0: 1.0, 1.0: 1.0}, same="keras jax", torch="hardtanh")
def hard_tanh(x):
    """min(max(x, -1), 1)"""
    return min(max(x, -1), 1)


@_add(
    "Courbariaux, Bengio & David 2015; Howard et al. 2019 (MobileNetV3)",
    {-3.0: 1 / 6, 3.0: 1 / 6},
    same="keras jax",
    torch="hardsigmoid",
)
def hard_sigmoid(x):
    """min(max((x + 3) / 6, 0), 1)"""
    return min(max((x + 3) / 6, 0), 1)


@_add("Donoho 1995", {-0.5: 0.0, 0.5: 0.0}, same="keras", torch="hardshrink")
def hard_shrink(x, threshold=0.5):
    """x if |x| > threshold else 0"""
    return x if abs(x) > threshold else 0


@_add("Donoho 1995", {-0.5: 0.0, 0.5: 0.0}, same="keras", torch="softshrink")
def soft_shrink(x, threshold=0.5):
    """x -+ threshold where |x| > threshold, else 0"""
    if x > threshold:
        return x - threshold
    if x < -threshold:
        return x + threshold
    return 0


@_add("a question on a public forum, 'a custom activation with only Python'", {0.5: 1.0})
def spiky(x):
    """x mod 1 if that is at most 1/2, else 0"""
    r = x % 1
    return r if r <= 0.5 else 0


# Sigmoids.


@_add("Verhulst 1838", same="keras torch jax tensorflow")
def sigmoid(x):
    """1 / (1 + e^-x)"""
    return formulas.sigmoid(x)


@_add("classical", same="keras jax", torch="logsigmoid")
def log_sigmoid(x):
    """log(1 / (1 + e^-x))"""
    return math.log(formulas.sigmoid(x))


@_add("classical", same="keras torch jax tensorflow")
def tanh(x):
    """tanh(x)"""
    return math.tanh(x)


@_add("LeCun et al. 1998, Efficient BackProp")
def scaled_tanh(x):
    """1.7159 tanh(2 x / 3)"""
    return 1.7159 * math.tanh(2 * x / 3)


@_add("Xu, Huang & Li 2016", {0.0: 1.0})
def penalized_tanh(x, slope=0.25):
    """tanh(x) if x >= 0 else slope tanh(x)"""
    return math.tanh(x) if x >= 0 else slope * math.tanh(x)


@_add("classical")
def arctan(x):
    """arctan(x)"""
    return math.atan(x)


@_add("Bergstra et al. 2009; Elliott 1993", same="keras torch", jax="soft_sign")
def softsign(x):
    """x / (1 + |x|)"""
    return x / (1 + abs(x))


@_add("Carlile et al. 2017, ISRLU")
def isru(x, alpha=1.0):
    """x / sqrt(1 + alpha x^2)"""
    return x / math.sqrt(1 + alpha * x * x)


@_add("Wuraola & Patel 2018, SQNL")
def square_nonlinearity(x):
    """x -+ x^2 / 4 within [-2, 2], -1 and 1 beyond"""
    if x > 2:
        return 1
    if x < -2:
        return -1
    return x - x * x / 4 if x >= 0 else x + x * x / 4


@_add("complementary log-log, a classical link function")
def cloglog(x):
    """1 - exp(-e^x)"""
    return -math.expm1(-math.exp(x)) if x < 10 else 1  # equal beyond, where e^x would overflow


# Exponential and softplus families.


@_add("Clevert, Unterthiner & Hochreiter 2016", same="keras torch jax tensorflow")
def elu(x, alpha=1.0):
    """x if x > 0 else alpha (e^x - 1)"""
    return x if x > 0 else alpha * (math.exp(x) - 1)


@_add("Barron 2017", same="torch jax keras")
def celu(x, alpha=1.0):
    """x if x > 0 else alpha (e^(x / alpha) - 1)"""
    return x if x > 0 else alpha * (math.exp(x / alpha) - 1)


@_add("Klambauer et al. 2017", {0.0: 1.7580993408473766}, same="keras torch jax tensorflow")
def selu(x):
    """1.0507 (x if x > 0 else 1.6733 (e^x - 1))"""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return scale * x if x > 0 else scale * alpha * (math.exp(x) - 1)


@_add("Carlile et al. 2017")
def isrlu(x, alpha=1.0):
    """x if x >= 0 else x / sqrt(1 + alpha x^2)"""
    return x if x >= 0 else x / math.sqrt(1 + alpha * x * x)


@_add("classical", same="keras")
def exponential(x):
    """e^x"""
    return math.exp(x)


@_add("Dugas et al. 2001", same="keras torch jax tensorflow")
def softplus(x):
    """log(1 + e^x)"""
    return formulas.softplus(x)


@_add("Barron 2021", same="keras jax")
def squareplus(x, b=4.0):
    """(x + sqrt(x^2 + b)) / 2"""
    return (x + math.sqrt(x * x + b)) / 2


@_add("Ziyin et al.; JAX", same="keras jax")
def sparse_plus(x):
    """0 below -1, (x + 1)^2 / 4 within [-1, 1], x above"""
    if x <= -1:
        return 0
    return x if x >= 1 else (x + 1) ** 2 / 4


@_add("Shamir, Lin & Coviello 2020, SmeLU")
def smelu(x, beta=1.0):
    """0 below -beta, (x + beta)^2 / (4 beta) within, x above beta"""
    if x <= -beta:
        return 0
    return x if x >= beta else (x + beta) ** 2 / (4 * beta)


# Self-gated.


@_add("Hendrycks & Gimpel 2016", same="keras torch")
def gelu(x):
    """x Phi(x), Phi the normal distribution function"""
    return x * formulas.normal_cdf(x)


@_add("Hendrycks & Gimpel 2016, the approximation", jax="gelu")
def gelu_tanh(x):
    """x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2"""
    return x * formulas.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


@_add("Elfwing et al. 2018; Ramachandran et al. 2017", same="keras torch jax tensorflow")
def silu(x):
    """x sigmoid(x)"""
    return x * formulas.sigmoid(x)


@_add("Ramachandran, Zoph & Le 2017")
def swish(x, beta=1.0):
    """x sigmoid(beta x)"""
    return x * formulas.sigmoid(beta * x)


@_add("Alcaide 2018, E-swish")
def e_swish(x, beta=1.5):
    """beta x sigmoid(x)"""
    return beta * x * formulas.sigmoid(x)


@_add("Elfwing, Uchibe & Doya 2018, dSiLU")
def dsilu(x):
    """sigmoid(x) (1 + x (1 - sigmoid(x))), the derivative of silu"""
    s = formulas.sigmoid(x)
    return s * (1 + x * (1 - s))


@_add(
    "Howard et al. 2019 (MobileNetV3)",
    {-3.0: -0.5, 3.0: 1.5},
    keras="hard_silu",
    torch="hardswish",
    jax="hard_silu",
)
def hard_swish(x):
    """x min(max((x + 3) / 6, 0), 1)"""
    return x * min(max((x + 3) / 6, 0), 1)


@_add("Misra 2019", same="keras torch jax")
def mish(x):
    """x tanh(softplus(x))"""
    return x * math.tanh(formulas.softplus(x))


@_add("Biswas et al. 2022, SMU's relative; Nag et al. 2023, Serf")
def serf(x):
    """x erf(softplus(x))"""
    return x * math.erf(formulas.softplus(x))


@_add("Zhu et al. 2021, Logish")
def logish(x):
    """x log(1 + sigmoid(x))"""
    return x * math.log(1 + formulas.sigmoid(x))


@_add("Wang, Ren & Wang 2022, Smish")
def smish(x):
    """x tanh(log(1 + sigmoid(x)))"""
    return x * math.tanh(math.log(1 + formulas.sigmoid(x)))


@_add("Naveen 2022, Phish")
def phish(x):
    """x tanh(gelu(x))"""
    return x * math.tanh(x * formulas.normal_cdf(x))


@_add("Liu & Di 2020, TanhExp; Fernandez & Mali 2024, TeLU")
def tanh_exp(x):
    """x tanh(e^x)"""
    return x * math.tanh(math.exp(x)) if x < 10 else x  # equal beyond, where e^x would overflow


@_add("Roy et al. 2019, LiSHT")
def lisht(x):
    """x tanh(x)"""
    return x * math.tanh(x)


@_add("Noel et al. 2021, GCU")
def growing_cosine(x):
    """x cos(x)"""
    return x * math.cos(x)


@_add("So et al. 2021, Primer")
def squared_relu(x):
    """max(0, x)^2"""
    return max(0, x) ** 2


@_add("Bulat et al.; torch", same="keras", torch="tanhshrink")
def tanh_shrink(x):
    """x - tanh(x)"""
    return x - math.tanh(x)


@_add("a classical alternative to relu")
def bent_identity(x):
    """(sqrt(x^2 + 1) - 1) / 2 + x"""
    return (math.sqrt(x * x + 1) - 1) / 2 + x


# Polynomials, for encrypted inference.


@_add("Gilad-Bachrach et al. 2016, CryptoNets")
def square(x):
    """x^2"""
    return x**2


@_add("Ali et al. 2020")
def quadratic(x):
    """x^2 + x"""
    return x**2 + x


@_add("classical")
def cube(x):
    """x^3"""
    return x**3


# Periodic and radial.


@_add("Sitzmann et al. 2020, SIREN")
def sine(x, omega=1.0):
    """sin(omega x)"""
    return math.sin(omega * x)


@_add("Ziyin, Hartwig & Ueda 2020, Snake")
def snake(x, a=1.0):
    """x + sin(a x)^2 / a"""
    return x + math.sin(a * x) ** 2 / a


@_add("radial basis functions")
def gaussian(x):
    """e^(-x^2)"""
    return math.exp(-(x**2))


@_add("signal processing, unnormalised")
def sinc(x):
    """sin(x) / x, 1 at 0"""
    return 1 if x == 0 else math.sin(x) / x


__getattr__, __dir__ = served(ENTRIES, "the catalogue has no activation", globals())
