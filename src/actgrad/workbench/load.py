"""FILE:NAME -> an activation."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import actgrad
from actgrad.activation import Activation, activation
from actgrad.common.text import did_you_mean, nearest
from actgrad.common.types import Function
from actgrad.errors import ActgradWarning, InputError
from actgrad.workbench.quiet import quiet


def load(target: str, warn: Callable[[str], None]) -> Activation:
    """The activation that `FILE.py:NAME`, or `FILE.json`, stands for.

    NAME is an `Activation` or a plain function; it may be left out if the file defines one
    activation. What the file prints goes to stderr, and actgrad's warnings go to `warn`.
    """
    file, name = _split(target)
    if not file.strip():
        raise InputError(
            f"{target!r} names no file\n  Give FILE:NAME, as in examples/spiky.py:spiky"
        )
    path = Path(file)
    if not path.exists():
        raise InputError(f"no such file: {file}{_nearest_file(path)}")
    if not path.is_file():
        raise InputError(
            f"{file} is a folder, and should be a Python file\n  Give FILE:NAME, as in spiky.py:spiky"
        )
    if path.suffix == ".json":
        if name:
            raise InputError(f"{file} holds one saved activation: give the file without :{name}")
        return actgrad.load(path)
    if path.suffix != ".py":
        raise InputError(
            f"{file} is not a Python file (.py) nor a saved activation (.json)\n"
            f"  Give FILE:NAME, as in examples/spiky.py:spiky"
        )
    with _actgrad_warnings(warn), contextlib.redirect_stdout(sys.stderr), quiet():
        module = _run(path)
        found = _find(module, file, name)
        f = found if isinstance(found, Activation) else activation(found)
    return _named(f, name) if f.name == "<lambda>" and name else f


def _named(f: Activation, name: str) -> Activation:
    """A lambda goes by the name that the file gives it."""
    return Activation(replace(f.program, name=name), f.function, f._rules)


def _split(target: str) -> tuple[str, str]:
    file, colon, name = target.rpartition(":")
    # In C:\folder\f.py the colon belongs to the file.
    return (file, name) if colon and not {"/", "\\"} & set(name) else (target, "")


def _nearest_file(path: Path) -> str:
    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix in {".py", ".json"}]
    except OSError:
        names = []
    near = nearest(path.name, names)
    if near is not None:
        return f"\n  Did you mean {path.parent / near}?"
    return "\n  Give FILE:NAME, with the path of a file from here on."


def _run(path: Path) -> ModuleType:
    """The file as a module, with its own folder importable, as when Python runs it."""
    spec = importlib.util.spec_from_file_location(f"_actgrad_file_{path.stem}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        line = (error.text or "").strip()
        place = f", line {error.lineno}: {line}" if error.lineno else ""
        raise InputError(f"{path}{place}\n  {type(error).__name__}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise InputError(f"{path}{_line(error, path)}\n  {_last(error)}") from error
    return module


def _line(error: BaseException, path: Path) -> str:
    """The last line of the user's file that was running."""
    own = [
        f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path.resolve())
    ]
    return f", line {own[-1].lineno}: {own[-1].line}" if own else ""


def _last(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "the file ends the program (SystemExit) when it is imported"
    return "".join(traceback.format_exception_only(error)).strip()


def _find(module: ModuleType, file: str, name: str) -> Function:
    own = {k: v for k, v in vars(module).items() if not k.startswith("_") and _is_own(v, module)}
    defined = [k for k, v in own.items() if isinstance(v, Activation)]
    if not name:
        if len(defined) == 1:
            return own[defined[0]]
        choices = defined or list(own)
        raise InputError(
            f"which function of {file}? Say FILE:NAME"
            + (f"; it has {', '.join(choices)}" if choices else "; it defines none")
        )
    if not hasattr(module, name):
        there = did_you_mean(name, vars(module), f"it has {', '.join(own) or 'no function'}")
        hint = did_you_mean(name, own, there)
        raise InputError(f"{file} has no {name!r}; {hint}")
    found = getattr(module, name)
    if not callable(found) or isinstance(found, type):
        kinds = {type: "a class", ModuleType: "a module"}
        kind = kinds.get(type(found), f"{found!r:.60} ({type(found).__name__})")
        hint = f"\n  Functions there: {', '.join(own)}" if own else ""
        raise InputError(f"{name!r} in {file} is {kind}, and should be a function{hint}")
    return found


def _is_own(value: object, module: ModuleType) -> bool:
    if isinstance(value, (type, ModuleType)) or not callable(value):
        return False
    return isinstance(value, Activation) or getattr(value, "__module__", None) == module.__name__


@contextlib.contextmanager
def _actgrad_warnings(warn: Callable[[str], None]) -> Iterator[None]:
    show = warnings.showwarning

    def showwarning(
        message: Warning | str, category: type[Warning], *rest: Any, **options: Any
    ) -> None:
        if issubclass(category, ActgradWarning):
            warn(str(message))
        else:
            show(message, category, *rest, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("always", ActgradWarning)
        warnings.showwarning = showwarning
        yield
