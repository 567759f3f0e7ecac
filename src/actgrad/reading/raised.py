"""Exceptions that a function raised while it was read: answers of its own, or refusals."""

from __future__ import annotations

import builtins
import dis
import os
import traceback
import types

from actgrad.common.text import did_you_mean
from actgrad.errors import TraceError
from actgrad.reading.refusal import HOST, is_user_file, name_of, place


def is_an_answer(error: Exception) -> bool:
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


def user_error(error: Exception, copy: object) -> TraceError:
    said = f"it raised {type(error).__name__}: {error}"
    way_out = f"Call it by itself, on an array of its library, until it returns numbers. {HOST}"
    if isinstance(error, (ArithmeticError, ValueError, LookupError, AssertionError)):
        way_out = f"An activation must answer every number. {HOST}"
    library = _library_of(error)
    if isinstance(error, NameError) and error.name:
        near = did_you_mean(error.name, _names_at(error))
        said = f"the name {error.name!r} is not defined{near and '; ' + near}"
        way_out = "Define or import what it names before the activation."
    elif isinstance(error, AttributeError) and "has no attribute" in str(error) and error.name:
        owner = getattr(error.obj, "__name__", None) or f"{type(error.obj).__name__!r} object"
        near = did_you_mean(error.name, dir(error.obj))
        said = f"{owner} has no attribute {error.name!r}{near and '; ' + near}"
        way_out = "Check the name, and the installed version."
    elif "setting an array element" in str(error):
        way_out = (
            f"Collect the values in a list, and make the array of it: `np.array(values)`. {HOST}"
        )
    elif "values to unpack" in str(error):
        way_out = "Unpack as many as there are. Of a row take numbers and parts: `x[0]`, `x[1:]`."
    elif isinstance(error, AttributeError) and "'Symbol' object" in str(error):
        said = "it stores an attribute on its input, or on what it computes"
        way_out = "Keep it in a local variable: an activation returns its numbers, and no more."
    elif "'Symbol'" in str(error) or "actgrad." in str(error):
        said = f"it gives its input to code that takes nothing but {library or 'its library'}'s own arrays"
        way_out = f"Compose it of operations that are read: docs/language.md lists them. {HOST}"
    elif library:
        said = f"the code of {library} that it calls raised {type(error).__name__}: {error}"
        way_out = f"Compose it of operations that are read: docs/language.md lists them. {HOST}"
    return TraceError(f"{name_of(copy)!r} cannot be read: {said}\n{raised_at(error)}\n  {way_out}")


def _frames(error: BaseException) -> list[types.FrameType]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def _names_at(error: BaseException) -> list[str]:
    """The names that the user's own line could have used."""
    frames = [f for f in _frames(error) if is_user_file(f.f_code.co_filename)]
    return [*frames[-1].f_locals, *frames[-1].f_globals, *dir(builtins)] if frames else []


def _library_of(error: BaseException) -> str | None:
    """The installed library in whose code an exception was raised."""
    *_, last = ["", *(f.f_code.co_filename for f in _frames(error))]
    parts = last.split(os.sep)
    for folder in {"site-packages", "dist-packages"} & set(parts):
        root = parts[parts.index(folder) + 1].removesuffix(".py")
        return None if root == "actgrad" else root
    return None


def raised_at(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_user_file(f.filename)]
    return place(frames[-1].filename, frames[-1].lineno or 0, frames[-1].name) if frames else ""
