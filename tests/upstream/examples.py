"""Run Apache MXNet's own example scripts (branch v1.9.x, ``example/``), unmodified, on data that is made up here.

    python -m tests.upstream.examples --src CHECKOUT [--only TEXT] [--limit SECONDS] [--jobs N] [--keep FOLDER]

Each script runs as ``mxcompat run --device cpu SCRIPT ARGUMENTS`` in a copy of its folder. Printed is how each ended and its
last line; the command ends with 1 if one fails. The data only shows that scripts run to their end: digits as bars, random
words, ratings, boxes. A script whose modules are not installed here is passed over, and none of them uses Gluon.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
WORDS = [f"w{i}" for i in range(200)]
CLASSES = 3


# -- data ---------------------------------------------------------------------------------------------------------


def digits(folder: Path) -> None:
    """MNIST's files, plain and compressed: the place of a bar is the digit."""
    rng = np.random.RandomState(0)
    for name, count in (("train", 2000), ("t10k", 500)):
        labels = rng.randint(0, 10, count).astype(np.uint8)
        pixels = rng.randint(0, 50, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(pixels, labels):
            image[2 + 2 * label : 6 + 2 * label, 4:24] += 200
        contents = {
            f"{name}-images-idx3-ubyte": struct.pack(">IIII", 2051, count, 28, 28) + pixels.tobytes(),
            f"{name}-labels-idx1-ubyte": struct.pack(">II", 2049, count) + labels.tobytes(),
        }
        for file, content in contents.items():
            (folder / file).write_bytes(content)
            (folder / f"{file}.gz").write_bytes(gzip.compress(content, 1))


def sentences(folder: Path) -> None:
    """Texts for language models, one sentence a line."""
    rng = np.random.RandomState(0)
    for part, count in (("train", 600), ("test", 100), ("valid", 100)):
        lines = (" ".join(rng.choice(WORDS, rng.randint(4, 55))) for _ in range(count))
        (folder / f"sherlockholmes.{part}.txt").write_text("".join(f"{line} \n" for line in lines))


def running_text(folder: Path) -> None:
    """One long line of words."""
    (folder / "text8").write_text(" ".join(np.random.RandomState(0).choice(WORDS, 20_000)))


def ratings(folder: Path) -> None:
    """MovieLens' split of users, films and stars."""
    rng = np.random.RandomState(0)
    target = folder / "ml-10M100K"
    target.mkdir()
    for part, count in (("train", 5000), ("test", 800)):
        rows = zip(rng.randint(1, 700, count), rng.randint(1, 900, count), rng.randint(1, 6, count))
        (target / f"r1.{part}").write_text("".join(f"{user}::{film}::{stars}::1\n" for user, film, stars in rows))


def sparse_rows(folder: Path) -> None:
    """LibSVM files with a million features, and with ten thousand."""
    rng = np.random.RandomState(0)
    for name, count, features in (
        ("avazu-app", 4000, 10**6), ("avazu-app.t", 1000, 10**6), ("train.libsvm", 4000, 10**4), ("test.libsvm", 1000, 10**4),
    ):  # fmt: skip
        with open(folder / name, "w") as file:
            for _ in range(count):
                columns = sorted(set(rng.randint(0, features, 12)))
                file.write(f"{rng.randint(2)} " + " ".join(f"{c}:{rng.rand():.3f}" for c in columns) + "\n")


def incomes(folder: Path) -> None:
    """UCI's table of adults."""
    rng = np.random.RandomState(0)
    for name, count in (("adult.data", 1000), ("adult.test", 300)):
        with open(folder / name, "w") as file:
            for _ in range(count):
                gender, income = rng.choice(["Male", "Female"]), rng.choice(["<=50K", ">50K"])
                file.write(f"{rng.randint(18, 80)}, Private, 1, Bachelors, {rng.randint(1, 16)}, Divorced, Sales, ")
                file.write(f"Wife, White, {gender}, {rng.randint(100)}, 0, 40, Cuba, {income}\n")


def boxes(folder: Path) -> None:
    """Record files of noise with boxes, for detection."""
    import cv2

    import mxcompat as mx

    rng = np.random.RandomState(0)
    for name, count in (("train", 12), ("val", 4)):
        path = str(folder / name)
        record = mx.recordio.MXIndexedRecordIO(path + ".idx", path + ".rec", "w")
        lines = []
        for i in range(count):
            label = [2.0, 6.0]
            for _ in range(1 + i % 2):
                x, y = rng.rand(2) / 2
                label += [float(rng.randint(CLASSES)), x, y, x + 0.3, y + 0.4, 0.0]
            image = rng.randint(0, 255, (200, 240, 3)).astype(np.uint8)
            header = mx.recordio.IRHeader(len(label), label, i, 0)
            record.write_idx(i, mx.recordio.pack(header, cv2.imencode(".jpg", image)[1].tobytes()))
            lines.append("\t".join(map(str, (i, *label, f"{i}.jpg"))) + "\n")
        record.close()
        Path(path + ".lst").write_text("".join(lines))


# -- scripts ------------------------------------------------------------------------------------------------------

SMALL_RNN = "--num-epochs 1 --num-hidden 32 --num-embed 32"
#: folder and command line -> what makes the files of its ``data`` folder
SCRIPTS: dict[tuple[str, str], Callable[[Path], None] | None] = {
    ("module", "mnist_mlp.py"): digits,
    ("module", "sequential_module.py"): digits,
    ("numpy-ops", "weighted_logistic_regression.py"): None,
    ("numpy-ops", "custom_softmax.py"): digits,
    ("numpy-ops", "custom_sparse_sqr.py"): None,
    ("svm_mnist", "svm_mnist.py"): digits,
    ("nce-loss", "toy_nce.py"): None,
    ("nce-loss", "wordvec.py"): running_text,
    ("nce-loss", "wordvec_subwords.py"): running_text,
    ("nce-loss", "lstm_word.py"): running_text,
    ("rnn/bucketing", f"lstm_bucketing.py {SMALL_RNN}"): sentences,
    ("rnn/bucketing", f"cudnn_rnn_bucketing.py {SMALL_RNN}"): sentences,
    ("sparse/matrix_factorization", "train.py --num-epoch 1"): ratings,
    ("sparse/matrix_factorization", "train.py --num-epoch 1 --dense"): ratings,
    (
        "sparse/factorization_machine",
        "train.py --data-train data/train.libsvm --data-test data/test.libsvm --input-size 10000",
    ): sparse_rows,
    ("sparse/linear_classification", "train.py --num-epoch 1 --batch-size 500"): sparse_rows,
    (
        "sparse/linear_classification",
        "train.py --num-epoch 1 --batch-size 500 --kvstore local --optimizer adagrad",
    ): sparse_rows,
    ("sparse/wide_deep", "train.py --num-epoch 1"): incomes,
    ("stochastic-depth", "sd_mnist.py"): digits,
    ("svrg_module/api_usage_example", "example_api_train.py -e 3"): None,
    ("svrg_module/api_usage_example", "example_inference.py -e 3"): None,
    ("profiler", "profiler_ndarray.py"): None,
    ("image-classification", "train_mnist.py --num-epochs 1"): digits,
    ("image-classification", "train_mnist.py --num-epochs 1 --network lenet"): digits,
    (
        "image-classification",
        "train_imagenet.py --benchmark 1 --network resnet --num-layers 18 --batch-size 2 --num-epochs 1 --num-examples 6 "
        "--image-shape 3,64,64",
    ): None,
    (
        "ssd",
        "train.py --network resnet50 --train-path data/train.rec --val-path data/val.rec --val-list data/val.lst "
        "--data-shape 256 --batch-size 2 --end-epoch 1 --frequent 2 --num-example 12 --pretrained= --gpus=",
    ): boxes,
}


def run(source: Path, target: Path, line: str, make: Callable[[Path], None] | None, limit: float) -> str:
    """How a script ended: ``ok``, ``passed over`` or ``FAILED``, and the last line that it printed."""
    shutil.copytree(source, target)
    data = target / "data"
    data.mkdir(exist_ok=True)
    if make is not None:
        make(data)
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "MXCOMPAT_DATA": str(data), "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "mxcompat", "run", "--device", "cpu", *line.split()]
    log = target / "run.log"
    with open(log, "w") as stream:
        try:
            code: int | str = subprocess.run(
                command, cwd=target, env=environment, stdout=stream, stderr=subprocess.STDOUT, timeout=limit
            ).returncode
        except subprocess.TimeoutExpired:
            code = f"no end within {limit:.0f} s"
    printed = log.read_text(errors="replace")
    last = (printed.strip().splitlines() or [""])[-1]
    if code == 0:
        return f"ok           {last}"
    missing = re.search(r"^(ModuleNotFoundError|ImportError): (?!.*mxnet)(.*)", printed, re.MULTILINE)
    return f"passed over  {missing[2]}" if missing else f"FAILED       {code}: {last}"


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser("python -m tests.upstream.examples", description=__doc__)
    parser.add_argument("--src", required=True, metavar="CHECKOUT", help="checkout of apache/mxnet, branch v1.9.x")
    parser.add_argument("--only", default="", metavar="TEXT", help="scripts whose folder and command line contain this")
    parser.add_argument("--limit", type=float, default=300, metavar="SECONDS", help="limit of a script (default: 300)")
    parser.add_argument("--jobs", type=int, default=1, help="scripts that run at a time (default: 1)")
    parser.add_argument("--keep", metavar="FOLDER", help="work here, and leave the files and logs behind")
    options = parser.parse_args(arguments)
    examples = Path(options.src) / "example"
    if not examples.is_dir():
        print(f"tests.upstream.examples: {examples} is not there: --src names a checkout of apache/mxnet")
        return 2
    chosen = [key for key in SCRIPTS if options.only in " ".join(key)]
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(options.jobs) as pool:
        work = Path(options.keep or temporary)

        def one(number: int, script: tuple[str, str]) -> bool:
            folder, line = script
            target = work / f"{number:02d} {folder.replace('/', ' ')}"
            outcome = run(examples / folder, target, line, SCRIPTS[script], options.limit)
            print(f"{folder + '/' + ' '.join(line.split()[:1]):50} {outcome[:120]}", flush=True)
            return not outcome.startswith("FAILED")

        ended = list(pool.map(one, range(len(chosen)), chosen))
    print(f"{sum(ended)} of {len(ended)} scripts without a failure")
    return 0 if all(ended) else 1


if __name__ == "__main__":
    sys.exit(main())
