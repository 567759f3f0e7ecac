"""Python function -> expression: run it with symbolic numbers until every path is known.

Each `if` on a symbol is answered from a list of decisions; the function is run again with other
answers until no path is left, and the paths join into selects. A run must ask the same questions as
the runs before it for the same answers: a function that does not is not a function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actgrad.common.types import Function
from actgrad.errors import ActgradError, ImpureError, TraceError, UnboundedError
from actgrad.language.expression import Expr, as_row, const, make, plain, var, variables, walk
from actgrad.language.program import is_lookup
from actgrad.language.rewrite import build, rewrite
from actgrad.reading.derivatives.rules import NonlinearRuleError
from actgrad.reading.outputs import Form, described, length_of, outputs_of
from actgrad.reading.raised import is_an_answer, raised_at, user_error
from actgrad.reading.reader import reading
from actgrad.reading.refusal import HOST, WRITE_ONE_FOR_EACH, definition, name_of, refuse
from actgrad.reading.run import BOUND_IT, NeedsPlain, NeedsTables, Path, Run
from actgrad.reading.signature import Signature, is_number
from actgrad.reading.surroundings.objects import WeightError
from actgrad.reading.surroundings.sandbox import Environment
from actgrad.reading.surroundings.wrappers import unwrap
from actgrad.reading.symbol import Symbol
from actgrad.reading.witnesses import native


@dataclass(frozen=True)
class Reading:
    """What reading a function gave: its outputs, and the parameters that had to be plain numbers."""

    outputs: tuple[Expr, ...]
    form: Form
    fixed: frozenset[str]
    entries: frozenset[str]
    """The parameters that were read entry by entry."""
    tables: frozenset[str] = frozenset()
    """The parameters that were read at a computed index."""
    single: bool = False
    """Whether the function computes in float32, whatever its input's dtype."""
    asked: tuple[Expr, ...] = ()
    """The conditions that it asks of each number of a row."""


def read(
    function: Function,
    own: Signature,
    inputs: tuple[str, ...],
    pinned: frozenset[str],
    vectors: Mapping[str, tuple[str, ...]],
    whole: bool = True,
    tables: frozenset[str] = frozenset(),
) -> Reading:
    """Read a function with these variables as inputs, in order; every number that is not pinned is one too.

    A parameter has its plain value where Python needs an integer (`range(n)`). `vectors` names the entries of
    parameters that are sequences; where they cannot be read so, and with `whole`, such a parameter is
    read as one number, as which an array broadcasts. Of `tables` the whole is a parameter; a vector
    that the function reads at a computed index becomes one.
    """
    symbols = [var(name, own.rows.get(name)) for name in inputs]
    arguments: dict[str, object] = dict(zip(own.inputs, symbols, strict=True))
    defaults = {name: value for name, value in own.defaults.items() if is_number(value)}
    for name, default in own.defaults.items():
        arguments[name] = var(name) if name in defaults and name not in pinned else default
    free = defaults.keys() - pinned
    vectors = {name: names for name, names in vectors.items() if name in free}
    wholes = set(own.tables | tables) & free
    fixed: set[str] = set()
    entries = {name: names for name, names in vectors.items() if name not in wholes}
    owners = {entry: name for name, names in vectors.items() for entry in names}
    rows = any(symbol.width is not None for symbol in symbols)
    libraries = native.mentions(function).libraries if rows else None
    while True:
        environment = Environment()
        copy = environment.copy(unwrap(function))
        values = {
            name: arg
            if isinstance(arg, Expr) and name not in {*fixed, *entries, *wholes}
            else environment.copy(plain, name)
            for name, arg in arguments.items()
            for plain in [
                defaults[name]
                if name in fixed
                else _in_place_of(defaults[name], list(map(var, entries[name])))
                if name in entries
                else _in_place_of(defaults[name], _entries_of(name, len(defaults[name])))
                if name in wholes
                else arg
            ]
        }
        parameters = frozenset([*defaults, *owners])
        parts = frozenset(entry for names in entries.values() for entry in names)
        try:
            run = Run(parameters, parts, libraries)
            outputs, form = _explore(copy, own.call, values, environment, run)
        except NeedsPlain as needed:
            names = {owners.get(name, name) for name in needed.names}
            if needed.refusal and not all(type(defaults[name]) is int for name in names):
                raise needed.refusal from None  # a weight, or another number that may be learnt
            fixed |= names
            entries = {name: own for name, own in entries.items() if name not in names}
            wholes -= names
            continue
        except NeedsTables as needed:
            names = {owners[name] for name in needed.names}
            entries = {name: own for name, own in entries.items() if name not in names}
            wholes |= names
            continue
        except TraceError as error:
            if not ((entries or wholes) and whole) or isinstance(error, WeightError):
                raise
            entries, wholes = {}, set()
            continue
        lengths = map(length_of, outputs)
        outputs = [as_row(new, n) for new, n in zip(rewrite(*outputs), lengths, strict=True)]
        never = wholes - _computed(outputs) - set(vectors) if whole else set()
        if never:  # a long list of constants
            fixed |= never
            wholes -= never
            continue
        return Reading(
            tuple(outputs),
            form,
            frozenset(fixed),
            frozenset(entries),
            frozenset(wholes),
            bool(run.rounds),
            tuple(run.asked),
        )


