"""Functions, augmenters and iterators of images against recorded results of real MXNet 1.9.1, and errors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.base import MXNetError
from tests import golden_store
from tests.image import cases

pytest.importorskip("cv2")
GOLDEN = golden_store.load(os.path.join(os.path.dirname(__file__), "..", "golden", "image.npz"))
# cubic interpolation rounds 3 of a million pixels the other way; colours are sums of a few float32; rotations are
# bilinear samples at places from cosines that may differ in their last bit
ABSOLUTE = {"functions": 0, "rotations": 2e-3, "augmenters": 1e-4, "lists": 1e-4, "detection": 1e-4}


@pytest.mark.parametrize("name", cases.CASES)
def test_recorded(name: str) -> None:
    facts, arrays = cases.CASES[name](mx)
    assert json.loads(json.dumps(facts)) == GOLDEN[name].facts
    assert arrays.keys() == GOLDEN[name].arrays.keys()
    for key, array in arrays.items():
        expected = GOLDEN[name].arrays[key]
        assert (array.shape, array.dtype) == (expected.shape, expected.dtype), key
        np.testing.assert_allclose(
            array.astype(np.float64), expected.astype(np.float64), rtol=1e-6, atol=ABSOLUTE[name], err_msg=key
        )


def encoded(image: np.ndarray, kind: str = ".png") -> bytes:
    import cv2

    return cv2.imencode(kind, image[:, :, ::-1] if image.ndim == 3 else image)[1].tobytes()


class TestDecoding:
    def test_buffers(self, tmp_path: Path) -> None:
        image = cases.pixels(9, 7)
        content = encoded(image)
        for buffer in (content, bytearray(content), np.frombuffer(content, np.uint8)):
            assert (mx.image.imdecode(buffer).asnumpy() == image).all()
        assert (mx.img.imdecode(content, to_rgb=0).asnumpy() == image[:, :, ::-1]).all()
        assert mx.image.imdecode(content, flag=0).shape == (9, 7, 1)
        (tmp_path / "image.png").write_bytes(content)
        assert (mx.image.imread(str(tmp_path / "image.png")).asnumpy() == image).all()

    def test_bad_input(self) -> None:
        with pytest.raises(ValueError, match="found <class 'str'>"):
            mx.image.imdecode("text")
        with pytest.raises(MXNetError, match="empty"):
            mx.image.imdecode(b"")
        with pytest.raises(MXNetError, match="no image"):
            mx.image.imdecode(b"no image at all")
        with pytest.raises(MXNetError, match="cannot be read"):
            mx.image.imread("nowhere.png")

    def test_turned_by_exif_but_not_behind_jfif(self) -> None:
        image = np.zeros((8, 16, 3), np.uint8)
        image[:, :8] = 255
        plain = encoded(image, ".jpg")
        assert plain[6:10] == b"JFIF"
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
        marked = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
        jfif = plain[2:20]
        assert mx.image.imdecode(plain[:2] + jfif + marked + plain[20:]).shape == (8, 16, 3)
        assert mx.image.imdecode(plain[:2] + marked + plain[20:]).shape == (16, 8, 3)


class TestBadInput:
    def test_functions(self) -> None:
        src = mx.nd.zeros((4, 4, 3))
        with pytest.raises(ValueError, match="Unknown interp method 5"):
            mx.image.resize_short(src, 2, 5)
        with pytest.raises(AssertionError, match="unexpected keyword"):
            mx.image.random_size_crop(src, (2, 2), 0.5, (1, 1), foo=1)
        with pytest.warns(DeprecationWarning, match="min_area"):
            mx.image.RandomSizedCropAug((2, 2), None, (1, 1), min_area=0.5)

    def test_augmenters(self) -> None:
        with pytest.raises(NotImplementedError):
            mx.image.Augmenter()(None)
        with pytest.raises(AssertionError, match="rand_crop"):
            mx.image.CreateAugmenter((3, 4, 4), rand_resize=True)
        with pytest.raises(AssertionError, match="mean"):
            mx.image.CreateAugmenter((3, 4, 4), mean=[1, 2, 3])
        with pytest.raises(TypeError, match="invalid Augmenter"):
            mx.image.DetBorrowAug(mx.image.DetHorizontalFlipAug(1))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="DetAugmenter in list only"):
            mx.image.DetRandomSelectAug([mx.image.CastAug()])
        with pytest.warns(UserWarning, match="invalid area_range"):
            assert not mx.image.DetRandomPadAug(area_range=(1.0, 1.0)).enabled
        with pytest.warns(UserWarning, match="invalid aspect_ratio_range"):
            assert not mx.image.DetRandomCropAug(aspect_ratio_range=(-1, 1.0)).enabled
        with pytest.raises(AssertionError, match="1 or 3"):
            mx.image.CreateMultiRandCropAugmenter(min_object_covered=[1, 2, 3], max_attempts=[1, 2])
        assert mx.image.DetRandomSelectAug([])(1, 2) == (1, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven images of increasing brightness as files, in a list, and in a record file with an index."""
    record = mx.recordio.MXIndexedRecordIO(str(tmp_path / "a.idx"), str(tmp_path / "a.rec"), "w")
    lines = []
    for i in range(7):
        content = encoded(np.full((12, 14, 3), 10 * i, np.uint8))
        (tmp_path / f"{i}.png").write_bytes(content)
        lines.append(f"{i}\t{i}.5\t{i}.png\n")
        record.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, i + 0.5, i, 0), content))
    record.close()
    (tmp_path / "a.lst").write_text("".join(lines))
    return tmp_path


