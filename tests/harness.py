"""The operator harness: a family's test file is a table of rows and one line.

::

    from tests.harness import Bad, Row, ints, rows_test

    ROWS = [
        Row("dot", {"lhs": (3, 4), "rhs": (2, 4)}, {"transpose_b": True}, compile=True),
        Row("take", {"a": (5, 4), "indices": ints((2, 3), 0, 5)}, {"axis": 0}, grad=("a",)),
        Bad("dot", {"lhs": (3, 4), "rhs": (3, 4)}),
    ]
    test_rows = rows_test(ROWS, __file__)

``tests/record.py`` evaluates the rows with real MXNet and keeps the results in ``tests/golden/ops/<family>.npz``. The
test then holds mxcompat against them, each row in several cases: ``schema`` (JSON round trip, names, inference in both
directions), ``sym`` and ``nd`` (values, gradients, auxiliary states, types on each face) and, for rows that say
``compile=True``, ``compiled`` (marked so; the symbol again under ``MXCOMPAT_COMPILE=always``). The kinds of rows and
specs are described in ``tests/rows.py``.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests import golden_store, observe
from tests.rows import FLOATS, Bad, Case, Row, Sampled, distinct, ints, normal, positive, uniform, values

__all__ = ["TABLES", "TOLERANCES", "Bad", "Row", "Sampled", "differences", "distinct", "golden", "golden_path", "ints"]
__all__ += ["normal", "positive", "rows_test", "uniform", "values"]

#: relative and absolute tolerance by element type where a row states none: a few rounding errors of that type; float64
#: allows for parameters that the original keeps in float32. The absolute one grows with the median of large values.
TOLERANCES = {"float16": (2e-3, 1e-3), "float32": (1e-5, 1e-6), "float64": (1e-7, 1e-8)}

#: family -> rows, filled by ``rows_test`` as the families' files are imported
TABLES: dict[str, list[Case]] = {}

RECORD_COMMAND = "record it with the oracle's interpreter: python tests/record.py {}"


def rows_test(rows: Sequence[Case], file: str) -> Callable | None:
    """The parametrized test of a table; ``file`` (``tests/ops/test_<family>.py``) names its golden file."""
    family = os.path.splitext(os.path.basename(file))[0][len("test_") :]
    table = TABLES.setdefault(family, [])
    known = {row.id for row in table}
    for row in rows:
        if row.id in known:
            raise ValueError(f"{family}: row {row!r} occurs twice; give one of them a tag")
        known.add(row.id)
        table.append(row)
    try:
        import pytest
    except ImportError:  # recording needs the table alone
        return None
    params = []
    for row in rows:
        for case in _cases(row):
            marks = [pytest.mark.compiled] if case == "compiled" else []
            params.append(pytest.param(family, row, case, id=f"{row.id}-{case}", marks=marks))

    @pytest.mark.parametrize(("family", "row", "case"), params)
    def test_rows(family: str, row: Case, case: str, monkeypatch: Any) -> None:
        monkeypatch.setenv("MXCOMPAT_COMPILE", "always" if case == "compiled" else "never")
        monkeypatch.setattr("mxcompat.graph.compile._backend_failed", False)  # as an earlier row may have left it
        problems = check_case(importlib.import_module("mxcompat"), family, row, case)
        if problems:
            pytest.fail("\n    ".join([f"{row.id} ({case}): {row!r}", *problems]), pytrace=False)

    return test_rows


def golden_path(family: str) -> str:
    """The golden file of an operator family."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", "ops", family + ".npz")


@functools.lru_cache(maxsize=None)  # noqa: UP033 - also runs on Python 3.8
def golden(family: str) -> dict[str, golden_store.Result]:
    """The recorded results of a family by row id."""
    return golden_store.load(golden_path(family))


def _cases(row: Case) -> list[str]:
    if not isinstance(row, Row):
        return list(row.faces)
    symbolic = ["schema", "sym"] if "sym" in row.faces else []
    return symbolic + (["nd"] if "nd" in row.faces else []) + (["compiled"] if row.compile else [])


