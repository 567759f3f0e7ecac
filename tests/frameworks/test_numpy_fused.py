"""A large array in NumPy: one compiled loop, with the bits that NumPy has. No clock: loops are counted."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from actgrad import activation, activations
from actgrad.codegen.emit import kernel
from actgrad.errors import UnfusedWarning
from actgrad.frameworks import numpy as room
from actgrad.frameworks import numpy_fused
from actgrad.language.expression import make, var
from actgrad.language.ops import OPS
from actgrad.language.program import Program

LARGE = numpy_fused.LARGE
SIZE = LARGE + 77
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 1e-40, 1e300, 0.5, -0.5, 1, 3]


@pytest.fixture(autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.getbasetemp() / "compiled"
    monkeypatch.setenv("ACTGRAD_CACHE", str(path))
    return path


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of each loop that ran."""
    found: list[int] = []
    compiled = numpy_fused._compiled

    def counting(text: str):
        fill = compiled(text)
        return lambda out, *arguments: (found.append(out.size), fill(out, *arguments))

    monkeypatch.setattr(numpy_fused, "_compiled", counting)
    numpy_fused.loop.cache_clear()
    yield found
    numpy_fused.loop.cache_clear()


def numbers(seed: int, dtype: str = "float32", size: int = SIZE) -> np.ndarray:
    random = np.random.default_rng(seed)
    some = [random.normal(size=size // 2), random.normal(size=size - size // 2 - 400) * 1000]
    with np.errstate(all="ignore"):
        found = np.concatenate([*some, np.resize(SPECIAL, 400)]).astype(dtype)
    return random.permutation(found)


def same_bits(a: np.ndarray, b: np.ndarray) -> None:
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    np.testing.assert_array_equal(a, b)
    there = ~np.isnan(a)
    np.testing.assert_array_equal(np.signbit(a)[there], np.signbit(b)[there])


def by_numpy(f, *inputs):
    """Operation by operation, a small piece at a time."""
    pieces = [np.array_split(x.reshape(-1), len(x.reshape(-1)) // 4096 + 1) for x in inputs]
    return np.concatenate([f(*piece) for piece in zip(*pieces, strict=True)])


OPERATIONS = [
    name for name in numpy_fused.TABLE if name not in ("given", "select") and not OPS[name].boolean
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name, dtype):
    names = ("x", "y")[: OPS[name].arity]
    program = Program(f"op_{name}", names, (), make(name, *map(var, names)))
    arguments = [numbers(seed, dtype) for seed in range(len(names))]
    out = np.empty(SIZE, dtype)
    loop = numpy_fused.loop(program, np.dtype(dtype), (True,) * len(names))
    loop(out, *arguments)
    with np.errstate(all="ignore"):
        same_bits(out, kernel(program, room.DIALECT, room.host)(*arguments))


@activation(derivative=lambda x: 1.0 if x % 1 <= 0.5 else 0.0, name="fused_spiky")
def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


@activation(name="fused_many")
def many(x):
    if x != x:
        return -0.0
    if not (x < 2 or x == 3) and x > -math.inf:
        return math.inf if x > 1e30 else x // 1.7
    return x % -3 if x < -1 and x > -5 else -x * abs(x) / 3


@activation(name="fused_two")
def two(x, y, slope=0.25):
    return max(x, slope * y) if x > y else math.floor(y) * slope


CASES = {
    "spiky": spiky,
    "its derivative": spiky.derivative,
    "many": many,
    "its slope": many.derivative,
    "hard_swish": activations.hard_swish,
    "two": two,
    "another slope": two(slope=-2.0),
}


@pytest.mark.parametrize(
    ("case", "dtype"),
    [
        *((case, "float32") for case in CASES),
        *((case, dt) for case in ("many", "two") for dt in ("float64", "float16", ">f4", "int32")),
        ("spiky", "bfloat16"),
    ],
)
def test_the_same_bits_in_one_loop(case, dtype, loops):
    f = CASES[case]
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    with np.errstate(all="ignore"):
        inputs = [numbers(i) for i in range(len(f.inputs))]
        inputs = [(np.nan_to_num(x) if dtype == "int32" else x).astype(dtype) for x in inputs]
    found = f(*inputs)
    assert sum(loops) == SIZE
    loops.clear()
    expected = by_numpy(f, *inputs)
    assert not loops, "a small array took a loop"
    same_bits(found.astype(np.float64), expected.astype(np.float64))
    assert found.dtype == expected.dtype


X = numbers(0, size=2 * LARGE)
LAYOUTS = {
    "two dimensions": (X.reshape(4, -1), 1),
    "Fortran order": (np.asfortranarray(X.reshape(4, -1)), 1),
    "transposed": (X.reshape(8, 4, -1).T, 1),
    "read-only": (np.frombuffer(X.tobytes(), np.float32), 1),
    "unaligned": (np.frombuffer(b"." + X.tobytes(), np.float32, offset=1), 1),
    "strided": (X[::2], 0),
    "crossed": (X.reshape(8, 4, -1).transpose(0, 2, 1), 0),
    "broadcast": (np.broadcast_to(X[:8], (LARGE // 8, 8)), 0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(layout, loops):
    x, expected = LAYOUTS[layout]
    found = spiky(x)
    assert len(loops) == expected
    assert found.shape == x.shape
    same_bits(found.reshape(-1), by_numpy(spiky, x))
    assert found.flags.writeable


def test_arrays_of_several_shapes_are_numpys(loops):
    found = two(X.reshape(-1, 8), X[:8])
    assert not loops
    same_bits(found.reshape(-1), by_numpy(two, X, np.resize(X[:8], X.size)))


def test_an_array_of_slopes_is_one_more_input_of_the_loop(loops):
    slopes = np.abs(X[::-1]).copy()
    same_bits(two(X, X, slope=slopes), two(X, X.copy(), slope=slopes.copy()))
    assert loops == [X.size] * 2


def test_a_parameter_of_the_call(loops):
    same_bits(two(X, -X, slope=-2.0), by_numpy(two(slope=-2.0), X, -X))
    assert loops == [X.size]


def test_a_mask_and_a_matrix_are_kept(loops):
    masked = spiky(np.ma.masked_array(X, mask=X > 1))
    assert (masked.mask == (X > 1)).all()
    matrix = spiky(X.reshape(4, -1).view(np.matrix))
    assert type(matrix) is np.matrix
    assert len(loops) == 2


soft = activation(lambda x: x * math.tanh(math.log(1 + math.exp(x))), name="fused_soft")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_exp_stays_numpys_in_pieces(dtype, loops):
    x = numbers(0, dtype, size=5 * room.BLOCK + 3)
    found = soft(x)
    assert not loops
    np.testing.assert_allclose(found, by_numpy(soft, x), rtol=4 * np.finfo(dtype).eps, atol=1e-40)


def test_without_numba_the_same_bits(loops, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(numpy_fused.importlib.util, "find_spec", lambda name: None)
    x = numbers(0, size=5 * room.BLOCK + 3)
    found = many(x)
    assert not loops
    same_bits(found, by_numpy(many, x))


def test_a_dtype_without_loop_is_numpys(loops):
    x = numbers(0, "longdouble")
    same_bits(spiky(x), by_numpy(spiky, x))
    assert not loops


def test_a_compiler_that_fails_is_named(monkeypatch):
    def broken(text: str):
        raise RuntimeError("no room on the disk\nand more")

    monkeypatch.setattr(numpy_fused, "_compiled", broken)
    numpy_fused.loop.cache_clear()
    with pytest.warns(UnfusedWarning, match="'fused_spiky'.*\n.*no room on the disk$"):
        found = spiky(X)
    same_bits(found, by_numpy(spiky, X))
    numpy_fused.loop.cache_clear()


def test_threads_that_come_at_once(loops):
    found = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: spiky(X)}), name=str(i))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = by_numpy(spiky, X)
    for i in range(4):
        same_bits(found[i], expected)
    assert loops == [X.size] * 4


PROCESS = """
import json, sys
import numpy as np
from actgrad import activation
from actgrad.frameworks import numpy_fused

f = activation(lambda x: x - 1 if x > 0 else -x, name="f")
f(np.ones(numpy_fused.LARGE - 1, np.float32))
before = "numba" in sys.modules
y = f(np.ones(numpy_fused.LARGE, np.float32))
fill = numpy_fused.loop(f.program.closed, np.dtype("float32"), (True,))
print(json.dumps([before, float(y.sum()), sum(fill.stats.cache_hits.values())]))
"""


def test_a_small_call_loads_no_compiler_and_the_next_process_compiles_nothing(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("ACTGRAD_CACHE", str(tmp_path / "kept"))

    def process():
        done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        return json.loads(done.stdout)

    assert process() == [False, 0.0, 0]
    assert process() == [False, 0.0, 1]
    (kept,) = (tmp_path / "kept" / "numba" / "__pycache__").glob("*.nbc")
    kept.write_bytes(kept.read_bytes()[:100])
    assert process() == [False, 0.0, 0], "a damaged file"


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, loops):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ACTGRAD_CACHE", str(tmp_path / "file"))
    same_bits(spiky(X), by_numpy(spiky, X))
    assert loops == [X.size]


# NumPy's own way, made cheaper.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_select_is_where_bit_by_bit(dtype):
    f = activation(lambda x, y: x if x < y else y, name="smaller")
    x, y = numbers(0, dtype, 9000), numbers(1, dtype, 9000)
    same_bits(kernel(f.program, room.DIALECT, room.host)(x, y), np.where(x < y, x, y))
    g = activation(lambda x: x if x < 1 else -0.0, name="negative_zero")
    same_bits(kernel(g.program, room.DIALECT, room.host)(x), np.where(x < 1, x, x.dtype.type(-0.0)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softplus_is_logaddexp(dtype):
    program = Program("softplus", ("x",), (), make("softplus", var("x")))
    x = numbers(0, dtype)
    with np.errstate(all="ignore"):
        found = kernel(program, room.DIALECT, room.host)(x)
        exact = np.logaddexp(x.astype(np.float64), 0.0)
    np.testing.assert_allclose(
        found, exact, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny
    )
