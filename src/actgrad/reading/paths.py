"""Python function -> expression: run it with symbolic numbers until every path is known.

Each `if` on a symbol is answered from a list of decisions; the function is run again with other
answers until no path is left, and the paths join into selects. A run must ask the same questions as
the runs before it for the same answers: a function that does not is not a function.
"""

from __future__ import annotations

import dis
import functools
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from actgrad.errors import ActgradError, ImpureError, TraceError, UnboundedError
from actgrad.language.expression import Expr, const, var, variables, walk
from actgrad.language.rewrite import build, rewrite
from actgrad.reading import names, randomness
from actgrad.reading.bounds import Bounds, Trail, is_whole
from actgrad.reading.refusal import HOST, is_user_file, place, refuse
from actgrad.reading.sandbox import Environment
from actgrad.reading.symbol import Symbol, number, reading
from actgrad.reading.wrappers import unwrap

MAX_PATHS = 4096
MAX_DECISIONS = 2500
MAX_PARAMETER_DECISIONS = 50
"""After this many decisions on parameters alone, the loop that asks is one over a plain number."""
MAX_ENTRY_DECISIONS = 3
"""So too of the entries of a vector: then it is a list of options, such as a mask."""
MAX_OPERATIONS = 500_000
MAX_CHOICES = 64
"""As many values an index may have that is no index of a constant table."""

_BOUND_IT = (
    "Bound the loop, as in `for _ in range(20):` with a `break`, or write independent choices as "
    "values (`max`, `min`, `np.where`), which cost no path. " + HOST
)


Form = Literal["number", "tuple"] | tuple[str, ...]
"""What a function returns: one number, a tuple of them, or a dict with these names (sorted)."""


@dataclass(frozen=True)
class Reading:
    """What reading a function gave: its outputs, and the parameters that had to be plain numbers."""

    outputs: tuple[Expr, ...]
    form: Form
    fixed: frozenset[str]
    entries: frozenset[str]
    """The parameters that were read entry by entry."""


def trace(
    function: Callable[..., Any],
    call: Callable[[Callable[..., Any], Mapping[str, Any]], Any],
    arguments: Mapping[str, Any],
    defaults: Mapping[str, Any],
    vectors: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    whole: bool = True,
) -> Reading:
    """Read `function`. `call(copy, values)` calls a copy of it with a value for each argument.

    `arguments` maps names to expressions; `defaults` gives the plain value of those that are
    parameters, used where Python needs an integer (`range(n)`). `vectors` names the entries of
    parameters that are sequences; where they cannot be read so, and with `whole`, such a parameter is
    read as one number, as which an array broadcasts.
    """
    fixed: set[str] = set()
    entries = dict(vectors)
    owners = {entry: name for name, names in vectors.items() for entry in names}
    while True:
        environment = Environment()
        copy = environment.copy(unwrap(function))
        values = {
            name: arg
            if isinstance(arg, Expr) and name not in fixed and name not in entries
            else environment.copy(plain, name)
            for name, arg in arguments.items()
            for plain in [
                defaults[name]
                if name in fixed
                else _in_place_of(defaults[name], entries[name])
                if name in entries
                else arg
            ]
        }
        parameters = frozenset([*defaults, *owners])
        parts = frozenset(entry for names in entries.values() for entry in names)
        try:
            with randomness.refused(_name(copy), definition(copy)):
                outputs, form = _explore(copy, call, values, environment, parameters, parts)
        except _NeedsPlain as needed:
            names = {owners.get(name, name) for name in needed.names}
            fixed |= names
            entries = {name: own for name, own in entries.items() if name not in names}
            continue
        except TraceError:
            if not (entries and whole):
                raise
            entries = {}
            continue
        return Reading(
            tuple(rewrite(*outputs)),
            form,
            frozenset(fixed),
            frozenset(entries),
        )


