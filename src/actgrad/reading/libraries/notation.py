"""Formulas in Python's notation -> functions of numbers and symbols.

`a if c else b` is a select, and each operator is the operation of the vocabulary: a formula means for plain
numbers what it means for symbols, with IEEE's answer where Python raises. A part that mentions no argument
is plain Python.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import reduce

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Mod: "mod",
    ast.FloorDiv: "floor_divide", ast.Pow: "power", ast.USub: "negative", ast.Not: "logical_not",
    ast.And: "logical_and", ast.Or: "logical_or", ast.Lt: "less", ast.LtE: "less_equal", ast.Eq: "equal",
    ast.NotEq: "equal", ast.Gt: "less", ast.GtE: "less_equal",
}  # fmt: skip


def formulas(text: str, known: Mapping[str, object], file: str) -> dict[str, Callable[..., object]]:
    """The functions that a text defines, as `name(arguments) = formula`; an indented line continues the one
    before it. `known` has the names that they use, `file` is where the text stands."""
    definitions: list[str] = []
    for line in filter(None, map(str.rstrip, text.splitlines())):
        if line.startswith(" "):
            definitions[-1] += line
        elif not line.startswith("#"):
            definitions.append(line)
    heads = [line.partition(") = ") for line in definitions]
    source = "\n".join(f"def {head}): return ({formula})" for head, _, formula in heads)
    tree = ast.parse(source, file)
    for function in tree.body:
        assert isinstance(function, ast.FunctionDef)
        arguments = (*function.args.args, *function.args.kwonlyargs)
        _Formula({argument.arg for argument in arguments}).generic_visit(function)
    namespace = {**known, "abs": known["absolute"]}
    exec(compile(tree, file, "exec"), namespace)
    return {name: namespace[name] for name in (head.partition("(")[0] for head, _, _ in heads)}  # type: ignore[misc]


class _Formula(ast.NodeTransformer):
    """Puts the functions of the vocabulary in the place of operators."""

    def __init__(self, arguments: set[str]) -> None:
        self.arguments = arguments
        self.mentioned = 0
        """How many arguments stand in what has been visited."""

    def visit(self, node: ast.AST) -> ast.AST:
        before = self.mentioned
        self.mentioned += isinstance(node, ast.Name) and node.id in self.arguments
        node = self.generic_visit(node)
        if self.mentioned == before:
            return node
        if isinstance(node, ast.BinOp):
            return _call(_OPERATORS[type(node.op)], node.left, node.right)
        if isinstance(node, ast.UnaryOp):
            return _call(_OPERATORS[type(node.op)], node.operand)
        if isinstance(node, ast.BoolOp):
            name = _OPERATORS[type(node.op)]
            return reduce(lambda a, b: _call(name, a, b), node.values)
        if isinstance(node, ast.Compare):
            (op,), pair = node.ops, (node.left, *node.comparators)
            turned = isinstance(op, (ast.Gt, ast.GtE))
            compared = _call(_OPERATORS[type(op)], *(reversed(pair) if turned else pair))
            return _call("logical_not", compared) if isinstance(op, ast.NotEq) else compared
        if isinstance(node, ast.IfExp):
            return _call("where", node.test, node.body, node.orelse)
        return node


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    at = {"lineno": arguments[0].lineno, "col_offset": arguments[0].col_offset}
    return ast.Call(ast.Name(name, ast.Load(), **at), list(arguments), [], **at)
