"""What the iterators over image records give for small files, the same for real MXNet and for mxcompat.

``files`` writes the files; a case names an iterator, its parameters, and how many epochs are looked at.
"""

from __future__ import annotations

import base64
import os
from typing import Any

import numpy as np

JPEG = """
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUo
KSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wAARCAAXABgDASIAAhEB
AxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS
0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKz
tLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgEC
BAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpj
ZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6
/9oADAMBAAIRAxEAPwDzu2Hm4rWttN83Hy1maAPN216RoGm+bt+WvIivYH6XnHEn1a+pgW3hzzcfJ+lFdlrXiDTfDUy2gt3vtRKhjBGwVUBIxvbnaSCS
AAT0zgEGivYw6xlWCnTho/NL82j4+XEmYVvfpR917apfm0eUeCx5nl16J4g11/DWiW4sgn9o3jFIS4yI1A+Z8YwSMqAD3bPIBFFFRChCrjYU5q61/BN/
ofPZtUlXzCFKprHXT0Tf6GJ4L8PLJ5fAooorvxWIqKo7M+EzjN8UsS0pH//Z
"""
COUNT = 7
BATCH = 3


def pixels(number: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """An image with soft shapes and a little noise, made of whole numbers."""
    rng = np.random.RandomState(number)
    y, x = np.mgrid[:height, :width]
    base = np.stack(
        [(x * 5 + y * 3) % 256, (x * y) % 256, 255 - (x * 2 + y * 7) % 256, (x * 9) % 256][:channels], axis=2
    )
    return np.clip(base + rng.randint(-9, 10, base.shape), 0, 255).astype(np.uint8)


def _boxes(number: int) -> list:
    rng = np.random.RandomState(100 + number)
    label = [2, 6] if number % 2 else [4, 6, 1.5, 2.5]
    for kind in range(1 + number % 3):
        (left, right), (top, bottom) = np.sort(rng.randint(0, 65, 2)) / 64, np.sort(rng.randint(0, 65, 2)) / 64
        label += [kind, left, top, right + 0.125, bottom + 0.125, 0.5]
    return label


def files(mx: Any, folder: str) -> dict[str, str]:
    """The record files, their indexes and lists, written into a folder; their paths by name."""
    import cv2

    paths = {name: os.path.join(folder, name) for name in ("a", "labels", "rgba", "boxes", "bad")}
    for name, path in paths.items():
        record = mx.recordio.MXIndexedRecordIO(path + ".idx", path + ".rec", "w")
        for i in range(COUNT):
            image = pixels(i, 14 + 3 * i, 30 - 2 * i, 4 if name == "rgba" else 3)
            content = cv2.imencode(".png", image)[1].tobytes()
            if i == 3:
                content = b"broken" if name == "bad" else base64.b64decode(JPEG) if name == "a" else content
            label = {"labels": [i, i + 0.5], "boxes": _boxes(i)}.get(name, float(i))
            record.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, label, i, 0), content))
        record.close()
    with open(paths["a"] + ".lst", "w") as lines:
        lines.writelines("%d\t%d\t%d\t%d.png\n" % (i, i * 10, i * 10 + 1, i) for i in range(COUNT))  # noqa: UP031
    return paths


