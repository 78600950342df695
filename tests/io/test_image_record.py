"""Iterators over image records against recorded results of real MXNet 1.9.1; errors, threads, resets."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mxcompat as mx
from mxcompat.base import MXNetError
from mxcompat.io import pipeline
from tests import golden_store
from tests.io import record_cases

pytest.importorskip("cv2")
GOLDEN = golden_store.load(os.path.join(os.path.dirname(__file__), "..", "golden", "image_records.npz"))
ORDERED = ["plain", "shuffled index", "random", "jitter", "v1 random", "boxes cropped", "seed, shuffled"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("records"))
    record_cases.files(mx, path)
    return path


def compare(name: str, facts: dict, arrays: dict) -> None:
    expected = GOLDEN[name]
    facts, wanted = json.loads(json.dumps(facts)), dict(expected.facts)
    if not record_cases.CASES[name][0].endswith(("_v1", "DetRecordIter")):
        # the original forgets to clear the pad of the batches that it uses again
        pads, wanted_pads = facts.pop("pads"), wanted.pop("pads")
        assert all(pad in (0, other) for pad, other in zip(pads, wanted_pads)) and len(pads) == len(wanted_pads)
    assert facts == wanted
    for key, array in arrays.items():
        other = expected.arrays[key]
        assert array.shape == other.shape, key
        if name == "resize 10":  # some are resized by cubic interpolation, where OpenCV's sums are rounded otherwise
            assert np.abs(array.astype(int) - other).max() <= 1 and (array != other).mean() < 0.01
        else:
            np.testing.assert_array_equal(array, other, err_msg=key)


@pytest.mark.parametrize("name", record_cases.CASES)
def test_recorded(folder: str, name: str) -> None:
    if name == "mean made" and os.path.exists(os.path.join(folder, "mean.nd")):
        os.remove(os.path.join(folder, "mean.nd"))
    if name == "mean read" and not os.path.exists(os.path.join(folder, "mean.nd")):
        record_cases.run(mx, folder, "mean made")
    compare(name, *record_cases.run(mx, folder, name))


@pytest.mark.parametrize("name", ORDERED)
def test_threads_change_nothing(folder: str, name: str) -> None:
    compare(name, *record_cases.run(mx, folder, name, preprocess_threads=4, prefetch_buffer=1))


def make(folder: str, name: str = "plain", **options: Any) -> Any:
    given = {**record_cases.parameters(folder, name), **options}
    return getattr(mx.io, record_cases.CASES[name][0])(**given)


def labels(iterator: Any) -> list[list[float]]:
    return [batch.label[0].asnumpy().tolist() for batch in iterator]


class TestMemory:
    def test_what_is_kept_stays(self, folder: str) -> None:
        """Memory is used again only when no array, view or tensor holds it."""
        batches = list(make(folder, "random"))
        iterator = make(folder, "random")
        kept = [next(iterator).data[0][1:2], next(iterator).data[0]._data.numpy()[:1]]
        values = [kept[0].asnumpy(), kept[1].copy()]
        for _ in range(3):
            iterator.reset()
            for _ in iterator:
                pass
        np.testing.assert_array_equal(kept[0].asnumpy(), values[0])
        np.testing.assert_array_equal(kept[1], values[1])
        addresses = {batch.data[0]._data.data_ptr() for batch in batches}
        assert len(addresses) == len(batches)

    def test_what_is_let_go_is_used_again(self) -> None:
        memory = pipeline._Memory()
        array = memory.array((4, 6), "float32")
        address, holders = array.ctypes.data, [array[1:], torch.from_numpy(array), torch.from_numpy(array)[2:]]
        del array
        while holders:
            assert memory.array((4, 6), "float32").ctypes.data != address
            holders.pop()
        assert address in {memory.array((6, 4), "int32").ctypes.data, memory.array((24,), "float32").ctypes.data}
        assert memory.array((5, 5), "uint8").shape == (5, 5)


class TestEpochs:
    def test_pads(self, folder: str) -> None:
        it = make(folder)
        pads = []
        for _ in range(3):
            pads.append([batch.pad for batch in it])
            it.reset()
        assert pads == [[0, 0, 2], [0, 1], [0, 0]]

    def test_without_round_batch_the_rest_is_empty(self, folder: str) -> None:
        it = make(folder, round_batch=False)
        for _ in range(2):
            *_, last = it
            assert last.pad == 2 and last.label[0].asnumpy().tolist() == [6, 0, 0]
            assert not last.data[0].asnumpy()[1:].any() and last.data[0].asnumpy()[0].any()
            it.reset()

    @pytest.mark.parametrize("name", ["plain", "shuffled index", "shuffled", "random", "v1 random", "boxes mirrored"])
    def test_reset_inside_an_epoch_leaves_no_trace(self, folder: str, name: str) -> None:
        found = []
        for prefetch in (1, 4):
            it = make(folder, name, prefetch_buffer=prefetch)
            it.next()
            it.reset()
            time.sleep(0.02)
            found.append([batch.data[0].asnumpy() for batch in it])
        for one, other in zip(*found):
            np.testing.assert_array_equal(one, other)
        assert len(found[0]) == len(found[1]) == 3
        if name == "plain":
            assert labels(make(folder)) == [[0, 1, 2], [3, 4, 5], [6, 0, 1]]

    def test_chunks_of_random_order(self, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from mxcompat.io import image_record

        monkeypatch.setattr(image_record, "_MEGABYTE", 1000)
        it = make(folder, shuffle_chunk_size=4, round_batch=False, batch_size=7)
        first = it.next().label[0].asnumpy().tolist()
        it.reset()
        second = it.next().label[0].asnumpy().tolist()
        assert sorted(first) == sorted(second) == list(range(7)) != first and first != second

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"data_shape": (1, 10, 11)},
            {"path_imgrec": "rgba.rec", "data_shape": (4, 10, 11)},
            {"dtype": "uint8"},
            {"dtype": "int8"},
            {"data_shape": (1, 10, 11), "mean_r": 5, "std_r": 2, "scale": 3},
        ],
    )
    def test_mirrored(self, folder: str, options: dict) -> None:
        if "path_imgrec" in options:
            options = {**options, "path_imgrec": os.path.join(folder, options["path_imgrec"])}
        for batch, mirrored in zip(make(folder, **options), make(folder, mirror=True, **options)):
            np.testing.assert_array_equal(batch.data[0].asnumpy()[..., ::-1], mirrored.data[0].asnumpy())

    def test_mirrored_with_a_mean_image(self, folder: str, tmp_path: Path) -> None:
        path = str(tmp_path / "mean.nd")
        plain = make(folder).next().data[0].asnumpy()
        mean = np.arange(330, dtype=np.float32).reshape(3, 10, 11)
        mx.nd.save(path, {"mean_img": mx.nd.array(mean)})
        found = make(folder, mean_img=path, mirror=True).next().data[0].asnumpy()
        np.testing.assert_array_equal(found, (plain - mean)[..., ::-1])

    def test_small_windows(self, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from mxcompat.io import records

        for window in (16, 1000, 4000):
            monkeypatch.setattr(records, "_WINDOW", window)
            assert labels(make(folder)) == [[0, 1, 2], [3, 4, 5], [6, 0, 1]]

    def test_more_samples_than_two_epochs(self, folder: str) -> None:
        assert labels(make(folder, batch_size=14)) == [[*range(7), *range(7)]]
        with pytest.raises(MXNetError, match="must be bigger than the batch size"):
            make(folder, batch_size=15)


class TestErrors:
    def test_record_is_named(self, folder: str) -> None:
        bad = os.path.join(folder, "bad.rec")
        it = make(folder, path_imgrec=bad, batch_size=2)
        it.next()
        for _ in range(2):
            with pytest.raises(MXNetError, match=r"bad.rec: record 3 \(offset \d+\): image 3 cannot be decoded"):
                it.next()
            it.reset()
            it.next()
        parts = make(folder, path_imgrec=f"{os.path.join(folder, 'a.rec')};{bad}", batch_size=7)
        assert parts.next().pad == 0
        with pytest.raises(MXNetError, match=r"bad.rec: record 3 "):
            parts.next()

    def test_damaged_file(self, folder: str, tmp_path: Path) -> None:
        content = Path(folder, "a.rec").read_bytes()
        path = tmp_path / "cut.rec"
        path.write_bytes(content[:-8])
        it = make(folder, path_imgrec=path, batch_size=2, prefetch_buffer=1)
        with pytest.raises(MXNetError, match=r"cut.rec: offset \d+: truncated"):
            labels(it)
        path.write_bytes(content[:-3])
        with pytest.raises(MXNetError, match="no multiple of 4"):
            make(folder, path_imgrec=path)
        path.write_bytes(b"text" * 8)
        with pytest.raises(MXNetError, match="no record starts here"):
            make(folder, path_imgrec=path)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rand_crops": True}, "unknown parameter 'rand_crops'"),
            ({"path_imgrec": ""}, "must specify path_imgrec"),
            ({"path_imgrec": "nowhere.rec"}, "Cannot find any files"),
            ({"data_shape": (2, 8, 8)}, "expected 1, 3 or 4 channels"),
            ({"data_shape": (8, 8)}, "data_shape"),
            ({"data_shape": (4, 8, 8)}, "a.rec: record 0 .*Expected 4 channels"),
            ({"label_width": 2}, "a.rec: record 0 .*label_width must be 1"),
            ({"part_index": 2, "num_parts": 2}, "part_index=2"),
            ({"dtype": "float16"}, "unknown dtype"),
            ({"inter_method": 7}, "inter_method=7"),
            ({"inter_method": 0, "rotate": 10}, "0 is not possible"),
            ({"aug_seq": "foo"}, "no augmenter 'foo'"),
            ({"random_resized_crop": True, "rand_crop": True}, "conflicts"),
            ({"max_crop_size": 50, "min_crop_size": 45}, "record 0 .*smaller than max_crop_size"),
            ({"aug_seq": ""}, r"record 0 .*expected data_shape"),
        ],
    )
    def test_bad_input(self, folder: str, options: dict, message: str) -> None:
        with pytest.raises(MXNetError, match=message):
            make(folder, **options)

    def test_what_examples_misspell(self, folder: str) -> None:
        with pytest.warns(UserWarning, match="ImageRecordIter: and_mirror is no parameter"):
            make(folder, and_mirror=False)

    def test_bad_lists(self, folder: str, tmp_path: Path) -> None:
        (tmp_path / "a.lst").write_text("0\t1\n2\tx\n")
        with pytest.raises(MXNetError, match=r"a.lst: line 2: Bad ImageList format"):
            make(folder, path_imglist=tmp_path / "a.lst")
        (tmp_path / "a.lst").write_text("0\t1\tx.png\n")
        with pytest.raises(MXNetError, match=r"a.rec: record 1 .*fail to find imagelabel for id 1"):
            make(folder, path_imglist=tmp_path / "a.lst")
        mx.nd.save(str(tmp_path / "mean.nd"), [mx.nd.zeros((3, 4, 4))])
        with pytest.raises(MXNetError, match="Invalid mean image"):
            make(folder, mean_img=tmp_path / "mean.nd")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"label_pad_width": 4}, "label_pad_width=4 smaller"),
            ({"label_width": 9}, "boxes.rec: record 0 .*10-dimensional"),
            ({"num_crop_sampler": 2, "min_crop_scales": (0.1, 0.2, 0.3)}, "min_crop_scales has 3 entries"),
            ({"min_crop_scales": 1.0}, "0 <= min < max <= 1"),
            ({"min_crop_overlaps": 0.5, "max_crop_overlaps": 0.4}, "min_crop_overlaps=0.5 is above"),
            ({"dtype": "uint8"}, "dtype='uint8'"),
            ({"aug_seq": "aug_default"}, "expected det_aug_default"),
        ],
    )
    def test_bad_boxes(self, folder: str, options: dict, message: str) -> None:
        with pytest.raises(MXNetError, match=message):
            make(folder, "boxes", **options)

    def test_labels_that_are_no_boxes(self, folder: str) -> None:
        with pytest.raises(MXNetError, match=r"a.rec: record 0 .*Not enough label"):
            make(folder, "boxes", path_imgrec=os.path.join(folder, "a.rec"))
        with pytest.raises(MXNetError, match=r"labels.rec: record 0 .*at least 7 numbers"):
            make(folder, "boxes", path_imgrec=os.path.join(folder, "labels.rec"))

    def test_without_opencv(self, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "cv2", None)
        with pytest.raises(ImportError, match=r"mxcompat\[image\]"):
            make(folder)


def decoding_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("mxcompat-decode")]


class TestLife:
    def test_no_thread_stays(self, folder: str) -> None:
        iterators = [make(folder, "random", preprocess_threads=2) for _ in range(3)]
        assert decoding_threads()
        handles = [weakref.ref(it.handle) for it in iterators]
        iterators.clear()
        gc.collect()
        assert [handle() for handle in handles] == [None] * 3
        deadline = time.monotonic() + 10
        while decoding_threads() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not decoding_threads()

    def test_fork(self, folder: str) -> None:
        it = make(folder)
        child = os.fork()
        if child == 0:
            try:
                it.reset()
            except MXNetError:
                other = make(folder)
                os._exit(0 if labels(other)[0] == [0, 1, 2] else 2)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert labels(it)[1] == [3, 4, 5]

    def test_batches_are_the_users(self, folder: str) -> None:
        it = make(folder)
        batches = list(it)
        assert [batch.label[0].asnumpy()[0] for batch in batches] == [0, 3, 6]