def _entries_of(table: str, length: int) -> list[Expr]:
    return [make("gather", var(table), const(float(i))) for i in range(length)]


def _computed(outputs: Sequence[Expr]) -> set[str]:
    """The tables that are read at a computed index."""
    lookups = [node for node in walk(*outputs) if is_lookup(node)]
    return {str(node.args[0].value) for node in lookups if node.args[1].op != "const"}


def _in_place_of(default: object, entries: Sequence[Expr]) -> object:
    """Symbols for the entries, in a container of the same kind as the default."""
    symbols = list(map(Symbol, entries))
    if not isinstance(default, np.ndarray):
        return tuple(symbols) if isinstance(default, tuple) else symbols
    array = np.empty(len(symbols), dtype=object)
    array[:] = symbols
    return array


def _explore(
    copy: Function,
    call: Function,
    arguments: Mapping[str, object],
    environment: Environment,
    run: Run,
) -> tuple[list[Expr], Form]:
    # Paths are visited depth first, so a decision's True side is complete when its False side starts.
    done: list[tuple[Expr, ...] | None] = []
    prefix: Path = []
    form: Form | None = None
    facts, questions = run.facts, run.questions
    while True:
        run.start(prefix)
        outputs, returned = _run(copy, call, arguments, run)
        _refuse_changes(environment, copy)
        path = run.path
        if len(path) < len(prefix):
            raise ImpureError(
                f"{name_of(copy)!r} asks fewer questions for the same answers, so it is not a function of "
                f"its arguments alone\n{definition(copy)}\n"
                f"  Remove what varies between two calls (randomness, time, stored state)."
            )
        run.paths += 1
        if run.paths == 1:
            run.start(list(path))
            repeated, _ = _run(copy, call, arguments, run)
            _refuse_changes(environment, copy)
            if run.path != path or repeated != outputs:
                raise ImpureError(
                    f"two runs with the same input gave different results, so {name_of(copy)!r} is not a "
                    f"function of its arguments alone\n{definition(copy)}\n"
                    f"  Remove what varies between two calls (randomness, time, stored state)."
                )
        if outputs is not None:
            if {form, returned} == {"number", "numbers"} and all(map(length_of, outputs)):
                form = returned = "numbers"  # a row, and a list of its numbers
            if form not in (None, returned):
                raise TraceError(
                    f"{name_of(copy)!r} returns {described(form)} on one path and "
                    f"{described(returned)} on another\n"
                    f"{definition(copy)}\n  Return the same number of values on every path."
                )
            form = returned
        done.append(outputs)
        while path and not path[-1][1]:
            condition, _ = path.pop()
            no, yes = done.pop(), done.pop()
            if condition in questions and (yes is None or no is None):
                # Shapes that it does not take are no part of what it computes.
                done.append(yes or no)
            elif questions.get(condition, ("", ""))[0] == "requires_grad" and _same(yes, no):
                # Without a gradient nobody asks for the derivative, such as that of a hook.
                done.append(yes)
            else:
                done.append(_join(condition, yes, no, copy))
        if not path:
            break
        prefix = [*path[:-1], (path[-1][0], False)]
        facts.rewind(len(path) - 1)
        facts.learn(path[-1][0], False)
    (result,) = done
    if result is None:
        raise TraceError(
            f"{name_of(copy)!r} raises an exception on every path\n{definition(copy)}\n"
            f"  An activation must answer the numbers that it is given. {HOST}"
        )
    for question, (what, line) in questions.items():
        if not variables(question).isdisjoint(variables(*result)):
            raise TraceError(
                f"{name_of(copy)!r} cannot be read: the function depends on the {what} of its input\n{line}\n"
                f"  {WRITE_ONE_FOR_EACH.format(what)}"
            )
    return list(result), form or "number"