def _in_place_of(default: Any, entries: Sequence[str]) -> Any:
    """Symbols for the entries, in a container of the same kind as the default."""
    symbols = [Symbol(var(entry)) for entry in entries]
    if not isinstance(default, np.ndarray):
        return tuple(symbols) if isinstance(default, tuple) else symbols
    array = np.empty(len(symbols), dtype=object)
    array[:] = symbols
    return array


class _NeedsPlain(BaseException):
    """Python needs the plain value of a parameter. Not an Exception: the user's `except` must not see it."""

    def __init__(self, names: set[str]) -> None:
        self.names = names


class _Run:
    """One run of the function: answers decisions from a list, then True, and notes them."""

    def __init__(
        self,
        prefix: list[tuple[Expr, bool]],
        parameters: frozenset[str],
        entries: frozenset[str],
        budget: list[int],
        facts: _Facts,
        paths: int = 0,
    ) -> None:
        self.prefix = prefix
        self.paths = paths
        self.path: list[tuple[Expr, bool]] = []
        self.facts = facts
        self.parameters = parameters
        self.entries = entries
        self.budget = budget

    def count(self) -> None:
        self.budget[0] -= 1
        if self.budget[0] < 0:
            refuse(
                f"reading the function took more than {MAX_OPERATIONS:,} operations: a loop does not end, "
                f"or there are too many paths",
                _BOUND_IT,
                UnboundedError,
            )

    def method(self, name: str) -> Callable[..., Any] | None:
        return names.method(name)

    def meaning(self, function: Any) -> Callable[..., Any] | None:
        return names.meaning(function)

    def settle(self, value: Expr) -> None:
        names = variables(value)
        if names and names <= self.parameters:
            raise _NeedsPlain(names)

    def index(self, value: Expr) -> int:
        """The index as a plain integer: one decision for each that it may be."""
        self.settle(value)
        low, high = self.facts.range_of(len(self.path), value)
        if not (is_whole(value) and high - low < MAX_CHOICES):
            refuse(
                "an index or a count depends on the input",
                f"Compare instead (`if`, `np.select`); or bound the index, as in "
                f"`table[int(np.clip(x, 0, {MAX_CHOICES - 1}))]`. A loop runs to a fixed bound.",
            )
        for choice in range(int(low), int(high) + 1):
            if self.decide(build("le", value, const(float(choice)))):
                return choice
        raise ValueError("cannot convert float NaN to integer")

    def decide(self, condition: Expr) -> bool:
        if condition.op == "const":
            return bool(condition.value)
        if condition.op == "not":
            return not self.decide(condition.args[0])
        step = len(self.path)
        if step < len(self.prefix) and self.prefix[step][0] is condition:
            self.path.append(self.prefix[step])
            return self.prefix[step][1]
        known = self.facts.known(condition)
        if known is not None:
            return known
        if step < len(self.prefix):
            refuse(
                "the function asks different questions for the same answers, so it is not a function "
                "of its arguments alone",
                "Remove what varies between two calls (randomness, time, stored state).",
                ImpureError,
            )
        if step >= MAX_DECISIONS:
            refuse(
                f"this condition is still open after {MAX_DECISIONS:,} decisions on one path: the loop "
                f"has no bound that holds for every input",
                _BOUND_IT,
                UnboundedError,
            )
        if self.paths >= MAX_PATHS:
            refuse(f"it has more than {MAX_PATHS:,} paths", _BOUND_IT, UnboundedError)
        self._pin_parameters(condition)
        self.path.append((condition, True))
        self.facts.learn(condition, True)
        return True

    def _pin_parameters(self, condition: Expr) -> None:
        """Many decisions on parameters alone are a loop over a plain number."""
        mentions = self.facts.mentions_others
        if not mentions(condition, self.parameters):
            asked = sum(not mentions(earlier, self.parameters) for earlier, _ in self.path)
            names = variables(condition)
            if asked >= (MAX_ENTRY_DECISIONS if names & self.entries else MAX_PARAMETER_DECISIONS):
                raise _NeedsPlain(names)


