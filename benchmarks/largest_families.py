"""Families of programs of any size, each a function from the size to a program, for `largest.py`."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

from actgrad.language.expression import Expr, const, make, var, vector
from actgrad.language.length import N
from actgrad.language.ops import OPS
from actgrad.language.program import Program


def families() -> dict[str, Callable[[int], Any]]:

    x, row = var("x"), var("x", N)
    c = const

    def elementwise(value: Expr, **more: Any) -> Program:
        return Program("f", more.pop("inputs", ("x",)), more.pop("parameters", ()), value, **more)

    def of_row(value: Expr) -> Program:
        return Program("f", ("x",), (), value, axis=-1, rows=(("x", N),))

    def chain(step: Callable[[Expr, int], Expr], n: int, start: Expr = x) -> Expr:
        return reduce(step, range(n), start)

    def tree(parts: list[Expr]) -> Expr:
        while len(parts) > 1:
            pairs = [make("add", a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
            parts = pairs + parts[2 * len(pairs) :]
        return parts[0]

    def number(i: int) -> Expr:
        return c(0.3 + i * 0.7 % 3)

    found: dict[str, Callable[[int], Program]] = {}
    plain = [n for n, o in OPS.items() if o.arity in (1, 2) and n not in ("gather", "given")]
    for op in plain:
        if OPS[op].boolean:
            continue
        if OPS[op].arity == 1:
            found[f"chain {op}"] = lambda n, op=op: elementwise(chain(lambda y, i: make(op, y), n))
            found[f"sum {op}"] = lambda n, op=op: elementwise(
                tree([make(op, make("mul", number(i), x)) for i in range(n)])
            )
            found[f"twice {op}"] = lambda n, op=op: elementwise(
                chain(lambda y, i: make("mul", make(op, y), make("add", y, number(i))), n)
            )
        else:
            for kind, other in {
                "number": lambda y, i: number(i),
                "x": lambda y, i: x,
                "itself": lambda y, i: y,
                "shift": lambda y, i: make("add", y, number(i)),
            }.items():
                found[f"chain {op} {kind}"] = lambda n, op=op, other=other: elementwise(
                    chain(lambda y, i: make(op, y, other(y, i)), n)
                )

    def newton(y: Expr, i: int) -> Expr:
        return make("mul", c(0.5), make("add", y, make("div", x, y)))

    found["newton"] = lambda n: elementwise(chain(newton, n))

    def knots(y: Expr, i: int) -> Expr:
        return make("select", make("lt", x, c(i / 7 - 3)), make("mul", number(i), x), y)

    found["piecewise"] = lambda n: elementwise(chain(knots, n))
    found["piecewise of curves"] = lambda n: elementwise(
        chain(
            lambda y, i: make("select", make("lt", x, c(i / 7)), make("sin", number(i) * x), y), n
        )
    )
    found["hinges"] = lambda n: elementwise(
        tree([make("select", make("lt", x, c(i / 7)), c(0.0), x - c(i / 7)) for i in range(n)])
    )
    found["tower of selects"] = lambda n: elementwise(
        chain(lambda y, i: make("select", make("lt", y, number(i)), y * y, y - number(i)), n)
    )
    found["tower of powers"] = lambda n: elementwise(
        chain(lambda y, i: make("pow", make("add", make("abs", y), number(i)), y), n)
    )
    found["horner"] = lambda n: elementwise(chain(lambda y, i: y * x + number(i), n))
    found["horner of sines"] = lambda n: elementwise(
        chain(lambda y, i: y * make("sin", x) + number(i), n)
    )
    found["swish network"] = lambda n: elementwise(
        chain(lambda y, i: y * make("sigmoid", number(i) * y) + make("tanh", y), n)
    )
    found["continued fraction"] = lambda n: elementwise(
        chain(lambda y, i: number(i) / (c(1.5) + y * y), n)
    )
    found["quotients"] = lambda n: elementwise(tree([x / (number(i) + x * x) for i in range(n)]))
    found["products"] = lambda n: elementwise(chain(lambda y, i: y * make("sin", number(i) * x), n))

    def mixture(seed: int) -> Callable[[int], Program]:
        def make_one(n: int) -> Program:
            chance = random.Random(seed)
            nodes = [x]
            for i in range(n):
                op = chance.choice(plain + ["select"])
                recent = nodes[-chance.choice([1, 3, 20]) :]
                args = [chance.choice(recent) for _ in range(OPS[op].arity)]
                if chance.random() < 0.3 and len(args) > 1:
                    args[1] = number(i)
                if op in ("and", "or", "not"):
                    continue
                if op == "select":
                    args = [
                        make("lt", chance.choice(recent), number(i)),
                        chance.choice(recent),
                        nodes[-1],
                    ]
                node = make(op, *args)
                if node.boolean:
                    node = make("select", node, chance.choice(recent), nodes[-1])
                nodes.append(node)
            return elementwise(tree(nodes[-8:]))

        return make_one

    for seed in range(12):
        found[f"mixture {seed}"] = mixture(seed)

    # Inputs, parameters, tables.

    def many_inputs(step: Callable[[Expr, Expr], Expr], n: int, most: int = 100) -> Program:
        names = [f"x{i}" for i in range(min(n, most))]
        y = var(names[0])
        for i in range(n):
            y = step(y, var(names[i % len(names)]))
        return elementwise(y, inputs=tuple(names))

    found["inputs, sines"] = partial(many_inputs, lambda y, a: make("sin", y) + a)
    found["inputs, products"] = partial(many_inputs, lambda y, a: y * a)
    found["2 inputs"] = lambda n: many_inputs(lambda y, a: make("tanh", y * a) + a, n, 2)
    found["5 inputs"] = lambda n: many_inputs(lambda y, a: make("hypot", y, a), n, 5)

    def many_parameters(step: Callable[[Expr, Expr], Expr], n: int, most: int = 1000) -> Program:
        names = [f"a{i}" for i in range(min(n, most))]
        y = x
        for i in range(n):
            y = step(y, var(names[i % len(names)]))
        return elementwise(y, parameters=tuple((name, 0.5) for name in names))

    found["parameters, horner"] = partial(many_parameters, lambda y, a: y * x + a)
    found["parameters, sines"] = partial(many_parameters, lambda y, a: make("sin", y * a))
    found["parameters, bumps"] = partial(
        many_parameters, lambda y, a: y + make("exp", make("neg", (x - a) * (x - a)))
    )
    found["10 parameters"] = lambda n: many_parameters(lambda y, a: make("sin", y * a) + a, n, 10)

    def looked_up(y: Expr, i: int) -> Expr:
        values = vector([0.1 * i + k for k in range(9)])
        return make("gather", values, make("floor", y)) * y

    found["constant tables"] = lambda n: elementwise(chain(looked_up, n))
    found["one long constant table"] = lambda n: elementwise(
        make("gather", vector([0.5 * k for k in range(n)]), x) * x
    )

    def tables(n: int) -> Program:
        values = (0.5, 1.5, 2.5)
        return elementwise(
            chain(lambda y, i: make("gather", var("t"), y) * x, n),
            parameters=(("t", values),),
            tables=("t",),
        )

    found["table parameter, chain"] = tables
    found["table parameter, places"] = lambda n: elementwise(
        tree([make("gather", var("t"), x * number(i)) * x for i in range(n)]),
        parameters=(("t", (0.5, 1.5, 2.5)),),
        tables=("t",),
    )
    found["long table parameter"] = lambda n: elementwise(
        make("gather", var("t"), x) * x, parameters=(("t", (0.5,) * n),), tables=("t",)
    )
    found["many table parameters"] = lambda n: elementwise(
        tree([make("gather", var(f"t{i}"), x) * x for i in range(min(n, 1000))]),
        parameters=tuple((f"t{i}", (0.5, 0.25)) for i in range(min(n, 1000))),
        tables=tuple(f"t{i}" for i in range(min(n, 1000))),
    )

    # Rules.

    def rule(size: Callable[[Expr], Expr]) -> Callable[[int], Program]:
        return lambda n: elementwise(
            make("given", make("tanh", x), x, chain(lambda y, i: size(y), n)), kind="surrogate"
        )

    found["surrogate, sines"] = rule(lambda y: make("sin", y) * x)
    found["surrogate, mod"] = rule(lambda y: make("mod", y, c(3.7)) * x)
    found["surrogate chain"] = lambda n: elementwise(
        chain(
            lambda y, i: make("given", make("round", y), y, make("cos", number(i) * y)) * c(1.1), n
        ),
        kind="surrogate",
    )
    up = var("upstream")
    for name, step in {
        "sines": lambda y, i: make("sin", y) * up,
        "mod": lambda y, i: make("mod", y, number(i)) + up,
        "powers": lambda y, i: make("pow", make("abs", y), number(i)),
    }.items():
        found[f"gradient rule, {name}"] = lambda n, step=step: elementwise(
            make("tanh", x), kind="gradient", gradient=(chain(step, n),)
        )

    # Rows.

    steps: dict[str, Callable[[Expr, int], Expr]] = {
        "cumsum": lambda y, i: make("cumsum", y),
        "cumsum of sines": lambda y, i: make("cumsum", make("sin", y)),
        "sum": lambda y, i: y / (c(1.0) + make("sum", y * y)),
        "max": lambda y, i: make("sin", y - make("max", y)),
        "prod": lambda y, i: y + make("prod", make("tanh", y)),
        "sort": lambda y, i: make("sin", make("take", y, make("order", y))),
        "flip": lambda y, i: make("sin", y) + make("flip", y),
        "softmax": lambda y, i: make("exp", y) / make("sum", make("exp", y)),
        "stable softmax": lambda y, i: (lambda e: e / make("sum", e))(
            make("exp", y - make("max", y))
        ),
        "norm": lambda y, i: y / make("sqrt", make("sum", y * y) + c(0.1)),
        "sums of x": lambda y, i: y + make("sin", make("sum", row * number(i))),
        "numbers": lambda y, i: y + make("sin", make("sum", y)) * row,
        "elementwise": lambda y, i: make("sin", y) * row,
        "mod": lambda y, i: make("mod", y, number(i)) + row,
    }
    for name, step in steps.items():
        found[f"row, {name}"] = lambda n, step=step: of_row(chain(step, n, row))
    found["row, one number of sines"] = lambda n: of_row(
        chain(lambda y, i: make("sin", y) + number(i), n, make("sum", row))
    )
    found["row, places of a sum"] = lambda n: of_row(
        tree([make("sin", make("sum", make("sin", row * number(i)))) for i in range(n)]) * row
    )
    found["row, two halves"] = lambda n: of_row(
        make(
            "concat",
            chain(lambda y, i: make("sin", y), n, row),
            chain(lambda y, i: make("cos", y), n, row),
        )
    )
    found["row, many parts"] = lambda n: of_row(
        make("concat", *(make("sin", row * number(i)) for i in range(n)))
    )
    return found
