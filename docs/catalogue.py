"""For `make docs`: the catalogue page, made from the catalogue itself, with a plot of each entry.

python docs/catalogue.py FOLDER     writes the same page and pictures, without mkdocs
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from actgrad import activations, learnable, rows, surrogates
from actgrad.errors import ActgradWarning

MARK = "<!-- signatures -->"
HEAD = """# Catalogue

Each entry is an activation like one that you write yourself, in plain Python: `activations.mish`,
`surrogates.atan(alpha=5.0)`. Parameters have the authors' defaults, and can be learnt.

"""


def picture(activation) -> bytes:
    file = io.BytesIO()
    figure = activation.plot()
    figure.savefig(file, format="png", dpi=60)
    return file.getvalue()


def parameters(activation) -> str:
    return ", ".join(
        f"{name}={shown_value(v)}" for name, v in activation.parameters.items()
    )


def shown_value(value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(shown_value, value)) + "]"
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def shown(kind: str, name: str, activation, facts: list[str]) -> str:
    call = f"{kind}.{name}" + (
        f"({parameters(activation)})" if activation.parameters else ""
    )
    lines = "".join(f"- {fact}\n" for fact in facts)
    return f"### {name}\n\n`{call}`\n\n{lines}\n![{name}](catalogue/{kind}-{name}.png)\n\n"


def sections() -> Iterator[tuple[str, str, object]]:
    """Text; and where a picture belongs to it, its name and the activation."""
    yield HEAD + "## Activations\n\n", "", None
    for name, entry in activations.ENTRIES.items():
        facts = [f"`{entry.formula}`", entry.source]
        if entry.kinks:
            at = ", ".join(
                f"{slope:.4g} at {x:g}" for x, slope in entry.kinks.items()
            )
            facts.append(f"slope at kinks: {at}")
        if entry.builtins:
            names = ", ".join(
                f"`{b}` in {framework}" for framework, b in entry.builtins.items()
            )
            facts.append(f"built in as {names}")
        f = entry.activation
        yield shown("activations", name, f, facts), f"activations-{name}", f
    yield (
        "## Learnable\n\nWith the gradients by their parameters that the papers state.\n\n",
        "",
        None,
    )
    for name, entry in learnable.ENTRIES.items():
        facts = [f"`{entry.formula}`", entry.source]
        facts += [
            f"`{parameter}` is drawn: `{s}`" for parameter, s in entry.noise.items()
        ]
        f = entry.activation
        yield shown("learnable", name, f, facts), f"learnable-{name}", f
    yield "## Surrogates\n\nThe formula is that of the derivative.\n\n", "", None
    for name, entry in surrogates.ENTRIES.items():
        facts = [
            f"`{entry.formula}`",
            f"forward: {entry.forward.__doc__.partition(chr(10))[0]}",
        ]
        names = ", ".join(
            f"`{n}` in {library}" for library, n in entry.libraries.items()
        )
        facts += [names] if names else []
        f = entry.activation
        yield shown("surrogates", name, f, facts), f"surrogates-{name}", f

    yield (
        "## Rows\n\nFunctions of a row, along an axis: see [Functions of a row](rows.md).\n\n",
        "",
        None,
    )
    for name, entry in rows.ENTRIES.items():
        facts = [f"`{entry.formula}`", entry.source]
        facts += ["a surrogate is differentiated in its place"] if entry.rule else []
        f = entry.activation
        yield shown("rows", name, f, facts), f"rows-{name}", f


def made() -> tuple[str, dict[str, bytes]]:
    """The page, and the pictures by their names."""
    text, pictures = "", {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActgradWarning)
        for part, name, activation in sections():
            text += part
            if name:
                pictures[f"catalogue/{name}.png"] = picture(activation)
    return text, pictures


def signatures() -> str:
    """For docs/reference.md: every entry with its arguments and their defaults."""
    lines = []
    for kind, module in {
        "activations": activations,
        "surrogates": surrogates,
        "learnable": learnable,
        "rows": rows,
    }.items():
        lines += [f"### {kind}", "", "| Activation | Formula |", "|---|---|"]
        for name, entry in module.ENTRIES.items():
            values = (
                f"{n}={shown_value(v)}"
                for n, v in entry.activation.parameters.items()
            )
            call = f"{name}({', '.join([*entry.activation.inputs, *values])})"
            formula = getattr(entry, "formula", "").replace("|", "\\|")
            lines.append(
                f"| [`{kind}.{call}`](catalogue.md#{anchor(kind, name)}) | `{formula}` |"
            )
        lines.append("")
    return "\n".join(lines)


def anchor(kind: str, name: str) -> str:
    """Of the entry's heading: some names are in two of the catalogues."""
    kinds = {
        "activations": activations,
        "learnable": learnable,
        "surrogates": surrogates,
        "rows": rows,
    }
    earlier = list(kinds)[: list(kinds).index(kind)]
    again = sum(name in kinds[other].ENTRIES for other in earlier)
    return f"{name}_{again}" if again else name


def on_page_markdown(markdown, **_):
    return markdown.replace(MARK, signatures()) if MARK in markdown else markdown


def on_files(files, *, config):
    from mkdocs.structure.files import File

    text, pictures = made()
    files.append(File.generated(config, "catalogue.md", content=text))
    for name, content in pictures.items():
        files.append(File.generated(config, name, content=content))
    return files


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    text, pictures = made()
    for name, content in {"catalogue.md": text.encode(), **pictures}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    print(folder / "catalogue.md")
