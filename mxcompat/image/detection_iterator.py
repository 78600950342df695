"""``ImageDetIter``: batches of images with boxes."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat.formats import images
from mxcompat.image.augmenters import MEAN, STD, statistic
from mxcompat.image.detection_augmenters import CreateDetAugmenter
from mxcompat.image.iterator import ImageIter

__all__ = ["ImageDetIter"]


class ImageDetIter(ImageIter):
    """Batches of images (N, 3, height, width) of float32 and of boxes (N, objects, 5 or more), filled up with -1.

    Sources and parameters as of ``ImageIter``. The label of a sample is flat: the length of its head (2 or more), the
    numbers of an object (5 or more), the rest of the head, then for each object its class, left, top, right and bottom
    as shares of width and height, and what else there is. ``aug_list`` holds the augmenters, else ``CreateDetAugmenter``
    makes them from ``kwargs``. All labels are read once, for the largest number of objects. Images whose boxes are all
    lost are left out.
    """

    def __init__(
        self, batch_size: int, data_shape: tuple, path_imgrec: Any = None, path_imglist: Any = None, path_root: Any = None,
        path_imgidx: Any = None, shuffle: bool = False, part_index: int = 0, num_parts: int = 1, aug_list: Any = None,
        imglist: Any = None, data_name: str = "data", label_name: str = "label", last_batch_handle: str = "pad",
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            batch_size=batch_size,
            data_shape=data_shape,
            path_imgrec=path_imgrec,
            path_imglist=path_imglist,
            path_root=path_root,
            path_imgidx=path_imgidx,
            shuffle=shuffle,
            part_index=part_index,
            num_parts=num_parts,
            aug_list=[],
            imglist=imglist,
            data_name=data_name,
            label_name=label_name,
            last_batch_handle=last_batch_handle,
        )
        self.auglist: list = CreateDetAugmenter(data_shape, **kwargs) if aug_list is None else aug_list
        self.label_shape = self._estimate_label_shape()
        self.provide_label = [(label_name, (batch_size, *self.label_shape))]

    # -- labels -------------------------------------------------------------------------------------------------

    def _check_valid_label(self, label: Any) -> None:
        """``RuntimeError`` unless some box of the label has an area."""
        if len(label.shape) != 2 or label.shape[1] < 5:
            raise RuntimeError(f"Label with shape (1+, 5+) required, {label} received.")
        # Compat: that right lies behind left is all that the original looks at
        if not np.logical_and(label[:, 0] >= 0, label[:, 3] > label[:, 1]).any():
            raise RuntimeError("Invalid label occurs.")

    def _estimate_label_shape(self) -> tuple[int, int]:
        """The largest number of objects, and the numbers of an object in the last label."""
        count, width = 0, 0
        self.reset()
        try:
            while True:
                label = self._parse_label(self.next_sample()[0])
                count, width = max(count, label.shape[0]), label.shape[1]
        except StopIteration:
            self.reset()
        return count, width

    def _parse_label(self, label: Any) -> np.ndarray:
        """The objects of a flat label that have an area; ``RuntimeError`` when there are none."""
        raw = np.ravel(label.asnumpy() if isinstance(label, nd.NDArray) else label)
        if raw.size < 7:
            raise RuntimeError(f"Label shape is invalid: {raw.shape}")
        head, width = int(raw[0]), int(raw[1])
        if width < 5 or head < 0 or (raw.size - head) % width != 0:
            raise RuntimeError(f"Label shape {raw.shape} inconsistent with annotation width {width}.")
        objects = raw[head:].reshape(-1, width)
        valid = np.logical_and(objects[:, 3] > objects[:, 1], objects[:, 4] > objects[:, 2])
        if not valid.any():
            raise RuntimeError("Encounter sample with no valid label.")
        return objects[valid]

    def check_label_shape(self, label_shape: tuple) -> None:
        """``ValueError`` unless the shape is (objects, numbers), with no fewer objects and as many numbers as now."""
        if len(label_shape) != 2:
            raise ValueError(f"label_shape should have length 2, found {label_shape}")
        if label_shape[0] < self.label_shape[0]:
            raise ValueError(
                f"Attempts to reduce label count from {self.label_shape[0]} to {label_shape[0]}, not allowed."
            )
        width = self.provide_label[0][1][2]
        if label_shape[1] != width:
            raise ValueError(f"label_shape object width inconsistent: {width} vs {label_shape[1]}.")

    def reshape(self, data_shape: Any = None, label_shape: Any = None) -> None:
        """Give images of another shape, and room for more objects, from the next batch on."""
        if data_shape is not None:
            self.check_data_shape(data_shape)
            self.provide_data = [(self.provide_data[0][0], (self.batch_size, *data_shape))]
            self.data_shape = data_shape
        if label_shape is not None:
            self.check_label_shape(label_shape)
            self.provide_label = [(self.provide_label[0][0], (self.batch_size, *label_shape))]
            self.label_shape = label_shape

    def sync_label_shape(self, it: Any, verbose: bool = False) -> Any:
        """Give both iterators room for as many objects as the larger of them; returns ``it``."""
        if not isinstance(it, ImageDetIter):
            raise AssertionError(f"Synchronize with invalid iterator, found {type(it)}")
        own, other = self.label_shape, it.label_shape
        if own[1] != other[1]:
            raise AssertionError(f"object width mismatch: {own[1]} and {other[1]}")
        count = max(own[0], other[0])
        for iterator in (self, it):
            if count > iterator.label_shape[0]:
                iterator.reshape(None, (count, own[1]))
        if verbose and own[0] != other[0]:
            logging.info("Resized label_shape to (%d, %d).", count, own[1])
        return it

    # -- batches ------------------------------------------------------------------------------------------------

    def _empty_label(self) -> Any:
        return nd.full(self.provide_label[0][1], -1)

    def _put_next(self, batch_data: Any, batch_label: Any, place: int) -> bool:
        """Put the next sample at ``place``; False when it is left out."""
        label, content = self.next_sample()
        data = self.imdecode(content)
        try:
            self.check_valid_image([data])
            data, label = self.augmentation_transform(data, self._parse_label(label))
            self._check_valid_label(label)
        except RuntimeError as error:
            logging.debug("Invalid image, skipping:  %s", error)
            return False
        batch_data[place] = self.postprocess_data(data)
        room = batch_label[place]
        room[: label.shape[0]] = nd.array(label)
        if label.shape[0] < room.shape[0]:
            room[label.shape[0] :] = -1
        return True

    def augmentation_transform(self, data: Any, label: Any) -> Any:  # type: ignore[override]
        """Image and label after all augmenters."""
        for augmenter in self.auglist:
            data, label = augmenter(data, label)
        return data, label

    def draw_next(
        self, color: Any = None, thickness: int = 2, mean: Any = None, std: Any = None, clip: bool = True,
        waitKey: int | None = None, window_name: str = "draw_next", id2labels: Any = None,  # noqa: N803
    ) -> Iterator[np.ndarray]:  # fmt: skip
        """The augmented images one by one, uint8 (height, width, 3), blue first, with their boxes drawn.

        ``color`` is (red, green, blue), random colours otherwise. ``std`` and ``mean`` (arrays, or True for ImageNet's)
        undo a normalization. ``id2labels`` gives names of classes to write. With ``waitKey``, a number of milliseconds,
        each image is also shown in a window. Needs OpenCV.
        """
        if images.opencv() is None:
            raise ImportError("draw_next needs OpenCV, which is not installed: pip install 'mxcompat[image]'")
        mean = statistic(mean, MEAN, np.array, (np.ndarray,), "mean")
        std = statistic(std, STD, np.array, (np.ndarray,), "std")
        try:
            while True:
                label, content = self.next_sample()
                data = self.imdecode(content)
                try:
                    self.check_valid_image([data])
                    label = self._parse_label(label)
                except RuntimeError as error:
                    logging.debug("Invalid image, skipping:  %s", error)
                    continue
                data, label = self.augmentation_transform(data, label)
                pixels = _shown(data.asnumpy(), mean, std, clip)
                _draw_boxes(pixels, label, None if not color else color[::-1], thickness, id2labels)
                if waitKey is not None:
                    library = importlib.import_module("cv2")
                    library.imshow(window_name, pixels)
                    library.waitKey(waitKey)
                yield pixels
        except StopIteration:
            return


def _shown(pixels: np.ndarray, mean: Any, std: Any, clip: bool) -> np.ndarray:
    """The pixels before their normalization, blue first, as uint8."""
    pixels = pixels if std is None else pixels * std
    pixels = pixels if mean is None else pixels + mean
    pixels = pixels[:, :, ::-1]
    return np.ascontiguousarray((np.clip(pixels, 0, 255) if clip else pixels).astype(np.uint8))


def _draw_boxes(pixels: np.ndarray, label: np.ndarray, color: Any, thickness: int, names: Any) -> None:
    library = images.opencv()
    height, width, _ = pixels.shape
    for box in label:
        x1, y1, x2, y2 = (int(share * size) for share, size in zip(box[1:5], (width, height, width, height)))
        if x1 < 0:
            continue
        drawn = tuple(np.random.rand(3) * 255) if color is None else color
        library.rectangle(pixels, (x1, y1), (x2, y2), drawn, thickness)
        if names is not None and int(box[0]) in names:
            text, font = str(names[int(box[0])]), library.FONT_HERSHEY_SIMPLEX
            text_height = library.getTextSize(text, font, 0.5, 2)[0][1]
            library.putText(pixels, text, (x1 + 5, y1 + text_height + 5), font, 0.5, (255, 255, 255), 2)
