"""Runs a function unread, on arrays or tensors of the library that it is written with.

No library is imported: the function could not use one that is not imported yet.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from actgrad.common.types import Array
from actgrad.reading.libraries import lookups
from actgrad.reading.refusal import is_user_file
from actgrad.reading.surroundings.origins import root_of

Call = Callable[..., object]


@dataclass(frozen=True)
class Run:
    """What a function returned for whole arrays."""

    outputs: tuple[Array, ...]
    """As float64, whatever the library's dtype; nan where a number is complex."""
    narrow: bool
    """Whether an output has fewer digits than the input had."""
    dtype: str
    slopes: tuple[Array, ...] | None
    """The library's derivative by each input, where it was asked for and there is one."""
    changed: bool
    """Whether the function wrote into its input."""


class NotTaken(Exception):
    """The function raised: it does not take such arrays."""


def _guarded(call: Call) -> Call:
    """The call, in which anything that the user's function raises is NotTaken; what is wrong in this file
    is not hidden by it."""

    def guarded(*tensors: object) -> object:
        try:
            return call(*tensors)
        except Exception as error:
            raise NotTaken from error

    return guarded


class Library(Protocol):
    name: str
    tensor: str
    """What a message calls its arrays."""

    def run(self, call: Call, columns: Sequence[Array], slopes: bool = False) -> Run: ...


# Which library's arrays a function takes, by the package that it mentions. Keras has those of its backend.
_PACKAGES = {
    "torch": "torch", "tensorflow": "tensorflow", "jax": "jax", "jaxlib": "jax", "keras": "keras",
    "numpy": "numpy", "scipy": "numpy", "numba": "numpy",
}  # fmt: skip
_MAX_OBJECTS = 300


@dataclass(frozen=True)
class Mentions:
    """What a function's code, closure and objects refer to."""

    libraries: tuple[str, ...]
    plain: bool
    """Nothing but modules, numbers, plain functions and a library's own functions: nothing that could have
    another derivative than its value has."""
    collects: bool
    """It makes lists or tuples. NumPy joins the elements of `np.any([x > 1, x < -1])`, so this is a function
    of plain numbers and not one of arrays."""
    inverts: bool
    """It uses `~`. Python's `~True` is -2, which is true, so this is no function of plain numbers."""
    asks: bool
    """It takes derivatives by `torch.autograd`, so it runs on tensors that ask for them alone."""


def mentions(function: object) -> Mentions:
    """The libraries that a function is written with, tensor libraries first."""
    packages: dict[str, None] = {}
    plain, collects, inverts, asks = True, False, False, False
    queue: list[object] = [function]
    seen: set[int] = set()
    while queue and len(seen) < _MAX_OBJECTS:
        value = queue.pop(0)
        if value is None or isinstance(value, (int, float, str, bytes)) or id(value) in seen:
            continue
        seen.add(id(value))
        roots = {root_of(value)}
        if not isinstance(value, types.ModuleType):
            kind = value if isinstance(value, type) else type(value)
            roots |= {root_of(base) for base in kind.__mro__}
        known = [_PACKAGES[root] for root in roots if root in _PACKAGES]
        packages.update(dict.fromkeys(known))
        if not known or not _is_own(value):
            queue += _parts(value)
            if isinstance(value, types.FunctionType):
                collects |= _does(value.__code__, _MAKES_LISTS)
                inverts |= _does(value.__code__, _INVERTS)
                names = set(names_in(value.__code__))
                asks |= "autograd" in names
                plain &= not any(_CHANGES_SLOPES & set(name.split("_")) for name in names)
        plain &= isinstance(value, (types.ModuleType, np.ndarray, *_CONTAINERS)) or _is_own(value)
    libraries = dict.fromkeys(_backend(name) for name in packages)
    tensors_first = tuple(sorted(libraries, key=lambda name: name == "numpy"))
    return Mentions(tensors_first, plain, collects, inverts, asks)


