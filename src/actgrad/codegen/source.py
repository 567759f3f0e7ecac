"""Program + a framework's table -> straight-line source text, and the function that it defines.

The text is what runs: one flat function of tensors of one dtype, which the framework's compiler can
fuse. Shared parts become local variables; what is used once stays in place while it is short.
"""

from __future__ import annotations

import keyword
import linecache
import math
import re
import symtable
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from actgrad.errors import HostError
from actgrad.language.expression import Expr, const, is_const, make, plain, rebuild, transform, walk
from actgrad.language.program import Program, Value
from actgrad.language.rewrite import build

_WIDTH = 72
_LINE = 86


@dataclass(frozen=True, eq=False)
class Dialect:
    """How a framework is written: its name, its imports, its table, and its constants."""

    framework: str
    imports: str
    table: dict[str, str]
    typed: str
    """A constant that must carry a dtype: `{0}` is the number, `like` a tensor that has the dtype."""
    number: str = ""
    """A constant beside a tensor, if that is not just the number. In powers and quotients it always is:
    frameworks have other ways for `x**2` and `0.3 / x`, with other last digits."""
    helpers: dict[str, str] = field(default_factory=dict)
    """Definitions that entries of the table refer to, by name; included where they are used."""
    minus_zero: str = ""
    """-0.0, with its dtype from `like`, where the framework would take the text `-0.0` for 0.0."""
    made_once: bool = False
    """Whether constants beside a tensor are made when the function is defined, as defaults of arguments."""
    step: str = ""
    """A condition as a number, 1 or 0, where the framework has something cheaper than a choice."""
    reciprocal: str = ""
    """1 / x, where the framework has something cheaper than a quotient."""
    typed_in_calls: bool = False
    """Whether a constant in a call needs a dtype even beside a tensor."""
    typed_everywhere: bool = False
    """Whether every constant needs one."""
    compiled: bool = False
    """Whether a compiler makes one loop of the text: then `exp` costs, and what is shared does not."""
    overflows: bool = False
    """Whether `exp` may overflow in what is finite: nothing is said of it, and it spares operations."""
    binding: str = ""
    """The part of a standalone file that joins value and gradients into one function: a template of `{name}`,
    `{signature}`, `{arguments}`, `{upstream}`, `{size}`, `{doc}`, `{value}` and `{gradients}`. It asks
    for the arguments first, so that none can be hidden by a name of its own."""


