"""The meanings of a function that is read with `axis=`: libraries' functions over whole rows.

`names` asks for these in the place of what refuses to mix the elements of an array.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from actgrad.common.types import Fields
from actgrad.reading.libraries import meanings
from actgrad.reading.libraries import row_joined as joined
from actgrad.reading.libraries import row_numbers as numbers
from actgrad.reading.libraries import row_orders as orders
from actgrad.reading.libraries import row_parts as parts
from actgrad.reading.libraries.formulas import maximum, minimum
from actgrad.reading.libraries.meanings import where
from actgrad.reading.libraries.sizes import Size
from actgrad.reading.libraries.totals import Total
from actgrad.reading.reader import reader
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, of_row, row_of

Meaning = Callable[..., object]


MEANINGS: dict[str, Meaning] = {
    **dict.fromkeys(("sum", "total", "python_sum", "row_sum"), numbers.total),
    **dict.fromkeys(("max", "row_max", "python_max", "amax"), numbers.largest),
    **dict.fromkeys(("min", "row_min", "python_min", "amin"), numbers.smallest),
    **dict.fromkeys(("prod", "product"), numbers.product),
    "mean": numbers.mean,
    "average": numbers.average,
    **dict.fromkeys(("var", "reduce_variance"), numbers.variance),
    **dict.fromkeys(("std", "reduce_std"), numbers.deviation),
    **dict.fromkeys(("any", "row_any", "python_any"), numbers.any_of),
    **dict.fromkeys(("all", "row_all", "python_all"), numbers.all_of),
    **dict.fromkeys(("norm", "vector_norm"), numbers.norm),
    **dict.fromkeys(("row_norm", "reduce_euclidean_norm"), numbers.euclidean_norm),
    **dict.fromkeys(("dot", "vdot", "matmul", "inner", "vecdot"), numbers.dot),
    **dict.fromkeys(("top_k", "topk"), orders.top_k),
    **dict.fromkeys(("split", "chunk"), parts.split),
    **dict.fromkeys(("flip", "reverse", "rev", "flipud"), numbers.flip),
    **dict.fromkeys(("arange", "range"), joined.arange),
    "linspace": joined.linspace,
    "full": joined.filled,
    "zeros": lambda shape, **options: joined.filled(shape, 0.0),
    "flatten": parts.same,
    "count_nonzero": numbers.count_nonzero,
    "logsumexp": numbers.logsumexp,
    "softmax": numbers.softmax,
    "log_softmax": numbers.log_softmax,
    "softmin": numbers.softmin,
    "logmeanexp": numbers.logmeanexp,
    "cumsum": joined.running(numbers.cumsum, 0.0),
    "cumprod": joined.running(numbers.cumprod, 1.0),
    **{"reduce_sum": numbers.total, "reduce_prod": numbers.product},
    **{"reduce_max": numbers.largest, "reduce_min": numbers.smallest},
    "argsort": orders.argsort,
    **dict.fromkeys(("sort", "msort"), orders.ascending),
    "partition": orders.partitioned,
    "argpartition": orders.argpartitioned,
    "kthvalue": orders.kth_smallest,
    "aminmax": orders.ends,
    "var_mean": numbers.mean_last(numbers.variance_of_torch),
    "std_mean": numbers.mean_last(numbers.deviation_of_torch),
    "argmax": numbers.argmax,
    "argmin": numbers.argmin,
    "one_hot": joined.one_hot,
    "largest_of": parts.largest_of,
    "smallest_of": parts.smallest_of,
    **dict.fromkeys(("concatenated", "hstack"), joined.concatenated),
    "append": joined.appended,
    "stacked": joined.stacked,
    "constant": joined.array_of,
    "pad": joined.padded,
    "tile": joined.tiled,
    **dict.fromkeys(("repeat", "repeat_interleave"), joined.repeated),
    "scatter": joined.scattered,
    **dict.fromkeys(("take", "take_along_axis", "take_along_dim"), parts.taken),
    "gather": parts.gathered,
    "narrow": parts.narrowed,
    **dict.fromkeys(("unbind", "unstack"), parts.unstacked),
    **dict.fromkeys(("size_of", "element_count"), numbers.length_of),
    "shape_of": parts.shape_of,
    "rank_of": parts.rank_of,
    "reshape": parts.reshaped,
    "squeeze": parts.squeezed,
    "unsqueeze": joined.with_axis,
    "expand": joined.spread,
    "ones": lambda shape, **options: joined.filled(shape, 1.0),
    "empty": lambda shape, **options: joined.filled(shape, float("nan")),
    "glu": joined.glu,
    "crelu": joined.crelu,
    "normalize": numbers.normalised,
    "l2_normalize": numbers.l2_normalised,
    "standardize": numbers.standardised,
    "layer_norm": numbers.layer_norm,
    "rms_norm": numbers.rms_norm,
    "layer_normalization": numbers.layer_normalization,
    "rms_normalization": numbers.rms_normalization,
    "moments": numbers.moments,
    "median": orders.median,
    "quantile": orders.quantile,
    "percentile": orders.percentile,
    "roll": joined.rolled,
    "ptp": numbers.spread_of,
    **dict.fromkeys(("diff", "ediff1d"), joined.differences),
}
"""By what the tables call them, or by their libraries' name where the tables say `mixing`."""

