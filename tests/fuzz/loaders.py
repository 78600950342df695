"""Every loader of files: sets of good files, which of them are damaged, and a function that reads one set."""

from __future__ import annotations

import base64
import contextlib
import functools
import gzip
import io
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import mxcompat as mx
from mxcompat import recordio
from mxcompat.__main__ import main
from mxcompat.base import MXNetError
from mxcompat.formats import images

GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLES = GOLDEN / "samples"

Files = dict[str, bytes]


@dataclass(frozen=True)
class Loader:
    """``sets`` are the good files by name; ``targets`` ends of the names that are damaged; ``source`` is what errors
    have to name (default: one of the files); ``weight`` its share of the mutants."""

    sets: list[Files]
    load: Callable[[str], Any]
    targets: tuple[str, ...] = ("",)
    source: str = ""
    weight: int = 1
    room: int = 16 << 20  # bytes that may be claimed beside what the files explain


def _samples(*endings: str) -> list[Path]:
    return sorted(path for path in SAMPLES.iterdir() if path.name.endswith(endings))


def _only(folder: str) -> str:
    (name,) = os.listdir(folder)
    return os.path.join(folder, name)


# -- arrays -------------------------------------------------------------------------------------------------------


def touch(content: Any) -> None:
    """Read every number of what was loaded."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, (list, tuple)):
        for entry in content:
            touch(entry)
    elif getattr(content, "stype", "default") != "default":
        for part in ("data", "indices", *(["indptr"] if content.stype == "csr" else [])):
            getattr(content, part).asnumpy().tobytes()
    elif hasattr(content, "asnumpy"):
        content.asnumpy().tobytes()


def _array_sets() -> list[Files]:
    return [{path.name: path.read_bytes()} for path in _samples(".nd", ".params", ".v0")]


def _load_arrays(folder: str) -> None:
    path = _only(folder)
    with mx.util.np_shape("np_shape" in path):
        touch(mx.nd.load(path))


def _load_buffer(folder: str) -> None:
    path = _only(folder)
    with mx.util.np_shape("np_shape" in path):
        touch(mx.nd.load_frombuffer(Path(path).read_bytes()))


# -- graphs and checkpoints ---------------------------------------------------------------------------------------


def _graph_sets() -> list[Files]:
    sets = [{path.name: path.read_bytes()} for path in _samples("-symbol.json", "_000800.json")]
    loop = mx.sym.contrib.foreach(
        lambda item, state: (item + state, item * 2), mx.sym.Variable("data"), mx.sym.Variable("state")
    )
    return [*sets, {"loop-symbol.json": mx.sym.Group([loop[0], loop[1]]).tojson().encode()}]


def _use_symbol(symbol: Any) -> None:
    symbol.list_arguments(), symbol.list_auxiliary_states(), symbol.list_outputs(), symbol.attr_dict()
    mx.sym.load_json(symbol.tojson())


def _load_symbol(folder: str) -> None:
    _use_symbol(mx.sym.load(_only(folder)))


def _load_json(folder: str) -> None:
    try:
        text = Path(_only(folder)).read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return  # there is no such str
    _use_symbol(mx.sym.load_json(text))


def _checkpoint_sets() -> list[Files]:
    return [{name: (SAMPLES / name).read_bytes() for name in ("convnet-symbol.json", "convnet-0003.params")}]


def _load_checkpoint(folder: str) -> None:
    _, arguments, auxiliary = mx.model.load_checkpoint(os.path.join(folder, "convnet"), 3)
    touch([arguments, auxiliary])


@functools.cache
def _cell() -> Any:
    return mx.rnn.LSTMCell(3, prefix="lstm_")


def _rnn_sets() -> list[Files]:
    outputs, _ = _cell().unroll(2, mx.sym.Variable("data"), merge_outputs=True)
    gates = {f"lstm_{way}{gate}": gate for way in ("i2h", "h2h") for gate in ("_i", "_f", "_c", "_o")}
    params = {f"arg:{name}_weight": mx.nd.ones((3, 2 if "i2h" in name else 3)) for name in gates}
    params.update({f"arg:{name}_bias": mx.nd.ones((3,)) for name in gates})
    return [{"lstm-symbol.json": outputs.tojson().encode(), "lstm-0001.params": _bytes_of_arrays(params)}]


def _bytes_of_arrays(params: dict[str, Any]) -> bytes:
    from mxcompat.formats import arrays

    return arrays.dumps([arrays.ArrayRecord.dense(array.asnumpy()) for array in params.values()], list(params))


def _load_rnn(folder: str) -> None:
    _, arguments, _ = mx.rnn.load_rnn_checkpoint(_cell(), os.path.join(folder, "lstm"), 1)
    touch(arguments)


# -- optimizer states ---------------------------------------------------------------------------------------------


def _state_sets() -> list[Files]:
    sets = [{path.name: path.read_bytes()} for path in _samples(".states")]
    recorded = json.loads((GOLDEN / "formats" / "states.json").read_text(encoding="utf-8"))
    sets += [{f"{name}.states": base64.b64decode(text)} for name, text in recorded.items()]
    for name in ("adam", "sgd", "ftml"):
        optimizer = mx.optimizer.create(name, learning_rate=0.01, lr_scheduler=mx.lr_scheduler.FactorScheduler(3))
        updater = mx.optimizer.get_updater(optimizer)
        updater(0, mx.nd.ones((2, 3)), mx.nd.ones((2, 3)))
        sets.append({f"own-{name}.states": updater.get_states(dump_optimizer=True)})
    return sets


@functools.cache
def _store() -> Any:
    store = mx.kv.create("local")
    store.set_optimizer(mx.optimizer.create("adam"))
    return store


@functools.cache
def _module() -> Any:
    net = mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2), name="out")
    module = mx.mod.Module(net, label_names=["out_label"])
    module.bind([("data", (2, 3))], [("out_label", (2, 2))])
    module.init_params()
    module.init_optimizer(kvstore=None, optimizer="adam")
    return module


def _load_states_of_store(folder: str) -> None:
    _store().load_optimizer_states(_only(folder))
    touch(_store()._updater.states)


def _load_states_of_module(folder: str) -> None:
    _module().load_optimizer_states(_only(folder))
    touch(_module()._updater.states)


# -- records ------------------------------------------------------------------------------------------------------


def _packed(records: list[bytes]) -> tuple[bytes, bytes]:
    """A record file and its index."""
    from mxcompat.formats.recordio import record_chunks

    content, index = b"", ""
    for key, record in enumerate(records):
        index += f"{key}\t{len(content)}\n"
        content += b"".join(record_chunks(record))
    return content, index.encode()


def _record_sets() -> list[Files]:
    return [{path.name: path.read_bytes()} for path in _samples(".rec")]


def _indexed_sets() -> list[Files]:
    content, index = _packed([recordio.pack((0, float(i), i, 0), bytes(range(40 * i))) for i in range(5)])
    names = ("indexed.rec", "indexed.idx")
    return [dict(zip(names, [(SAMPLES / name).read_bytes() for name in names])), dict(zip(names, [content, index]))]


def _load_records(folder: str) -> None:
    reader = recordio.MXRecordIO(_only(folder), "r")
    try:
        while reader.read() is not None:
            pass
    finally:
        reader.close()


def _load_indexed(folder: str) -> None:
    reader = recordio.MXIndexedRecordIO(*(os.path.join(folder, f"indexed.{kind}") for kind in ("idx", "rec")), "r")
    try:
        for key in reader.keys:
            reader.read_idx(key)
    finally:
        reader.close()


def _pictures(ending: str, label: Callable[[int], Any]) -> tuple[bytes, bytes]:
    rng = np.random.RandomState(3)
    drawn = [rng.randint(0, 256, (16 + i, 14, 3)).astype(np.uint8) for i in range(6)]
    drawn[1] = np.zeros((200, 300, 3), np.uint8)
    quality = 3 if ending == ".png" else 90
    return _packed([recordio.pack_img((0, label(i), i, 0), x, quality, ending) for i, x in enumerate(drawn)])


def _picture_sets() -> list[Files]:
    jpeg, index = _pictures(".jpg", float)
    png, _ = _pictures(".png", lambda i: [i, 0.5])
    listing = "".join(f"{i}\t{i / 2:f}\timg/{i}.jpg\n" for i in range(6)).encode()
    return [
        {"set.rec": jpeg},
        {"set.rec": png},
        {"set.rec": jpeg, "set.idx": index},
        {"set.rec": jpeg, "set.lst": listing},
        {"set.rec": jpeg, "set.idx": index, "set.lst": listing},
    ]


def _box_sets() -> list[Files]:
    def label(i: int) -> list[float]:
        return [2, 5, *[i % 3, 0.1, 0.2, 0.6, 0.9] * (1 + i % 2)]

    jpeg, _ = _pictures(".jpg", label)
    listing = "".join(
        "\t".join([str(i), *(f"{number:f}" for number in label(i)), f"img/{i}.jpg"]) + "\n" for i in range(6)
    )
    return [{"set.rec": jpeg}, {"set.rec": jpeg, "set.lst": listing.encode()}]


def _epoch(iterator: Any) -> None:
    for batch in iterator:
        touch([batch.data, batch.label])


def _options(folder: str) -> dict[str, str]:
    names = {"rec": "path_imgrec", "idx": "path_imgidx", "lst": "path_imglist"}
    return {names[name.rpartition(".")[2]]: os.path.join(folder, name) for name in os.listdir(folder)}


def _load_pictures(folder: str) -> None:
    options: dict[str, Any] = _options(folder)
    options["shuffle"] = "path_imgidx" in options
    options["rand_crop"] = "path_imglist" in options
    _epoch(
        mx.io.ImageRecordIter(
            **options, data_shape=(3, 8, 8), batch_size=4, preprocess_threads=1, resize=10, verbose=False, seed=1
        )
    )


def _load_two_labels(folder: str) -> None:
    _epoch(
        mx.io.ImageRecordIter(
            **_options(folder), data_shape=(3, 8, 8), batch_size=4, preprocess_threads=1, label_width=2, verbose=False
        )
    )


def _load_by_augmenters(folder: str) -> None:
    _epoch(mx.image.ImageIter(4, (3, 8, 8), **_options(folder)))


def _load_boxes(folder: str) -> None:
    _epoch(
        mx.io.ImageDetRecordIter(
            **_options(folder), data_shape=(3, 12, 12), batch_size=4, preprocess_threads=1, verbose=False,
            rand_crop_prob=0.5, rand_pad_prob=0.5, max_pad_scale=2, rand_mirror_prob=0.5,
        )
    )  # fmt: skip


# -- numbers in files ---------------------------------------------------------------------------------------------


def _csv_sets() -> list[Files]:
    whole = {"data.csv": b"1,2,3\n4,5,6\n-7,8e-2,9.25\n1,0,1\n.5,6.,1e3\n", "label.csv": b"0\n1\n2\n3\n4\n"}
    plain = {"data.csv": b"1,2,3\n4,5,6\n7,8,9\n1,0,1\n", "label.csv": b"0\n1\n2\n3\n"}
    return [whole, {"data.csv": whole["data.csv"]}, plain]


def _load_csv(dtype: str, folder: str) -> None:
    options = {f"{name[:-4]}_csv": os.path.join(folder, name) for name in os.listdir(folder)}
    try:
        _epoch(mx.io.CSVIter(**options, data_shape=(3,), batch_size=2, dtype=dtype))
    except StopIteration:
        pass  # as in the original: there is no row


def _libsvm_sets() -> list[Files]:
    whole = {
        "data.libsvm": b"1 0:1.5 2:3\n0 1:2 # comment\n2\n1.5 0:1 1:2 2:3e1 3:4\n0 qid:3 3:1\n",
        "label.libsvm": b"0 0:1\n0 1:1\n0 0:2 1:1\n0\n0 1:3\n",
    }
    return [whole, {"data.libsvm": whole["data.libsvm"]}]


def _load_libsvm(folder: str) -> None:
    options: dict[str, Any] = {f"{name[:-7]}_libsvm": os.path.join(folder, name) for name in os.listdir(folder)}
    if "label_libsvm" in options:
        options["label_shape"] = (2,)
    try:
        for batch in mx.io.LibSVMIter(**options, data_shape=(4,), batch_size=2):
            touch([array.tostype("default") for array in (*batch.data, *batch.label)])
    except StopIteration:
        pass  # as in the original: there is no row


def _mnist_sets() -> list[Files]:
    pixels = np.arange(5 * 4 * 3, dtype=np.uint8).tobytes()
    plain = {
        "images": struct.pack(">iiii", 2051, 5, 4, 3) + pixels,
        "labels": struct.pack(">ii", 2049, 5) + bytes([3, 1, 4, 1, 5]),
    }
    return [plain, {name: gzip.compress(content, mtime=0) for name, content in plain.items()}]


def _load_mnist(folder: str) -> None:
    paths = {name[:-1]: os.path.join(folder, name) for name in ("images", "labels")}
    for flat in (False, True):
        try:
            _epoch(mx.io.MNISTIter(**paths, batch_size=2, flat=flat, silent=True))
        except StopIteration:
            pass  # as in the original: there is no batch


# -- commands -----------------------------------------------------------------------------------------------------


def _run(*arguments: str) -> None:
    """A command of ``mxcompat``; what it says of a failure as ``MXNetError``."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = main(arguments)
    if "Traceback" in errors.getvalue():
        raise AssertionError(errors.getvalue())
    if code:
        raise MXNetError(errors.getvalue() + output.getvalue())


