"""Program + dialect -> the text of one flat function, and the function that it defines.

The text is what runs: a function of tensors of one dtype, which the framework's compiler can fuse.
Shared parts become local variables; what is used once stays in place while it is short.
"""

from __future__ import annotations

import ast
import itertools
import keyword
import linecache
import math
import re
import textwrap
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, reduce
from types import CodeType

import numpy as np

from actgrad.codegen.dialect import Dialect
from actgrad.codegen.lower import lower
from actgrad.common.types import Fields, Function
from actgrad.language.expression import Expr, carried, is_const, walk
from actgrad.language.kept import kept
from actgrad.language.length import ONE, Length, N
from actgrad.language.program import Program
from actgrad.language.rows import ROWS, is_order

_WIDTH = 72
_LINE = 80  # within two conditions, and with a name, within 100 columns
_MANY = 64  # operations, above which a value's memory is used again
_LOCAL = re.compile(r"\bt\d+\b")


def function_text(program: Program, dialect: Dialect, name: str, doc: bool = True) -> str:
    """The program's value as a Python function of its arguments."""
    vectors: dict[Expr, str] = {}
    names = {argument: local_name(argument, dialect) for argument in program.arguments}
    rows = [name for name, width in program.rows if width == N]
    like = names[rows[0] if rows else program.inputs[0]]
    lines = [f'"""{_docstring(program)}"""'] * doc

    def body(dialect: Dialect) -> list[str]:
        root = program.value
        for rewritten in dialect.passes:
            root = rewritten(root)
        return _Writer(name, dialect, names, like, vectors).body(lower(root, dialect.lacks))

    def branches(dialect: Dialect) -> list[str]:
        """Each variant under its condition, where it differs from the lines that follow."""
        text = body(dialect)
        for condition, variant in reversed(dialect.variants):
            branch = branches(variant)
            if branch != text:
                text = [f"if {condition.format(like=like)}:", *(f"    {b}" for b in branch), *text]
        return text

    computed = branches(dialect)
    if any(_LENGTH in line for line in computed):
        lines.append(f"{_LENGTH} = {dialect.row_length.format(like=like)}")
    lines += computed
    arguments = list(names.values())
    function = "\n    ".join([f"def {name}({', '.join(arguments)}):", *lines])
    return "\n\n\n".join([*(_vector_text(vector, v) for vector, v in vectors.items()), function])


_LENGTH = "row_length"
"""What the text calls the length of the rows."""


def _vector_text(vector: Expr, name: str) -> str:
    numbers = ", ".join(number_text(number) for number in vector.value)  # type: ignore[union-attr, arg-type]
    lines = textwrap.wrap(numbers, 90, initial_indent="    ", subsequent_indent="    ")
    return "\n".join([f"{name} = np.array([  # fmt: skip", *lines, "])"])


_FLOAT32 = float(np.finfo(np.float32).max)


def number_text(number: float) -> str:
    return repr(number) if math.isfinite(number) else f'float("{number}")'


def _docstring(program: Program) -> str:
    text = str(program)
    return text if len(text) <= 80 else text[:77] + "..."


_ENTRIES = ("_of", "_of_rows", "_of_tables", "_gradients", "_table_gradients")
"""What a stand-alone file calls where its arguments have the user's names."""


def local_name(argument: str, dialect: Dialect) -> str:
    """The argument's name, changed if the text calls something else by it."""
    taken = argument in {*_called(dialect), *_ENTRIES, _LENGTH} or re.fullmatch(
        r"[tc]\d+_*|.*_vector_\d+|_.*_index_[\d_]+", argument
    )
    return f"{argument}_input" if taken else argument


@cache
def _called(dialect: Dialect) -> frozenset[str]:
    texts = ["float", *dialect.helpers, dialect.imports]
    for condition, each in (("", dialect), *dialect.variants):
        texts += [condition, *each.table.values(), *each.rows.values()]
    return frozenset(re.findall(r"[A-Za-z_]\w*", " ".join(texts)))


