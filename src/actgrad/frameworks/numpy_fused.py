"""NumPy at the speed of memory: one loop in the place of one pass for each operation, by Numba.

For programs of steps and arithmetic, where the loop gives the same bits as NumPy: every operation is
rounded once, and none is put together with another. Functions such as `exp` stay NumPy's: its own are
vectorised, and in Numba's loop they were measured to be 13 times slower.

Numba is imported when the first large array comes, not before. Compiled loops stay on disk, in the folder
that $ACTGRAD_CACHE names, or among the user's other caches.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import linecache
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from actgrad.codegen.dialect import Dialect
from actgrad.codegen.emit import function_text, helpers_text
from actgrad.codegen.lower import lower
from actgrad.errors import UnfusedWarning
from actgrad.frameworks.patience import saying
from actgrad.language.expression import walk
from actgrad.language.program import Program

LARGE = 1 << 15
"""From this many elements on a loop is worth a compiler: below, no call waits for one."""

TABLE: dict[str, str] = {
    "neg": "-{0}",
    "abs": "np.abs({0})",
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "floordiv": "_floordiv({0}, {1})",
    "mod": "_mod({0}, {1})",
    "copysign": "math.copysign({0}, {1})",
    "floor": "np.floor({0})",
    "ceil": "np.ceil({0})",
    "trunc": "np.trunc({0})",
    "round": "np.rint({0})",
    "sqrt": "np.sqrt({0})",
    "lt": "({0} < {1})",
    "le": "({0} <= {1})",
    "eq": "({0} == {1})",
    "and": "({0} & {1})",
    "or": "({0} | {1})",
    "not": "(not {0})",
    "select": "({1} if {0} else {2})",
    "given": "{0}",
}


def _dialect(dtype: str) -> Dialect:
    return Dialect(
        "numba",
        f"import math\n\nimport numpy as np\nfrom numba import {dtype}, njit, types",
        TABLE,
        typed=f"{dtype}({{0}})",
        typed_everywhere=True,
        helpers={
            "_mod": """
@njit(error_model="numpy")
def _mod(x, y):
    rest = np.fmod(x, y)
    if rest == 0:
        return math.copysign(rest, y)
    return rest + y if (y < 0) != (rest < 0) else rest
""",
            "_floordiv": """
@njit(error_model="numpy")
def _floordiv(x, y):
    if y == 0:
        return x / y
    rest = np.fmod(x, y)
    whole = (x - rest) / y
    if rest != 0 and (y < 0) != (rest < 0):
        whole -= 1
    if whole == 0:
        return math.copysign(whole, x / y)
    down = np.floor(whole)
    return down + 1 if whole - down > 0.5 else down
""",
        },
    )


_DIALECTS = {np.dtype(name): _dialect(name) for name in ("float32", "float64")}

Loop = Callable[..., None]


@cache
def loop(program: Program, dtype: np.dtype[Any], whole: tuple[bool, ...]) -> Loop | None:
    """A function of (out, *arguments) that fills `out`; None where NumPy itself has to do it.

    `whole` says which arguments are flat arrays; the others are single numbers. All have this dtype.
    """
    dialect = _DIALECTS.get(dtype)
    if dialect is None or not _installed():
        return None
    if any(node.args and node.op not in TABLE for node in walk(lower(program.value, {}))):
        return None
    try:
        with saying("Numba", program.name):
            return _compiled(_text(program, dialect, whole))
    except Exception as error:  # whatever a compiler raises: NumPy has the same values
        warnings.warn(
            f"Numba could not compile {program.name!r}, so large arrays take NumPy's way: right, and "
            f"several times slower\n  {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}",
            UnfusedWarning,
            stacklevel=2,
        )
        return None


def _installed() -> bool:
    return importlib.util.find_spec("numba") is not None and not os.environ.get("NUMBA_DISABLE_JIT")


def _text(program: Program, dialect: Dialect, whole: tuple[bool, ...]) -> str:
    value = function_text(program, dialect, "_value")
    for named, spelt in {"inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}.items():
        value = value.replace(f'float("{named}")', spelt)
    dtype = dialect.typed.partition("(")[0]
    signature = ", ".join([f"{dtype}[::1]", *("_array" if each else dtype for each in whole)])
    names = [f"a{i}" for i in range(len(whole))]
    values = [f"{name}[i]" if each else name for name, each in zip(names, whole, strict=True)]
    return "\n\n\n".join(
        part
        for part in (
            dialect.imports,
            helpers_text(value, dialect),
            f'@njit(error_model="numpy")\n{value}',
            f"""_array = types.Array({dtype}, 1, "C", readonly=True, aligned=False)


@njit(types.void({signature}), nogil=True, error_model="numpy", cache=_cache)
def fill({", ".join(["out", *names])}):
    for i in range(out.size):
        out[i] = _value({", ".join(values)})
""",
        )
        if part
    )


def _compiled(text: str) -> Loop:
    """The text's `fill`. Numba keeps machine code beside a file only, so the text is made one."""
    path = _folder() / f"{hashlib.sha256(text.encode()).hexdigest()}.py"
    if _written(path, text):
        with contextlib.suppress(Exception):  # what is kept there may be damaged
            return _defined(text, str(path), kept=True)
    filename = f"<actgrad {path.stem}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    return _defined(text, filename, kept=False)


def _defined(text: str, filename: str, *, kept: bool) -> Loop:
    # By its name Numba finds a module that can be imported, which it asks of what it keeps.
    namespace: dict[str, Any] = {"__name__": __name__, "_cache": kept}
    exec(compile(text, filename, "exec"), namespace)
    found: Loop = namespace["fill"]
    return found


def _folder() -> Path:
    named = os.environ.get("ACTGRAD_CACHE")
    if named:
        return Path(named) / "numba"
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(base).expanduser() / "actgrad" / "numba"


def _written(path: Path, text: str) -> bool:
    """Whether the file is there, whole, also where several processes write it."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False
            ) as part:
                part.write(text)
            os.replace(part.name, path)
    except (OSError, RuntimeError):  # no home, no room, no right to write
        return False
    return os.access(path.parent, os.W_OK)
