"""Exceptions that a function raised while it was read: answers of its own, or refusals."""

from __future__ import annotations

import dis
import traceback
from typing import Any

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


def user_error(error: Exception, copy: Any) -> TraceError:
    way_out = "An activation must answer every number."
    if "setting an array element" in str(error):
        way_out = "Collect the values in a list, and make the array of it: `np.array(values)`."
    return TraceError(
        f"{name_of(copy)!r} cannot be read: it raised {type(error).__name__}: {error}\n"
        f"{raised_at(error)}\n  {way_out} {HOST}"
    )


def raised_at(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_user_file(f.filename)]
    return place(frames[-1].filename, frames[-1].lineno or 0, frames[-1].name) if frames else ""
