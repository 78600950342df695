"""Rows of the products of multi-head attention."""

from tests.harness import Bad, Row, rows_test

SELF_QK = "contrib.interleaved_matmul_selfatt_qk"
SELF_VALUES = "contrib.interleaved_matmul_selfatt_valatt"
OTHER_QK = "contrib.interleaved_matmul_encdec_qk"
OTHER_VALUES = "contrib.interleaved_matmul_encdec_valatt"
SELF = (4, 2, 18)
PAIRS = (5, 2, 12)

ROWS = [
    Row(SELF_QK, {"queries_keys_values": SELF}, {"heads": 2}, compile=True),
    Row(SELF_QK, {"queries_keys_values": SELF}, {"heads": 3}),
    Row(SELF_QK, {"queries_keys_values": (1, 1, 12)}, {"heads": 1}),
    Bad(SELF_QK, {"queries_keys_values": (4, 18)}, {"heads": 2}),
    Bad(SELF_QK, {"queries_keys_values": (4, 2, 16)}, {"heads": 2}, error="MXNetError"),
    Bad(SELF_QK, {"queries_keys_values": SELF}),
    Row(SELF_VALUES, {"queries_keys_values": SELF, "attention": (4, 4, 4)}, {"heads": 2}, compile=True),
    Row(SELF_VALUES, {"queries_keys_values": SELF, "attention": (6, 4, 4)}, {"heads": 3}),
    Row(SELF_VALUES, {"queries_keys_values": (1, 3, 12), "attention": (3, 1, 1)}, {"heads": 1}),
    Bad(SELF_VALUES, {"queries_keys_values": SELF, "attention": (4, 4, 5)}, {"heads": 2}),
    Bad(SELF_VALUES, {"queries_keys_values": SELF, "attention": (4, 4)}, {"heads": 2}),
    Bad(SELF_VALUES, {"queries_keys_values": (4, 2, 16), "attention": (4, 4, 4)}, {"heads": 2}),
    Bad(SELF_VALUES, {"queries_keys_values": SELF, "attention": (3, 4, 4)}, {"heads": 2}, error="MXNetError"),
    Row(OTHER_QK, {"queries": (4, 2, 6), "keys_values": PAIRS}, {"heads": 2}, compile=True),
    Row(OTHER_QK, {"queries": (4, 2, 6), "keys_values": PAIRS}, {"heads": 3}),
    Row(OTHER_QK, {"queries": (5, 2, 6), "keys_values": PAIRS}, {"heads": 1}),
    Bad(OTHER_QK, {"queries": (4, 2, 5), "keys_values": PAIRS}, {"heads": 1}),
    Bad(OTHER_QK, {"queries": (4, 1, 6), "keys_values": PAIRS}, {"heads": 1}),
    Row(OTHER_VALUES, {"keys_values": PAIRS, "attention": (4, 3, 5)}, {"heads": 2}, compile=True),
    Row(OTHER_VALUES, {"keys_values": PAIRS, "attention": (6, 3, 5)}, {"heads": 3}),
    Row(OTHER_VALUES, {"keys_values": PAIRS, "attention": (2, 1, 5)}, {"heads": 1}),
    Bad(OTHER_VALUES, {"keys_values": PAIRS, "attention": (4, 3, 4)}, {"heads": 2}),
    Bad(OTHER_VALUES, {"keys_values": PAIRS, "attention": (2, 3, 5)}, {"heads": 2}),
]

test_rows = rows_test(ROWS, __file__)