_OF_TORCH: dict[str, Meaning] = {
    "sort": orders.sorted_pair,
    "split": parts.split_by_size,
    "median": orders.median_of_torch,
    "pad": joined.padded_by_torch,
}
"""What PyTorch means otherwise, in functions and methods."""
_ITS_OWN: dict[str, Meaning] = {
    "torch.var": numbers.variance_of_torch,
    "torch.std": numbers.deviation_of_torch,
    "keras.ops.normalize": numbers.normalised_by_keras,
    "tensorflow.split": parts.split_of_tensorflow,
    "tensorflow.linalg.normalize": numbers.unit_and_norm,
    "jax.lax.split": parts.split_by_size,
    "numpy.linalg.norm": numbers.norm,
    **dict.fromkeys(("jax.numpy.linalg.norm", "jax.numpy.linalg.vector_norm"), numbers.norm_of_jax),
    "jax.numpy.sort": orders.ascending_in_jax,
}
"""What a library means otherwise in this function."""
_OF_WHICH: dict[str, tuple[Meaning, Meaning]] = {
    "std": (numbers.deviation, numbers.deviation_of_torch),
    "var": (numbers.variance, numbers.variance_of_torch),
    "repeat": (joined.repeated, joined.tiled),
    "largest_of": (numbers.largest, parts.largest_of),
    "smallest_of": (numbers.smallest, parts.smallest_of),
}
"""What a method means in NumPy and JAX, and in PyTorch."""
_NOTHING: dict[Meaning, float] = {
    **dict.fromkeys((numbers.total, numbers.any_of, numbers.count_nonzero), 0.0),
    **dict.fromkeys((numbers.product, numbers.all_of), 1.0),
    **dict.fromkeys((numbers.largest, numbers.logsumexp, numbers.softmax), float("-inf")),
    numbers.log_softmax: float("-inf"),
    numbers.smallest: float("inf"),
}
"""What stands where `where=` does not hold."""
_FROM: dict[Meaning, Meaning] = {
    numbers.total: meanings.add,
    numbers.product: meanings.multiply,
    numbers.largest: maximum,
    numbers.smallest: minimum,
}
"""What `initial=` is combined with the result by."""
_RENAMED = {
    "dim": "axis",
    "dims": "axis",
    "keepdim": "keepdims",
    "keep_dims": "keepdims",
    "num_or_size_splits": "parts",
    "indices_or_sections": "parts",
    "chunks": "parts",
    "split_size_or_sections": "size",
    "shifts": "shift",
    "dimension": "axis",
    "dimensions": "axis",
    "axes": "axis",
    "pad_width": "width",
    "paddings": "width",
    "multiples": "reps",
    "num_classes": "n",
    "depth": "n",
    "indices": "order",
}
_ITSELF = (
    "input", "a", "x", "array", "tensor", "logits", "values", "input_tensor", "features", "tensors",
    "arrays", "xs", "operand", "ary", "obj", "arr", "v",
)  # fmt: skip
_LEFT_OUT = frozenset({"name", "dtype", "out", "where", "initial", "device", "_stacklevel"})
_NOTES = frozenset({"name", "_stacklevel"})
_ALWAYS = frozenset({"stacked", "concatenated", "constant", "unsqueeze"})
"""What makes a row of numbers."""