def sources(folder: Path) -> dict[str, dict[str, Any]]:
    record = {"path_imgrec": str(folder / "a.rec")}
    return {
        "record": record,
        "indexed": {**record, "path_imgidx": str(folder / "a.idx")},
        "files": {"path_imglist": str(folder / "a.lst"), "path_root": str(folder)},
        "list": {"imglist": [[i + 0.5, f"{i}.png"] for i in range(7)], "path_root": str(folder)},
    }


def seen(iterator: Any) -> list:
    """Brightness and labels, and the pad, of each batch."""
    return [
        ((b.data[0].asnumpy()[:, 0, 0, 0] / 10).tolist(), (b.label[0].asnumpy() - 0.5).tolist(), b.pad)
        for b in iterator
    ]


class TestImageIter:
    @pytest.mark.parametrize("kind", ["record", "indexed", "files", "list"])
    def test_last_batch(self, folder: Path, kind: str) -> None:
        def make(handle: str) -> Any:
            return mx.image.ImageIter(3, (3, 8, 8), last_batch_handle=handle, **sources(folder)[kind])

        whole = [([i, i + 1, i + 2],) * 2 + (0,) for i in (0, 3)]
        it = make("pad")
        assert it.provide_data == [("data", (3, 3, 8, 8))] and it.provide_label == [("softmax_label", (3,))]
        for _ in range(2):
            assert seen(it) == [*whole, ([6, 0, 1], [6, 0, 1], 2)]
            it.reset()
        it = make("discard")
        for _ in range(2):
            assert seen(it) == whole
            it.reset()
        it = make("roll_over")
        assert seen(it) == whole
        it.reset()
        assert seen(it) == [([6, 0, 1], [6, 0, 1], 2), ([2, 3, 4], [2, 3, 4], 0)]
        it.hard_reset()
        assert seen(it)[0][0] == [0, 1, 2]

    def test_order_and_parts(self, folder: Path) -> None:
        import random

        random.seed(1)
        expected = list(range(7))
        random.shuffle(expected)
        random.seed(1)
        it = mx.image.ImageIter(7, (3, 8, 8), shuffle=True, **sources(folder)["indexed"])
        assert seen(it)[0][0] == expected
        parts = [
            mx.image.ImageIter(3, (3, 8, 8), num_parts=2, part_index=i, **sources(folder)["files"]) for i in (0, 1)
        ]
        assert [seen(part)[0][0] for part in parts] == [[0, 1, 2], [3, 4, 5]]

    def test_labels(self, folder: Path) -> None:
        listed: list = [[1, 2, "0.png"], [3, 4, "1.png"]]
        it = mx.image.ImageIter(2, (3, 8, 8), label_width=2, imglist=listed, path_root=str(folder), aug_list=[
            mx.image.CenterCropAug((8, 8))])  # fmt: skip
        assert it.next().label[0].asnumpy().tolist() == [[1, 2], [3, 4]]

    def test_bad_input(self, folder: Path) -> None:
        (folder / "3.png").write_bytes(b"broken")
        it = mx.image.ImageIter(4, (3, 8, 8), **sources(folder)["files"])
        with pytest.raises(RuntimeError, match=r"Broken image filename: 3.png"):
            it.next()
        for options, error, message in [
            ({"data_shape": (1, 8, 8)}, ValueError, "3 channels"),
            ({"data_shape": (3, 8)}, ValueError, "length 3"),
            ({"dtype": "int8"}, AssertionError, "int8 label not supported"),
            ({"last_batch_handle": "keep"}, ValueError, "keep"),
            ({"shuffle": True}, AssertionError, "need path_imgidx"),
            ({"path_imgrec": None}, AssertionError, "expected path_imgrec"),
        ]:
            given: Any = {"batch_size": 2, "data_shape": (3, 8, 8), **sources(folder)["record"], **options}
            with pytest.raises(error, match=message):
                mx.image.ImageIter(**given)
        (folder / "a.lst").write_text("0\tone\t0.png\n")
        with pytest.raises(ValueError, match=r"a.lst: line 1"):
            mx.image.ImageIter(2, (3, 8, 8), **sources(folder)["files"])