class _Writer:
    """Writes the statements of one function body."""

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        names: dict[str, str],
        like: str,
        vectors: dict[Expr, str],
    ) -> None:
        self.name = name
        self.dialect = dialect
        self.names = names
        self.like = like
        self.vectors = vectors
        self.texts: dict[Expr, str] = {}
        self.lines: list[str] = []

    def body(self, root: Expr) -> list[str]:
        nodes = walk(root)
        if len(nodes) > _MANY:
            nodes = _largest_first(root)
        uses = Counter(arg for node in nodes for arg in node.args)
        texts = self.texts
        for node in nodes:
            if not node.args:
                text = self._leaf(node)
                texts[node] = self._local(text) if node.op in ROWS else text
                continue
            if node.op in ROWS:
                text = self._row(node)
                for arg in node.args:
                    if arg.args and len(text) > _LINE:
                        texts[arg] = self._local(texts[arg])
                        text = self._row(node)
                texts[node] = self._local(text)
                continue
            text = self._text(node)
            for arg in sorted(set(node.args), key=lambda arg: len(texts[arg]), reverse=True):
                if arg.args and len(text) > _LINE:
                    texts[arg] = self._local(texts[arg])
                    text = self._text(node)
            apart = node is not root and (uses[node] > 1 or len(text) > _WIDTH)
            texts[node] = self._local(text) if apart else text
        result = _bare(texts[root])
        if root.op == "const":
            result = _typed(result, self.dialect.typed, self.like)
        lines = [*self.lines, f"return {result}"]
        return lines if len(nodes) <= _MANY else _reusing_names(lines)

    def _leaf(self, node: Expr) -> str:
        if node.op == "var":
            return self.names[str(node.value)]
        if node.op == "vector":
            name = self.vectors.setdefault(node, f"{self.name}_vector_{len(self.vectors)}")
            return self.dialect.vector.format(name, like=self.like)
        if node.op in ROWS:
            return self._row(node)
        number = float(node.value)  # type: ignore[arg-type]
        if self.dialect.minus_zero and is_const(node, -0.0):
            return self.dialect.minus_zero.format(like=self.like)
        if self.dialect.huge and _FLOAT32 < abs(number) < math.inf:
            infinity = number_text(math.copysign(math.inf, number))
            return self.dialect.huge.format(number, like=self.like, infinity=infinity)
        return number_text(number)

    def _row(self, node: Expr) -> str:
        """An operation on a row, or a leaf that knows how long it is."""
        templates = self.dialect.rows
        template = templates[node.op]
        if node.op == "order" and is_order(node.args[0]):
            template = templates.get("inverse", template)
        typed = [
            _typed(self.texts[arg], self.dialect.typed, self.like)
            if is_const(arg)
            else self.texts[arg]
            for arg in node.args
        ]
        fields = {"like": self.like, "all": ", ".join(map(_bare, typed))}
        alone = [re.search(rf"[(,] ?\{{{i}\}}[,)]", template) for i in range(len(typed))]
        typed = [_bare(text) if by else text for text, by in zip(typed, alone, strict=True)]
        if isinstance(node.value, tuple):
            fields |= _places(node)
        size = node.value[-1] if isinstance(node.value, tuple) else node.value
        if isinstance(size, Length):
            fields["n"] = size.text(_LENGTH)
        return template.format(*typed, **fields)

    def _local(self, text: str) -> str:
        if text.isidentifier():
            return text
        self.lines.append(f"t{len(self.lines)} = {_bare(text)}")
        return f"t{len(self.lines) - 1}"

    def _text(self, node: Expr) -> str:
        template = _template(node, self.dialect)
        operands = self._operands(node, template)
        if " ** " in template:
            if operands[0].startswith("-"):  # -x ** y is -(x ** y)
                operands[0] = f"({operands[0]})"
            if all(re.fullmatch(r"-?[\w.]+", operand) for operand in operands):
                template = template.replace(" ** ", "**")
        return template.format(*operands, like=self.like)

    def _operands(self, node: Expr, template: str) -> list[str]:
        dialect = self.dialect
        tensors = node.args[1:] if node.op == "select" else node.args
        infix = template.startswith(("(", "-"))
        needs_dtype = (
            dialect.typed_everywhere
            or all(is_const(arg) for arg in tensors)
            or (dialect.typed_in_calls and not infix)
            or (dialect.typed_first and not infix and is_const(tensors[0]))
        )
        operands = [self.texts[arg] for arg in node.args]
        for i, arg in enumerate(node.args):
            if needs_dtype and is_const(arg):
                operands[i] = _typed(operands[i], dialect.typed, self.like)
        return operands


def _largest_first(root: Expr) -> list[Expr]:
    """Every node after its arguments, of which the one that is made of most comes first: the others
    would wait in memory for it."""
    size: dict[Expr, float] = {}  # as a logarithm, with shared parts counted each time
    for node in walk(root):
        size[node] = reduce(np.logaddexp2, (size[arg] for arg in node.args), 0.0)
    return walk(
        root, into=lambda node: tuple(sorted(node.args, key=size.__getitem__, reverse=True))
    )


