"""Processes of their own: one for each section in each framework, and one for what has to be fresh."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1]


def environment(**more: str) -> dict[str, str]:
    """This process's, in which `speed` is found."""
    path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, **more}


def answers(module: str, framework: str, quick: bool, silence: float) -> Iterator[dict[str, Any]]:
    """What the process says, as it says it; at last why it ended, if that was not as it should.

    One that says nothing for so many seconds is ended, with the processes that it started.
    """
    with tempfile.TemporaryDirectory() as folder:
        said, log = Path(folder) / "said", Path(folder) / "log"
        arguments = (module, framework, str(int(quick)), str(said))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "speed.child", *arguments],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield from _lines(said, process, silence)
        finally:
            hung = process.poll() is None
            if hung:
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        if hung:
            yield {"failed": f"no answer for {silence:g} s"}
        elif code:
            last = log.read_text(errors="replace").strip().rpartition("\n")[2][:200]
            yield {"failed": f"the process ended with {code}: {last}".rstrip(": ")}


def _lines(path: Path, process: subprocess.Popen[bytes], silence: float) -> Iterator[Any]:
    """Until it ends, or has been silent for so long."""
    rest, read, heard = "", 0, time.monotonic()
    while True:
        ended = process.poll() is not None
        if path.exists():
            with path.open(encoding="utf-8") as file:
                file.seek(read)
                rest += file.read()
                read = file.tell()
        *whole, rest = rest.split("\n")
        for line in whole:
            heard = time.monotonic()
            yield json.loads(line)
        if ended or time.monotonic() - heard > silence:
            return
        time.sleep(0.05)


_CALL = """
import importlib, json, sys
module, function, arguments = json.loads(sys.argv[1])
print("\\n" + json.dumps(getattr(importlib.import_module(module), function)(*arguments)))
"""


def fresh(module: str, function: str, *arguments: Any, **variables: str) -> Any:
    """What a function of `speed` returns, called in a process of its own, with these variables."""
    question = json.dumps([module, function, arguments])
    done = subprocess.run(
        [sys.executable, "-c", _CALL, question],
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise ChildProcessError(f"{module}.{function}: {last or f'exit {done.returncode}'}")
    return json.loads(done.stdout.splitlines()[-1])
