"""Numbers read all at once are those read one by one."""

from __future__ import annotations

import numpy as np
import pytest

from mxcompat.io.csv import strtof
from mxcompat.io.digits import plain_rows

FLOAT, LONG = np.dtype(np.float32), np.dtype(np.int64)


def one_by_one(text: bytes) -> np.ndarray:
    return np.array([[strtof(field)[0] for field in line.split(b",")] for line in text.splitlines()], np.float32)


def random_number(rng: np.random.RandomState) -> str:
    digits = "".join(map(str, rng.randint(0, 10, rng.randint(0, 20))))
    fraction = "".join(map(str, rng.randint(0, 10, rng.randint(0 if digits else 1, 16))))
    text = rng.choice(["", "-", "+"]) + digits
    if fraction or rng.rand() < 0.2:
        text += "." + fraction
    if rng.rand() < 0.3:
        text += f"{rng.choice(['e', 'E'])}{rng.choice(['', '-', '+'])}{rng.randint(0, 46):02d}"
    return text


@pytest.mark.parametrize("seed", range(5))
def test_random_numbers(seed: int) -> None:
    rng = np.random.RandomState(seed)
    text = "".join(",".join(random_number(rng) for _ in range(7)) + "\n" for _ in range(200)).encode()
    found = plain_rows(text, 7, FLOAT)
    assert found is not None and found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.int32), one_by_one(text).view(np.int32))


@pytest.mark.parametrize("form", ["%d", "%.0f.", "%.6f", "%.3e", "%.18e", "%g"])
def test_forms(form: str) -> None:
    values = np.random.RandomState(0).normal(0, 100, (50, 3))
    text = "".join(",".join(form % value for value in row) + "\n" for row in values).encode()
    found = plain_rows(text, 3, FLOAT)
    assert found is not None
    np.testing.assert_array_equal(found, one_by_one(text))


def test_whole_numbers() -> None:
    values = np.array([[0, -5], [999999999999999999, -123456789], [7, 42]])
    text = "".join(f"{one},{other}\n" for one, other in values).encode()
    np.testing.assert_array_equal(plain_rows(text, 2, LONG), values)
    assert plain_rows(b"+3\n", 1, np.dtype(np.int32)).dtype == np.int32


@pytest.mark.parametrize(
    "text",
    [
        b"1,2", b"1,2\n3\n", b"1,2,3\n4\n", b"1,\n", b",\n", b"1,-\n", b"1,.\n", b"1,2\n\n3,4\n", b"1 ,2\n", b"0x1,2\n", b"1-2,3\n",
        b"1.2.3,4\n", b"1e,2\n", b"1e+,2\n", b"1e2e3,4\n", b"1e2.5,4\n", b"e5,4\n", b"nan,1\n", b"1,--2\n",
        b"1,0.12345678901234567890\n", b"1,12345678901234567890\n", b"1e123456789,2\n", b"\n",
    ],
)  # fmt: skip
def test_what_is_left_to_others(text: bytes) -> None:
    assert plain_rows(text, 2, FLOAT) is None


@pytest.mark.parametrize("text", [b"010\n", b"1.0\n", b"1e3\n", b"-07\n", b"1234567890123456789\n", b"\n", b"-\n"])
def test_whole_numbers_that_are_left_to_others(text: bytes) -> None:
    assert plain_rows(text, 1, LONG) is None
