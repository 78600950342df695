"""Rows of the operators on padded sequences. Lengths get no gradient: the original leaves their arrays as they are."""

from tests.harness import Bad, Row, rows_test, values

OPERATORS = ["SequenceMask", "SequenceLast", "SequenceReverse"]
SHAPES = [(3, 2), (3, 2, 4), (3, 2, 2, 2)]


def _row(op, shape, lengths=None, length_dtype=None, compiled=False, dtype="float32", **params):
    inputs = {"data": shape}
    if lengths is not None:
        inputs["sequence_length"] = values(lengths, length_dtype)
        params["use_sequence_length"] = True
    grad = (
        () if dtype == "int32" or lengths is None and op == "SequenceLast" else ("data",)
    )  # the latter kills the original
    return Row(op, inputs, params, grad=grad or False, exact=True, compile=compiled, dtype=dtype)


def _rows(op, shape):
    rows = [
        _row(op, shape),
        _row(op, shape, [1, 3], compiled=len(shape) == 3),
        _row(op, shape, [2, 1], "int32"),
    ]
    if op != "SequenceReverse":
        rows += [_row(op, shape, axis=1), _row(op, shape, [1, 2, 1], axis=1, compiled=len(shape) == 3)]
    return rows


def _refused(op):
    lengths = {"data": (3, 2), "sequence_length": values([1, 3, 2])}
    return [
        Bad(op, {"data": (3,)}, match="2 axes"),
        Bad(op, lengths, {"use_sequence_length": True}, match="sequence_length"),
        Bad(op, {"data": (3, 2)}, {"axis": 2}, match="axis", error="RuntimeError"),
    ]


ROWS = [
    *[row for op in OPERATORS for shape in SHAPES for row in _rows(op, shape)],
    *[row for op in OPERATORS for row in _refused(op)],
    *[_row(op, (3, 2), [1.9, 3.0], dtype="float64") for op in OPERATORS],
    _row("SequenceMask", (3, 2, 2), [0, 2], value=-2.5),
    _row("SequenceMask", (3, 2, 2), [0, 2], "float32", value=-2.5, dtype="int32"),
    _row("SequenceReverse", (3, 2, 2), [0, 2]),
    Bad("SequenceReverse", {"data": (3, 2)}, {"axis": 1}, match="axis", error="RuntimeError"),
]

test_rows = rows_test(ROWS, __file__)
