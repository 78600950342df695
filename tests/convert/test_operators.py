"""Every row of the operator tables as a network of one node: the generated module computes what mxcompat does."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")

import torch

import mxcompat as mx
from mxcompat.convert import ConversionError, checkpoint, exports
from mxcompat.convert.translate import translate
from mxcompat.convert.verify import compare
from mxcompat.convert.write import source_text
from tests import harness, observe

FAMILIES = sorted(path.stem for path in (Path(__file__).parents[1] / "ops").glob("test_*.py"))

#: some rows of these are beyond what the written form takes: divisors of 0, infinities, indices outside of a table,
#: numbers that do not fit their type
LIMITED = {
    "Embedding", "broadcast_mod", "rcbrt", "gamma", "amp_multicast", "_internal._mod", "_internal._mod_scalar",
    "_internal._rmod_scalar", "_internal._plus_scalar", "_internal._mul_scalar", "_internal._greater_scalar",
    "_internal._minimum_scalar", "_internal._arange", "_internal._full",
}  # fmt: skip

#: operators with states of their own, and those whose body stays here
REFUSED = {
    "IdentityAttachKLSparseReg", "nanprod", "_internal._scatter_plus_scalar", "_internal._scatter_minus_scalar",
    "image.random_brightness", "image.random_contrast", "image.random_saturation", "image.random_hue",
    *(f"random_pdf_{name}" for name in ("uniform", "normal", "gamma", "exponential", "poisson", "negative_binomial")),
    "random_pdf_generalized_negative_binomial",
}  # fmt: skip


def rows(family: str) -> list[Any]:
    """The rows of a family that symbols can be made of."""
    importlib.import_module(f"tests.ops.{family}")
    table = harness.TABLES.get(family.removeprefix("test_"), [])
    return [row for row in table if row.kind == "row" and "sym" in row.faces]


def networks(row: Any) -> Iterator[tuple[checkpoint.Checkpoint, dict[str, np.ndarray]]]:
    """The row with its first input as the network's and the others stored, then with all of them as inputs."""
    symbol, arrays, aux = observe.compose(mx, row), row.arrays(), row.aux_arrays()
    for free in {1: list(arrays)[:1], 2: list(arrays)}.values():
        stored = {
            name: mx.nd.array(value, dtype=value.dtype) for name, value in {**arrays, **aux}.items() if name not in free
        }
        inputs = {name: arrays[name] for name in free}
        shapes = {name: value.shape for name, value in inputs.items()}
        types = {name: value.dtype.name for name, value in inputs.items()}
        yield checkpoint.make(symbol, stored, shapes, "net", types), inputs
        if len(arrays) < 2:
            return


def outputs(network: checkpoint.Checkpoint, inputs: dict[str, np.ndarray], folder: Path) -> list[np.ndarray]:
    """What the module computes."""
    (folder / "net.py").write_text(source_text(translate(network), network, "net.safetensors"))
    exports._write_safetensors(network, folder / "net.safetensors")
    try:
        module = exports.import_file(folder / "net.py")
        model = module.load(module.Net()).eval()
        values = {exports.legal(name, "data"): torch.from_numpy(value.copy()) for name, value in inputs.items()}
        found = model(*(values[name] for name in exports.argument_names(model)))
    finally:
        exports.forget_files()
    return [output.detach().numpy() for output in (found if isinstance(found, tuple) else (found,))]


def problems(row: Any, folder: Path) -> list[str]:
    """What is wrong with the row's modules, where they are not refused."""
    found = []
    for network, inputs in networks(row):
        try:
            have = outputs(network, inputs, folder)
        except ConversionError:
            continue
        want = checkpoint.reference_outputs(network, inputs)
        tolerance = 2e-3 if row.dtype == "float16" else 1e-4
        names = network.symbol.list_outputs()
        found += [f"{row}: {entry.text()}" for entry in compare(names, want, have, tolerance) if not entry.agrees]
        found += [f"{row}: {b.dtype}, expected {a.dtype}" for a, b in zip(want, have, strict=True) if a.dtype != b.dtype]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_first_rows(family: str, tmp_path: Path) -> None:
    """One row of each operator."""
    first = {row.op: row for row in reversed(rows(family)) if row.op not in LIMITED}
    assert [problem for row in first.values() for problem in problems(row, tmp_path)] == []


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_all_rows(family: str, tmp_path: Path) -> None:
    """All but those of operators whose written form has limits."""
    assert [problem for row in rows(family) if row.op not in LIMITED for problem in problems(row, tmp_path)] == []


def test_operators_that_cannot_be_converted(tmp_path: Path) -> None:
    """Every other operator has a row that can."""
    refused: dict[str, set[bool]] = {}
    for family in FAMILIES:
        for row in rows(family):
            if refused.get(row.op) == {False}:
                continue
            try:
                translate(next(networks(row))[0])
                refused[row.op] = {False}
            except ConversionError:
                refused.setdefault(row.op, {True})
    assert {op for op, found in refused.items() if found == {True}} == REFUSED
