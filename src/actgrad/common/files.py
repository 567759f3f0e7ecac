"""Files that are written whole or not at all, and errors that name the file and the remedy."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actgrad.errors import WriteError

_REMEDIES = {
    errno.ENOSPC: "Free some space there, or choose a place on another disk.",
    errno.EDQUOT: "Delete files of your own there, or choose a place on another disk.",
    errno.EFBIG: "A limit on the size of files is set for this process (`ulimit -f`): raise it.",
    errno.EROFS: "Choose a place that is not mounted read-only.",
    errno.EACCES: "Choose a folder in which you may write.",
    errno.EPERM: "Choose a folder in which you may write.",
    errno.ENOENT: "Make the folder first, or choose one that exists.",
    errno.ENOTDIR: "A part of the path is a file: choose a folder that exists.",
    errno.EISDIR: "There is a folder of this name: choose another name.",
}


def cannot_write(path: str | os.PathLike[str], error: BaseException) -> WriteError:
    """The error for a file that could not be written, with what to do about it."""
    reason, remedy = str(error), ""
    if isinstance(error, OSError) and error.errno is not None:
        reason = error.strerror or reason
        remedy = _REMEDIES.get(error.errno, "")
    return WriteError(
        f"{os.fspath(path)} cannot be written: {reason}" + f"\n  {remedy}" * bool(remedy)
    )


def is_full(folder: Path) -> bool:
    """Whether its disk has less than a megabyte left."""
    return shutil.disk_usage(folder).free < 1 << 20


@contextmanager
def atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place if all goes well.

    After a crash, a full disk or an exception, `path` is what it was before and nothing is left over.
    A link stays one, a file keeps its mode, and a device or a pipe is written to. Raises `WriteError`.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        special = path.exists() and not path.is_file()
        target = path if special else path.resolve()
        folder = None if special else target.parent
        handle, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=path.suffix)
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if special:
            target.write_bytes(temporary.read_bytes())
            return
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        mode = target.stat().st_mode if target.exists() else 0o666 & ~_umask()
        temporary.chmod(stat.S_IMODE(mode))
        temporary.replace(target)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file, whole or not at all. Raises `WriteError`."""
    with atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
