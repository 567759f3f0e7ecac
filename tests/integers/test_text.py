"""C compiled and run on every input, beyond the range too; files for `$readmemh`."""

from __future__ import annotations

import math
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from actgrad import activation, activations
from actgrad.errors import CallError
from tests.integers import oracle
from tests.sample import exhaustive_but

GCC = shutil.which("gcc") or shutil.which("cc")
compiled = pytest.mark.skipif(GCC is None, reason="there is no C compiler on this machine")
FLAGS = "-std=c99 -O2 -Wall -Wextra -Wpedantic -Wconversion -Werror -fsanitize=undefined".split()


def run(folder: Path, headers: list[str], low: int, high: int) -> np.ndarray[Any, Any]:
    """Every header's function of every number from low to high, a row each, by a compiled program."""
    loops = "\n".join(
        f'    for (int32_t x = {low}; x <= {high}; x++) printf("%d\\n", (int){name}(x));'
        for name in headers
    )
    includes = "\n".join(f'#include "{name}.h"' for name in headers)
    text = f"#include <stdio.h>\n{includes}\nint main(void)\n{{\n{loops}\n    return 0;\n}}\n"
    (folder / "main.c").write_text(text)
    subprocess.run([GCC, *FLAGS, "main.c", "-o", "main"], cwd=folder, check=True)
    done = subprocess.run([folder / "main"], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return np.array(done.stdout.split(), dtype=np.int64).reshape(len(headers), -1)


@compiled
def test_compiled_c_is_right_on_every_input_of_thirty_functions(tmp_path: Path) -> None:
    cases = [(name, scales) for name in oracle.FUNCTIONS for scales in range(3)]
    headers = [f"{name}_{scales}" for name, scales in cases]
    for (name, scales), header in zip(cases, headers, strict=True):
        oracle.table(name, scales).to_c(tmp_path / f"{header}.h", name=header)
    found = run(tmp_path, headers, -140, 140)
    for (name, scales), row in zip(cases, found, strict=True):
        np.testing.assert_array_equal(row[12:-13], oracle.rounded(name, scales), name)
        assert (row[:12] == row[12]).all(), "below the range"
        assert (row[-13:] == row[-14]).all(), "above the range"


@compiled
def test_unsigned_and_16_bits(tmp_path: Path) -> None:
    oracle.table("gelu", 0, signed=False).to_c(tmp_path / "byte.h", name="byte")
    oracle.table("relu", 0, bits=16).to_c(tmp_path / "word.h", name="word")
    (found,) = run(tmp_path, ["byte"], 0, 255)
    np.testing.assert_array_equal(found, oracle.rounded("gelu", 0, signed=False))
    (found,) = run(tmp_path, ["word"], -32768, 32767)
    np.testing.assert_array_equal(found, oracle.rounded("relu", 0, bits=16))


@compiled
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", oracle.FUNCTIONS)
def test_compiled_c_is_right_on_every_input_of_16_bits(name: str, tmp_path: Path) -> None:
    headers = [f"word_{scales}" for scales in range(3)]
    for scales, header in enumerate(headers):
        oracle.table(name, scales, bits=16).to_c(tmp_path / f"{header}.h", name=header)
    for scales, found in enumerate(run(tmp_path, headers, -32768, 32767)):
        np.testing.assert_array_equal(found, oracle.rounded(name, scales, bits=16))


def tflite_knots(function: Any, in_scale: float, out_scale: float, out_zero: int) -> list[int]:
    """`gen_lut` of TFLite's kernels/internal/common.h, in real arithmetic, zero point 0 at the input."""

    def steps(x: Any) -> Any:
        return function(x * mpf(in_scale)) / mpf(out_scale) + out_zero

    def round_(x: Any) -> Any:
        return mp.sign(x) * mp.floor(abs(x) + mpf(0.5))

    knots = []
    for x in range(-32768, 32768, 128):
        sample, after = round_(steps(mpf(x))), round_(steps(mpf(x + 128)))
        bend = (after + sample) / 2 - round_(steps(mpf(x + 64)))
        knots.append(int(mp.floor(sample - mp.floor(bend / 2 + mpf(0.5)))))
    return [min(max(k, -32768), 32767) for k in [*knots, int(round_(steps(mpf(32768))))]]


def tflite_lookup(knots: list[int], x: int) -> int:
    """`lut_lookup_with_interpolation` of the same file."""
    index, offset = 256 + (x >> 7), x & 0x7F
    slope = knots[index + 1] - knots[index]
    return knots[index] + ((slope * offset + 64) >> 7)


@compiled
@pytest.mark.parametrize("name", exhaustive_but(["gelu", "hard_swish"], oracle.FUNCTIONS))
def test_interpolation_is_that_of_tflite(name: str, tmp_path: Path) -> None:
    table = getattr(activations, name).table((2**-12, 0), (2**-12, 0), bits=16, rounding="away")
    knots = tflite_knots(oracle.FUNCTIONS[name], 2**-12, 2**-12, 0)
    np.testing.assert_array_equal(table.knots, knots)
    table.to_c(tmp_path / "line.h", name="line", interpolated=True)
    (found,) = run(tmp_path, ["line"], -32768, 32767)
    np.testing.assert_array_equal(found, [tflite_lookup(knots, x) for x in range(-32768, 32768)])
    np.testing.assert_array_equal(found, table.interpolated())
    error = table.error(interpolated=True)
    assert error.largest >= table.error().largest
    codes = [table[x] for x in range(-32768, 32768)]
    others = sum(int(a) != int(b) for a, b in zip(found, codes, strict=True))
    assert (error.others, table.error().others) == (others, 0)
    assert error.apart == max(abs(int(a) - int(b)) for a, b in zip(found, codes, strict=True))
    told = f"{others:,} of 65,536 codes are not the table's"
    assert (told in str(error)) == (others > 0)


LIMIT, BEND, ROUND = "the output reaches its limit", "the function bends or jumps", "are rounded"


@pytest.mark.parametrize(
    ("name", "scales", "reasons"),
    [
        ("exponential", 0, [LIMIT, BEND, ROUND]),
        ("bent_identity", 0, [LIMIT, BEND, ROUND]),
        ("spiky", 0, [BEND]),
        ("hard_tanh", 1, [BEND, ROUND]),
        ("sigmoid", 0, [ROUND]),
        ("hard_tanh", 0, []),
    ],
)
def test_what_an_interpolation_costs_has_its_causes_counted(
    name: str, scales: int, reasons: list[str]
) -> None:
    table, exact = oracle.table(name, scales, bits=16), oracle.rounded(name, scales, bits=16)
    error = table.error(interpolated=True)
    apart = np.abs(table.interpolated().astype(int) - exact)
    (scale, zero), (out_scale, out_zero) = (table.input, table.output)
    ends = [(128 * i - 32768 - zero) * scale for i in range(513)]
    beyond = [oracle.FLOATS[name](x) / out_scale + out_zero for x in ends]
    limits = np.isin(exact, [-32768, 32767]).reshape(512, 128).any(1)
    limits |= [not (-32769 < a < 32768 and -32769 < b < 32768) for a, b in pairwise(beyond)]
    at_limit = np.repeat(limits, 128)
    groups = {
        LIMIT: apart[at_limit & (apart > 0)],
        BEND: apart[~at_limit & (apart > 1)],
        ROUND: apart[~at_limit & (apart == 1)],
    }
    wanted = [(len(group), group.max()) for group in groups.values() if len(group)]
    assert [(cause.codes, cause.apart) for cause in error.causes] == wanted
    assert len(error.causes) == len(reasons)
    assert all(said in cause.why for said, cause in zip(reasons, error.causes, strict=True))
    assert all(str(cause) in str(error) for cause in error.causes)
    assert table.error().causes == ()


def test_the_last_entry_lies_beyond_the_inputs_and_may_not_be_held() -> None:
    table = activations.exponential.quantise(-4.0, 4.0, 16)
    error = table.error(interpolated=True)
    assert error.saturated == 0
    assert table.knots[512] == 32767
    slope = math.exp(4.0) * table.input.scale / table.output.scale  # in codes, of the last input
    assert LIMIT in error.causes[0].why
    assert error.causes[0].codes < 128
    assert error.causes[0].apart == round(slope)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", [8, 16])
def test_hex_is_addressed_by_the_bits_of_the_input(bits: int, signed: bool, tmp_path: Path) -> None:
    name = "relu" if bits == 16 else "gelu"
    oracle.table(name, 0, bits, signed).to_hex(tmp_path / "table.hex")
    lines = (tmp_path / "table.hex").read_text().splitlines()
    words = [line for line in lines if not line.startswith("//")]  # as $readmemh reads
    assert {len(word) for word in words} == {bits // 4}
    wanted = oracle.rounded(name, 0, bits, signed)
    for code, output in zip(
        range(-(1 << bits - 1) if signed else 0, 1 << bits), wanted, strict=False
    ):
        assert int(words[code % (1 << bits)], 16) == output % (1 << bits)


def test_names_and_formulas_are_safe_in_c(tmp_path: Path) -> None:
    f = activation(lambda x: x * 0.5, name='*/ #error "?" ??/ \N{GREEK SMALL LETTER PI}')
    table = f.table((1.0, 0), (1.0, 0))
    table.to_c(tmp_path / "a.h")
    text = (tmp_path / "a.h").read_text()
    assert text.isascii()
    assert text.count("*/") == 2  # its own two comments
    for wrong in (3, "int", "two words", "", "2x", "tanh"):
        with pytest.raises(CallError, match="name in C"):
            table.to_c(tmp_path / "b.h", name=wrong)
    with pytest.raises(CallError, match="16 bits"):
        table.to_c(tmp_path / "b.h", interpolated=True)
    assert not (tmp_path / "b.h").exists()
