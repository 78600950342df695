"""Rows of the linear algebra operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.harness import Bad, Row, distinct, positive, rows_test, values


def definite(*shape: int) -> np.ndarray:
    """Symmetric positive definite matrices of whole numbers, well conditioned."""
    root = np.random.RandomState(len(shape)).randint(-2, 3, (*shape[:-1], shape[-1]))
    return (np.matmul(root, np.swapaxes(root, -1, -2)) + 3 * np.diag(np.arange(1, shape[-1] + 1))).astype("float32")


def triangular(*shape: int, lower: bool = True) -> np.ndarray:
    """Matrices with 2 to 4 on the diagonal, small numbers in the triangle, and 9 in the other triangle."""
    drawn = np.random.RandomState(1).randint(-2, 3, shape) / 4 + 3 * np.eye(shape[-1])
    other = 9 * np.ones(shape)
    return (np.tril(drawn) + np.triu(other, 1) if lower else np.triu(drawn) + np.tril(other, -1)).astype("float32")


def double(op: str, array: np.ndarray, params: Any = None) -> Row:
    return Row("linalg." + op, {"A": values(array, "float64")}, params, dtype="float64")


def flagged(op: str, names: Sequence[str], inputs: dict) -> list:
    """One row for each of the flags alone, and one for all of them."""
    return [Row("linalg." + op, inputs, {name: True for name in chosen}) for chosen in [*zip(names), names]]


A, B, C = (3, 4), (4, 2), (3, 2)
LOWER, UPPER = triangular(3, 3), triangular(3, 3, lower=False)
MANY = triangular(2, 3, 3)
SINGULAR = [[1.0, 2.0], [2.0, 4.0]]
STACK = np.array([[[1.0, 2.0], [2.0, 4.0]], [[2.0, 1.0], [1.0, -3.0]]], "float32")
ROOTS = {"transpose": True, "rightside": True}

ROWS = [
    # products
    Row("linalg.gemm", {"A": A, "B": B, "C": C}, compile=True),
    Row("linalg.gemm", {"A": A, "B": B, "C": C}, {"alpha": 0.5, "beta": -2.0}),
    Row("linalg.gemm", {"A": (4, 3), "B": B, "C": C}, {"transpose_a": True}),
    Row("linalg.gemm", {"A": A, "B": (2, 4), "C": C}, {"transpose_b": True}, dtype="float64"),
    Row("linalg.gemm", {"A": (2, 3, 4), "B": (2, 4, 5), "C": (2, 3, 5)}, {"beta": 0.0}),
    Row("linalg.gemm", {"A": (3, 2, 4), "B": (4, 2, 5), "C": (3, 2, 5)}, {"axis": 0, "alpha": 2.0}),
    Row(
        "linalg.gemm",
        {"A": (2, 4, 3, 3), "B": (2, 5, 3, 4), "C": (2, 3, 3, 5)},
        {"axis": 1, "transpose_a": True, "transpose_b": True},
    ),
    Bad("linalg.gemm", {"A": A, "B": B, "C": (1, 2)}, match="C"),
    Bad("linalg.gemm", {"A": A, "B": A, "C": C}, match="cannot multiply"),
    Bad("linalg.gemm", {"A": A, "B": B, "C": C}, dtype="float16"),
    Row("linalg.gemm2", {"A": A, "B": B}, compile=True),
    Row("linalg.gemm2", {"A": A, "B": B}, {"alpha": 3.0}, dtype="float64"),
    Row("linalg.gemm2", {"A": (4, 3), "B": (2, 4)}, {"transpose_a": True, "transpose_b": True}),
    Row("linalg.gemm2", {"A": (2, 3, 4), "B": (2, 5, 4)}, {"transpose_b": True}),
    Row("linalg.gemm2", {"A": (3, 2, 4), "B": (4, 2, 5)}, {"axis": -3}),
    Row("linalg_gemm2", {"A": (2, 2, 3, 4), "B": (2, 2, 4, 1)}),
    Bad("linalg.gemm2", {"A": (1, 2, 3), "B": (2, 3, 2)}, match="agree"),
    Bad("linalg.gemm2", {"A": (3,), "B": (3,)}),
    Bad("linalg.gemm2", {"A": (2, 3), "B": (2, 3, 2)}, match="same number"),
    Bad("linalg.gemm2", {"A": A, "B": B}, {"axis": 1}, match="axis=1"),
    Bad("linalg.gemm2", {"A": A, "B": B}, {"axis": -3}),
    Bad("linalg.gemm2", {"A": A, "B": B}, {"beta": 1.0}, match="beta"),
    Bad("linalg.gemm2", {"A": A, "B": B}, dtype="int32"),
    Row("linalg.trmm", {"A": LOWER, "B": (3, 2)}, compile=True),
    *flagged("trmm", ["transpose", "rightside"], {"A": LOWER, "B": (3, 3)}),
    Row("linalg.trmm", {"A": UPPER, "B": (3, 2)}, {"lower": False, "alpha": -2.0}),
    Row("linalg.trmm", {"A": MANY, "B": (2, 4, 3)}, {"rightside": True}),
    Row("linalg.trmm", {"A": values(UPPER, "float64"), "B": (4, 3)}, {"lower": False, **ROOTS}, dtype="float64"),
    Bad("linalg.trmm", {"A": (2, 3), "B": (2, 3)}),
    Bad("linalg.trmm", {"A": (2, 2), "B": (3, 3)}),
    Bad("linalg.trmm", {"A": (2, 2), "B": (2, 2, 2)}, match="same number"),
    Row("linalg.trsm", {"A": LOWER, "B": (3, 2)}, compile=True),
    *flagged("trsm", ["transpose", "rightside"], {"A": LOWER, "B": (3, 3)}),
    Row("linalg.trsm", {"A": UPPER, "B": (3, 2)}, {"lower": False, "alpha": -2.0}),
    Row("linalg.trsm", {"A": MANY, "B": (2, 4, 3)}, {"rightside": True, "alpha": 0.5}),
    Row("linalg.trsm", {"A": values(UPPER, "float64"), "B": (4, 3)}, {"lower": False, **ROOTS}, dtype="float64"),
    Row("linalg.trsm", {"A": [[0.0, 0.0], [0.0, 1.0]], "B": [[1.0], [1.0]]}, grad=False),
    Bad("linalg.trsm", {"A": (2, 2), "B": (3, 3)}),
    Bad("linalg.trsm", {"A": (2,), "B": (2,)}),
    Row("linalg.syrk", {"A": (2, 3)}, compile=True),
    Row("linalg.syrk", {"A": (2, 3)}, {"transpose": True, "alpha": 0.5}),
    Row("linalg.syrk", {"A": (2, 4, 3)}, {"alpha": -1.0}, dtype="float64"),
    Bad("linalg.syrk", {"A": (3,)}),
    # factorizations
    Row("linalg.potrf", {"A": definite(4, 4)}, compile=True),
    Row("linalg.potrf", {"A": definite(2, 3, 3)}),
    double("potrf", definite(2, 2, 3, 3)),
    Row("linalg.potrf", {"A": [[4.0, 9.0], [2.0, 3.0]]}, tag="one-triangle"),
    Row("linalg.potrf", {"A": [[4.0, 2.0], [9.0, 3.0]]}, {"lower": False}),
    Bad("linalg.potrf", {"A": [[-1.0]]}, match="positive"),
    Bad("linalg.potrf", {"A": (2, 3)}, match="square"),
    Bad("linalg.potrf", {"A": (3,)}),
    Bad("linalg.potrf", {"A": definite(2, 2)}, {"upper": True}, match="upper"),
    Bad("linalg.potrf", {"A": definite(2, 2).astype("float16")}),
    Row("linalg.potri", {"A": LOWER}, compile=True),
    Row("linalg.potri", {"A": MANY}),
    double("potri", MANY),
    Row("linalg.potri", {"A": UPPER}, {"lower": False}),
    Bad("linalg.potri", {"A": [[0.0, 0.0], [0.0, 1.0]]}, match="diagonal"),
    Bad("linalg.potri", {"A": (2, 3)}),
    Row("linalg.gelqf", {"A": distinct((2, 3))}, compile=True),
    Row("linalg.gelqf", {"A": distinct((2, 3, 3))}, rtol=1e-4, atol=1e-5),
    Row("linalg.gelqf", {"A": distinct((2, 2, 4))}, dtype="float64"),
    Row("linalg.gelqf", {"A": [[3.0, 4.0]]}),
    Bad("linalg.gelqf", {"A": (3, 2)}, match="columns"),
    Bad("linalg.gelqf", {"A": (3,)}),
    # rtol and atol: a division by the gaps between eigenvalues
    Row("linalg.syevd", {"A": definite(3, 3)}, compile=True, rtol=1e-4, atol=1e-5),
    Row("linalg.syevd", {"A": definite(2, 4, 4)}, rtol=1e-4, atol=1e-5),
    double("syevd", definite(2, 2, 3, 3)),
    Row("linalg.syevd", {"A": [[2.0, 9.0], [1.0, 2.0]]}, tag="one-triangle"),
    Row("linalg.syevd", {"A": [[2.0, 0.0], [0.0, 2.0]]}, tag="equal-eigenvalues"),
    Bad("linalg.syevd", {"A": (3, 2)}),
    Bad("linalg.syevd", {"A": (3,)}),
    # inverse and determinants
    Row("linalg.inverse", {"A": definite(3, 3)}, compile=True),
    Row("linalg.inverse", {"A": MANY}, rtol=1e-4),
    double("inverse", definite(2, 2, 3, 3)),
    Bad("linalg.inverse", {"A": SINGULAR}),
    Bad("linalg.inverse", {"A": (2, 3)}),
    Bad("linalg.inverse", {"A": (2,)}),
    Row("linalg.det", {"A": definite(3, 3)}, compile=True),
    Row("linalg.det", {"A": MANY}),
    double("det", definite(2, 2, 3, 3)),
    Row("linalg.det", {"A": STACK}),
    Row("linalg.det", {"A": SINGULAR}),
    Bad("linalg.det", {"A": (2, 3)}),
    Bad("linalg.det", {"A": (2,)}),
    Bad("linalg.det", {"A": definite(2, 2).astype("int32")}),
    Row("linalg.slogdet", {"A": definite(3, 3)}, compile=True),
    Row("linalg.slogdet", {"A": STACK}),
    double("slogdet", -definite(2, 1, 3, 3)),
    Row("linalg.slogdet", {"A": SINGULAR}),
    Bad("linalg.slogdet", {"A": (2, 3)}),
    # diagonals and triangles
    Row("linalg.sumlogdiag", {"A": positive((3, 3))}, compile=True),
    Row("linalg.sumlogdiag", {"A": positive((2, 3, 3))}),
    Row("linalg.sumlogdiag", {"A": positive((2, 1, 3, 3))}, dtype="float64"),
    Row("linalg.sumlogdiag", {"A": [[-1.0, 0.0], [0.0, 1.0]]}),
    Bad("linalg.sumlogdiag", {"A": (2, 3)}),
    Bad("linalg.sumlogdiag", {"A": (3,)}),
    Row("linalg.extractdiag", {"A": (3, 3)}, compile=True),
    Row("linalg.extractdiag", {"A": (2, 3, 3)}, {"offset": 1}),
    Row("linalg.extractdiag", {"A": (2, 2, 3, 3)}, {"offset": -2}, dtype="float64"),
    Row("linalg.extractdiag", {"A": (1, 1)}, tag="single"),
    Bad("linalg.extractdiag", {"A": (3, 3)}, {"offset": 3}, match="offset"),
    Bad("linalg.extractdiag", {"A": (2, 3)}),
    Bad("linalg.extractdiag", {"A": (3,)}),
    Row("linalg.makediag", {"A": (3,)}, compile=True),
    Row("linalg.makediag", {"A": (2, 3)}, {"offset": 2}),
    Row("linalg.makediag", {"A": (2, 2, 2)}, {"offset": -1}, dtype="float64"),
    Bad("linalg.makediag", {"A": (2,)}, dtype="int32"),
    *[
        Row("linalg.extracttrian", {"A": (2, 4, 4)}, {"offset": offset, "lower": lower}, compile=offset == 1)
        for offset in (-2, 0, 1)
        for lower in (False, True)
    ],
    Row("linalg.extracttrian", {"A": (3, 3)}, dtype="float64"),
    Bad("linalg.extracttrian", {"A": (3, 3)}, {"offset": -3}),
    Bad("linalg.extracttrian", {"A": (3, 2)}),
    *[
        Row("linalg.maketrian", {"A": (2, 6)}, {"offset": offset, "lower": lower}, compile=offset == 1)
        for offset in (-2, 0, 1)
        for lower in (False, True)
    ],
    Row("linalg.maketrian", {"A": (2, 1, 3)}, dtype="float64"),
    Bad("linalg.maketrian", {"A": (5,)}, match="triangle"),
]

test_rows = rows_test(ROWS, __file__)
