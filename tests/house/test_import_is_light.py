"""`import actgrad` loads NumPy, nothing heavy, and warns about nothing: in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

HEAVY = [
    "tensorflow",
    "keras",
    "torch",
    "jax",
    "jaxlib",
    "scipy",
    "sklearn",
    "matplotlib",
    "typer",
    "rich",
    "pandas",
    "numba",
    "joblib",
    "importlib.metadata",
    "actgrad.study.breakpoints",  # a method loads its part of the study when it is called
]

PROBE = """
import json, sys, warnings
statement, folders, heavy = json.loads(sys.argv[1])
sys.path[:0] = folders
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    exec(statement)
print(json.dumps([[n for n in heavy if n in sys.modules], [str(w.message) for w in seen]]))
"""


def weigh(statement: str, *folders: Path) -> tuple[list[str], list[str]]:
    """The heavy packages that a statement loads, and its warnings, in a process of its own."""
    question = json.dumps([statement, [str(f) for f in (*folders, SOURCE)], HEAVY])
    done = subprocess.run(
        [sys.executable, "-c", PROBE, question], capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "nothing may be said on import"
    loaded, warned = json.loads(done.stdout.splitlines()[-1])
    return loaded, warned


def test_import_is_light() -> None:
    assert weigh("import actgrad") == ([], [])


def test_this_test_can_fail(tmp_path: Path) -> None:
    # An empty stand-in, so that the meta-test needs none of the real packages.
    (tmp_path / "scipy.py").touch()
    (tmp_path / "noisy.py").write_text("import warnings\nwarnings.warn('noise', FutureWarning)\n")
    assert weigh("import actgrad, scipy", tmp_path) == (["scipy"], [])
    assert weigh("import actgrad, noisy", tmp_path) == ([], ["noise"])


def test_a_heavy_import_deep_inside_is_seen(tmp_path: Path) -> None:
    (tmp_path / "scipy.py").touch()
    (tmp_path / "middle.py").write_text("import scipy\n")
    assert weigh("import middle", tmp_path) == (["scipy"], [])