class TestImageDetIter:
    def boxes(self, folder: Path, **options: Any) -> Any:
        first = [4.0, 5.0, 0.0, 0.0, 1, 0.1, 0.2, 0.5, 0.6]
        second = [2.0, 5.0, 0, 0.0, 0.0, 0.5, 0.5, 1, 0.25, 0.25, 0.75, 0.75]
        return mx.image.ImageDetIter(
            **{
                "batch_size": 2, "data_shape": (3, 8, 8), "imglist": [[first, "1.png"], [second, "2.png"]],
                "path_root": str(folder), **options,
            }
        )  # fmt: skip

    def test_batches(self, folder: Path) -> None:
        it = self.boxes(folder)
        assert it.provide_label == [("label", (2, 2, 5))]
        label = it.next().label[0].asnumpy()
        np.testing.assert_allclose(label[0], [[1, 0.1, 0.2, 0.5, 0.6], [-1] * 5], rtol=1e-6)
        np.testing.assert_allclose(label[1], [[0, 0, 0, 0.5, 0.5], [1, 0.25, 0.25, 0.75, 0.75]])
        it.reset()
        other = self.boxes(folder, imglist=[[[2.0, 5.0, 1, 0, 0, 1, 1], "1.png"]], batch_size=1)
        it.sync_label_shape(other)
        assert other.label_shape == (2, 5) and other.next().label[0].shape == (1, 2, 5)
        it.reshape(label_shape=(3, 5))
        assert it.next().label[0].shape == (2, 3, 5)
        it.reshape((3, 6, 4))
        assert it.provide_data == [("data", (2, 3, 6, 4))]

    def test_drawn(self, folder: Path) -> None:
        drawn = list(self.boxes(folder).draw_next(color=(255, 0, 0), thickness=1, id2labels={1: "one"}))
        assert [image.shape for image in drawn] == [(8, 8, 3)] * 2 and drawn[1][0, 0].tolist() == [0, 0, 255]

    def test_bad_input(self, folder: Path) -> None:
        it = self.boxes(folder)
        for shape, message in [((1, 5), "reduce label count"), ((2, 6), "width inconsistent"), ((2,), "length 2")]:
            with pytest.raises(ValueError, match=message):
                it.reshape(None, shape)
        for label, message in [
            ([2.0, 5.0, 1], "shape is invalid"),
            ([2.0, 5.0, 1, 0, 0, 1, 1, 1], "inconsistent"),
            ([2.0, 5.0, 1, 0, 0, 0, 1], "no valid label"),
        ]:
            with pytest.raises(RuntimeError, match=message):
                self.boxes(folder, imglist=[[label, "1.png"]])
