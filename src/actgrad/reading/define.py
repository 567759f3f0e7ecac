"""Functions and what was said of their derivatives -> a program."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace

import numpy as np

from actgrad.common.types import Function
from actgrad.errors import (
    DefinitionError,
    DerivativeMismatchWarning,
    SurrogateWarning,
    TraceError,
    ZeroDerivativeWarning,
)
from actgrad.language.derive import derive
from actgrad.language.expression import is_const, variables, walk
from actgrad.language.length import N
from actgrad.language.limits import excess_of_definition
from actgrad.language.program import Kind, Program, entry_by_entry
from actgrad.reading import randomness
from actgrad.reading.derivatives import claims, custom
from actgrad.reading.derivatives.rule_reader import ReadAgain, Rule
from actgrad.reading.derivatives.rules import NonlinearRuleError
from actgrad.reading.derivatives.with_rule import with_rule
from actgrad.reading.host import on_host
from actgrad.reading.paths import Reading, read
from actgrad.reading.refusal import HOST, definition, is_user_file
from actgrad.reading.signature import (
    Signature,
    checked_name,
    is_number,
    is_plain,
    signature,
)
from actgrad.reading.surroundings import objects
from actgrad.reading.surroundings.tracing import untraced
from actgrad.reading.surroundings.wrappers import is_mapped, unwrap
from actgrad.reading.witnesses import witness
from actgrad.reading.witnesses.original import Original


def check_not_rewritten(*functions: object) -> None:
    """Raises `TraceError` for a function that TensorFlow's AutoGraph has rewritten."""
    for function in functions:
        code = getattr(function, "__code__", None)
        if "__autograph_generated_file" in getattr(code, "co_filename", ""):
            raise TraceError(
                f"{getattr(function, '__name__', '?')!r} is written inside of a tf.function, where AutoGraph "
                f"has rewritten it: it is no longer your Python\n"
                f"  Define it outside, and call it inside; or use `tf.function(..., autograph=False)`."
            )


def define(
    function: Function,
    rule: Rule = None,
    kind: Kind = "exact",
    name: str | None = None,
    host: bool = False,
    axis: int | None = None,
) -> Program:
    """Read a function and its rule into a program, and measure whether they are what they claim.

    With `axis` it is a function of a row, the numbers along that axis.
    """
    try:
        program = of_allowed_size(untraced(_read, function, rule, kind, name, host, axis), function)
    except TraceError as error:
        if axis is not None:  # on the host functions of numbers run
            error.args = (str(error).replace(HOST, "").rstrip(),)
        raise
    _check_derivatives(program, rule is not None)
    return program


def of_allowed_size(program: Program, function: Function | None) -> Program:
    """The program. Raises `TraceError` for what could take minutes to differentiate."""
    too_large = None if program.on_host else excess_of_definition(program)
    if too_large:
        raise TraceError(
            f"{program.name!r} is too large: {too_large}\n{definition(function)}\n"
            f"  Take fewer steps or pieces, or read a long list of numbers at an index, `t[i]`. {HOST}"
        )
    return program


@randomness.watched()
def _read(
    function: Function,
    rule: Rule,
    kind: Kind,
    name: str | None,
    host: bool,
    axis: int | None,
) -> Program:
    inner = unwrap(function)
    adapted = objects.adapted(inner)
    if adapted is not inner or not is_mapped(function):
        function = adapted
    own = signature(function, name)
    checked_name(own.name)
    if axis is not None:
        own = _of_rows(own, axis, host)
    pinned = frozenset(n for n, default in own.defaults.items() if not is_number(default))
    tables: frozenset[str] = frozenset()
    while True:
        try:
            program = _read_function(function, own, pinned, host, rule is None, tables, axis)
            if rule is None:
                program = _with_kind(program)
            else:
                free = dict(program.parameters)
                shared = {n: default for n, default in own.defaults.items() if n not in free}
                program = with_rule(program, rule, kind, host, pinned, shared)
            return program
        except NonlinearRuleError:
            if rule is not None:
                raise
            function, rule = (
                custom.Half(function, gradient=False),
                custom.Half(function, gradient=True),
            )
            kind = "gradient"
        except ReadAgain as more:
            pinned |= more.pinned
            tables |= more.tables
        except objects.WeightError as error:
            more_weights = objects.with_weight(function, error)
            if more_weights is None:
                raise TraceError(*error.args) from None
            function = more_weights
            own = signature(function, own.name)


