"""The catalogue itself: every operator is documented, has rows, and keeps what it declares."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

import mxcompat as mx
import mxcompat.ops as ops
from mxcompat.ops import faces, registry
from mxcompat.ops.schema import Operator
from tests import harness, observe, record
from tests.rows import Bad, Case, Row

ENOUGH_ROWS = 3
WITHOUT_ROWS = {"Custom", "_NDArray", "_Native"}  # tests/test_operator.py
WITHOUT_ROWS |= {"_CrossDeviceCopy", "_zeros_without_dtype"}  # the original cannot run them alone
WITHOUT_ROWS |= {"_cvimdecode", "_cvimread"}  # files of their own in tests/ops/test_image_files.py
WITHOUT_ROWS |= {"_sparse_retain", "_square_sum", "_contrib_getnnz"}  # their inputs are sparse: tests/ndarray/test_sparse.py
WITHOUT_ROWS |= {"_contrib_edge_id", "_sparse_adagrad_update", "_contrib_group_adagrad_update"}  # likewise
WITHOUT_ROWS |= {"_foreach", "_while_loop", "_cond"}  # their bodies are the user's: tests/symbol/test_control.py
WITHOUT_ROWS |= {"_contrib_fft", "_contrib_ifft", "_contrib_count_sketch"}  # on gpus alone: test_transforms.py

mx.nd, mx.sym  # noqa: B018 - loads the catalogue
OPERATORS = {op.name: op for op in registry.operators()}
PUBLIC = {".".join(faces.place(name)): op for op in registry.operators() for name in (op.name, *op.aliases)}
FAMILIES = record.families()
for _family in FAMILIES:
    importlib.import_module(f"tests.ops.test_{_family}")


def _all_rows() -> Iterator[tuple[str, Case]]:
    for family in FAMILIES:
        for row in harness.TABLES[family]:
            yield family, row


def _operators_of(family: str, row: Case) -> list[Operator]:
    """The operators a row is about: the one of that public name, else those of its recorded graph."""
    path = row.op if "." in row.op else "op." + row.op
    found = PUBLIC.get(path) or registry.find(path.replace("random.", "_random_", 1))
    if found is not None:
        return [found]
    recorded = harness.golden(family).get(row.id)
    names = [] if recorded is None else [name for name, _ in recorded.facts.get("nodes", [])]
    return [op for op in map(registry.find, names) if op is not None]


ROWS_OF: dict[str, list[tuple[str, Case]]] = defaultdict(list)
for _family, _row in _all_rows():
    for _op in _operators_of(_family, _row):
        ROWS_OF[_op.name].append((_family, _row))


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_is_documented(name: str) -> None:
    first = OPERATORS[name].doc.split("\n\n")[0]
    assert first.endswith((".", ":")), f"{name}: the docstring should begin with a sentence, found {first!r}"


#: the values of these are the user's own code; their tests stand in tests/test_operator.py
CALLBACKS = {"Custom"}


@pytest.mark.parametrize("name", sorted(set(OPERATORS) - CALLBACKS))
def test_operator_has_rows(name: str) -> None:
    rows = [row for _, row in ROWS_OF[name] if not isinstance(row, Bad)]
    assert len(rows) >= ENOUGH_ROWS or name in WITHOUT_ROWS, f"{name} has {len(rows)} rows, expected at least {ENOUGH_ROWS}"


@pytest.mark.parametrize("name", OPERATORS)
def test_outputs_have_storage_of_their_own(name: str) -> None:
    for _, row in ROWS_OF[name]:
        if isinstance(row, Row) and "nd" in row.faces:
            shared = _shared_storages(row)
            assert not shared, f"{row!r}: {shared}"


def _shared_storages(row: Row) -> str:
    before = dict(row.arrays(), **row.aux_arrays())
    handles = {key: mx.nd.array(array, dtype=array.dtype) for key, array in before.items()}
    result = observe.call(observe.find(mx.nd, row.op), row, handles)
    outputs = result if isinstance(result, list) else [result]
    owners: dict[int, str] = {_storage(handle): key for key, handle in handles.items()}
    for index, output in enumerate(outputs):
        owner = owners.setdefault(_storage(output), f"output {index}")
        if owner != f"output {index}" and output.size:
            return f"output {index} shares its storage with {owner}"
    return ""


def _storage(array: Any) -> int:
    return array._data.untyped_storage().data_ptr()


CHANGING = [name for name, op in OPERATORS.items() if op.mutates and not callable(op.mutates)]


@pytest.mark.parametrize("name", [name for name in CHANGING if name not in WITHOUT_ROWS])
def test_declared_changes_happen(name: str) -> None:
    changed = {key for family, row in ROWS_OF[name] for key in _changed(family, row)}
    missing = set(OPERATORS[name].mutates) - changed
    assert not missing, f"{name} declares that it changes {sorted(missing)}, but no row changes these"


@pytest.mark.parametrize("name", OPERATORS)
def test_changes_are_declared(name: str) -> None:
    op = OPERATORS[name]
    for family, row in ROWS_OF[name]:
        if op.variadic is None and op.forward_writes is None:
            undeclared = _changed(family, row) - set(op.mutates) - set(op.aux) - set(getattr(row, "out", ()))
            assert not undeclared, f"{row!r} changes {sorted(undeclared)}, which {name} does not declare"


def _changed(family: str, row: Case) -> set[str]:
    """The inputs that the original changes in this row's imperative call."""
    recorded = harness.golden(family).get(row.id)
    keys = [] if recorded is None else recorded.arrays
    return {key.split("/")[-1] for key in keys if key.startswith("nd/after/")}


def test_functions_have_names_of_their_own() -> None:
    counts = Counter(op.fn.__name__ for op in OPERATORS.values())
    assert [name for name, count in counts.items() if count > 1] == []


def test_names_are_unique() -> None:
    counts = Counter(name for op in OPERATORS.values() for name in (op.name, *op.aliases))
    assert [name for name, count in counts.items() if count > 1] == []


def test_no_row_is_an_orphan() -> None:
    orphans = [f"{family}: {row!r}" for family, row in _all_rows() if not _operators_of(family, row)]
    assert orphans == []


def test_no_record_is_an_orphan() -> None:
    stale = []
    for family in FAMILIES:
        known = {row.id for row in harness.TABLES[family]}
        stale += [f"{family}: {row_id}" for row_id in harness.golden(family) if row_id not in known]
    assert stale == [], "tests/record.py drops these"


def test_every_family_has_a_table() -> None:
    modules = {module.name for module in pkgutil.iter_modules(ops.__path__)}
    with_operators = {op.fn.__module__.rsplit(".", 1)[-1] for op in OPERATORS.values()} & modules
    assert sorted(with_operators - set(FAMILIES) - {"control", "custom"}) == []
