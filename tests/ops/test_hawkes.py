"""Rows of the log-likelihood of Hawkes processes."""

from tests.harness import Bad, Row, ints, positive, rows_test, uniform, values

TRAINED = ("lda", "alpha", "beta")


def _inputs(count=3, kinds=2, length=5, **other):
    inputs = {
        "lda": positive((count, kinds)),
        "alpha": uniform((kinds,), 0.1, 0.9),
        "beta": positive((kinds,)),
        "state": uniform((count, kinds), 0, 1),
        "lags": uniform((count, length), 0.1, 1),
        "marks": ints((count, length), 0, kinds, "int32"),
        "valid_length": ints((count,), 0, length + 1),
        "max_time": uniform((count,), length, 2 * length),
    }
    return dict(inputs, **other)


def _row(count=3, kinds=2, length=5, other=None, **options):
    head = [(count,), uniform((count, kinds), 0, 1)]
    return Row("contrib.hawkesll", _inputs(count, kinds, length, **(other or {})), grad=TRAINED, head=head, **options)


# the original computes exponentials and logarithms in single precision
ROWS = [
    _row(compile=True, rtol=1e-4),
    _row(4, 3, 20, rtol=1e-4),
    _row(4, 3, 7, dtype="float64", rtol=1e-5),
    _row(2, 1, 3, {"valid_length": values([0, 3])}, rtol=1e-4),
    _row(1, 2, 1, rtol=1e-4),
    Bad("contrib.hawkesll", _inputs(beta=positive((3,)))),
    Bad("contrib.hawkesll", _inputs(marks=ints((3, 5), 0, 2, "float32"))),
    Bad("contrib.hawkesll", _inputs(marks=ints((3, 5), 4, 6, "int32")), match="marks", error="MXNetError"),
    Bad("contrib.hawkesll", _inputs(lags=uniform((3, 4), 0, 1))),
]

test_rows = rows_test(ROWS, __file__)
