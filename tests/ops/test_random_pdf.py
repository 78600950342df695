"""Rows of the densities."""

from tests.harness import Bad, Row, ints, positive, rows_test, uniform, values

CONTINUOUS = {
    "uniform": {"low": values([-1.0, 0.0]), "high": values([3.0, 1.0])},
    "normal": {"mu": (2,), "sigma": positive((2,))},
    "gamma": {"alpha": positive((2,)), "beta": positive((2,))},
    "exponential": {"lam": positive((2,))},
}
DISCRETE = {
    "poisson": {"lam": positive((2,))},
    "negative_binomial": {"k": positive((2,)), "p": values([0.3, 0.6])},
    "generalized_negative_binomial": {"mu": positive((2,)), "alpha": positive((2,))},
}


def _rows(name, sample, parameters):
    op = "random_pdf_" + name
    options = {"rtol": 2e-5, "atol": 1e-5, "partial": False}  # the gradients go through a digamma of its own there
    return [
        Row(op, {"sample": sample, **parameters}, compile=True, **options),
        Row(op, {"sample": sample, **parameters}, {"is_log": True}, **options),
        Row(op, {"sample": sample, **parameters}, {"is_log": True}, dtype="float64", **options),
    ]


ROWS = [
    *[row for name, parameters in CONTINUOUS.items() for row in _rows(name, positive((2, 3)), parameters)],
    *[row for name, parameters in DISCRETE.items() for row in _rows(name, ints((2, 3, 2), 0, 6), parameters)],
    *_rows("dirichlet", uniform((2, 4, 3), 0.1, 0.9), {"alpha": positive((2, 3))}),
    Row("random_pdf_dirichlet", {"sample": values([0.2, 0.3, 0.5]), "alpha": positive((3,))}, rtol=1e-5, partial=False),
    Row("random_pdf_normal", {"sample": (2, 3), "mu": (2, 3), "sigma": positive((2, 3))}, rtol=2e-5, partial=False),
    Bad("random_pdf_normal", {"sample": (2,), "mu": (2, 3), "sigma": positive((2, 3))}),
    Bad("random_pdf_normal", {"sample": (2, 3), "mu": (3,), "sigma": positive((3,))}),
    Bad("random_pdf_poisson", {"sample": ints((2, 3), 0, 5), "lam": ints((2,), 1, 3)}, dtype="int32"),
    Bad("random_pdf_dirichlet", {"sample": positive((2, 3)), "alpha": positive((2, 4))}),
]

test_rows = rows_test(ROWS, __file__)
