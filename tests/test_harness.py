"""The operator harness: stable rows, files that depend on their contents alone, and comparisons that notice."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from tests import golden_store, harness
from tests.harness import Row, distinct, ints, normal, uniform, values
from tests.rows import Spec, as_spec, canonical


def _store(folder: Path, name: str, arrays: dict[str, np.ndarray]) -> Path:
    path = folder / name
    golden_store.save(str(path), {"row": golden_store.Result({"n": 1}, arrays)})
    return path


def test_equal_rows_have_equal_ids_and_options_of_comparison_do_not_count() -> None:
    first = Row("dot", {"lhs": (3, 4), "rhs": (4, 2)}, {"transpose_a": False, "transpose_b": False})
    same = Row(
        "dot", {"lhs": (3, 4), "rhs": (4, 2)}, {"transpose_b": False, "transpose_a": False}, rtol=1.0, compile=True
    )
    assert first.id == same.id
    assert first.id != Row("dot", {"lhs": (3, 4), "rhs": (4, 3)}).id
    assert first.id != Row("dot", {"lhs": (3, 4), "rhs": (4, 2)}, dtype="float64").id


def test_parameter_texts_do_not_depend_on_the_spelling_of_types() -> None:
    assert canonical({"dtype": np.float32, "axis": np.int64(1)}) == canonical({"axis": 1, "dtype": np.float32})
    assert canonical((1, 2)) != canonical([1, 2])


@pytest.mark.parametrize(
    ("spec", "checksum"),
    [
        (normal((5,)), 3600175021),
        (uniform((5,), -1, 1), 992121312),
        (ints((5,), 0, 9), 2940931855),
        (distinct((5,)), 570474461),
    ],
)
def test_values_are_the_same_everywhere(spec: Spec, checksum: int) -> None:
    assert zlib.crc32(spec.build("seed", "float32").tobytes()) == checksum


def test_specs_stand_for_shapes_lists_and_arrays() -> None:
    assert as_spec((2, 3)).build("s", "float64").shape == (2, 3)
    assert as_spec([1, 2]).build("s", "float16").dtype == np.float16
    assert as_spec(np.array([1, 2], np.int8)).build("s", "float32").dtype == np.int8
    assert sorted(distinct((2, 2), 1.0).build("s", "int32").ravel()) == [-2, -1, 0, 1]
    with pytest.raises(TypeError, match="neither a shape tuple"):
        as_spec("3")


def test_golden_files_keep_everything_and_have_the_same_bytes(tmp_path: Path) -> None:
    arrays = {
        "a": np.array([[1.5, np.nan]], np.float32),
        "b": np.array([1.5, np.nan], np.float32),
        "c": np.zeros((0, 2), np.int64),
        "d": np.array([True, False]),
    }
    first = _store(tmp_path, "first.npz", arrays)
    second = _store(tmp_path, "second.npz", dict(reversed(arrays.items())))
    assert first.read_bytes() == second.read_bytes()
    loaded = golden_store.load(str(first))["row"]
    assert loaded.facts == {"n": 1}
    assert {key: (array.dtype, array.shape, array.tobytes()) for key, array in loaded.arrays.items()} == {
        key: (array.dtype, array.shape, array.tobytes()) for key, array in arrays.items()
    }


def test_large_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="row stores 400000 bytes"):
        _store(tmp_path, "large.npz", {"a": np.arange(100000, dtype=np.float32)})


def test_differences_name_the_worst_element() -> None:
    expected = np.array([[1.0, 2.0], [3.0, np.nan]], np.float32)
    found = expected.copy()
    assert harness.differences(expected, found) == ""
    found[1, 0] = 3.1
    assert "1 of 4 elements differ" in harness.differences(expected, found)
    assert "worst at (1, 0): expected 3.0, found 3.1" in harness.differences(expected, found)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (np.float32([1.0]), np.float64([1.0])),
        (np.float32([1.0]), np.float32([[1.0]])),
        (np.float32([1.0]), np.float32([np.nan])),
        (np.float32([np.inf]), np.float32([-np.inf])),
        (np.float32([np.inf]), np.float32([1.0])),
        (np.int64([2**60]), np.int64([2**60 + 1])),
        (np.array([True]), np.array([False])),
        (np.float64([1.0]), np.float64([1.000001])),
    ],
)
def test_differences_are_noticed(expected: np.ndarray, found: np.ndarray) -> None:
    assert harness.differences(expected, found) != ""


def test_exact_rows_notice_one_rounding_error() -> None:
    expected = np.float32([1.0])
    found = np.nextafter(expected, np.float32(2))
    assert harness.differences(expected, found) == ""
    assert harness.differences(expected, found, exact=True) != ""


def test_values_keep_the_type_of_an_array_only() -> None:
    assert values([1, 2]).build("s", "float32").dtype == np.float32
    assert values(np.array([1, 2], np.int32), "int32").build("s", "float32").dtype == np.int32