_CONTAINERS = (tuple, list, dict)
_CHANGES_SLOPES = {"grad", "gradient", "custom", "detach", "remat", "checkpoint"}
"""Words in the names of what changes a derivative, such as `stop_gradient`."""


def _is_own(value: object) -> bool:
    """A function as it was written, and not one that a decorator put in its place."""
    if isinstance(value, types.FunctionType):
        return root_of(value) == (value.__module__ or "").partition(".")[0]
    callable_kinds = (types.BuiltinFunctionType, np.ufunc, type, functools.partial)
    return isinstance(value, callable_kinds) or root_of(value) in _PACKAGES


def _parts(value: object) -> Iterator[object]:
    """What a value refers to."""
    if isinstance(value, types.FunctionType):
        yield from value.__defaults__ or ()
        for cell in value.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty cell: a name bound later
                yield cell.cell_contents
        names = list(names_in(value.__code__))
        for name in names:
            item = value.__globals__.get(name)
            yield item
            if name in _PACKAGES and item is None:  # imported inside of the function
                yield sys.modules.get(name)
            if isinstance(item, types.ModuleType) and root_of(item) not in _PACKAGES:
                yield from (vars(item)[other] for other in names if other in vars(item))
    elif isinstance(value, types.MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, dict):
        yield from list(value.values())
    elif isinstance(value, (tuple, list)):
        yield from value
    elif isinstance(value, type):
        yield from list(vars(value).values())
    elif not isinstance(value, types.ModuleType):
        yield from list(getattr(value, "__dict__", {}).values())
        yield getattr(value, "__wrapped__", None)
        for base in type(value).__mro__:
            if root_of(base) not in {"builtins", "actgrad"}:
                yield vars(base).get("__call__")


def names_in(code: types.CodeType) -> Iterator[str]:
    """The names of globals and attributes that some code mentions, also in the functions within it."""
    for part in _codes(code):
        yield from part.co_names


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for item in code.co_consts:
        if isinstance(item, types.CodeType):
            yield from _codes(item)


_MAKES_LISTS = {dis.opmap[name] for name in ("BUILD_LIST", "BUILD_TUPLE", "LIST_APPEND")}
_INVERTS = {dis.opmap["UNARY_INVERT"]}


def _does(code: types.CodeType, operations: set[int]) -> bool:
    return any(not operations.isdisjoint(part.co_code[::2]) for part in _codes(code))


def _backend(name: str) -> str:
    if name != "keras" or "keras" not in sys.modules:
        return name
    backend = str(sys.modules["keras"].backend.backend())
    return backend if backend in _LIBRARIES else "numpy"


def library(name: str) -> Library | None:
    """The library, if it is imported."""
    return _LIBRARIES[name] if name in sys.modules else None


def libraries(names: Iterable[str]) -> list[Library]:
    """Those of these libraries that are imported."""
    return [each for each in map(library, names) if each is not None]


def tensor_library(function: object) -> Library | None:
    """The library whose tensors the function is written for, if it is one."""
    names = mentions(function).libraries
    return next((library(name) for name in names if name != "numpy"), None)


def imported() -> tuple[str, ...]:
    return tuple(name for name in _LIBRARIES if name in sys.modules)


def _run(
    result: object,
    numbers: Callable[[object], Array],
    columns: Sequence[Array],
    changed: bool,
    slopes: Any = None,
) -> Run:
    try:
        arrays = [numbers(part) for part in _returned(result)]
        outputs = tuple(map(_real, arrays))
    except (TypeError, ValueError, RuntimeError) as error:  # no numbers: a string, a ragged list
        raise NotTaken from error
    narrow = [a.dtype for a in arrays if a.dtype.kind in "fV"]
    return Run(
        outputs,
        any(dtype.itemsize < columns[0].dtype.itemsize for dtype in narrow),
        ", ".join(dict.fromkeys(str(a.dtype) for a in arrays)),
        slopes,
        changed,
    )