class _Facts:
    """What the decisions so far imply for later ones.

    A comparison with a constant says that an expression lies below or above a cut of the number
    line, a cut being a number and its left (0) or right (1) side. A False answer does not imply the
    opposite comparison, since both are false for nan.
    """

    def __init__(self) -> None:
        self.answers: dict[Expr, bool] = {}
        self.cuts: dict[tuple[Expr, bool], tuple[float, int]] = {}
        self.denied: dict[tuple[Expr, bool], tuple[float, int]] = {}
        self.ranges: dict[tuple[int, Expr], tuple[float, float]] = {}
        self.trail = Trail()
        self.bounds = Bounds(self.trail)
        self._marks: list[int] = []
        self._mentions: dict[Expr, bool] = {}

    def range_of(self, step: int, value: Expr) -> tuple[float, float]:
        """The bounds of an index after so many decisions: what they were when it was asked first."""
        key = step, value
        if key not in self.ranges:
            self.trail.set(self.ranges, key, self.bounds.of(value))
        return self.ranges[key]

    def rewind(self, decisions: int) -> None:
        """Forget what was learnt after so many decisions."""
        if decisions < len(self._marks):
            self.trail.rewind(self._marks[decisions])
            del self._marks[decisions:]

    def mentions_others(self, expression: Expr, names: frozenset[str]) -> bool:
        """Whether variables besides these stand in it."""
        found = self._mentions
        for node in walk(expression, into=lambda node: () if node in found else node.args):
            if node not in found:
                own = node.op == "var" and node.value not in names
                found[node] = own or any(found[arg] for arg in node.args)
        return found[expression]

    @staticmethod
    def _cut(condition: Expr) -> tuple[Expr, bool, tuple[float, int]] | None:
        if condition.op not in {"lt", "le"}:
            return None
        x, y = condition.args
        strict = condition.op == "lt"
        if y.op == "const":
            return x, True, (float(y.value), 0 if strict else 1)  # type: ignore[arg-type]
        if x.op == "const":
            return y, False, (float(x.value), 1 if strict else 0)  # type: ignore[arg-type]
        return None

    def known(self, condition: Expr) -> bool | None:
        if condition in self.answers:
            return self.answers[condition]
        if condition.op in {"lt", "le", "eq"} and self.bounds.denies(condition):
            return False
        cut = self._cut(condition)
        if cut is None:
            return None
        subject, below, at = cut
        same, other = self.cuts.get((subject, below)), self.cuts.get((subject, not below))
        denied = self.denied.get((subject, below))
        if same is not None and (same <= at if below else same >= at):
            return True
        if other is not None and (other >= at if below else other <= at):
            return False
        if denied is not None and (denied >= at if below else denied <= at):
            return False
        return None

    def learn(self, condition: Expr, answer: bool) -> None:
        self._marks.append(self.trail.mark())
        self.trail.set(self.answers, condition, answer)
        if condition.op in {"lt", "le"}:
            self.bounds.learn(condition, answer)
        cut = self._cut(condition)
        if cut is None:
            return
        subject, below, at = cut
        table, tighter = (
            (self.cuts, min if below else max) if answer else (self.denied, max if below else min)
        )
        old = table.get((subject, below))
        self.trail.set(table, (subject, below), at if old is None else tighter(old, at))


Path = list[tuple[Expr, bool]]


