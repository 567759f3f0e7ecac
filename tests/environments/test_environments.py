"""Right in every environment: no compiler, no home, `python -O`, warnings as errors, and a framework's own
settings. Each is one process that runs `probe.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process import python

PROBE = Path(__file__).with_name("probe.py")
ALL = ("numpy", "torch", "jax", "tensorflow")


def probed(folder: Path, *frameworks: str, options: tuple[str, ...] = (), **variables: str) -> str:
    """What the process printed: the hash of all that was generated."""
    for name in frameworks:
        pytest.importorskip(name.partition(":")[0])
    own = {"KERAS_BACKEND": "tensorflow", **variables}  # and not what another test has set
    last = python(*options, PROBE, *frameworks, folder=folder, **own)[-1]
    assert last.startswith("generated ")
    return last


def nowhere(folder: Path) -> dict[str, str]:
    """Every folder of a user's, under a file: it cannot be read, written or made, by root neither."""
    file = folder / "file"
    file.touch()
    names = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TORCHINDUCTOR_CACHE_DIR", "KERAS_HOME")
    others = ("MPLCONFIGDIR", "JAX_COMPILATION_CACHE_DIR", "TMPDIR", "ACTGRAD_CACHE")
    return dict.fromkeys([*names, *others], str(file / "nowhere"))


@pytest.mark.parametrize(
    "frameworks", [("numpy", "torch"), pytest.param(ALL, marks=pytest.mark.exhaustive)]
)
def test_no_compiler_on_the_path(frameworks: tuple[str, ...], tmp_path: Path) -> None:
    """PyTorch alone asks for one."""
    hidden = {"PATH": str(tmp_path), "CC": "", "CXX": ""}
    probed(tmp_path, *frameworks, TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"), **hidden)


def test_no_home_and_no_cache(tmp_path: Path) -> None:
    probed(tmp_path, *ALL, **nowhere(tmp_path))


@pytest.mark.parametrize(
    "frameworks", [("numpy",), pytest.param(ALL, marks=pytest.mark.exhaustive)]
)
def test_without_assertions(frameworks: tuple[str, ...], tmp_path: Path) -> None:
    """The frameworks' own code is compiled anew for it, for minutes."""
    for option in ("-O", "-OO") if len(frameworks) == 1 else ("-O",):  # without docstrings too
        probed(tmp_path, *frameworks, options=(option,))


def test_a_terminal_of_ascii_and_nobody_s_account(tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    probed(tmp_path, "numpy", "torch", **ascii_only, HOME="", USER="", LOGNAME="")


def test_warnings_are_errors(tmp_path: Path) -> None:
    cold = str(tmp_path / "cache")  # what compiles warns too
    probed(tmp_path, *ALL, options=("-W", "error"), TORCHINDUCTOR_CACHE_DIR=cold)


def test_what_is_generated_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    assert len({probed(tmp_path, "numpy", PYTHONHASHSEED=seed) for seed in ("0", "1", "77")}) == 1


@pytest.mark.parametrize(
    "settings",
    [
        "numpy:raise",
        "torch:deterministic torch:float64 torch:meta",
        "jax:debug_nans jax:enable_x64",
        "jax:disable_jit",
        "tensorflow:eager",
    ],
)
def test_settings_of_a_framework(settings: str, tmp_path: Path) -> None:
    """Each is set beside those before it."""
    probed(tmp_path, *settings.split())


@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
def test_keras_on(backend: str, tmp_path: Path) -> None:
    pytest.importorskip(backend)
    probed(tmp_path, f"keras:{backend}", KERAS_BACKEND=backend)