def _returned(result: object) -> Sequence[Any]:
    """The numbers of a result: one, several, or those of a dict in the order of their names."""
    if isinstance(result, dict):
        result = [item for _, item in sorted(result.items(), key=lambda pair: str(pair[0]))]
    if not isinstance(result, (tuple, list)):
        return (result,)
    return [number for part in result for number in _returned(part)]


def _real(array: Array) -> Array:
    if array.dtype.kind == "c":
        return np.where(array.imag == 0, array.real, np.nan).astype(np.float64)
    return array.astype(np.float64)


def _differ(tensors: Sequence[Array], columns: Sequence[Array]) -> bool:
    return any(a.tobytes() != b.tobytes() for a, b in zip(tensors, columns, strict=True))


class Python:
    """Plain numbers, one after the other; nan where the function raises: there the meaning is IEEE's."""

    name, tensor = "python", "Python"

    def run(self, call: Call, columns: Sequence[Array], slopes: bool = False) -> Run:
        rows: list[list[float] | None] = []
        with np.errstate(all="ignore"):  # of the NumPy calls in it
            for numbers in zip(*(column.ravel().tolist() for column in columns), strict=True):
                try:
                    rows.append([float(part) for part in _returned(call(*numbers))])
                except Exception:
                    rows.append(None)
        count = next((len(row) for row in rows if row is not None), 0)
        outputs = np.array([row or [np.nan] * count for row in rows]).T
        shape = columns[0].shape
        return Run(tuple(part.reshape(shape) for part in outputs), False, "", None, False)


class _NumPy:
    name, tensor = "numpy", "NumPy arrays"

    def run(self, call: Call, columns: Sequence[Array], slopes: bool = False) -> Run:
        arrays = [column.copy() for column in columns]
        with np.errstate(all="ignore"):
            result = _guarded(call)(*arrays)
        return _run(result, np.asarray, columns, _differ(arrays, columns))


class _Torch:
    name, tensor = "torch", "PyTorch tensors"

    def run(self, call: Call, columns: Sequence[Array], slopes: bool = False) -> Run:
        torch = sys.modules["torch"]
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.set_grad_enabled(slopes))
            if torch.get_default_device().type != "cpu":
                stack.enter_context(torch.device("cpu"))
            leaves = [torch.tensor(column, device="cpu") for column in columns]
            if slopes:
                leaves = [leaf.requires_grad_() for leaf in leaves]
            # A leaf that needs a gradient cannot be written into, which `inplace=True` does.
            tensors = [leaf * 1.0 for leaf in leaves] if slopes else leaves
            result = _guarded(call)(*tensors)
            changed = _differ([t.detach().numpy() for t in tensors], columns)
            found = self._slopes(torch, result, leaves) if slopes else None

        def numbers(value: Any) -> Array:
            if not isinstance(value, torch.Tensor):
                return np.asarray(value)
            value = value.detach().cpu().resolve_conj()
            try:
                return np.asarray(value.numpy())
            except TypeError:  # NumPy has no bfloat16 and no float8
                return np.asarray(value.float().numpy())

        return _run(result, numbers, columns, changed, found)

    @staticmethod
    def _slopes(torch: types.ModuleType, result: object, leaves: Any) -> tuple[Array, ...] | None:
        if not isinstance(result, torch.Tensor) or not result.requires_grad:
            return tuple(np.zeros(leaf.shape) for leaf in leaves)
        try:
            found = torch.autograd.grad(result.sum(), leaves, allow_unused=True)
        except Exception:  # no derivative there, or a rule of the user's own that raises
            return None
        pairs = zip(found, leaves, strict=True)
        return tuple(
            np.zeros(x.shape) if g is None else g.double().numpy(force=True) for g, x in pairs
        )


