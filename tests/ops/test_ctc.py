"""Rows of the CTC loss."""

from tests.harness import Bad, Row, rows_test, values

SMOOTH = {"rtol": 1e-3, "atol": 1e-5}  # a recursion over time of sums of exponentials
DATA = (5, 2, 4)


def _loss(label, data=DATA, op="CTCLoss", compiled=False, label_dtype=None, lengths=None, **params):
    inputs = {"data": data, "label": values(label, label_dtype)}
    for name, given in (lengths or {}).items():
        inputs[name] = values(given)
        params["use_" + name] = True
    return Row(op, inputs, params, grad=("data",), compile=compiled, **SMOOTH)


LABELS = {"data": DATA, "label": values([[1, 2], [3, 2]])}

ROWS = [
    _loss([[1, 2], [3, 0]], compiled=True),
    _loss([[0, 0], [1, 0]]),
    _loss([[1, 0, 2], [2, 2, 0]]),
    _loss([[1, 1], [2, 2]], label_dtype="int32"),
    _loss([[1, 1, 5, 0], [2, 2, 2, 3], [0, 0, 0, 0]], data=(20, 3, 6)),
    _loss([[0, 1], [2, -1]], blank_label="last"),
    _loss([[0, 2], [-1, -1]], blank_label="last"),
    _loss([[1, 2], [3, 2]], lengths={"data_lengths": [3, 4]}),
    _loss([[1, 2], [3, 2]], lengths={"label_lengths": [1, 2]}),
    _loss([[1, 2], [3, 2]], lengths={"data_lengths": [3, 5], "label_lengths": [2, 1]}, compiled=True),
    _loss([[1, 2], [3, 2]], lengths={"label_lengths": [0, 2]}),
    _loss([[1, 2], [3, 0]], op="ctc_loss"),
    _loss([[1, 2], [3, 0]], op="contrib.CTCLoss"),
    Bad("CTCLoss", dict(LABELS, label=values([[1, 2, 3, 1, 2, 3], [1, 1, 1, 1, 1, 1]])), match="longer"),
    Bad("CTCLoss", dict(LABELS, label=values([[1, 2], [3, 2], [1, 2]])), match="batch"),
    Bad("CTCLoss", dict(LABELS, label=values([1, 2]))),
    Bad("CTCLoss", dict(LABELS, data=(5, 4))),
]

test_rows = rows_test(ROWS, __file__)