def _same(yes: Sequence[Expr] | None, no: Sequence[Expr] | None) -> bool:
    """Whether two paths compute the same values."""
    return list(map(plain, yes or ())) == list(map(plain, no or ()))


def _refuse_changes(environment: Environment, copy: object) -> None:
    changed = environment.changed()
    if changed:
        raise ImpureError(
            f"{name_of(copy)!r} cannot be read: it changes {changed}, which outlives the call; it would "
            f"happen once, while the function is read, and never again\n{definition(copy)}\n"
            f"  Compute with local variables, and pass what varies as an input or a parameter. {HOST}"
        )


def _join(
    condition: Expr, yes: tuple[Expr, ...] | None, no: tuple[Expr, ...] | None, copy: object
) -> tuple[Expr, ...] | None:
    """Select between two paths; one that raised gives nan."""
    nan: tuple[Expr, ...] = ()
    if yes is None or no is None:
        if yes is no:
            return None
        nan = (const(np.nan),) * len(yes or no or ())
        yes, no = yes or nan, no or nan
    if len(yes) != len(no):
        raise TraceError(
            f"{name_of(copy)!r} returns {len(yes)} numbers on one path and {len(no)} on another\n"
            f"{definition(copy)}\n  Return the same number of values on every path."
        )
    pairs = list(zip(yes, no, strict=True))
    lengths = [length_of(b if yes is nan else a) for a, b in pairs]
    for a, b in pairs:
        if nan not in (yes, no) and length_of(a) != length_of(b):
            shown = " and ".join(str(length_of(each) or "one number") for each in (a, b))
            raise TraceError(
                f"{name_of(copy)!r} returns rows of different lengths on two paths: {shown}\n"
                f"{definition(copy)}\n  Return a row of the same length on every path."
            )
    joined = [build("select", condition, a, b) for a, b in pairs]
    return tuple(map(as_row, joined, lengths))


def _form(arg: Expr, name: str, run: Run) -> object:
    """A row's length; None for one number beside rows, and for a parameter."""
    return arg.width if run.rows else None if name in run.parameters else ()


def _run(
    copy: Function,
    call: Function,
    arguments: Mapping[str, object],
    run: Run,
) -> tuple[tuple[Expr, ...] | None, Form]:
    values = {
        name: Symbol(arg, _form(arg, name, run), writable=False) if isinstance(arg, Expr) else arg
        for name, arg in arguments.items()
    }
    with reading(run), np.errstate(all="ignore"):  # of the NumPy calls in it
        try:
            result = call(copy, values)
            if result is None and run.facts.only_nan():
                return None, "number"  # as `if x < 0: ...` and `if x >= 0: ...` leave it
            if run.each is not None and type(result) is list and len(result) != 1:
                refuse(
                    "the function leaves out numbers of its row, and how many depends on them",
                    "Put a number in their place: `[v if v > 0 else 0.0 for v in x]`.",
                    line=definition(copy),
                )
            return outputs_of(result, copy)
        except ActgradError as error:
            error.args = (f"{name_of(copy)!r} cannot be read: {error}",)
            pinned = run.deciding_parameters()
            if pinned and not isinstance(error, (WeightError, NonlinearRuleError)):
                # It may be on a path for settings that nobody gives: `if bits == 1: print(...)`.
                raise NeedsPlain(pinned, error.with_traceback(None)) from None
            raise error.with_traceback(None) from None
        except (NeedsPlain, NeedsTables):
            raise
        except RecursionError as error:
            raise UnboundedError(
                f"{name_of(copy)!r} cannot be read: it calls itself without end\n"
                f"{raised_at(error)}\n  {BOUND_IT}"
            ) from None
        except Exception as error:
            if isinstance(error, ValueError) and "read-only" in str(error):
                raise ImpureError(
                    f"{name_of(copy)!r} cannot be read: it changes an array that outlives the call\n"
                    f"{raised_at(error)}\n  Copy the array first."
                ) from None
            unbound = isinstance(error, UnboundLocalError) and run.on_parameters_alone()
            if run.path and (unbound or is_an_answer(error)):
                return None, "number"
            raise user_error(error, copy) from error