class _TensorFlow:
    name, tensor = "tensorflow", "TensorFlow tensors"

    def run(self, call: Call, columns: Sequence[Array], slopes: bool = False) -> Run:
        tf = sys.modules["tensorflow"]
        eager = contextlib.nullcontext() if tf.executing_eagerly() else tf.init_scope()
        call, found = _guarded(call), None
        with eager:
            tensors = [tf.constant(column) for column in columns]
            if not slopes:
                result = call(*tensors)
            else:
                with tf.GradientTape() as tape:
                    tape.watch(tensors)
                    result = call(*tensors)
                found = self._slopes(tf, tape, result, tensors)
        return _run(result, np.asarray, columns, False, found)

    @staticmethod
    def _slopes(
        tf: types.ModuleType, tape: Any, result: Any, tensors: Any
    ) -> tuple[Array, ...] | None:
        if not tf.is_tensor(result) or not result.dtype.is_floating:
            return tuple(np.zeros(x.shape) for x in tensors)
        try:
            found = tape.gradient(result, tensors)
        except Exception:  # no derivative there, or a rule of the user's own that raises
            return None
        pairs = zip(found, tensors, strict=True)
        return tuple(np.zeros(x.shape) if g is None else _real(np.asarray(g)) for g, x in pairs)


class _Jax:
    name, tensor = "jax", "JAX arrays"

    def run(self, call: Call, columns: Sequence[Array], slopes: bool = False) -> Run:
        jax = sys.modules["jax"]
        wide = lookups.wide("jax" if columns[0].dtype == np.float64 else "")
        with wide, jax.ensure_compile_time_eval(), jax.debug_nans(False):
            tensors = [jax.numpy.asarray(column) for column in columns]
            call = _guarded(call)
            result = call(*tensors)
            found = self._slopes(jax, call, tensors) if slopes else None
            return _run(result, np.asarray, columns, False, found)

    @staticmethod
    def _slopes(jax: types.ModuleType, call: Call, tensors: Any) -> tuple[Array, ...] | None:
        def total(*x: Any) -> object:
            return jax.numpy.sum(jax.numpy.asarray(call(*x)).astype(x[0].dtype))

        try:
            value, pull = jax.vjp(total, *tensors)
            return tuple(_real(np.asarray(slope)) for slope in pull(jax.numpy.ones_like(value)))
        except Exception:  # no derivative there, or a rule of the user's own that raises
            return None


_LIBRARIES: dict[str, Library] = {
    each.name: each for each in (_NumPy(), _Torch(), _TensorFlow(), _Jax())
}


@dataclass(frozen=True)
class Written:
    """Where a function wrote into its input."""

    file: str
    line: int
    function: str
    user: bool
    """In the user's own file, not inside of a library."""
    meant: bool
    """By an operator as `+=`, or a function as `torch.relu_`, whose result is a new number here."""


def written_at(library: Library, call: Call, columns: Sequence[Array]) -> Written | None:
    """Where the function writes into its input: found with one that cannot be written into."""
    called: list[object] = [None]
    try:
        with np.errstate(all="ignore"):
            if library.name == "torch":
                torch = sys.modules["torch"]

                class Recording(torch.overrides.TorchFunctionMode):  # type: ignore[misc,name-defined]
                    def __torch_function__(
                        self, function: Any, types: object, args: Any = (), kwargs: Any = None
                    ) -> Any:
                        called[0] = function
                        return function(*args, **(kwargs or {}))

                with torch.inference_mode(False), torch.enable_grad(), Recording():
                    call(*(torch.tensor(c, device="cpu").requires_grad_() for c in columns))
            else:
                for column in (arrays := [column.copy() for column in columns]):
                    column.flags.writeable = False
                call(*arrays)
    except (RuntimeError, ValueError) as error:
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        if frame is None:
            return None
        code = frame.tb_frame.f_code
        found = [i for i in dis.get_instructions(code) if i.offset == frame.tb_lasti]
        inplace = any(i.opname == "BINARY_OP" and i.argrepr.endswith("=") for i in found)
        user = is_user_file(code.co_filename)
        function = isinstance(called[0], types.BuiltinFunctionType)  # a method is none
        return Written(code.co_filename, frame.tb_lineno, code.co_name, user, inplace or function)
    return None