def check_case(mx: Any, family: str, row: Case, case: str) -> list[str]:
    """What is wrong with one case of a row, one line each; empty when it agrees with the record."""
    face = "nd" if case == "nd" else "sym"
    if observe.find(getattr(mx, face), row.op) is None:
        return [f"mx.{face} has no {row.op}"]
    if isinstance(row, Bad) and row.error is not None:
        return _check_bad(mx, row, case, row.error)
    expected = golden(family).get(row.id)
    if expected is None:
        return ["nothing is recorded for this row; " + RECORD_COMMAND.format(family)]
    if isinstance(row, Bad):
        return _check_bad(mx, row, case, expected.facts["errors"][case])
    if isinstance(row, Sampled):
        return _check_sample(mx, row, case, expected.facts[case])
    assert isinstance(row, Row)
    if case == "schema":
        return _check_schema(mx, row, expected.facts)
    run = observe.run_imperative if face == "nd" else observe.run_symbol
    found = run(mx, row)
    if case == "compiled" and importlib.import_module("mxcompat.graph.compile")._backend_failed:
        return ["the compiler failed, so this ran eagerly; the captured log says why"]
    recorded = {key: array for key, array in expected.arrays.items() if key.startswith(face + "/")}
    return _compare_all(row, recorded, found)


# -- schema: names, nodes, inference ----------------------------------------------------------------------------


def _check_schema(mx: Any, row: Row, expected: dict[str, Any]) -> list[str]:
    symbol = observe.compose(mx, row)
    text = symbol.tojson()
    again = mx.sym.load_json(text)
    problems = [] if again.tojson() == text else ["the JSON changes when it is loaded and written again"]
    found = json.loads(json.dumps(observe.symbol_facts(mx, row, again)))
    for key, wanted in expected.items():
        if key == "shapes_from":
            for name, shapes in wanted.items() if row.partial else ():
                if shapes is not None and not _as_informed(shapes, found[key][name]):
                    problems.append(f"shapes inferred from {name} alone: expected {shapes}, found {found[key][name]}")
        elif key == "types_from_first" and wanted is not None:
            if row.partial and not _types_as_informed(wanted, found[key]):
                problems.append(f"types inferred from the first input alone: expected {wanted}, found {found[key]}")
        elif wanted is not None and found[key] != wanted:
            problems.append(f"{key}: expected {wanted}, found {found[key]}")
    return problems


def _types_as_informed(expected: list, found: list | None) -> bool:
    """Whether partial types say at least what the original's say; None is an unknown type."""
    if found is None or [len(group) for group in expected] != [len(group) for group in found]:
        return False
    return all(old in (None, new) for groups in zip(expected, found) for old, new in zip(*groups))


def _as_informed(expected: list, found: list | None) -> bool:
    """Whether partial shapes say at least what the original's say; [] is an unknown rank and 0 an unknown size."""
    if found is None or [len(group) for group in expected] != [len(group) for group in found]:
        return False
    pairs = [pair for groups in zip(expected, found) for pair in zip(*groups)]
    return all(not old or len(old) == len(new) and all(a in (0, b) for a, b in zip(old, new)) for old, new in pairs)


# -- values -----------------------------------------------------------------------------------------------------