def lower(root: Expr, compiled: bool = False) -> Expr:
    """The cheapest operations with the same value, for a framework to run."""

    def visit(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "mod" and args[1].op == "const":
            divisor = float(args[1].value)  # type: ignore[arg-type]
            if divisor == 1.0:
                return make("sub", args[0], make("floor", args[0]))
            if 1.0 < divisor <= 2.0**20 and math.frexp(divisor)[0] == 0.5:
                whole = make("floor", make("mul", args[0], const(1.0 / divisor)))
                rest = make("sub", args[0], make("mul", whole, args[1]))
                # A negative x so small that x / divisor is zero; Python rounds divisor + x.
                return make("select", make("lt", rest, const(0.0)), args[1], rest)
        if compiled and node.op == "add":
            for x, zero in (args, args[::-1]):
                if is_const(zero, 0.0):  # to XLA -0.0 + 0.0 is -0.0
                    return make("select", make("eq", x, zero), zero, x)
        if compiled and node.op in _OVER_EXP:
            return _OVER_EXP[node.op](args[0])
        return rebuild(node, args)

    root = plain(root)
    if compiled:
        root = transform([root], _without_softplus)[0]
    return transform([root], visit)[0]


def _without_softplus(node: Expr, args: tuple[Expr, ...]) -> Expr:
    """tanh(s) and sigmoid(±2 s), which is in its derivative, of s = softplus(x): mish without a log.

    exp(-s) is sigmoid(-x), and no difference is taken that could lose digits.
    """
    factor, inner = _factor(args[0]) if node.op == "sigmoid" else (1.0, args[0] if args else node)
    if inner.op == "softplus" and (node.op, factor) in _OF_SOFTPLUS:
        yes, no = (make("sigmoid", x) for x in (inner.args[0], make("neg", inner.args[0])))
        square = make("mul", no, no)
        return _quotient(_OF_SOFTPLUS[node.op, factor](yes, no, square), square)
    return rebuild(node, args)


def _overflowing(root: Expr) -> Expr:
    """tanh(softplus(x)) as tanh(log1p(exp(x))): of an infinite exp it is 1, as it is of a finite one."""
    elsewhere = {arg for node in walk(root) if node.op != "tanh" for arg in node.args}

    def visit(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op == "tanh" and args[0].op == "softplus" and node.args[0] not in elsewhere:
            return make("tanh", make("log1p", make("exp", args[0].args[0])))
        return rebuild(node, args)

    return transform([root], visit)[0]


_OF_SOFTPLUS: dict[tuple[str, float], Callable[[Expr, Expr, Expr], Expr]] = {
    ("tanh", 1.0): lambda yes, no, square: make("mul", yes, make("add", const(1.0), no)),
    ("sigmoid", 2.0): lambda yes, no, square: const(1.0),
    ("sigmoid", -2.0): lambda yes, no, square: square,
}


def _sigmoid(x: Expr) -> Expr:
    less = _exp_of_minus_size(x)
    return _quotient(make("select", make("lt", x, const(0.0)), less, const(1.0)), less)


def _quotient(part: Expr, rest: Expr) -> Expr:
    """part / (1 + rest). XLA makes another loop for each quotient that it needs twice."""
    return build("mul", part, make("div", const(1.0), make("add", const(1.0), rest)))


def _softplus(x: Expr) -> Expr:
    positive = make("select", make("lt", const(0.0), x), x, const(0.0))
    return make("add", positive, make("log1p", _exp_of_minus_size(x)))


def _exp_of_minus_size(x: Expr) -> Expr:
    """exp(-|x|), one and the same expression for x and -x."""
    factor, x = _factor(x)
    size = make("abs", x)
    factor = -abs(factor)
    return make("exp", make("neg", size) if factor == -1.0 else make("mul", const(factor), size))


def _factor(x: Expr) -> tuple[float, Expr]:
    """x as a number times the rest."""
    if x.op == "neg":
        factor, rest = _factor(x.args[0])
        return -factor, rest
    if x.op == "mul":
        for number, rest in (x.args, x.args[::-1]):
            if number.op == "const":
                return float(number.value), rest  # type: ignore[arg-type]
    return 1.0, x


_OVER_EXP = {"sigmoid": _sigmoid, "softplus": _softplus}


def function_text(program: Program, dialect: Dialect, name: str, doc: bool = True) -> str:
    """The program's value as a Python function of its arguments."""
    constants: dict[str, str] = {}
    root = lower(program.value, dialect.compiled)
    root = _overflowing(root) if dialect.overflows else root
    body, result = _statements(root, program, dialect, constants)
    arguments = [_local(argument, dialect) for argument in program.arguments]
    arguments += [f"{constant}={text}" for text, constant in constants.items()]
    lines = [f'"""{_docstring(program)}"""'] * doc + [*body, f"return {result}"]
    return "\n    ".join([f"def {name}({', '.join(arguments)}):", *lines])


def _local(argument: str, dialect: Dialect) -> str:
    """The argument's name, changed if the text calls something else by it."""
    taken = argument in _called(dialect) or re.fullmatch(r"[tc]\d+_*", argument)
    return f"{argument}_input" if taken else argument


@cache
def _called(dialect: Dialect) -> frozenset[str]:
    texts = " ".join([*dialect.table.values(), *dialect.helpers, dialect.imports, "float"])
    return frozenset(re.findall(r"[A-Za-z_]\w*", texts))


def _docstring(program: Program) -> str:
    text = str(program)
    return text if len(text) <= 80 else text[:77] + "..."


def _statements(
    root: Expr, program: Program, dialect: Dialect, constants: dict[str, str]
) -> tuple[list[str], str]:
    nodes = walk(root)
    uses = Counter(arg for node in nodes for arg in node.args)
    texts: dict[Expr, str] = {}
    lines: list[str] = []
    like = _local(program.inputs[0], dialect)

    def local(text: str) -> str:
        if text.isidentifier():
            return text
        lines.append(f"t{len(lines)} = {_bare(text)}")
        return f"t{len(lines) - 1}"

    for node in nodes:
        if node.op == "const":
            number = float(node.value)  # type: ignore[arg-type]
            texts[node] = repr(number) if math.isfinite(number) else f'float("{number}")'
            if dialect.minus_zero and is_const(node, -0.0):
                texts[node] = dialect.minus_zero.replace("like", like)
            continue
        if node.op == "var":
            texts[node] = _local(str(node.value), dialect)
            continue
        template = _template(node, dialect, like)
        text = _filled(template, _operands(node, template, texts, dialect, like, constants))
        for arg in sorted(set(node.args), key=lambda arg: len(texts[arg]), reverse=True):
            if arg.args and len(text) > _LINE:
                texts[arg] = local(texts[arg])
                operands = _operands(node, template, texts, dialect, like, constants)
                text = _filled(template, operands)
        alone = node is not root and (uses[node] > 1 or len(text) > _WIDTH)
        texts[node] = local(text) if alone else text
    if root.op == "const":
        return lines, _typed(texts[root], dialect.typed.replace("like", like))
    return lines, _bare(texts[root])


def _filled(template: str, operands: list[str]) -> str:
    if " ** " in template and all(re.fullmatch(r"-?[\w.]+", operand) for operand in operands):
        template = template.replace(" ** ", "**")
    return template.format(*operands)


def _typed(number: str, typed: str) -> str:
    """With a dtype, unless it has one: then it is more than a number."""
    return number if number.startswith("(") else typed.format(number)


def _operands(
    node: Expr,
    template: str,
    texts: dict[Expr, str],
    dialect: Dialect,
    like: str,
    constants: dict[str, str],
) -> list[str]:
    typed, number = (form.replace("like", like) for form in (dialect.typed, dialect.number))
    tensors = node.args[1:] if node.op == "select" else node.args
    infix = template.startswith(("(", "-"))
    needs_dtype = (
        dialect.typed_everywhere
        or all(is_const(arg) for arg in tensors)
        or (dialect.typed_in_calls and not infix)
    )
    form = typed if needs_dtype else "" if node.op in ("pow", "div") else number
    operands = [texts[arg] for arg in node.args]
    for i, arg in enumerate(node.args):
        if form and is_const(arg):
            operands[i] = _typed(operands[i], form)
            if dialect.made_once:
                operands[i] = constants.setdefault(operands[i], f"c{len(constants)}")
    if " ** " in template and operands[0].startswith("-"):  # -x ** y is -(x ** y)
        operands[0] = f"({operands[0]})"
    return operands


def _template(node: Expr, dialect: Dialect, like: str) -> str:
    if node.op == "host":
        return _host_template(node)
    step = node.op == "select" and is_const(node.args[1], 1.0) and is_const(node.args[2], 0.0)
    if step and dialect.step:
        return dialect.step.replace("like", like)
    if node.op == "div" and is_const(node.args[0], 1.0) and dialect.reciprocal:
        return dialect.reciprocal
    return dialect.table[node.op]


def _host_template(node: Expr) -> str:
    return f"{host_name(node)}(" + ", ".join(f"{{{i}}}" for i in range(len(node.args))) + ")"


def host_name(node: Expr) -> str:
    return f"_host_{id(node.value):x}"


def _bare(text: str) -> str:
    """Without the outer parentheses, if they belong together."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and i < len(text) - 1:
            return text
    return text[1:-1]


def helpers_text(text: str, dialect: Dialect) -> str:
    """The definitions that the text refers to, each after those that it refers to itself."""
    found: dict[str, str] = {}

    def collect(source: str) -> None:
        words = set(re.findall(r"\w+", source))
        for name, definition in dialect.helpers.items():
            if name not in found and name in words:
                found[name] = ""
                collect(definition)
                del found[name]
                found[name] = definition.strip()

    collect(text)
    return "\n\n\n".join(found.values())


def standalone(program: Program, dialect: Dialect) -> str:
    """A file that needs the framework and nothing else: value, gradients, and the function of both."""
    if program.on_host:
        raise HostError(
            f"{program.name!r} runs on the host (host=True), so there is no source of it to write"
        )
    name = identifier(program.name)
    value = _private(f"{name}_value")
    functions = [function_text(program, dialect, value)]
    gradients = []
    for argument in program.arguments:
        rule = program.vjp(argument)
        gradients.append(_private(identifier(rule.name)))
        functions.append(function_text(rule, dialect, gradients[-1]))
    arguments = [_local(argument, dialect) for argument in program.arguments]
    defaults = [f"={_literal(value)}" for _, value in program.parameters]
    signature = map("".join, zip(arguments, [""] * len(program.inputs) + defaults, strict=True))
    binding = dialect.binding.format(
        name=f"{name}_" if name in _used(dialect) else name,
        signature=", ".join(signature),
        arguments=_tuple(arguments),
        upstream=program.upstream,
        size=len(program.inputs),
        doc=f"{program.name}({', '.join(program.inputs)}) = {program}",
        value=value,
        gradients=_tuple(gradients),
    )
    body = "\n\n\n".join([*functions, binding.strip()])
    helpers = helpers_text(body, dialect)
    what = f"{program.name} for {dialect.framework}, with {_KINDS[program.kind]}."
    title = f'"""{what}\n\n{_wrapped(str(program))}\n"""'
    return (
        f"{title}\n\n{dialect.imports}\n\n\n"
        + "\n\n\n".join(part for part in (helpers, body) if part)
        + "\n"
    )


def _private(name: str) -> str:
    """Of a private name too: within a class, `__name` would be another."""
    return f"_f{name}" if name.startswith("_") else f"_{name}"


@cache
def _used(dialect: Dialect) -> frozenset[str]:
    """What a standalone file knows by name, outside of its functions; of `np.abs` that is `np`."""
    fields = ("name", "signature", "arguments", "upstream", "value", "gradients")
    names = {field: f"_{field}" for field in fields}
    operations = (text.format("_x", "_y", "_z") for text in dialect.table.values())
    binding = dialect.binding.format(**names, size=0, doc="")
    text = "\n".join([dialect.imports, *dialect.helpers.values(), *operations, binding])

    def names_in(table: symtable.SymbolTable) -> Iterator[str]:
        for symbol in table.get_symbols():
            if table.get_type() == "module" or symbol.is_global():
                yield symbol.get_name()
        for inner in table.get_children():
            yield from names_in(inner)

    return frozenset(names_in(symtable.symtable(text, "<dialect>", "exec")))


_KINDS = {
    "exact": "its exact derivative",
    "derivative": "the derivative that was given for it",
    "surrogate": "a surrogate derivative",
    "gradient": "the gradient rule that was given for it",
}


def _literal(value: Value) -> str:
    return repr(value) if isinstance(value, tuple) or math.isfinite(value) else f'float("{value}")'


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 90))


def _tuple(names: Sequence[str]) -> str:
    return f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"


Host = Callable[[Callable[..., Any]], Callable[..., Any]]


@cache
def kernel(program: Program, dialect: Dialect, host: Host) -> Callable[..., Any]:
    """The program's value as a function of the framework's tensors, compiled from its text.

    `host` makes the framework's callback out of a Python function that could not be read.
    """
    name = f"{identifier(program.name)}_value"  # which nothing that it calls is named
    text = function_text(program, dialect, name, doc=False)
    whole = "\n\n\n".join(
        part for part in (dialect.imports, helpers_text(text, dialect), text) if part
    )
    filename = f"<actgrad {dialect.framework} {program.name} {hash(program):x}>"
    linecache.cache[filename] = (len(whole), None, whole.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {
        host_name(node): host(node.value)  # type: ignore[arg-type]
        for node in walk(program.value)
        if node.op == "host"
    }
    exec(compile(whole, filename, "exec"), namespace)
    function: Callable[..., Any] = namespace[name]
    return function


def identifier(name: str) -> str:
    text = re.sub(r"\W", "_", name)
    return text if text.isidentifier() and not keyword.iskeyword(text) else f"f_{text}"
