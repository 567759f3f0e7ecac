"""Files are written whole or not at all, and errors name the file and the remedy."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from actgrad.common.files import atomically, write_text
from actgrad.errors import WriteError


@pytest.fixture
def small_files():
    """A process that may write files of 4,096 bytes at most."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    write_text(path, "new ±")
    assert path.read_text(encoding="utf-8") == "new ±"
    with atomically(path) as temporary:
        temporary.write_bytes(b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_its_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_private_file_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.touch(mode=0o600)
    write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    path, target = tmp_path / "link", tmp_path / "folder" / "a.txt"
    path.symlink_to(target)
    for text in ("new", "newer"):
        write_text(path, text)
        assert path.is_symlink()
        assert target.read_text() == text
    assert os.listdir(tmp_path / "folder") == ["a.txt"]


def test_a_device_or_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "text")
    assert os.read(reader, 99) == b"text"
    os.close(reader)
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def stop() -> None:
        with atomically(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_limit_on_the_size_of_files(tmp_path: Path, small_files: None) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(WriteError, match=r"a\.txt cannot be written: .*\n.*ulimit -f"):
        write_text(path, "x" * 5000)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("step", ["mkstemp", "fsync", "replace"])
def test_a_full_disk_at_every_step(step: str, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    owner = {"mkstemp": "tempfile.mkstemp", "fsync": "os.fsync", "replace": "pathlib.Path.replace"}
    with monkeypatch.context() as planted:
        planted.setattr(owner[step], full)
        with pytest.raises(WriteError, match=r"(?s)a\.txt cannot be written.*Free some space"):
            write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_other_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="Make the folder first"):
        write_text(tmp_path / "none" / "a.txt", "")
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="A part of the path is a file"):
        write_text(tmp_path / "file" / "a.txt", "")
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match="There is a folder of this name"):
        write_text(tmp_path / "folder", "")
    with pytest.raises(WriteError, match="cannot be written: embedded null"):
        write_text(tmp_path / "a\0b", "")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