def _compare_all(row: Row, expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> list[str]:
    problems = [f"{key}: expected but not there" for key in expected if key not in found]
    problems += [f"{key}: there but not expected (changed by the call?)" for key in found if key not in expected]
    for key in expected:
        if key in found:
            problem = differences(expected[key], found[key], row.rtol, row.atol, row.exact)
            if problem:
                problems.append(f"{key}: {problem}")
    return problems


def differences(
    expected: np.ndarray, found: np.ndarray, rtol: float | None = None, atol: float | None = None, exact: bool = False
) -> str:
    """How ``found`` differs from ``expected`` beyond the tolerance; empty when it does not.

    Types and shapes must agree; integers always exactly. An element may be off by ``rtol`` of itself plus ``atol``
    times the median magnitude (at least 1): sums of large terms cancel to small ones.
    """
    if expected.dtype != found.dtype or expected.shape != found.shape:
        return f"expected {expected.shape} {expected.dtype}, found {found.shape} {found.dtype}"
    defaults = TOLERANCES.get(expected.dtype.name, (0.0, 0.0))
    exact = exact or expected.dtype.name not in FLOATS
    rtol = 0.0 if exact else defaults[0] if rtol is None else rtol
    atol = 0.0 if exact else defaults[1] if atol is None else atol
    wide = np.float64 if expected.dtype.name in FLOATS else object
    with np.errstate(all="ignore"):
        first, second = expected.astype(wide), found.astype(wide)
        equal = (expected == found) | ((expected != expected) & (found != found))
        error = np.where(equal, 0, np.abs(first - second)).astype(np.float64)
        finite = np.abs(first[np.isfinite(expected)]) if wide is np.float64 else np.zeros(0)
        scale = max(1.0, float(np.median(finite)) if finite.size else 1.0)
        allowed = np.where(np.isfinite(error), atol * scale + rtol * np.asarray(np.abs(first), np.float64), 0)
        bad = ~equal & ~(error <= allowed)
        if not bad.any():
            return ""
        error = np.where(np.isnan(error), np.inf, error)
        where = np.unravel_index(int(np.argmax(np.where(bad, error, -1))), error.shape)
        relative = error[where] / max(abs(float(first[where])), 1e-30)
    place = tuple(int(i) for i in where)
    limit = "exact" if exact else f"rtol={rtol:g} atol={atol * scale:g}"
    return (
        f"{expected.shape} {expected.dtype}: {int(bad.sum())} of {bad.size} elements differ ({limit}); "
        f"worst at {place}: expected {expected[where]!s}, found {found[where]!s} "
        f"(absolute {error[where]:.3g}, relative {relative:.3g})"
    )


# -- draws and errors -------------------------------------------------------------------------------------------


def _check_sample(mx: Any, row: Sampled, face: str, expected: list) -> list[str]:
    mx.random.seed(7)
    drawn = observe.sample(mx, row, face)
    other = observe.sample(mx, row, face)
    mx.random.seed(7)
    again = observe.sample(mx, row, face)
    found = observe.describe(drawn)
    problems = [] if found == expected else [f"shapes and types: expected {expected}, found {found}"]
    if not all(observe.same_bits(a, b) for a, b in zip(drawn, again)):
        problems.append("the same seed gives another draw")
    if all(observe.same_bits(a, b) for a, b in zip(drawn, other)) and drawn[0].size > 8:
        problems.append("two draws without seeding in between are equal")
    if row.moments is not None:
        problems += _check_moments(drawn[0].astype(np.float64), *row.moments)
    if row.check is not None:
        row.check(*drawn)
    return problems


def _check_moments(drawn: np.ndarray, mean: Any, deviation: Any) -> list[str]:
    mean, deviation = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(deviation, np.float64))
    flat = drawn.reshape(mean.shape + (-1,))
    count = flat.shape[-1]
    centred = flat - flat.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1)
    spread = np.sqrt(np.maximum((centred**4).mean(-1) - variance**2, 0) / count)  # of the sample variance
    problems = []
    if (np.abs(flat.mean(-1) - mean) > 6 * deviation / count**0.5 + 1e-12).any():
        problems.append(f"mean of {count} draws: expected {mean}, found {flat.mean(-1)}")
    if (np.abs(variance - deviation**2) > 6 * spread + 1e-12).any():
        problems.append(f"standard deviation of {count} draws: expected {deviation}, found {np.sqrt(variance)}")
    return problems


def _check_bad(mx: Any, row: Bad, face: str, expected: str) -> list[str]:
    error = observe.failure(mx, row, face)
    if error is None:
        return [] if expected == "none" else [f"expected {expected}, nothing was raised"]
    classes = [kind.__name__ for kind in type(error).__mro__]
    # simple_bind reports as RuntimeError what inference finds; the original finds some of it only when it runs
    if expected not in classes and not (face == "sym" and expected == "MXNetError" and type(error) is RuntimeError):
        return [f"expected {expected}, found {type(error).__name__}: {error}"]
    if row.match is not None and not re.search(row.match, str(error)):
        return [f"the message should match {row.match!r}: {error}"]
    return []