def _with_kind(program: Program) -> Program:
    """A surrogate, where the function's own code declares a derivative that is not its slope."""
    if program.axis is not None or program.on_host:
        return program
    if not any(node.op == "given" for node in walk(program.value)):
        return program
    exact = program.exact()
    for name in program.inputs:
        declared, slope = derive(program.value, name), derive(exact.value, name)
        if declared is not slope and claims.mismatches(program, [declared], [slope]):
            return replace(program, kind="surrogate")
    return program


def _read_function(
    function: Function,
    own: Signature,
    pinned: frozenset[str],
    host: bool,
    slopes: bool,
    tables: frozenset[str],
    axis: int | None,
) -> Program:
    """Read the function, and compare the reading with its own run, with its slopes too if asked."""
    if host:
        witness.check_elementwise(function, own, pinned)
        value = on_host(function, own, own.inputs)
        return Program(own.name, own.inputs, tuple(own.parameters.items()), value)
    with randomness.refused(own.name, function):
        reading = read(function, own, own.inputs, pinned, own.vectors, tables=tables)
        _refuse_several(function, own, reading)
        original = Original(function, own, own.inputs, pinned, own.vectors, reading)
        witness.check(original, slopes=slopes)
    pinned |= reading.fixed
    vectors = {n: entries for n, entries in own.vectors.items() if n in reading.entries}
    free = [(n, v) for n, v in own.parameters.items() if n not in pinned]
    used = variables(reading.outputs[0]) | vectors.keys()
    values = dict(objects.used(free, function, used))
    fixed = tuple(
        (n, v)
        for n, v in own.defaults.items()
        if n in pinned and is_plain(v) and not isinstance(function, objects.Adapter)
    )
    return Program(
        own.name,
        own.inputs,
        tuple(entry_by_entry(values, vectors).items()),
        reading.outputs[0],
        fixed=fixed,
        vectors=tuple(vectors.items()),
        tables=tuple(n for n in values if n in reading.tables),
        axis=axis,
        rows=tuple((n, N) for n in own.rows),
    )


def _refuse_several(function: Function, own: Signature, reading: Reading) -> None:
    """Refuse a function that returns anything but one number."""
    if isinstance(reading.form, tuple):
        raise TraceError(
            f"the result of {own.name!r} is not a number: a dict of {', '.join(reading.form)}\n"
            f"{definition(function)}\n  Every path must return one number."
        )
    if reading.form not in ("number", "numbers"):
        n = len(reading.outputs)
        given = "a tuple with one number" if n == 1 else f"{n} numbers"
        cures = {
            0: "Return one; of the neighbours in a row, take two parts: `x[1:] - x[:-1]`.",
            1: "Return the number itself: is there a comma after it?",
        }
        cure = cures.get(n, "Make an activation of each, or return one number made of them.")
        raise TraceError(
            f"{own.name!r} returns {given}; an activation returns one number\n"
            f"{definition(function)}\n  {cure}"
        )