def _explore(
    copy: Callable[..., Any],
    call: Callable[..., Any],
    arguments: Mapping[str, Any],
    environment: Environment,
    parameters: frozenset[str],
    entries: frozenset[str],
) -> tuple[list[Expr], Form]:
    budget = [MAX_OPERATIONS]
    # Paths are visited depth first, so a decision's True side is complete when its False side starts.
    done: list[list[tuple[Expr, ...]]] = []
    prefix: Path = []
    paths = 0
    facts = _Facts()
    form: Form | None = None
    first: tuple[Path, tuple[Expr, ...] | None] | None = None
    while True:
        run = _Run(prefix, parameters, entries, budget, facts, paths)
        outputs, returned = _run(copy, call, arguments, run)
        _refuse_changes(environment, copy)
        if len(run.path) < len(prefix):
            raise ImpureError(
                f"{_name(copy)!r} asks fewer questions for the same answers, so it is not a function of "
                f"its arguments alone\n{definition(copy)}\n"
                f"  Remove what varies between two calls (randomness, time, stored state)."
            )
        paths += 1
        if first is None:
            again = _Run(list(run.path), parameters, entries, budget, facts)
            repeated, _ = _run(copy, call, arguments, again)
            _refuse_changes(environment, copy)
            first = run.path, repeated
            if again.path != run.path or repeated != outputs:
                raise ImpureError(
                    f"two runs with the same input gave different results, so {_name(copy)!r} is not a "
                    f"function of its arguments alone\n{definition(copy)}\n"
                    f"  Remove what varies between two calls (randomness, time, stored state)."
                )
        if outputs is not None:
            if form not in (None, returned):
                raise TraceError(
                    f"{_name(copy)!r} returns {_described(form)} on one path and "
                    f"{_described(returned)} on another\n"
                    f"{definition(copy)}\n  Return the same number of values on every path."
                )
            form = returned
        done.append([outputs])  # type: ignore[list-item]
        path = list(run.path)
        while path and not path[-1][1]:
            condition, _ = path.pop()
            no = done.pop()[0]
            yes = done.pop()[0]
            done.append([_join(condition, yes, no, copy)])  # type: ignore[list-item]
        if not path:
            break
        prefix = [*path[:-1], (path[-1][0], False)]
        facts.rewind(len(path) - 1)
        facts.learn(path[-1][0], False)
    result = done[0][0]
    if result is None:
        raise TraceError(
            f"{_name(copy)!r} raises an exception on every path\n{definition(copy)}\n"
            f"  An activation must answer the numbers that it is given. {HOST}"
        )
    return list(result), form or "number"


def _refuse_changes(environment: Environment, copy: Any) -> None:
    changed = environment.changed()
    if changed:
        raise ImpureError(
            f"{_name(copy)!r} cannot be read: it changes {changed}, which outlives the call; it would "
            f"happen once, while the function is read, and never again\n{definition(copy)}\n"
            f"  Compute with local variables, and pass what varies as an input or a parameter. {HOST}"
        )


def _join(
    condition: Expr, yes: tuple[Expr, ...] | None, no: tuple[Expr, ...] | None, copy: Any
) -> tuple[Expr, ...] | None:
    """Select between two paths; one that raised gives nan."""
    if yes is None or no is None:
        if yes is no:
            return None
        nan = (const(np.nan),) * len(yes or no or ())
        yes, no = yes or nan, no or nan
    if len(yes) != len(no):
        raise TraceError(
            f"{_name(copy)!r} returns {len(yes)} numbers on one path and {len(no)} on another\n"
            f"{definition(copy)}\n  Return the same number of values on every path."
        )
    return tuple(build("select", condition, a, b) for a, b in zip(yes, no, strict=True))


