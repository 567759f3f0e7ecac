"""What libraries call the special functions: see `tables`."""

_GAMMAS = """
gamma gammaln=lgamma polygamma(n,x)
erfinv ndtri log_ndtr i0 i0e i1 i1e kl_div rel_entr zeta(x,q) multigammaln(x,d)
gammasgn=gamma_sign
"""

_TORCH = """
digamma erfinv polygamma(n,input,*,out=None) i0
"""

_TF_BESSEL = "bessel_i0=i0 bessel_i0e=i0e bessel_i1=i1 bessel_i1e=i1e"

SPECIAL: dict[str, str] = {
    "math": "gamma lgamma",
    "numpy": "i0",
    "scipy.special": f"""
        {_GAMMAS} loggamma digamma psi=digamma erfcinv erfcx exprel cosm1 iv(v,z) ive(v,z)
        round=rint pseudo_huber(delta,x)
        factorial(x,exact=False)=factorial_of rgamma sindg cosdg tandg cotdg betaln powm1
        boxcox(x,power) boxcox1p(x,power) inv_boxcox(x,power) eval_chebyt(n,x) eval_chebyu(n,x)
        eval_hermite(n,x) eval_hermitenorm(n,x) eval_legendre(n,x) eval_laguerre(n,x)
    """,
    "torch": f"{_TORCH} lgamma mvlgamma(input,p)=multigammaln",
    "torch.special": f"""
        {_TORCH} psi=digamma gammaln=lgamma multigammaln(input,p) erfcx ndtri log_ndtr i0e i1 i1e
        zeta(input,other,*,out=None) modified_bessel_i0=constant_i0 modified_bessel_i1=constant_i1
        spherical_bessel_j0=constant_j0
    """,
    "tensorflow.math": f"lgamma digamma=digamma_open polygamma erfinv erfcinv ndtri zeta {_TF_BESSEL}",
    "tensorflow.math.special": _TF_BESSEL,
    "jax.numpy": "i0",
    "jax.nn": "log1mexp",
    "jax.lax": "lgamma digamma=digamma_open polygamma erf_inv=erfinv bessel_i0e=i0e bessel_i1e=i1e zeta",
    "jax.scipy.special": f"{_GAMMAS} digamma=digamma_open factorial=factorial_of",
    "keras.ops": "erfinv i0",
}
_ALL = "pdf logpdf cdf logcdf sf logsf ppf isf"
_JAX_STATS = {
    "norm": _ALL,
    "cauchy": "pdf logpdf cdf logcdf sf logsf",
    "laplace": "pdf logpdf cdf",
    "logistic": "pdf logpdf cdf sf ppf isf",
    "expon": "pdf logpdf cdf logcdf sf logsf ppf",
    "uniform": "pdf logpdf cdf ppf",
    "t": "pdf logpdf",
    "gumbel_r": "pdf logpdf cdf logcdf sf logsf",
    "gumbel_l": "pdf logpdf cdf logcdf sf logsf",
}
SPECIAL |= {
    f"jax.scipy.stats.{law}": " ".join(f"{name}={law}_{name}" for name in names.split())
    for law, names in _JAX_STATS.items()
}

SPECIAL_METHODS = (
    "lgamma digamma polygamma(order)=method_polygamma erfinv i0 mvlgamma(p)=multigammaln"
)