def _inspect(folder: str) -> None:
    _run("inspect", "--stats", _only(folder))
    _run("inspect", "--format", "json", _only(folder))


def _of_records(action: str, folder: str) -> None:
    path = os.path.join(folder, "indexed.rec")
    mended = os.path.join(folder, "mended.rec")
    options = {"repair": ("-o", mended), "extract": ("-o", os.path.join(folder, "content"))}.get(action, ())
    _run("rec", action, path, *options)
    if action == "repair":
        _run("rec", "check", mended)


def _inspect_sets() -> list[Files]:
    return [*_array_sets(), *_graph_sets(), *_state_sets(), *_record_sets(), {"i.idx": b"0\t0\n1\t36\n2\t84\n"}]


@functools.cache
def loaders() -> dict[str, Loader]:
    """All loaders by name; those of images only where OpenCV is installed."""
    records = ("rec", "idx")
    found = {
        "nd.load": Loader(_array_sets(), _load_arrays, weight=6),
        "nd.load_frombuffer": Loader(_array_sets(), _load_buffer, source="<buffer>", weight=2),
        "sym.load": Loader(_graph_sets(), _load_symbol, weight=6),
        "sym.load_json": Loader(_graph_sets(), _load_json, source="<json>"),
        "checkpoint": Loader(_checkpoint_sets(), _load_checkpoint, weight=2),
        "rnn checkpoint": Loader(_rnn_sets(), _load_rnn),
        "states, kvstore": Loader(_state_sets(), _load_states_of_store, weight=3),
        "states, Module": Loader(_state_sets(), _load_states_of_module, weight=2),
        "MXRecordIO": Loader(_record_sets(), _load_records, weight=2),
        "MXIndexedRecordIO": Loader(_indexed_sets(), _load_indexed, records, weight=2),
        "CSVIter": Loader(_csv_sets(), functools.partial(_load_csv, "float32"), weight=3),
        "CSVIter, int32": Loader(_csv_sets()[-1:], functools.partial(_load_csv, "int32"), weight=1),
        "LibSVMIter": Loader(_libsvm_sets(), _load_libsvm, weight=3),
        "MNISTIter": Loader(_mnist_sets(), _load_mnist, weight=2),
        "inspect": Loader(_inspect_sets(), _inspect, weight=3),
    }
    for action in ("check", "repair", "ls", "extract"):
        found[f"rec {action}"] = Loader(_indexed_sets(), functools.partial(_of_records, action), records)
    if images.opencv() is not None:
        room = 48 << 20  # decoded images are larger than their files
        found["ImageRecordIter"] = Loader(
            [s for i, s in enumerate(_picture_sets()) if i != 1], _load_pictures, weight=4, room=room
        )
        found["ImageRecordIter, 2 labels"] = Loader(_picture_sets()[1:2], _load_two_labels, weight=1, room=room)
        found["image.ImageIter"] = Loader(
            [files for files in _picture_sets() if "set.idx" in files] + _picture_sets()[:1],
            _load_by_augmenters,
            weight=2,
            room=room,
        )
        found["ImageDetRecordIter"] = Loader(_box_sets(), _load_boxes, weight=3, room=room)
    return found