def _run(
    copy: Callable[..., Any],
    call: Callable[..., Any],
    arguments: Mapping[str, Any],
    run: _Run,
) -> tuple[tuple[Expr, ...] | None, Form]:
    values = {
        name: Symbol(arg, None if name in run.parameters else (), writable=False)
        if isinstance(arg, Expr)
        else arg
        for name, arg in arguments.items()
    }
    with reading(run), np.errstate(all="ignore"):  # of the NumPy calls in it
        try:
            result = call(copy, values)
            return _outputs(result, copy)
        except ActgradError as error:
            raise type(error)(f"{_name(copy)!r} cannot be read: {error}") from None
        except _NeedsPlain:
            raise
        except RecursionError as error:
            raise UnboundedError(
                f"{_name(copy)!r} cannot be read: it calls itself without end\n"
                f"{_raised_at(error)}\n  {_BOUND_IT}"
            ) from None
        except Exception as error:
            if isinstance(error, ValueError) and "read-only" in str(error):
                raise ImpureError(
                    f"{_name(copy)!r} cannot be read: it changes an array that outlives the call\n"
                    f"{_raised_at(error)}\n  Copy the array first."
                ) from None
            if run.path and _is_an_answer(error):
                return None, "number"
            raise _user_error(error, copy) from error


def _is_an_answer(error: Exception) -> bool:
    """Whether Python would raise this too, rather than stumble over the symbol."""
    if isinstance(error, (ArithmeticError, ValueError, LookupError)):
        return True
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None or not is_user_file(frame.tb_frame.f_code.co_filename):
        return False
    instruction = frame.tb_frame.f_code.co_code[frame.tb_lasti]
    return dis.opname[instruction] == "RAISE_VARARGS"


def _described(form: Form | None) -> str:
    if isinstance(form, tuple):
        return f"a dict of {', '.join(map(repr, form)) or 'nothing'}"
    return "several" if form == "tuple" else "one number"


def _named_numbers(result: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """The numbers in a dict by name; of a sequence each one, as `name[i]`."""
    for name, item in result.items():
        if isinstance(item, (list, tuple)) or (isinstance(item, np.ndarray) and item.ndim == 1):
            yield from ((f"{name}[{i}]", part) for i, part in enumerate(item))
        else:
            yield str(name), item


def _outputs(result: Any, copy: Any) -> tuple[tuple[Expr, ...], Form]:
    form: Form = "number"
    parts: tuple[Any, ...] = (result,)
    if isinstance(result, dict):
        named = dict(sorted(_named_numbers(result)))
        form, parts = tuple(named), tuple(named.values())
    elif isinstance(result, (tuple, list)):
        form, parts = "tuple", tuple(result)
    for part in parts:
        if isinstance(part, np.ndarray) and part.ndim == 0:
            part = part[()]
        if not isinstance(part, Symbol) and not _is_number(part):
            shown = "None (is a `return` missing on one path?)" if part is None else repr(part)[:80]
            raise TraceError(
                f"the result is not a number: {shown}\n{definition(copy)}\n"
                f"  Every path must return one number (or one per gradient)."
            )
    return tuple(number(p[()] if isinstance(p, np.ndarray) else p).expr for p in parts), form


def _is_number(value: Any) -> bool:
    if isinstance(value, (str, bytes, complex, np.complexfloating)) or value is None:
        return False
    if (
        np.ndim(value)
        if isinstance(value, (np.ndarray, list, tuple))
        else getattr(value, "shape", ())
    ):
        return False
    with suppress(Exception):
        float(value)
        return True
    return False


def _user_error(error: Exception, copy: Any) -> TraceError:
    way_out = "An activation must answer every number."
    if "setting an array element" in str(error):
        way_out = "Collect the values in a list, and make the array of it: `np.array(values)`."
    return TraceError(
        f"{_name(copy)!r} cannot be read: it raised {type(error).__name__}: {error}\n"
        f"{_raised_at(error)}\n  {way_out} {HOST}"
    )


def _raised_at(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_user_file(f.filename)]
    return place(frames[-1].filename, frames[-1].lineno or 0, frames[-1].name) if frames else ""


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or _name(getattr(function, "func", type(function)))


def definition(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    call = getattr(type(function), "__call__", None)  # noqa: B004
    methods = function, getattr(function, "__func__", None), call
    code = next(filter(None, (getattr(method, "__code__", None) for method in methods)), None)
    return place(code.co_filename, code.co_firstlineno, code.co_name) if code else ""
