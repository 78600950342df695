"""The files a checkpoint is converted into. Each is made in a folder of its own, verified, and then put in its place."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from mxcompat import ndarray as nd
from mxcompat import symbol as sym
from mxcompat.convert import ConversionError
from mxcompat.convert.checkpoint import Checkpoint, reference_outputs, seeded_inputs
from mxcompat.convert.steps import legal
from mxcompat.convert.translate import translate
from mxcompat.convert.verify import Difference, compare
from mxcompat.convert.write import source_text

__all__ = ["FORMATS", "OutOfTolerance", "Result", "convert", "to_params"]

TOLERANCE = 1e-4
_IMPORTED = "_mxcompat_converted_"


class OutOfTolerance(ConversionError):
    """The converted network computes something else; nothing is written."""

    def __init__(self, message: str, differences: list[Difference]):
        super().__init__(message)
        self.differences = differences


@dataclass
class Result:
    """What was written, how it compares, and notes for the user."""

    files: list[str]
    differences: list[Difference]
    notes: list[str] = field(default_factory=list)


@dataclass
class Job:
    """What is to be made: the file ``name`` in ``folder``, of a checkpoint, verified on ``inputs``."""

    checkpoint: Checkpoint
    folder: Path
    name: str
    inputs: Mapping[str, np.ndarray]
    dynamic: Mapping[str, Sequence[int]]


def convert(
    checkpoint: Checkpoint,
    form: str,
    out: str,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    dynamic: Mapping[str, Sequence[int]] | None = None,
) -> Result:
    """Write the checkpoint as ``form`` (a key of ``FORMATS``) to ``out``, once its outputs agree with mxcompat's.

    ``dynamic`` names axes of inputs whose size a pt2 or ONNX file leaves open. Raises ``OutOfTolerance`` where they do
    not, ``ConversionError`` where an operator or a package stands in the way.
    """
    suffix, make = FORMATS[form]
    path = Path(out) if out.endswith(suffix) else Path(out + suffix)
    if not path.parent.is_dir():
        raise ConversionError(f"{path.parent}: no such folder (-o names the file to write)")
    if dynamic and form not in ("pt2", "onnx"):
        raise ConversionError(f"sizes are left open in pt2 and ONNX files only, not in {form}")
    inputs = seeded_inputs(checkpoint, seed)
    expected = reference_outputs(checkpoint, inputs)
    names = checkpoint.symbol.list_outputs()
    folder = Path(tempfile.mkdtemp(prefix=".mxcompat-", dir=path.parent))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch's exporters say about themselves
            found = make(Job(checkpoint, folder, path.name, inputs, dynamic or {}))
        differences = compare(names, expected, found, tolerance)
        wrong = [difference for difference in differences if not difference.agrees]
        if wrong:
            text = f"{len(wrong)} of {len(names)} outputs differ by more than {tolerance:g} of their largest value"
            raise OutOfTolerance(f"{text}; nothing was written", differences)
        files = _moved(folder, path.parent)
    finally:
        forget_files()
        shutil.rmtree(folder, ignore_errors=True)
    notes = [f"left out, as the symbol does not use them: {', '.join(checkpoint.left_out)}"] if checkpoint.left_out else []
    return Result(files, differences, notes)


def _moved(folder: Path, target: Path) -> list[str]:
    """Put every file of a folder in its place; the paths."""
    places = {file: target / file.name for file in sorted(folder.iterdir())}
    for place in places.values():
        if place.is_dir():
            raise ConversionError(f"{place} is a folder (-o names the file to write)")
    for file, place in places.items():
        os.replace(file, place)
    return [str(place) for place in places.values()]


def need(package: str, extra: str, purpose: str) -> ModuleType:
    """A package of an extra; ``ConversionError`` naming the extra where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConversionError(
            f"{purpose} needs the package {package.split('.')[0]}, which is not installed: pip install 'mxcompat[{extra}]'"
        ) from error


# -- safetensors ------------------------------------------------------------------------------------------------------


