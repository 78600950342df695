"""Every sample file of real MXNet loads to the contents that ``samples.json`` tells, and is written back to the byte."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat import recordio
from mxcompat.io.image_record import ImageLabels

SAMPLES = Path(__file__).parent / "golden" / "samples"
CONTENTS = {
    name: entry
    for name, entry in json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8")).items()
    if not name.startswith("_")
}
ARRAYS = sorted(name for name in CONTENTS if name.endswith((".nd", ".params", ".v0")))
OLDER_ARRAYS = ("handmade_v0.nd", "handmade_v1.nd", "legacy_ndarray.v0")
SYMBOLS = sorted(name for name in CONTENTS if name.endswith(".json"))
STATES = sorted(name for name in CONTENTS if name.endswith(".states"))
#: What MXNet 1.9.1 makes of the checkpoint. ``output_for_input`` in samples.json is no result of these files: it was
#: taken with moving averages that are not in them (theirs are 0 and 1).
PREDICTED = [[0.8886286, 0.05262892, 0.05874246], [0.05057346, 0.02158775, 0.9278388]]
OTHERS = {"convnet-input.npy", "image_png.rec", "indexed.idx", "indexed.rec", "list.lst", "plain.rec"}


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def check_array(array: Any, expected: dict[str, Any]) -> None:
    """Shape, type, values and their checksum; for sparse arrays also the stored parts."""
    values = array.asnumpy()
    assert list(array.shape) == expected["shape"]
    assert values.dtype.name == expected["dtype"]
    assert array.stype == expected.get("stype", "default")
    assert digest(values) == expected["sha256"]
    if expected["values"] is not None:
        assert values.ravel().tolist() == expected["values"]
    for part in ("data", "indices", "indptr"):
        if part in expected:
            check_array(getattr(array, part), expected[part])


def test_every_sample_is_here() -> None:
    assert {path.name for path in SAMPLES.iterdir()} == {*CONTENTS, "samples.json"}
    assert set(CONTENTS) == {*ARRAYS, *SYMBOLS, *STATES, *OTHERS}
    for name, entry in CONTENTS.items():
        content = (SAMPLES / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["file_sha256"]
        assert len(content) == entry.get("bytes", len(content))


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name: str, tmp_path: Path) -> None:
    content = (SAMPLES / name).read_bytes()
    with mx.util.np_shape(name == "np_shape_v3.nd"):
        loaded = mx.nd.load(str(SAMPLES / name))
        if name == "np_shape_v3.nd":
            found = list(loaded.values()) if isinstance(loaded, dict) else loaded
            assert [array.asnumpy().tolist() for array in found] == [[], [1.0, 1.0]]
            assert found[0].shape == (0, 3)
        else:
            expected = CONTENTS[name]["contents"]
            named = loaded if isinstance(loaded, dict) else dict(zip(map(str, range(len(loaded))), loaded))
            assert sorted(named) == sorted(expected)
            for key, array in named.items():
                check_array(array, expected[key])
            assert type(loaded).__name__ == CONTENTS[name].get("loads_as", "dict")
        from_buffer = mx.nd.load_frombuffer(content)
        assert type(from_buffer) is type(loaded)
        mx.nd.save(str(tmp_path / name), loaded)
        again = (tmp_path / name).read_bytes()
        if name not in OLDER_ARRAYS:
            assert again == content
            return
        resaved = mx.nd.load(str(tmp_path / name))
        mx.nd.save(str(tmp_path / name), resaved)
        assert (tmp_path / name).read_bytes() == again


@pytest.mark.parametrize("name", SYMBOLS)
def test_symbols(name: str, tmp_path: Path) -> None:
    expected = CONTENTS[name]
    symbol = mx.sym.load(str(SAMPLES / name))
    for question in ("list_arguments", "list_auxiliary_states", "list_outputs", "attr_dict"):
        if question in expected:
            assert getattr(symbol, question)() == expected[question]
    for key, shape in (("arg_shapes_for_data_2_1_6_6", (2, 1, 6, 6)), ("out_shapes_for_data_1_200", (1, 200))):
        if key in expected:
            arguments, outputs, _ = symbol.infer_shape(data=shape)
            found = arguments if key.startswith("arg") else outputs
            assert [list(shape) for shape in found] == expected[key]
    symbol.save(str(tmp_path / name))
    again = (tmp_path / name).read_bytes()
    if name == "convnet-symbol.json":
        assert again == (SAMPLES / name).read_bytes()
    elif "resaved" in expected:
        assert json.loads(again) == expected["resaved"]
    mx.sym.load(str(tmp_path / name)).save(str(tmp_path / name))
    assert (tmp_path / name).read_bytes() == again


@pytest.mark.parametrize("name", STATES)
def test_states(name: str) -> None:
    content = (SAMPLES / name).read_bytes()
    updater = mx.optimizer.get_updater(mx.optimizer.create("adam" if name == "adam.states" else "sgd"))
    updater.set_states(content)
    expected = CONTENTS[name]["values"]
    assert [str(key) for key in updater.states] == sorted(expected)
    for key, state in updater.states.items():
        wanted = expected[str(key)]
        parts, wanted = (state, wanted) if isinstance(state, tuple) else ([state], [wanted])
        assert len(parts) == len(wanted)
        for array, entry in zip(parts, wanted):
            check_array(array, entry)
    assert updater.get_states() == content


def test_checkpoint_predicts() -> None:
    data = np.load(SAMPLES / "convnet-input.npy")
    module = mx.mod.Module.load(str(SAMPLES / "convnet"), 3, label_names=None)
    module.bind([("data", data.shape)], for_training=False)
    np.testing.assert_allclose(module.predict(data).asnumpy(), PREDICTED, rtol=1e-5, atol=1e-7)


def records_of(name: str) -> list[bytes]:
    reader = recordio.MXRecordIO(str(SAMPLES / name), "r")
    found = list(iter(reader.read, None))
    reader.close()
    return found


@pytest.mark.parametrize("name", ["plain.rec", "image_png.rec"])
def test_records(name: str, tmp_path: Path) -> None:
    found = records_of(name)
    if "records_hex" in CONTENTS[name]:
        assert [record.hex() for record in found] == CONTENTS[name]["records_hex"]
    writer = recordio.MXRecordIO(str(tmp_path / name), "w")
    for record in found:
        writer.write(record)
    writer.close()
    assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes()


def test_indexed_records(tmp_path: Path) -> None:
    names = "indexed.idx", "indexed.rec"
    expected = CONTENTS["indexed.rec"]
    assert (SAMPLES / "indexed.idx").read_text() == expected["index_text"]
    reader = recordio.MXIndexedRecordIO(*(str(SAMPLES / name) for name in names), "r")
    writer = recordio.MXIndexedRecordIO(*(str(tmp_path / name) for name in names), "w")
    assert reader.keys == [entry["key"] for entry in expected["records"]]
    for entry in expected["records"]:
        header, payload = recordio.unpack(reader.read_idx(entry["key"]))
        label = header.label.tolist() if entry["flag"] else header.label
        assert (header.flag, label, header.id, header.id2) == tuple(entry[k] for k in ("flag", "label", "id", "id2"))
        assert payload.hex() == entry["payload"]
        writer.write_idx(entry["key"], recordio.pack(header, payload))
    for stream in (reader, writer):
        stream.close()
    for name in names:
        assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes()


def test_image_record() -> None:
    pytest.importorskip("cv2")
    expected = CONTENTS["image_png.rec"]
    header, pixels = recordio.unpack_img(records_of("image_png.rec")[0])
    assert header.label == expected["label"]
    assert (list(pixels.shape), pixels.dtype.name) == (expected["image"]["shape"], expected["image"]["dtype"])
    assert digest(pixels) == expected["image"]["sha256"]


def test_image_list() -> None:
    rows = CONTENTS["list.lst"]["rows"]
    found = ImageLabels(str(SAMPLES / "list.lst"), 1)
    assert sorted(found.labels) == [row[0] for row in rows]
    assert [found.find(row[0]).tolist() for row in rows] == [np.float32(row[1][:1]).tolist() for row in rows]
    lines = ["\t".join([str(key), *(f"{label:.6f}" for label in labels), name]) for key, labels, name in rows]
    assert "".join(line + "\n" for line in lines) == (SAMPLES / "list.lst").read_text()
