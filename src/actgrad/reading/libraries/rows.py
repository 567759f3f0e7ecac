"""The meanings of a function that is read with `axis=`: libraries' functions over whole rows.

`names` asks for these in the place of what refuses to mix the elements of an array.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from actgrad.common.types import Fields
from actgrad.reading.libraries import row_numbers as numbers
from actgrad.reading.libraries import row_parts as parts
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
    **dict.fromkeys(("dot", "vdot", "matmul"), numbers.dot),
    **dict.fromkeys(("top_k", "topk"), parts.top_k),
    **dict.fromkeys(("split", "chunk"), parts.split),
    **dict.fromkeys(("flip", "reverse"), numbers.flip),
    **dict.fromkeys(("arange", "range"), parts.arange),
    **dict.fromkeys(("zeros", "full"), parts.filled),
    "flatten": parts.same,
    "count_nonzero": numbers.count_nonzero,
    "logsumexp": numbers.logsumexp,
    "softmax": numbers.softmax,
    "log_softmax": numbers.log_softmax,
    "softmin": numbers.softmin,
    "cumsum": numbers.cumsum,
    "argsort": numbers.argsort,
    "sort": numbers.ascending,
    "argmax": numbers.argmax,
    "argmin": numbers.argmin,
    "one_hot": parts.one_hot,
    "largest_of": parts.largest_of,
    "smallest_of": parts.smallest_of,
    "concatenated": parts.concatenated,
    "stacked": parts.stacked,
    "take": parts.taken,
    "take_along_axis": parts.taken,
    "gather": parts.gathered,
    "size_of": numbers.length_of,
    "shape_of": parts.shape_of,
    "rank_of": parts.rank_of,
    "reshape": parts.reshaped,
    "squeeze": parts.squeezed,
    "expand": parts.spread,
    "ones": lambda shape, **options: parts.filled(shape, 1.0),
    "empty": lambda shape, **options: parts.filled(shape, float("nan")),
    "glu": parts.glu,
    "crelu": parts.crelu,
    "normalize": numbers.normalised,
    "l2_normalize": numbers.l2_normalised,
    "standardize": numbers.standardised,
    "layer_norm": numbers.layer_norm,
    "rms_norm": numbers.rms_norm,
    "layer_normalization": numbers.layer_normalization,
    "rms_normalization": numbers.rms_normalization,
    "moments": numbers.moments,
    "median": parts.median,
    "quantile": parts.quantile,
    "percentile": parts.percentile,
    "roll": parts.rolled,
    "ptp": numbers.spread_of,
    "diff": parts.differences,
}
"""By what the tables call them, or by their libraries' name where the tables say `mixing`."""

_OF_TORCH: dict[str, Meaning] = {
    "sort": parts.sorted_pair,
    "split": parts.split_by_size,
    "median": parts.median_of_torch,
}
"""What PyTorch means otherwise, in functions and methods."""
_ITS_OWN: dict[str, Meaning] = {
    "torch.var": numbers.variance_of_torch,
    "torch.std": numbers.deviation_of_torch,
    "keras.ops.normalize": numbers.normalised_by_keras,
}
"""What a library means otherwise in this function. Methods of these names are NumPy's too."""
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
    "num_classes": "n",
    "depth": "n",
    "indices": "order",
}
_ITSELF = (
    "input", "a", "x", "array", "tensor", "logits", "values", "input_tensor", "features", "tensors",
    "arrays", "xs", "operand", "ary", "obj", "arr", "v",
)  # fmt: skip
_LEFT_OUT = frozenset({"name", "dtype", "out", "where", "initial", "device"})


def over_row(path: str, key: str, otherwise: Meaning) -> Meaning:
    """The meaning with rows among its arguments, and `otherwise` without. `path` is the library's name."""
    is_torch = path.startswith(("torch.", "."))
    meant = MEANINGS.get(key)
    if is_torch:
        meant = _OF_TORCH.get(key, meant)
    meant = _ITS_OWN.get(path, meant)
    if meant is None:
        return otherwise
    always = key in {"stacked", "concatenated"}

    def call(*args: object, **kwargs: object) -> Any:
        rows = [*args, *kwargs.values()]
        if not (any(map(_has_row, rows)) or (always and reader().rows)):
            if key in {"sum", "total"} and len(rows) == 1 and reader().in_rule:
                (terms,) = rows
                if isinstance(terms, Total):
                    return terms
                if isinstance(terms, Symbol) and terms.form is not None:
                    return Total.of(terms)
            return otherwise(*args, **kwargs)
        if key.startswith("python_") and len(args) > 1 and key != "python_sum":
            return otherwise(*args, **kwargs)
        return _called(path, meant, args if always else tuple(map(row_of, args)), kwargs)

    call.__name__ = path.rpartition(".")[2]
    call.__wrapped__ = otherwise  # type: ignore[attr-defined]
    return call


def _has_row(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return any(of_row(part) or isinstance(part, Size) for part in value)
    return of_row(value) or isinstance(value, Size)


def _called(path: str, meant: Meaning, args: tuple[object, ...], kwargs: Fields) -> object:
    """Call a meaning with a library's arguments, by name where it has others; refuse what it has not."""
    if "numpy" in path and len(args) > 2 and meant is not numbers.norm:
        refuse(
            f"`{path}` with {len(args)} arguments by position",
            "Name them: `axis=-1, keepdims=True`.",
        )
    names = list(inspect.signature(meant).parameters)
    given: dict[str, object] = {}
    for name, value in kwargs.items():
        name = _RENAMED.get(name, name)
        if name in names:
            given[name] = value
        elif name in _ITSELF and not args:
            args = (value,)
        elif name in _LEFT_OUT and (value is None or name == "name" or _is_wide(name, value)):
            continue
        else:
            refuse(f"`{path}` over a row is called with {name}={value!r}", f"Leave {name!r} out.")
    try:
        bound = inspect.signature(meant).bind(*args, **given)
    except TypeError as error:
        refuse(f"`{path}` over a row does not take these arguments: {error}", "Use fewer.")
    return meant(*bound.args, **bound.kwargs)


def _is_wide(name: str, value: object) -> bool:
    """A dtype that is not narrower than the input's."""
    return name == "dtype" and any(wide in str(value) for wide in ("float32", "float64", "dtype"))