def _of_rows(own: Signature, axis: int, host: bool) -> Signature:
    """The signature of a function of a row. Raises `DefinitionError` for what has none."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise DefinitionError(
            f"axis={axis!r}\n  It is one whole number: the axis along which the rows lie, -1 for the last."
        )
    if host:
        raise DefinitionError(
            f"{own.name!r} has axis= and host=True\n"
            f"  On the host functions of numbers run, one at a time: leave out one of the two."
        )
    arrays = [n for n, v in own.defaults.items() if is_number(v) and np.ndim(v)]
    if arrays or "axis" in {*own.inputs, *own.defaults}:
        raise DefinitionError(
            f"the parameter {(arrays or ['axis'])[0]!r} of {own.name!r}, a function of a row, "
            + (
                "is an array"
                if arrays
                else "has the name of the argument that says where the rows lie"
            )
            + "\n  A parameter is a number here; `.module(gain=trainable(per_channel=True))` learns one for "
            "each place in the row."
        )
    return replace(own, rows=dict.fromkeys(own.inputs, N))


def _check_derivatives(program: Program, has_rule: bool) -> None:
    if program.on_host or program.gradient:
        return
    if program.axis is not None:
        if all(map(_has_no_gradient, [program] * len(program.inputs), program.inputs)):
            _warn(
                f"the derivative of {program.name!r} is zero almost everywhere, so nothing before it can "
                f"learn\n  Give a `surrogate=`, a function of the row such as a softmax.",
                ZeroDerivativeWarning,
            )
        return
    if program.kind == "derivative":
        for name in program.arguments:
            _check_claim(program, name)
        return
    derivatives = [derive(program.value, x) for x in program.inputs]
    if claims.is_zero(program, derivatives):
        if has_rule and program.kind == "surrogate":
            _warn(
                f"the surrogate of {program.name!r} is zero everywhere, so nothing before it can learn",
                SurrogateWarning,
            )
        else:
            _warn(
                f"the derivative of {program.name!r} is zero almost everywhere, so nothing before it can "
                f"learn\n  Give a `surrogate=`, for example a triangle: `lambda x: max(0, 1 - abs(x))`.",
                ZeroDerivativeWarning,
            )
    if program.kind == "surrogate":
        at = claims.not_finite(program, derivatives)
        if at is not None:
            _warn(f"the surrogate of {program.name!r} is not finite at {at:.6g}", SurrogateWarning)


def _has_no_gradient(program: Program, name: str) -> bool:
    """Of a row."""
    root = program.vjp(name).value
    root = root.args[0] if root.op == "fill" else root
    return is_const(root, 0.0) or is_const(root, -0.0)


def check_trainable(program: Program, name: str) -> None:
    """Warn if a parameter cannot be learnt, as the derivative in force by it is zero everywhere."""
    no_slope = claims.is_zero_by if program.axis is None else _has_no_gradient
    if not no_slope(program, name):
        return
    of_row = program.axis is not None
    kind = "gradient" if of_row else program.kind
    kind = "surrogate" if kind in ("exact", "derivative") else kind
    inputs = program.inputs + (program.upstream,) * (kind == "gradient")
    parameters = list(program.settings)
    names = ", ".join(f'"{n}": ...' for n in (*program.inputs, name))
    smooth = f"a `surrogate=`, a function of the row in which {name!r} has a slope, or "
    _warn(
        f"the parameter {name!r} of {program.name!r} cannot be learnt: the derivative by it is zero "
        f"everywhere\n"
        f"  Give {smooth * of_row}a rule for it: "
        f"{kind}=lambda {', '.join([*inputs, *parameters])}: {{{names}}}.",
        ZeroDerivativeWarning if program.kind == "exact" else SurrogateWarning,
    )


def _check_claim(program: Program, by: str) -> None:
    claimed, exact = derive(program.value, by), derive(program.exact().value, by)
    wrong = [] if claimed is exact else claims.mismatches(program, [claimed], [exact])
    if wrong:
        x, claim, true = max(wrong, key=lambda row: abs(row[1] - row[2]))
        only = (by,) == program.inputs
        _warn(
            f"the derivative given for {program.name!r} is not its derivative"
            f"{'' if only else f' by {program.shown(by)!r}'}: at {x:.6g} it is "
            f"{claim:.6g}, and the function's slope is {true:.6g} (and so at {len(wrong)} of "
            f"{len(claims.POINTS)} points)\n  If that is on purpose, give it as `surrogate=`.",
            DerivativeMismatchWarning,
        )


def _warn(message: str, kind: type[Warning]) -> None:
    """Warn at the user's line."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(message, kind, stacklevel=level + 1)