def over_row(path: str, key: str, otherwise: Meaning) -> Meaning:
    """The meaning with rows among its arguments, and `otherwise` without. `path` is the library's name."""
    is_torch = path.startswith(("torch.", "."))
    meant = MEANINGS.get(key)
    if is_torch:
        meant = _OF_TORCH.get(key, meant)
    meant = _ITS_OWN.get(path, meant)
    if meant is None:
        return otherwise

    def call(*args: object, **kwargs: object) -> Any:
        rows = [*args, *kwargs.values()]
        if not (any(map(_has_row, rows)) or (key in _ALWAYS and reader().rows)):
            if key in {"sum", "total"} and len(rows) == 1 and reader().in_rule:
                (terms,) = rows
                if isinstance(terms, Total):
                    return terms
                if isinstance(terms, Symbol) and terms.form is not None:
                    return Total.of(terms)
            return otherwise(*args, **kwargs)
        args = args if key in _ALWAYS else tuple(map(row_of, args))
        if key.startswith("python_"):  # of several numbers or rows
            several = len(args) > 1 and key != "python_sum"
            if several or isinstance(args[0], (list, tuple)):
                return otherwise(*args, **kwargs)
        chosen = _of_which(key, kwargs) if path[0] == "." and key in _OF_WHICH else meant
        return _called(path, chosen, args, kwargs)

    call.__name__ = path.rpartition(".")[2]
    call.__wrapped__ = otherwise  # type: ignore[attr-defined]
    return call


def _has_row(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return any(of_row(part) or isinstance(part, Size) for part in value)
    return of_row(value) or isinstance(value, Size)


def _of_which(key: str, kwargs: Fields) -> Meaning:
    """What a tensor's method means in the library that the function mentions."""
    of_numpy, of_torch = _OF_WHICH[key]
    libraries = reader().libraries
    either = key in {"largest_of", "smallest_of"} and not libraries
    if "torch" in libraries or "unbiased" in kwargs or either:
        return of_torch
    if not libraries and kwargs.keys().isdisjoint({"ddof", "correction"}):
        other = "tile" if key == "repeat" else key
        refuse(
            f"`.{key}(...)`, which means one thing for NumPy's arrays and another for PyTorch's tensors",
            f"Say which, by its function: `np.{key}(x, ...)` or `torch.{other}(x, ...)`.",
        )
    return of_numpy


def _called(path: str, meant: Meaning, args: tuple[object, ...], kwargs: Fields) -> object:
    """Call a meaning with a library's arguments, by name where it has others; refuse what it has not."""
    reduces = meant.__module__ == numbers.__name__ and meant is not numbers.norm
    if "numpy" in path and len(args) > 2 and reduces:  # then comes a dtype, or an array to write to
        refuse(
            f"`{path}` with {len(args)} arguments by position",
            "Name them: `axis=-1, keepdims=True`.",
        )
    names = list(inspect.signature(meant).parameters)
    given: dict[str, object] = {}
    condition = kwargs.pop("where", None) if meant in _NOTHING else None
    start = kwargs.pop("initial", None) if meant in _FROM else None
    for name, value in kwargs.items():
        name = name if name in names else _RENAMED.get(name, name)
        if name in names:
            given[name] = value
        elif name in _ITSELF and not args:
            args = (value,)
        elif name in _LEFT_OUT and (value is None or name in _NOTES or _is_wide(name, value)):
            continue
        else:
            refuse(
                f"`{path}` over a row is called with {name}={value!r:.40}, which actgrad does not read",
                f"Leave {name!r} out, and write what it does with other operations.",
            )
    try:
        bound = inspect.signature(meant).bind(*args, **given)
    except TypeError as error:
        refuse(f"`{path}` over a row does not take these arguments: {error}", "Use fewer.")
    if condition is not None:
        bound.arguments["x"] = where(condition, bound.arguments["x"], _NOTHING[meant])
    found = meant(*bound.args, **bound.kwargs)
    if condition is not None and meant is numbers.softmax:
        found = where(condition, found, 0.0)  # none of a row may be left
    return found if start is None else _FROM[meant](found, start)


def _is_wide(name: str, value: object) -> bool:
    """A dtype that is not narrower than the input's."""
    return name == "dtype" and any(wide in str(value) for wide in ("float32", "float64", "dtype"))
