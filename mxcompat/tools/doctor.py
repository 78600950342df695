"""``mxcompat doctor``: versions, devices, compiler, settings, and a short test that all of it works together."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator

#: extra -> the modules it brings
EXTRAS = {
    "image": ("cv2",),
    "migrate": ("libcst", "fissix"),
    "convert": ("safetensors",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
}
SETTINGS = ("MXCOMPAT_COMPILE", "MXCOMPAT_EXACT", "MXCOMPAT_ALLOCATOR", "MXCOMPAT_DATA", "OMP_NUM_THREADS")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mxcompat doctor``."""
    parser.add_argument("--no-test", action="store_true", help="leave out the self-test")


def main(args: argparse.Namespace) -> int:
    """Print what was found; 1 if something does not work."""
    for name, value in facts():
        print(f"{name:22} {value}")
    return 0 if args.no_test or _self_test() else 1


def facts() -> Iterator[tuple[str, str]]:
    """What the machine and this installation are like."""
    import torch

    from mxcompat.migrate import alias

    yield "mxcompat", f"{_version('mxcompat')}, in {os.path.dirname(os.path.dirname(__file__))}"
    yield "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield "torch", torch.__version__
    yield "numpy", _version("numpy")
    yield "CPU threads", str(torch.get_num_threads())
    yield "CUDA", _cuda(torch)
    compiler = next((path for path in (shutil.which(name) for name in ("c++", "g++", "clang++")) if path), None)
    yield "C++ compiler", compiler or "none: graphs are not compiled on the CPU"
    yield "dot (drawings)", shutil.which("dot") or "none: plot_network makes Digraphs, rendering them fails"
    for extra, modules in EXTRAS.items():
        absent = [module for module in modules if importlib.util.find_spec(module) is None]
        yield (
            f"extra [{extra}]",
            f"not there ({', '.join(absent)}): pip install 'mxcompat[{extra}]'" if absent else "there",
        )
    yield "import mxnet", "mxcompat" if alias.is_installed() else _real_mxnet()
    for name in SETTINGS:
        if name in os.environ:
            yield name, os.environ[name]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cuda(torch) -> str:  # type: ignore[no-untyped-def]
    if not torch.cuda.is_available():
        return "no device: scripts that ask for mx.gpu() run with mxcompat run --device cpu"
    return ", ".join(f"gpu({i}): {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count()))


def _real_mxnet() -> str:
    spec = importlib.util.find_spec("mxnet")
    where = f"the real one at {spec.origin}" if spec is not None else "not found"
    return f"{where}; under mxcompat run, or after mxcompat.install(), it is mxcompat"


def _self_test() -> bool:
    """Train a small network for some steps, save it, load it, and compare; True if that works."""
    import tempfile

    import numpy as np

    import mxcompat as mx

    start = time.perf_counter()
    try:
        data = mx.sym.Variable("data")
        net = mx.sym.Activation(mx.sym.FullyConnected(data, num_hidden=16), act_type="relu")
        net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=2), name="softmax")
        rng = np.random.RandomState(0)
        points = rng.uniform(-1, 1, (256, 4)).astype("float32")
        train = mx.io.NDArrayIter(points, (points.sum(1) > 0).astype("float32"), 32, label_name="softmax_label")
        module = mx.mod.Module(net)
        module.fit(train, num_epoch=8, optimizer_params={"learning_rate": 0.5}, initializer=mx.init.Xavier())
        accuracy = module.score(train, "acc")[0][1]
        with tempfile.TemporaryDirectory() as folder:
            module.save_checkpoint(os.path.join(folder, "net"), 1)
            again = mx.mod.Module.load(os.path.join(folder, "net"), 1)
            again.bind(train.provide_data, train.provide_label, for_training=False)
            difference = np.abs((again.predict(train) - module.predict(train)).asnumpy()).max()
    except Exception as error:  # whatever is wrong is what the test is for
        print(f"{'self-test':22} FAILED: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    works = accuracy > 0.9 and difference == 0
    outcome = "passed" if works else "FAILED"
    seconds = time.perf_counter() - start
    print(
        f"{'self-test':22} {outcome}: training accuracy {accuracy:.3f}, checkpoint difference {difference:g}, {seconds:.1f} s"
    )
    return works