INDEX = {"path_imgidx": "a.idx"}
BOXES = {"path_imgrec": "boxes.rec"}
CROP = {"min_crop_scales": 0.3, "max_crop_scales": 0.9, "min_crop_aspect_ratios": 0.5, "max_crop_aspect_ratios": 2.0}
#: name -> (iterator, parameters, epochs)
CASES = {
    "plain": ("ImageRecordIter", {}, 3),
    "index": ("ImageRecordIter", INDEX, 2),
    "shuffled index": ("ImageRecordIter", dict(INDEX, shuffle=True, seed=5), 3),
    "shuffled": ("ImageRecordIter", {"shuffle": True}, 3),
    "part": ("ImageRecordIter", {"num_parts": 3, "part_index": 1, "batch_size": 2}, 2),
    "part of index": ("ImageRecordIter", dict(INDEX, num_parts=3, part_index=2, batch_size=2, shuffle=True), 2),
    "two files": ("ImageRecordIter", {"path_imgrec": "a.rec;rgba.rec"}, 1),
    "labels": ("ImageRecordIter", {"path_imgrec": "labels.rec", "label_width": 2}, 1),
    "list": ("ImageRecordIter", {"path_imglist": "a.lst", "label_width": 2}, 1),
    "rgba": ("ImageRecordIter", {"path_imgrec": "rgba.rec", "data_shape": (4, 10, 11), "mean_a": 3, "std_a": 2.0}, 1),
    "gray": ("ImageRecordIter", {"data_shape": (1, 10, 11)}, 1),
    "uint8": ("ImageRecordIter", {"dtype": "uint8", "mean_r": 100}, 1),
    "int8": ("ImageRecordIter", {"dtype": "int8", "mean_r": 100.5, "mean_g": 90.4}, 1),
    "UInt8": ("ImageRecordUInt8Iter", {"rand_mirror": True}, 1),
    "Int8": ("ImageRecordInt8Iter", {"rand_crop": True}, 1),
    "v1": ("ImageRecordIter_v1", {"shuffle": True, "seed": 3}, 2),
    "v1 uint8": ("ImageRecordUInt8Iter_v1", {"mirror": True}, 2),
    "v1 random": (
        "ImageRecordIter_v1",
        {
            "rand_mirror": True,
            "max_random_contrast": 0.3,
            "max_random_illumination": 20,
            "rand_crop": True,
            "scale": 0.5,
        },
        2,
    ),
    "normalized": (
        "ImageRecordIter",
        {"mean_r": 123.68, "mean_g": 116.779, "mean_b": 103.939, "std_r": 58.4, "std_b": 57.4, "scale": 0.5},
        1,
    ),
    "mirrored": ("ImageRecordIter", {"mirror": True}, 1),
    **{
        "resize %d" % how: ("ImageRecordIter", {"resize": 13, "inter_method": how}, 1)  # noqa: UP031
        for how in (0, 1, 3, 4, 9, 10)
    },
    "enlarged": ("ImageRecordIter", {"data_shape": (3, 20, 40), "batch_size": 2}, 1),
    "square": ("ImageRecordIter", {"max_crop_size": 14, "min_crop_size": 8, "rand_crop": True}, 1),
    "padded": ("ImageRecordIter", {"pad": 2, "fill_value": 7, "data_shape": (3, 18, 22)}, 1),
    "turned": ("ImageRecordIter", {"rotate": 30, "fill_value": 0}, 1),
    "turned by a list": ("ImageRecordIter", {"rotate_list": "90,180"}, 1),
    "affine": (
        "ImageRecordIter",
        {
            "max_shear_ratio": 0.2,
            "max_rotate_angle": 20,
            "max_aspect_ratio": 0.2,
            "max_random_scale": 1.2,
            "min_random_scale": 0.8,
            "max_img_size": 30,
            "min_img_size": 11,
        },
        1,
    ),
    "random": (
        "ImageRecordIter",
        {"rand_crop": True, "rand_mirror": True, "max_random_contrast": 0.3, "max_random_illumination": 20},
        2,
    ),
    "random size": (
        "ImageRecordIter",
        {
            "random_resized_crop": True,
            "min_random_area": 0.2,
            "max_random_area": 0.9,
            "max_aspect_ratio": 1.33,
            "min_aspect_ratio": 0.75,
        },
        2,
    ),
    "jitter": ("ImageRecordIter", {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}, 1),
    "tint": ("ImageRecordIter", {"pca_noise": 0.3}, 1),
    "seed": ("ImageRecordIter", {"rand_crop": True, "rand_mirror": True, "seed_aug": 3}, 2),
    "seed, shuffled": ("ImageRecordIter", {"rand_crop": True, "seed_aug": 3, "shuffle": True}, 2),
    "twice": ("ImageRecordIter", {"aug_seq": "aug_default,aug_default", "rand_crop": True}, 1),
    "cpu": ("ImageRecordIter", {"device_id": -1, "ctx": "cpu"}, 1),
    "mean made": ("ImageRecordIter", {"mean_img": "mean.nd", "scale": 0.5, "mean_r": 7}, 1),
    "mean read": ("ImageRecordIter", {"mean_img": "mean.nd"}, 1),
    "boxes": ("ImageDetRecordIter", BOXES, 2),
    "boxes shuffled": ("ImageDetRecordIter", dict(BOXES, shuffle=True, label_pad_width=30, label_pad_value=7), 2),
    "boxes normalized": ("ImageDetRecordIter", dict(BOXES, mean_r=100, std_r=50, std_b=3, scale=0.5), 1),
    "boxes mirrored": ("ImageDetRecordIter", dict(BOXES, rand_mirror_prob=0.5), 2),
    "boxes padded": ("ImageDetRecordIter", dict(BOXES, rand_pad_prob=0.7, max_pad_scale=3.0), 2),
    "boxes cropped": (
        "ImageDetRecordIter",
        dict(
            BOXES,
            rand_crop_prob=0.8,
            num_crop_sampler=3,
            min_crop_scales=(0.3, 0.2, 0.5),
            max_crop_scales=0.9,
            min_crop_aspect_ratios=0.5,
            max_crop_aspect_ratios=2.0,
            min_crop_overlaps=(0.1, 0.3, 0.0),
            max_crop_sample_coverages=(0.9, 0.8, 1),
            min_crop_object_coverages=(0, 0.1, 0.2),
            max_crop_trials=(10, 20, 30),
        ),
        3,
    ),
    "boxes overlapping": (
        "ImageDetRecordIter",
        dict(BOXES, rand_crop_prob=0.8, crop_emit_mode="overlap", emit_overlap_thresh=0.4, **CROP),
        2,
    ),
    "boxes fit": ("ImageDetRecordIter", dict(BOXES, resize_mode="fit"), 1),
    "boxes shrunk": ("ImageDetRecordIter", dict(BOXES, resize_mode="shrink", data_shape=(3, 40, 20), batch_size=2), 1),
    "shifted colours": ("ImageRecordIter", {"random_h": 20, "random_s": 30, "random_l": 40}, 2),
    "all colours": (
        "ImageRecordIter",
        {
            "random_h": 20,
            "random_s": 30,
            "random_l": 40,
            "brightness": 0.2,
            "contrast": 0.3,
            "saturation": 0.2,
            "pca_noise": 0.1,
            "rand_mirror": True,
            "rand_crop": True,
            "max_random_illumination": 10,
        },
        2,
    ),
    "scaled, padded": (
        "ImageRecordIter",
        {"max_random_scale": 1.5, "min_random_scale": 0.7, "rand_crop": True, "pad": 3},
        2,
    ),
    "UInt8 random": (
        "ImageRecordUInt8Iter",
        {"random_resized_crop": True, "min_random_area": 0.1, "brightness": 0.4},
        2,
    ),
    "gray random": (
        "ImageRecordIter",
        {"data_shape": (1, 10, 11), "rand_crop": True, "mean_r": 10, "std_r": 3, "max_random_contrast": 0.2},
        2,
    ),
    "part shuffled": (
        "ImageRecordIter",
        {"num_parts": 2, "part_index": 1, "shuffle": True, "seed": 9, "batch_size": 2},
        3,
    ),
    "v1 turned": ("ImageRecordIter_v1", {"mean_r": 10, "scale": 0.5, "std_r": 3, "max_rotate_angle": 20}, 2),
    "boxes shifted": (
        "ImageDetRecordIter",
        dict(
            BOXES,
            max_random_hue=20,
            random_hue_prob=0.6,
            max_random_saturation=30,
            random_saturation_prob=0.5,
            max_random_illumination=25,
            random_illumination_prob=0.7,
        ),
        2,
    ),
    "boxes, everything": (
        "ImageDetRecordIter",
        dict(
            BOXES,
            rand_mirror_prob=0.5,
            rand_pad_prob=0.5,
            max_pad_scale=2.0,
            rand_crop_prob=0.7,
            max_random_contrast=0.3,
            random_contrast_prob=0.5,
            **CROP,
        ),
        3,
    ),
    "boxes of a part": ("ImageDetRecordIter", dict(BOXES, num_parts=2, part_index=1, batch_size=2), 2),
    "boxes, mean": ("ImageDetRecordIter", dict(BOXES, mean_img="boxes.nd", scale=0.5, rand_mirror_prob=1), 1),
    "boxes contrast": ("ImageDetRecordIter", dict(BOXES, max_random_contrast=0.4, random_contrast_prob=0.5), 1),
}  # type: Any


