"""Rows of the search for the range of quantized numbers."""

import numpy as np

from tests.harness import Bad, Row, ints, rows_test, values


def _histogram(bins, quantized, high=50, spread=3.0, **options):
    inputs = {"hist": ints((bins,), 0, high), "hist_edges": values(np.linspace(-spread, spread, bins + 1), "float32")}
    return Row(
        "contrib.calibrate_entropy", inputs, {"num_quantized_bins": quantized}, grad=False, partial=False, **options
    )


ROWS = [
    _histogram(41, 9, compile=True),
    _histogram(41, 41),
    _histogram(301, 63, high=3, spread=7.5),
    _histogram(601, 255),
    _histogram(9, 3, high=1),
    Bad("contrib.calibrate_entropy", {"hist": ints((41,), 0, 9), "hist_edges": (41,)}, {"num_quantized_bins": 9}),
    Bad("contrib.calibrate_entropy", {"hist": ints((4,), 0, 9), "hist_edges": (5,)}, {"num_quantized_bins": 3},
         error="MXNetError"),
    Bad("contrib.calibrate_entropy", {"hist": ints((5,), 0, 9), "hist_edges": (6,)}, {"num_quantized_bins": 7},
         error="MXNetError"),
]  # fmt: skip

test_rows = rows_test(ROWS, __file__)
