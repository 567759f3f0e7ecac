"""What NumPy and JAX write alike, whose modules have the same functions: `np` and `jnp`."""

from __future__ import annotations

from actgrad.codegen.dialect import OPERATORS, functions

_NAMES = """
    abs hypot copysign floor ceil trunc round=rint sqrt cbrt exp expm1 log log1p sin cos tan asin=arcsin
    acos=arccos atan=arctan atan2=arctan2 tanh asinh=arcsinh acosh=arccosh atanh=arctanh not=logical_not
"""

_ROWS = {
    "sum": "np.sum({0}, -1, keepdims=True)",
    "max": "np.max({0}, -1, keepdims=True)",
    "prod": "np.prod({0}, -1, keepdims=True)",
    "cumsum": "np.cumsum({0}, -1)",
    "flip": "np.flip({0}, -1)",
    "take": "_take({0}, {1})",
    "slice": "{0}[..., {part}]",
    "place": "_place({0}, {n}, slice({start}, {stop}, {step}))",
    "concat": "_concat({all})",
    "fill": "({0} * np.ones({n}, {like}.dtype))",
    "length": "np.array({n}, {like}.dtype)",
    "position": "np.arange({n}, dtype={like}.dtype)",
}
_HELPERS = {
    "_take": """
def _take(x, order):
    x, order = np.atleast_1d(x), np.atleast_1d(order)
    batch = np.broadcast_shapes(x.shape[:-1], order.shape[:-1])
    x, order = (np.broadcast_to(a, (*batch, a.shape[-1])) for a in (x, order))
    return np.take_along_axis(x, order.astype(int), -1)
""",
    "_concat": """
def _concat(*parts):
    parts = [np.atleast_1d(part) for part in parts]
    batch = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return np.concatenate([np.broadcast_to(p, (*batch, p.shape[-1])) for p in parts], -1)
""",
}


def table(module: str) -> dict[str, str]:
    return OPERATORS | functions(module, _NAMES)


def rows(module: str) -> dict[str, str]:
    return _of(_ROWS, module)


def row_helpers(module: str) -> dict[str, str]:
    return _of(_HELPERS, module)


def _of(texts: dict[str, str], module: str) -> dict[str, str]:
    return {name: text.replace("np.", f"{module}.") for name, text in texts.items()}