def parameters(folder: str, name: str) -> dict[str, Any]:
    """The parameters of a case, with files in a folder."""
    given = {
        "path_imgrec": "a.rec",
        "data_shape": (3, 10, 11),
        "batch_size": BATCH,
        "preprocess_threads": 1,
        "verbose": False,
    }  # type: dict[str, Any]
    given.update(CASES[name][1])
    for key, value in given.items():
        if key.startswith(("path_", "mean_img")):
            given[key] = ";".join(os.path.join(folder, part) for part in value.split(";"))
    return given


def run(mx: Any, folder: str, name: str, **options: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts and arrays of a case."""
    iterator = getattr(mx.io, CASES[name][0])(**dict(parameters(folder, name), **options))
    data, labels, pads, numbers = [], [], [], []
    for _epoch in range(CASES[name][2]):
        for batch in iterator:
            data.append(batch.data[0].asnumpy())
            labels.append(batch.label[0].asnumpy())
            pads.append(batch.pad)
            numbers.append(batch.index.tolist())
            context = str(batch.data[0].context)
        iterator.reset()
    facts = {
        "pads": pads, "numbers": numbers, "context": context, "data": str(iterator.provide_data),
        "label": str(iterator.provide_label),
    }  # fmt: skip
    return facts, {"data": _narrow(np.concatenate(data)), "label": np.concatenate(labels)}


def _narrow(values: np.ndarray) -> np.ndarray:
    """uint8 where that holds the values."""
    narrow = np.clip(values, 0, 255).astype(np.uint8)
    return narrow if (narrow == values).all() else values