def _tensors(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    arrays = {name: np.ascontiguousarray(array.asnumpy()) for name, array in checkpoint.arrays.items()}
    return {name: torch.from_numpy(array) for name, array in sorted(arrays.items())}


def _write_safetensors(checkpoint: Checkpoint, path: Path) -> None:
    module = need("safetensors.torch", "convert", "writing safetensors")
    metadata = {"format": "pt", "symbol": checkpoint.symbol.tojson()}
    path.touch()  # with the permissions of any new file, which the package would narrow
    mode = path.stat().st_mode
    module.save_file(_tensors(checkpoint), str(path), metadata)
    path.chmod(mode)


def _safetensors(job: Job) -> list[np.ndarray]:
    _write_safetensors(job.checkpoint, job.folder / job.name)
    symbol, arrays = read_safetensors(str(job.folder / job.name))
    again = Checkpoint(**{**vars(job.checkpoint), "symbol": symbol, "arrays": arrays})
    return reference_outputs(again, job.inputs)


def read_safetensors(path: str) -> tuple[Any, dict[str, Any]]:
    """``(symbol, NDArray by name)`` of a file that ``convert`` or a converted module wrote."""
    module = need("safetensors", "convert", "reading safetensors")
    if not os.path.isfile(path):
        raise ConversionError(f"{path}: no such file")
    try:
        with module.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
    except Exception as error:  # the package's own error class is not public everywhere
        raise ConversionError(f"{path} cannot be read as safetensors: {error}") from error
    if "symbol" not in metadata:
        raise ConversionError(f"{path} does not hold a symbol; expected a file that mxcompat convert or its module wrote")
    symbol = sym.load_json(metadata["symbol"])
    return symbol, {name: nd.array(tensor.numpy(), dtype=tensor.numpy().dtype) for name, tensor in arrays.items()}


def to_params(source: str, epoch: int, out: str) -> Result:
    """Write ``out-symbol.json`` and ``out-0001.params`` of a safetensors file; they are read again and compared."""
    symbol, arrays = read_safetensors(source)
    prefix = Path(out)
    if not prefix.parent.is_dir():
        raise ConversionError(f"{prefix.parent}: no such folder (-o names the prefix of the files to write)")
    aux = set(symbol.list_auxiliary_states())
    wanted = [*symbol.list_arguments(), *aux]
    spare = sorted(set(arrays) - set(wanted))
    if spare:
        raise ConversionError(f"{source}: the symbol has no {', '.join(spare[:5])}: the two do not belong together")
    named = {f"{'aux' if name in aux else 'arg'}:{name}": array for name, array in arrays.items()}
    folder = Path(tempfile.mkdtemp(prefix=".mxcompat-", dir=prefix.parent))
    try:
        symbol.save(str(folder / f"{prefix.name}-symbol.json"))
        nd.save(str(folder / f"{prefix.name}-{epoch:04d}.params"), named)
        again = nd.load(str(folder / f"{prefix.name}-{epoch:04d}.params"))
        names = sorted(named)
        values = [[group[name].asnumpy() for name in names] for group in (named, again)]
        differences = compare(names, values[0], values[1], 0.0)
        if not all(difference.agrees for difference in differences):
            raise OutOfTolerance("the written arrays differ; nothing was written", differences)
        files = _moved(folder, prefix.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Result(files, differences)


# -- modules and what is exported from them ---------------------------------------------------------------------------


def _write_module(checkpoint: Checkpoint, folder: Path, name: str) -> torch.nn.Module:
    """Write source and weights; the network that they make, in evaluation mode."""
    need("safetensors.torch", "convert", "converting a network")
    weights = Path(name).stem + ".safetensors"
    source = source_text(translate(checkpoint), checkpoint, weights)
    path = folder / (Path(name).stem + ".py")
    path.write_text(source, encoding="utf-8")
    _write_safetensors(checkpoint, folder / weights)
    try:
        module = import_file(path)
        return module.load(module.Net()).eval()
    except Exception as error:
        raise _broken(error) from error


def import_file(path: Path) -> ModuleType:
    """The module of a source file; importing writes no bytecode. ``forget_files`` ends it."""
    spec = importlib.util.spec_from_file_location(f"{_IMPORTED}{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # torch's exporters look there
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def forget_files() -> None:
    """Take the modules of ``import_file`` out of ``sys.modules``."""
    for name in [name for name in sys.modules if name.startswith(_IMPORTED)]:
        del sys.modules[name]


def argument_names(network: torch.nn.Module) -> list[str]:
    """The arguments of ``forward``: inputs, then labels that outputs depend on."""
    code = network.forward.__code__  # type: ignore[union-attr]
    return list(code.co_varnames[1 : code.co_argcount])


def _arguments(job: Job, network: torch.nn.Module) -> dict[str, torch.Tensor]:
    by_name = {legal(name, "data"): torch.from_numpy(value) for name, value in job.inputs.items()}
    return {name: by_name[name] for name in argument_names(network)}


def _arrays(outputs: Any) -> list[np.ndarray]:
    outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    return [output.detach().numpy() for output in outputs]


def _module(job: Job) -> list[np.ndarray]:
    network = _write_module(job.checkpoint, job.folder, job.name)
    try:
        with torch.no_grad():
            return _arrays(network(*_arguments(job, network).values()))
    except Exception as error:
        raise _broken(error) from error


def _broken(error: Exception) -> ConversionError:
    text = str(error).strip().splitlines() or [""]
    return ConversionError(f"the generated source does not run, {type(error).__name__}: {text[0]}; nothing was written")


def _exported(job: Job) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The network of a temporary module, and its arguments."""
    with tempfile.TemporaryDirectory() as folder:
        network = _write_module(job.checkpoint, Path(folder), "net.py")
    return network, _arguments(job, network)


def _open_sizes(job: Job, arguments: Mapping[str, torch.Tensor]) -> tuple[tuple, dict | None]:
    """Example arguments, and their dynamic shapes. An open size is 2 or more there: exporters take 1 for a constant."""
    if not job.dynamic:
        return tuple(arguments.values()), None
    shapes: dict[str, dict[int, Any]] = {}
    examples = []
    for name, value in arguments.items():
        axes = [axis for key, given in job.dynamic.items() if legal(key, "data") == name for axis in given]
        shapes[name] = {axis: torch.export.Dim.DYNAMIC for axis in axes}  # type: ignore[attr-defined]
        for axis in axes:
            value = value.repeat_interleave(2, axis) if value.shape[axis] == 1 else value
        examples.append(value)
    return tuple(examples), shapes


def _failed(what: str, error: BaseException) -> ConversionError:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ConversionError(f"{what} failed, while --to module works: {type(error).__name__}: {lines[0] if lines else ''}")


def _pt2(job: Job) -> list[np.ndarray]:
    network, arguments = _exported(job)
    examples, shapes = _open_sizes(job, arguments)
    try:
        program = torch.export.export(network, examples, dynamic_shapes=shapes)
        torch.export.save(program, job.folder / job.name)
    except Exception as error:  # whatever the exporter meets
        raise _failed("torch.export", error) from error
    return _arrays(torch.export.load(job.folder / job.name).module()(*arguments.values()))


def _onnx(job: Job) -> list[np.ndarray]:
    onnx = need("onnx", "onnx", "ONNX export")
    need("onnxscript", "onnx", "ONNX export")
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)  # absent torchvision
    network, arguments = _exported(job)
    examples, shapes = _open_sizes(job, arguments)
    path = str(job.folder / job.name)
    try:
        with torch.no_grad():
            torch.onnx.export(
                network, examples, path, dynamo=True, input_names=list(arguments), dynamic_shapes=shapes,
                output_names=job.checkpoint.symbol.list_outputs(), external_data=False, verbose=False,
                custom_translation_table={torch.ops.aten.sort.stable: _stable_sort},
            )  # fmt: skip
    except Exception as error:  # whatever the exporter meets
        raise _failed("torch.onnx", error) from error
    return run_onnx(onnx, path, {key: value.numpy() for key, value in arguments.items()})


def _stable_sort(self: Any, *, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
    """ONNX for torch's stable sort, which torch.onnx does not know: TopK of all, which puts the first of equals first."""
    script, ir = importlib.import_module("onnxscript"), importlib.import_module("onnxscript.ir")
    op = script.opset18
    count = op.Gather(op.Shape(self), op.Constant(value_ints=[dim]), axis=0)
    if self.dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
        return op.TopK(self, count, axis=dim, largest=int(descending), sorted=1)
    values, places = op.TopK(op.Cast(self, to=ir.DataType.INT64), count, axis=dim, largest=int(descending), sorted=1)
    return op.Cast(values, to=self.dtype), places


def run_onnx(onnx: ModuleType, path: str, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of an ONNX file, by onnxruntime where it is installed, else by the package's own evaluator."""
    runtime: Any = None
    if importlib.util.find_spec("onnxruntime") is not None:
        runtime = importlib.import_module("onnxruntime")
    if runtime is None:
        return list(importlib.import_module("onnx.reference").ReferenceEvaluator(onnx.load(path)).run(None, dict(inputs)))
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    used = {entry.name for entry in session.get_inputs()}  # an output may not depend on every input
    return session.run(None, {name: value for name, value in inputs.items() if name in used})


Maker = Callable[[Job], Sequence[np.ndarray]]

#: format -> the ending of its file, and what writes it into a folder and says what the file computes
FORMATS: dict[str, tuple[str, Maker]] = {
    "module": (".py", _module),
    "pt2": (".pt2", _pt2),
    "onnx": (".onnx", _onnx),
    "safetensors": (".safetensors", _safetensors),
}
