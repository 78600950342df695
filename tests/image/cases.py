"""What ``mx.image`` does with small images, the same for real MXNet and for mxcompat: facts and arrays by name.

Every case starts Python's and NumPy's random numbers with the same seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np

Found = Any  # the facts and the arrays: two dicts
LABEL = np.array([[0, 0.1, 0.2, 0.5, 0.6], [1, 0.3, 0.3, 0.9, 0.8], [2, 0.0, 0.0, 0.1, 0.1]], np.float32)
EIGENVALUES = np.array([55.46, 4.794, 1.148])
EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An image with soft shapes and a little noise, made of whole numbers."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[:height, :width]
    base = np.stack([(x * 5 + y * 3) % 256, (x * y) % 256, 255 - (x * 2 + y * 7) % 256], axis=2)
    return np.clip(base + rng.randint(-9, 10, base.shape), 0, 255).astype(np.uint8)


def run(action: Callable[[], Any], found: Found, key: str) -> None:
    """Note what an action gives, or which error it raises; arrays and tuples that begin with one are kept apart."""
    random.seed(7)
    np.random.seed(7)
    try:
        result = action()
    except Exception as error:
        found[0][key] = type(error).__name__
        return
    parts = result if isinstance(result, tuple) else (result,)
    if not parts or not (hasattr(parts[0], "asnumpy") or isinstance(parts[0], np.ndarray)):
        found[0][key] = result
        return
    for number, part in enumerate(parts):
        if hasattr(part, "asnumpy"):
            found[1]["%s/%d" % (key, number)] = part.asnumpy()  # noqa: UP031
        elif isinstance(part, np.ndarray):
            found[1]["%s/%d" % (key, number)] = part  # noqa: UP031
        else:
            found[0]["%s/%d" % (key, number)] = [float(value) for value in part]  # noqa: UP031


def functions(mx: Any) -> Found:
    found = {}, {}  # type: Any
    im, src = mx.image, mx.nd.array(pixels(29, 37), dtype="uint8")
    for interp in (0, 1, 2, 3, 4, 9, 10, 5):
        text = str(interp)
        run(lambda i=interp: im.resize_short(src, 20, i), found, "resize_short " + text)
        run(lambda i=interp: im.random_crop(src, (12, 40), i), found, "random_crop " + text)
        run(lambda i=interp: im.center_crop(src, (60, 11), i), found, "center_crop " + text)
        run(lambda i=interp: im.random_size_crop(src, (12, 9), 0.1, (0.7, 1.4), i), found, "random_size_crop " + text)
    run(lambda: im.random_size_crop(src, (12, 9), (1.5, 2.0), (0.7, 1.4)), found, "random_size_crop too large")
    run(lambda: im.fixed_crop(src, 2, 3, 10, 12), found, "fixed_crop")
    run(lambda: im.fixed_crop(src, 2, 3, 10, 12, (5, 4), 1), found, "fixed_crop resized")
    run(lambda: im.imresize(src, 7, 9), found, "imresize")
    run(lambda: im.scale_down((640, 480), (720, 120)), found, "scale_down wide")
    run(lambda: im.scale_down((360, 1000), (480, 500)), found, "scale_down narrow")
    for kind in (0, 1, 2, 3, 4, 16):
        run(lambda k=kind: im.copyMakeBorder(src, 1, 2, 3, 4, k, values=(1, 2, 3)), found, "border %d" % kind)  # noqa: UP031
    image = src.astype("float32")
    run(lambda: im.color_normalize(image.copy(), mx.nd.array([1, 2, 3]), mx.nd.array([3, 4, 5])), found, "normalize")
    return found


def rotations(mx: Any) -> Found:
    found = {}, {}  # type: Any
    im = mx.image
    image = mx.nd.array(pixels(17, 23)).transpose((2, 0, 1))
    both = mx.nd.stack(image, image)
    for zoom in ((False, False), (True, False), (False, True), (True, True)):
        run(lambda z=zoom: im.imrotate(image, 17.5, *z), found, "imrotate %s %s" % zoom)  # noqa: UP031
        run(lambda z=zoom: im.imrotate(both, mx.nd.array([10, -200]), *z), found, "imrotate both %s %s" % zoom)  # noqa: UP031
    run(lambda: im.random_rotate(image, (-30, 30)), found, "random_rotate")
    run(lambda: im.random_rotate(both, (-30, 30)), found, "random_rotate both")
    run(lambda: im.imrotate(image, mx.nd.array([1])), found, "imrotate angle")
    run(lambda: im.imrotate(image.astype("uint8"), 3), found, "imrotate type")
    run(lambda: im.imrotate(image[0], 3), found, "imrotate shape")
    run(lambda: im.imrotate(both, mx.nd.array([1, 2, 3])), found, "imrotate count")
    return found


def _augmenters(mx: Any) -> dict[str, Any]:
    im = mx.image
    return {
        "resize": im.ResizeAug(30),
        "force": im.ForceResizeAug((20, 30), 9),
        "random crop": im.RandomCropAug((20, 30)),
        "sized crop": im.RandomSizedCropAug((20, 30), (0.1, 0.5), (0.5, 2)),
        "center crop": im.CenterCropAug((20, 30)),
        "brightness": im.BrightnessJitterAug(0.5),
        "contrast": im.ContrastJitterAug(0.5),
        "saturation": im.SaturationJitterAug(0.5),
        "hue": im.HueJitterAug(0.5),
        "colors": im.ColorJitterAug(0.1, 0.2, 0.3),
        "lighting": im.LightingAug(0.1, EIGENVALUES, EIGENVECTORS),
        "normalize": im.ColorNormalizeAug(mx.nd.array([1, 2, 3]), [1, 2, 3]),
        "divide": im.ColorNormalizeAug(None, np.array([1, 2, 3.0])),
        "gray": im.RandomGrayAug(0.9),
        "flip": im.HorizontalFlipAug(0.6),
        "cast": im.CastAug(),
        "sequential": im.SequentialAug([im.CastAug(), im.BrightnessJitterAug(0.3)]),
        "random order": im.RandomOrderAug([im.BrightnessJitterAug(0.3), im.ContrastJitterAug(0.2)]),
    }


def augmenters(mx: Any) -> Found:
    found = {}, {}  # type: Any
    image = mx.nd.array(pixels(25, 31))
    for name, augmenter in _augmenters(mx).items():
        found[0][name + " dumps"] = json.dumps(augmenter.dumps())
        run(lambda a=augmenter: a(image.copy()), found, name)
    return found


OPTIONS = [
    {},
    {"resize": 40, "rand_crop": True, "rand_mirror": True, "mean": True, "std": True},
    {
        "rand_crop": True, "rand_resize": True, "brightness": 0.1, "contrast": 0.2, "saturation": 0.3, "hue": 0.1,
        "pca_noise": 0.1, "rand_gray": 0.3, "inter_method": 10,
    },
    {"mean": np.array([1, 2, 3.0]), "std": np.array([1.0, 2, 3])},
]  # fmt: skip
DETECTION = [
    {},
    {"resize": 40, "rand_crop": 1, "rand_mirror": True, "mean": True, "std": True},
    {
        "rand_crop": 0.7, "rand_pad": 0.8, "brightness": 0.1, "contrast": 0.2, "saturation": 0.3, "hue": 0.1,
        "pca_noise": 0.1, "rand_gray": 0.3, "inter_method": 10, "min_object_covered": [0.1, 0.3, 0.5],
    },
    {"mean": np.array([1, 2, 3.0]), "std": np.array([1.0, 2, 3]), "rand_pad": 1, "area_range": (1.0, 4.0)},
]  # fmt: skip


def lists(mx: Any) -> Found:
    found = {}, {}  # type: Any
    for number, options in enumerate(OPTIONS):
        chain = mx.image.CreateAugmenter((3, 12, 16), **options)
        found[0]["list %d" % number] = json.dumps([a.dumps() for a in chain])  # noqa: UP031

        def applied(chain: Any = chain) -> Any:
            image = mx.nd.array(pixels(29, 37), dtype="uint8")
            for augmenter in chain:
                image = augmenter(image)
            return image

        run(applied, found, "applied %d" % number)  # noqa: UP031
    return found


def detection(mx: Any) -> Found:
    found = {}, {}  # type: Any
    for number, options in enumerate(DETECTION):
        chain = mx.image.CreateDetAugmenter((3, 12, 16), **options)
        found[0]["list %d" % number] = json.dumps([a.dumps() for a in chain])  # noqa: UP031

        def applied(skipped: int, chain: Any = chain) -> Any:
            random.seed(skipped)
            image, label = mx.nd.array(pixels(29, 37), dtype="uint8"), LABEL.copy()
            for augmenter in chain:
                image, label = augmenter(image, label)
            return image, label

        for seed in range(4):
            run(lambda s=seed: applied(s), found, "applied %d %d" % (number, seed))  # noqa: UP031
    return found


CASES = {case.__name__: case for case in (functions, rotations, augmenters, lists, detection)}
