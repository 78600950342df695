"""The rules that keep files safe, at the public functions: errors name the file, nothing is believed before it is checked."""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat import recordio
from mxcompat.__main__ import main
from mxcompat.base import MXNetError
from mxcompat.formats import arrays
from mxcompat.formats.recordio import MAGIC, record_chunks

ROOT = Path(__file__).parents[1]
SAMPLES = Path(__file__).parent / "golden" / "samples"


def graph(**changes: Any) -> dict[str, Any]:
    found = json.loads(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc").tojson())
    found.update(changes)
    return found


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def module(optimizer: str = "adam", kvstore: Any = None) -> Any:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    made = mx.mod.Module(mx.sym.LinearRegressionOutput(net, name="out"), label_names=["out_label"])
    made.bind([("data", (2, 3))], [("out_label", (2, 2))])
    made.init_params()
    made.init_optimizer(kvstore=kvstore, optimizer=optimizer)
    return made


class Evil:
    """Runs a command when plainly unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


class TestStates:
    def test_a_file_that_would_run_code_does_not(self, tmp_path: Path) -> None:
        path, touched = tmp_path / "net.states", tmp_path / "touched"
        store = mx.kv.create("local")
        store.set_optimizer(mx.optimizer.create("sgd"))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for content in ({0: Evil(touched)}, ({0: None}, Evil(touched)), Evil(touched)):
                path.write_bytes(pickle.dumps(content, protocol))
                for load in (module().load_optimizer_states, store.load_optimizer_states):
                    with pytest.raises(MXNetError, match=r"net\.states: .*is refused"):
                        load(str(path))
                assert main(["inspect", str(path)]) == 2
        assert not touched.exists()

    @pytest.mark.parametrize("content", [b"", b"\x80\x04", b"junk", pickle.dumps([1]), pickle.dumps({0: b"x"})[:-3]])
    def test_a_damaged_file_is_named_and_changes_nothing(self, tmp_path: Path, content: bytes) -> None:
        path = written(tmp_path / "net.states", content)
        trained = module()
        before = trained._updater.states
        with pytest.raises(MXNetError, match=r"net\.states: "):
            trained.load_optimizer_states(path)
        assert trained._updater.states is before

    def test_bytes_behind_are_reported_by_file(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = written(tmp_path / "net.states", pickle.dumps({0: None}) + b"xy")
        module().load_optimizer_states(path)
        assert any(path in message and "2 bytes" in message for message in caplog.messages)


class TestArrays:
    def test_what_cannot_be_an_array_here_names_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.params"
        arrays.save(path, [arrays.ArrayRecord("float32", (), None)], ["w"])
        with pytest.raises(MXNetError, match=r"a\.params: array 'w': .*without memory"):
            mx.nd.load(str(path))
        with pytest.raises(MXNetError, match=r"<buffer>: array 'w'"):
            mx.nd.load_frombuffer(path.read_bytes())
        with pytest.raises(MXNetError, match=r"np_shape_v3\.nd: array .*NumPy shape semantics"):
            mx.nd.load(str(SAMPLES / "np_shape_v3.nd"))

    def test_an_overlong_name(self, tmp_path: Path) -> None:
        content = struct.pack("<QQQ", 0x112, 0, 1) + arrays.dump_record(arrays.ArrayRecord.dense(np.zeros(1, "f4")))
        for length in (2, 2**31, 2**63, 2**64 - 1):
            path = written(tmp_path / "a.params", content + struct.pack("<QQ", 1, length) + b"w")
            with pytest.raises(MXNetError, match=rf"a\.params: offset \d+: truncated: name 0 takes {length} bytes"):
                mx.nd.load(path)

    def test_names_without_a_kind(self, tmp_path: Path) -> None:
        mx.nd.save(str(tmp_path / "net-0001.params"), {"weight": mx.nd.zeros(1)})
        for kind in (MXNetError, ValueError):
            with pytest.raises(kind, match=r"net-0001\.params: array 'weight'"):
                mx.model.load_params(str(tmp_path / "net"), 1)

    def test_weights_that_do_not_fit_the_cells(self, tmp_path: Path) -> None:
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2)
        mx.model.save_checkpoint(str(tmp_path / "net"), 1, net, {"w": mx.nd.zeros(1)}, {})
        for kind in (MXNetError, KeyError):
            with pytest.raises(kind, match=r"net-0001\.params: not the weights of the cells"):
                mx.rnn.load_rnn_checkpoint(mx.rnn.LSTMCell(3), str(tmp_path / "net"), 1)


class TestSymbols:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            (lambda: graph(heads=[[3, 7, 0]]), r"a head reads output 7 of fc, which has 1"),
            (lambda: graph(heads=[[9, 0, 0]]), r"heads entry 0 names node 9, the graph has 4 nodes"),
            (lambda: graph(arg_nodes=[0, 99]), r"arg_nodes holds 99"),
            (lambda: graph(node_row_ptr=[float("nan")]), "NaN is no number of JSON"),
            (lambda: graph(attrs={"mxnet_version": ["int", float("inf")]}), "Infinity is no number"),
            (lambda: graph(attrs={"mxnet_version": ["int", 10**5000]}), "integer string conversion"),
        ],
    )
    def test_refused(self, tmp_path: Path, changed: Any, message: str) -> None:
        try:
            text = json.dumps(changed())
        except ValueError:  # so long a number is not written either
            text = json.dumps(graph()).replace("10901", "1" * 5000)
        path = written(tmp_path / "net-symbol.json", text.encode())
        with pytest.raises(MXNetError, match=rf"net-symbol\.json.*{message}"):
            mx.sym.load(path)

    def test_a_cycle(self, tmp_path: Path) -> None:
        content = graph()
        content["nodes"][3]["inputs"][0] = [3, 0, 0]
        path = written(tmp_path / "net-symbol.json", json.dumps(content).encode())
        with pytest.raises(MXNetError, match=r"net-symbol\.json: node 3 .*it takes node 3"):
            mx.sym.load(path)

    def test_an_operator_without_its_states(self, tmp_path: Path) -> None:
        content = json.loads(mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn").tojson())
        del content["nodes"][-1]["inputs"][3:]
        path = written(tmp_path / "net-symbol.json", json.dumps(content).encode())
        with pytest.raises(MXNetError, match=r"net-symbol\.json: node bn: BatchNorm has 3 inputs, expected 5"):
            mx.sym.load(path)

    @pytest.mark.parametrize("version", [800, 900])
    def test_a_wrong_parameter_in_an_old_graph(self, tmp_path: Path, version: int) -> None:
        content = graph(attrs={"mxnet_version": ["int", version]})
        content["nodes"][3]["attrs"] = {"num_hidden": "x", "weight_lr_mult": "2"}
        path = written(tmp_path / "net-symbol.json", json.dumps(content).encode())
        with pytest.raises(MXNetError, match=r"net-symbol\.json: node 'fc': FullyConnected"):
            mx.sym.load(path)

    def test_custom_operators_load_in_a_new_process(self, tmp_path: Path) -> None:
        content = graph()
        content["nodes"][3].update(op="Custom", attrs={"op_type": "nowhere"})
        path = written(tmp_path / "net-symbol.json", json.dumps(content).encode())
        code = f"import mxcompat.symbol as sym\ntry: sym.load({path!r})\nexcept RuntimeError as error: print(error)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        assert path in done.stdout and "nowhere" in done.stdout, done.stderr


class TestRecords:
    def test_a_length_is_not_believed(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.rec", struct.pack("<II", MAGIC, (1 << 29) - 1) + b"abcd")
        reader = recordio.MXRecordIO(path, "r")
        tracemalloc.start()
        try:
            with pytest.raises(MXNetError, match=r"a\.rec: offset 0: truncated: the part takes 536870912 bytes"):
                reader.read()
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()
            reader.close()

    @pytest.mark.parametrize("line", [b"x\t0", b"0", b"0\t", b"0\tx", b"\xff\t0", b"0\t" + b"9" * 5000])
    def test_a_damaged_index(self, tmp_path: Path, line: bytes) -> None:
        path = written(tmp_path / "a.rec", b"".join(record_chunks(b"abcd")))
        index = written(tmp_path / "a.idx", line + b"\n")
        for kind in (MXNetError, ValueError):
            with pytest.raises(kind, match=r"a\.idx: line 1: expected a key, a TAB and an offset") as caught:
                recordio.MXIndexedRecordIO(index, path, "r")
            assert len(str(caught.value)) < 500

    def test_short_records(self, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        for kind in (MXNetError, struct.error):
            with pytest.raises(kind, match="shorter than its header"):
                recordio.unpack(b"short")
        with pytest.raises(ValueError, match="announces 9 labels"):
            recordio.unpack(struct.pack("<IfQQ", 9, 0, 0, 0))
        path = written(tmp_path / "a.rec", b"".join(record_chunks(b"short")))
        assert [main([*command, path]) for command in (["inspect"], ["rec", "ls"], ["rec", "check"])] == [0, 0, 0]
        assert main(["rec", "extract", path, "-o", str(tmp_path / "out")]) == 1
        assert f"{path}: record 0 (offset 0): a record of 5 bytes" in capsys.readouterr().err

    def test_an_index_that_points_before_the_file(self, tmp_path: Path) -> None:
        pytest.importorskip("cv2")
        image = recordio.pack_img((0, 1.0, 0, 0), np.zeros((8, 8, 3), np.uint8))
        path = written(tmp_path / "a.rec", b"".join(record_chunks(image)))
        index = written(tmp_path / "a.idx", b"0\t-8\n")
        with pytest.raises(MXNetError, match=r"a\.idx: a record at offset -8"):
            mx.io.ImageRecordIter(path_imgrec=path, path_imgidx=index, data_shape=(3, 8, 8), batch_size=1)

    def test_an_image_that_claims_to_be_huge(self, tmp_path: Path) -> None:
        pytest.importorskip("cv2")
        content = bytearray(recordio.pack_img((0, 1.0, 0, 0), np.zeros((8, 8, 3), np.uint8), 3, ".png"))
        struct.pack_into(">II", content, 24 + 16, 30000, 30000)
        path = written(tmp_path / "a.rec", b"".join(record_chunks(content)))
        with pytest.raises(MXNetError, match=r"a\.rec: record 0 .*30000 x 30000 pixels"):
            mx.io.ImageRecordIter(path_imgrec=path, data_shape=(3, 8, 8), batch_size=1)

    @pytest.mark.parametrize("line", [b"inf\t1\ta.jpg", b"\xff\xfe\t1\ta.jpg", b"0\tx\ta.jpg", b"0"])
    def test_a_damaged_list(self, tmp_path: Path, line: bytes) -> None:
        pytest.importorskip("cv2")
        path = written(tmp_path / "a.rec", b"".join(record_chunks(b"abcd")))
        listing = written(tmp_path / "a.lst", line + b"\n")
        with pytest.raises(MXNetError, match=r"a\.lst: line 1: Bad ImageList format"):
            mx.io.ImageRecordIter(path_imgrec=path, path_imglist=listing, data_shape=(3, 8, 8), batch_size=1)

    def test_image_iter_names_the_record(self, tmp_path: Path) -> None:
        pytest.importorskip("cv2")
        image = recordio.pack_img((0, 1.0, 0, 0), np.zeros((8, 8, 3), np.uint8))
        path = written(tmp_path / "a.rec", b"".join(part for part in record_chunks(image)))
        index = written(tmp_path / "a.idx", b"0\t0\n")
        with pytest.raises(KeyError, match=r"a\.rec: key 0: the image list has no labels"):
            listing = written(tmp_path / "a.lst", b"1\t1.0\ta.jpg\n")
            next(mx.image.ImageIter(1, (3, 8, 8), path_imgrec=path, path_imgidx=index, path_imglist=listing))
        for content in (b"short", image[:30]):
            path = written(tmp_path / "b.rec", b"".join(record_chunks(content)))
            for options in ({}, {"path_imgidx": index}):
                with pytest.raises(MXNetError, match=r"b\.rec"):
                    next(mx.image.ImageIter(1, (3, 8, 8), path_imgrec=path, **options))


class TestNumbers:
    def test_numbers_beyond_every_type(self, tmp_path: Path) -> None:
        texts = [b"1" + b"0" * 400, b"9" * 5000, b"1e" + b"9" * 5000, b"-inf", b"nan", b"1e39", b"0." + b"3" * 5000]
        path = written(tmp_path / "a.csv", b"\n".join(texts))
        found = next(mx.io.CSVIter(data_csv=path, data_shape=(1,), batch_size=7)).data[0].asnumpy()[:, 0]
        assert found[0] == 0  # Compat: whole parts are taken modulo 2 ** 64
        assert found[1] == np.float32((10**5000 - 1) % 2**64)
        assert found[2] == found[5] == np.float32(1.0000001e38)  # Compat: exponents end at 38
        assert found[3] == -np.inf and np.isnan(found[4])
        assert found[6] == np.float32(1 / 3)
        path = written(tmp_path / "b.csv", b"9" * 5000)
        found = next(mx.io.CSVIter(data_csv=path, data_shape=(1,), batch_size=1, dtype="int64")).data[0]
        assert found.asnumpy().tolist() == [[2**63 - 1]]

    def test_too_few_rows_name_the_files(self, tmp_path: Path) -> None:
        data, label = (written(tmp_path / name, b"1\n" * rows) for name, rows in (("data.csv", 3), ("label.csv", 2)))
        with pytest.raises(MXNetError, match=r"label\.csv' has fewer rows than data_csv='.*data\.csv'"):
            mx.io.CSVIter(data_csv=data, label_csv=label, data_shape=(1,), batch_size=3)
        with pytest.raises(MXNetError, match=r"data\.csv: round_batch"):
            mx.io.CSVIter(data_csv=data, data_shape=(1,), batch_size=30)

    @pytest.mark.parametrize("packed", [False, True])
    @pytest.mark.parametrize(
        ("sizes", "message"),
        [
            ((-1, 2, 2), "expected no less than 0"),
            ((2**31 - 1, 2**31 - 1, 2**31 - 1), "truncated"),
            ((9, 2, 2), "truncated"),
        ],
    )
    def test_counts_of_images_are_not_believed(
        self, tmp_path: Path, sizes: tuple[int, ...], message: str, packed: bool
    ) -> None:
        content = struct.pack(">4i", 2051, *sizes) + bytes(8)
        path = written(tmp_path / "image", gzip.compress(content) if packed else content)
        label = written(tmp_path / "label", struct.pack(">2i", 2049, 2) + bytes(2))
        with pytest.raises(MXNetError, match=rf"image: .*{message}"):
            mx.io.MNISTIter(image=path, label=label, batch_size=1)

    def test_a_damaged_archive(self, tmp_path: Path) -> None:
        label = written(tmp_path / "label", struct.pack(">2i", 2049, 2) + bytes(2))
        content = gzip.compress(struct.pack(">4i", 2051, 2, 2, 2) + bytes(range(8)))
        for damaged in (content[:-12], content[:-2], content[:12] + b"\xff" * 20, content[:-8] + bytes(8)):
            path = written(tmp_path / "image", damaged)
            with pytest.raises(MXNetError, match="image: "):
                mx.io.MNISTIter(image=path, label=label, batch_size=1)


def test_saves_leave_nothing_and_remove_what_was_left(tmp_path: Path) -> None:
    left = tmp_path / f".mxcompat-{'0' * 16}.tmp"
    saves = [
        lambda: mx.nd.save(str(tmp_path / "a.params"), [mx.nd.zeros(2)]),
        lambda: mx.sym.Variable("a").save(str(tmp_path / "a-symbol.json")),
        lambda: module().save_optimizer_states(str(tmp_path / "a.states")),
        lambda: module(kvstore="local").save_checkpoint(str(tmp_path / "net"), 1, save_optimizer_states=True),
    ]
    for save in saves:
        left.write_bytes(b"half")
        save()
        assert not left.exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_file_tools_leave_torch_out(tmp_path: Path) -> None:
    path = written(tmp_path / "a.rec", b"".join(record_chunks(recordio.pack((0, 1.0, 0, 0), b"abcd"))))
    files = [
        str(path),
        *(str(SAMPLES / name) for name in ("sparse.nd", "convnet-symbol.json", "adam.states", "indexed.idx")),
    ]
    code = f"""
import sys
from mxcompat.__main__ import main
import mxcompat.recordio
assert main(["inspect", "--stats", *{files!r}]) == 0
for action in (["ls"], ["check"], ["extract", "-o", {str(tmp_path / "out")!r}], ["repair", "-o", {str(tmp_path / "b.rec")!r}]):
    assert main(["rec", action[0], {path!r}, *action[1:]]) == 0
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_bytes_behind_a_file_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    path = written(tmp_path / "a.nd", (SAMPLES / "sparse.nd").read_bytes() + b"xyz")
    mx.nd.load(path)
    symbol = written(tmp_path / "a.json", (SAMPLES / "convnet-symbol.json").read_bytes() + b" more")
    mx.sym.load(symbol)
    assert [message.partition(":")[0] for message in caplog.messages] == [path, symbol]


def test_large_arrays_are_neither_saved_nor_loaded_by_way_of_a_copy(tmp_path: Path) -> None:
    path = str(tmp_path / "a.params")
    saved = {f"a{i}": mx.nd.full((250_000,), i) for i in range(4)}
    size = 4 * 1_000_000
    tracemalloc.start()
    try:
        mx.nd.save(path, saved)
        assert tracemalloc.get_traced_memory()[1] < size / 4
        tracemalloc.reset_peak()
        loaded = mx.nd.load(path)
        assert tracemalloc.get_traced_memory()[1] < 1.25 * size
    finally:
        tracemalloc.stop()
    assert [array.asnumpy()[-1] for array in loaded.values()] == [0, 1, 2, 3]