def _reusing_names(lines: Sequence[str]) -> list[str]:
    """The same lines, in which a value takes the name of one that is not used any more: so memory holds
    what is still needed, and not every value."""
    last = {name: i for i, line in enumerate(lines) for name in _LOCAL.findall(line)}
    names: dict[str, str] = {}
    free: list[str] = []
    renamed = []
    for i, line in enumerate(lines):
        own, equals, text = line.partition(" = ")
        if not equals:
            own, text = "", line
        used = [name for name in dict.fromkeys(_LOCAL.findall(text)) if name in names]
        text = _LOCAL.sub(lambda found: names.get(found[0], found[0]), text)
        free += [names[name] for name in used if last[name] == i]
        if equals:
            names[own] = free.pop() if free else own
            own = names[own]
        renamed.append(f"{own}{equals}{text}")
    return renamed


def _places(node: Expr) -> dict[str, str]:
    """The places that a slice takes, and those where `place` puts a row."""
    start, step, size = carried(node)
    length = node.args[0].width or ONE if node.op == "place" else size
    stop = start + (length - 1) * step + 1
    first, last = start.text(_LENGTH), stop.text(_LENGTH)
    colon = ":" if (first.isalnum() and last.isidentifier()) or last.isdigit() else " : "
    by = f"{colon}{step}" if step != 1 else ""
    return {"part": f"{first}{colon}{last}{by}", "start": first, "stop": last, "step": str(step)}


def _typed(number: str, form: str, like: str) -> str:
    """With a dtype, unless it has one: then it is more than a number."""
    return number if number.startswith("(") else form.format(number, like=like)


def _template(node: Expr, dialect: Dialect) -> str:
    if node.op == "host":
        return f"{host_name(node)}({', '.join(f'{{{i}}}' for i in range(len(node.args)))})"
    step = node.op == "select" and is_const(node.args[1], 1.0) and is_const(node.args[2], 0.0)
    if step and dialect.step:
        return dialect.step
    return dialect.table[node.op]


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
    """The definitions that the text refers to."""
    words: set[str] = set()
    found = text
    while found:  # a definition may refer to others
        words |= set(re.findall(r"\w+", found))
        found = "\n".join(
            body
            for name, body in dialect.helpers.items()
            if name in words and not set(re.findall(r"\w+", body)) <= words
        )
    used = (body.strip() for name, body in dialect.helpers.items() if name in words)
    return "\n\n\n".join(used)


Host = Callable[[Function], Function]


@kept
def kernel(program: Program, dialect: Dialect, host: Host) -> Function:
    """The program's value as a function of the framework's tensors, compiled from its text.

    `host` makes the framework's callback out of a Python function that could not be read.
    """
    name = f"{identifier(program.name)}_value"  # which nothing that it calls is named
    text = function_text(program, dialect, name, doc=False)
    numbers: Fields = {}
    if dialect.keeps_code:
        text, numbers = _apart(text, name)
    whole = "\n\n\n".join(
        part for part in (dialect.imports, helpers_text(text, dialect), text) if part
    )
    namespace: Fields = numbers | {
        host_name(node): host(node.value)  # type: ignore[arg-type]
        for node in walk(program.value)
        if node.op == "host"
    }
    title = f"{dialect.framework} {program.name}"
    exec(_compiled(whole, title, dialect.keeps_code), namespace)
    function: Function = namespace[name]
    return function


@lru_cache(maxsize=1024)
def _compiled(text: str, title: str, one_line: bool) -> CodeType:
    """Programs of one text share their code."""
    filename = f"<actgrad {title} {next(_counter)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    code = compile(_in_one_line(text) if one_line else text, filename, "exec")
    weakref.finalize(code, linecache.cache.pop, filename, None)
    return code


def _in_one_line(text: str) -> ast.Module:
    """Each function of the text as if it stood in the line of its `def`."""
    tree = ast.parse(text)
    for function in tree.body:
        function.end_lineno, function.end_col_offset = function.lineno, function.col_offset
        for node in ast.walk(function):
            ast.copy_location(node, function)
    return tree


_counter = itertools.count()
_FLOAT = re.compile(r"(?<![\w.])(?:\d+\.\d*|\d+(?=e))(?:e[+-]?\d+)?")


def _apart(text: str, function: str) -> tuple[str, Fields]:
    """The text with names for the numbers in the function, and these by name."""
    names: dict[str, str] = {}
    above, definition, body = text.rpartition(f"def {function}(")
    body = _FLOAT.sub(lambda found: names.setdefault(found[0], f"c{len(names)}"), body)
    return above + definition + body, {name: float(number) for number, name in names.items()}


def identifier(name: str) -> str:
    text = re.sub(r"\W", "_", name)
    return text if text.isidentifier() and not keyword.iskeyword(text) else f"f_{text}"
