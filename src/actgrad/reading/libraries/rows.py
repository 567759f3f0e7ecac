"""The meanings of a function that is read with `axis=`: libraries' functions over whole rows.

`names` asks for these in the place of what refuses to mix the elements of an array.
"""

from __future__ import annotations

import inspect

from actgrad.common.types import Fields
from actgrad.reading.libraries import meanings, row_formulas
from actgrad.reading.libraries import row_joined as joined
from actgrad.reading.libraries import row_numbers as numbers
from actgrad.reading.libraries import row_orders as orders
from actgrad.reading.libraries import row_parts as parts
from actgrad.reading.libraries.binding import Meaning, spelt
from actgrad.reading.libraries.formulas import maximum, minimum
from actgrad.reading.libraries.meanings import where
from actgrad.reading.libraries.sizes import Size
from actgrad.reading.libraries.totals import Total
from actgrad.reading.reader import reader
from actgrad.reading.refusal import refuse
from actgrad.reading.symbol import Symbol, of_row, row_of


def _named(text: str) -> dict[str, Meaning]:
    """Functions of these modules by entries as in `tables`: `name`, or `name=function`."""
    known = {**vars(numbers), **vars(row_formulas), **vars(orders), **vars(joined), **vars(parts)}
    entries = (entry.partition("=") for entry in text.split())
    return {name: known[function or name] for name, _, function in entries}


MEANINGS = _named("""
sum=total total python_sum=total max=largest row_max=largest python_max=largest_by amax=largest
min=smallest row_min=smallest python_min=smallest_by amin=smallest prod=product product mean average
var=variance reduce_variance=variance std=deviation reduce_std=deviation any=any_of row_any=any_of
python_any=any_of all=all_of row_all=all_of python_all=all_of norm vector_norm=norm
row_norm=euclidean_norm reduce_euclidean_norm=euclidean_norm dot vdot=dot matmul=dot inner=dot vecdot=dot
top_k topk=top_k split chunk=split flip reverse=flip rev=flip flipud=flip arange range=arange linspace
full=filled flatten=same count_nonzero logsumexp softmax log_softmax softmin logmeanexp reduce_sum=total
reduce_prod=product reduce_max=largest reduce_min=smallest argsort sort=ascending msort=ascending
partition=partitioned argpartition=argpartitioned kthvalue=kth_smallest aminmax=ends argmax argmin one_hot
largest_of smallest_of concatenated hstack=concatenated append=appended stacked constant=array_of
pad=padded tile=tiled repeat=repeated repeat_interleave=repeated scatter=scattered take=taken
take_along_axis=taken take_along_dim=taken index_select=gathered narrow=narrowed unbind=unstacked
unstack=unstacked size_of=length_of element_count=length_of reshape=reshaped
squeeze=squeezed unsqueeze=with_axis expand=spread glu crelu normalize=normalised
l2_normalize=l2_normalised standardize=standardised layer_norm rms_norm layer_normalization
rms_normalization moments median quantile percentile roll=rolled ptp=spread_of diff=differences
ediff1d=differences distance array_split=split_unequally tensor_split=split_unequally sum_product=dot
clip_by_norm=clipped_by_norm eye=Identity
""") | {
    "zeros": lambda shape, **options: joined.filled(shape, 0.0),
    "cumsum": joined.running(numbers.cumsum, 0.0),
    "cumprod": joined.running(numbers.cumprod, 1.0),
    "var_mean": numbers.mean_last(numbers.variance_of_torch),
    "std_mean": numbers.mean_last(numbers.deviation_of_torch),
    "ones": lambda shape, **options: joined.filled(shape, 1.0),
    "empty": lambda shape, **options: joined.filled(shape, float("nan")),
}
"""By what the tables call them, or by their libraries' name where the tables say `mixing`."""

_OF_TORCH = _named("""
sort=sorted_pair split=split_by_size median=median_of_torch
""")
"""What PyTorch means otherwise, in functions and methods."""
_ITS_OWN = _named("""
torch.var=variance_of_torch torch.std=deviation_of_torch keras.ops.normalize=normalised_by_keras
tensorflow.split=split_of_tensorflow tensorflow.linalg.normalize=unit_and_norm jax.lax.split=split_by_size
numpy.linalg.norm=norm jax.numpy.linalg.norm=norm_of_jax jax.numpy.linalg.vector_norm=norm_of_jax
jax.numpy.sort=ascending_in_jax
""")
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
    **dict.fromkeys((numbers.total, row_formulas.any_of, numbers.count_nonzero), 0.0),
    **dict.fromkeys((numbers.product, row_formulas.all_of), 1.0),
    **dict.fromkeys((numbers.largest, numbers.logsumexp, row_formulas.softmax), float("-inf")),
    row_formulas.log_softmax: float("-inf"),
    numbers.largest_by: float("-inf"),
    numbers.smallest: float("inf"),
    numbers.smallest_by: float("inf"),
}
"""What stands where `where=` does not hold."""
_FROM: dict[Meaning, Meaning] = {
    numbers.total: meanings.add,
    numbers.product: meanings.multiply,
    numbers.largest: maximum,
    numbers.smallest: minimum,
}
"""What `initial=` is combined with the result by."""
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

    def call(*args: object, **kwargs: object) -> object:
        rows = [*args, *kwargs.values()]
        if not (any(map(_has_row, rows)) or (key in _ALWAYS and reader().rows)):
            if key in {"sum", "total"} and len(rows) == 1:
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
    its_own = not kwargs.keys().isdisjoint({"unbiased", "dim", "keepdim"})
    if "torch" in libraries or its_own or either:
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
    reducing = (numbers.__name__, row_formulas.__name__)
    reduces = meant.__module__ in reducing and meant is not numbers.norm
    if "numpy" in path and len(args) > 2 and reduces:  # then comes a dtype, or an array to write to
        refuse(
            f"`{path}` with {len(args)} arguments by position",
            "Name them: `axis=-1, keepdims=True`.",
        )
    names = list(inspect.signature(meant).parameters)
    if args and (meant in _NOTHING or "where" in names):
        args, kwargs = _where_chosen(args, kwargs)
    given: dict[str, object] = {}
    condition = kwargs.pop("where", None) if meant in _NOTHING else None
    start = kwargs.pop("initial", None) if meant in _FROM else None
    by_spelling = spelt(names)
    for name, value in kwargs.items():
        name = name if name in names else by_spelling.get(name, name)
        if name in names:
            given[name] = value
        elif name in _LEFT_OUT and (value is None or name in _NOTES or _is_own(name, value)):
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
    if condition is not None and meant is row_formulas.softmax:
        found = where(condition, found, 0.0)  # none of a row may be left
    return found if start is None else _FROM[meant](found, start)


def _where_chosen(args: tuple[object, ...], kwargs: Fields) -> tuple[tuple[object, ...], Fields]:
    """`np.sum(x[x > 0])` and `sum(v for v in x if v > 0)` as `np.sum(x, where=x > 0)`."""
    x = args[0]
    if not (isinstance(x, Symbol) and of_row(x) and x.mask is not None):
        return args, kwargs
    chosen = Symbol(x.mask, x.form)
    where_too = kwargs.get("where")
    if where_too is not None:
        chosen = meanings.logical_and(chosen, where_too)
    return (Symbol(x.expr, x.form), *args[1:]), {**kwargs, "where": chosen}


def _is_own(name: str, value: object) -> bool:
    """The input's device, or a dtype that is not narrower than its own."""
    wide = ("float32", "float64", "dtype")
    return name in {"dtype", "device"} and any(each in str(value) for each in (*wide, "'s device"))
