"""Augmenters: changes of an image (height, width, channel), most of them random, that an ``ImageIter`` applies in turn.

Random numbers come from Python's ``random`` (noise of ``LightingAug``: ``numpy.random``), in the original's order. The
augmenters of colours write into the float image that they are given.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat.image.functions import (
    _get_interp_method,
    _old_name,
    center_crop,
    color_normalize,
    imresize,
    random_crop,
    random_size_crop,
    resize_short,
)

__all__ = ["Augmenter", "BrightnessJitterAug", "CastAug", "CenterCropAug", "ColorJitterAug", "ColorNormalizeAug"]
__all__ += [
    "ContrastJitterAug",
    "CreateAugmenter",
    "ForceResizeAug",
    "HorizontalFlipAug",
    "HueJitterAug",
    "LightingAug",
]
__all__ += [
    "RandomCropAug",
    "RandomGrayAug",
    "RandomOrderAug",
    "RandomSizedCropAug",
    "ResizeAug",
    "SaturationJitterAug",
]
__all__ += ["SequentialAug"]

_GRAY = [[[0.299, 0.587, 0.114]]]
MEAN, STD = [123.68, 116.28, 103.53], [58.395, 57.12, 57.375]
_EIGENVALUES = [55.46, 4.794, 1.148]
_EIGENVECTORS = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]


def plain_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with arrays as lists, for JSON."""
    as_numpy = {key: v.asnumpy() if isinstance(v, nd.NDArray) else v for key, v in parameters.items()}
    return {key: v.tolist() if isinstance(v, np.ndarray) else v for key, v in as_numpy.items()}


class Augmenter:
    """Base of the augmenters: a call takes an image and returns one. ``kwargs`` are what ``dumps`` shows."""

    def __init__(self, **kwargs: Any):
        self._kwargs = plain_parameters(kwargs)

    def dumps(self) -> Any:
        """The augmenter as text: JSON of its lower-case name and its parameters."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, src: Any) -> Any:
        """The changed image."""
        raise NotImplementedError("Must override implementation.")


class _Group(Augmenter):
    """Several augmenters, ``ts``; ``dumps`` gives a list and not its text, as in the original."""

    def __init__(self, ts: list):
        super().__init__()
        self.ts = ts

    def dumps(self) -> Any:
        """The lower-case name, and what the augmenters of the group say."""
        return [type(self).__name__.lower(), [augmenter.dumps() for augmenter in self.ts]]

    def __call__(self, src: Any) -> Any:
        """The image after all augmenters."""
        for augmenter in self.ts:
            src = augmenter(src)
        return src


class SequentialAug(_Group):
    """Augmenters one after another."""


class RandomOrderAug(_Group):
    """Augmenters in a random order. Compat: the list that was given is shuffled."""

    def __call__(self, src: Any) -> Any:
        """The image after all augmenters."""
        random.shuffle(self.ts)
        return super().__call__(src)


class ResizeAug(Augmenter):
    """Resizes so that the shorter edge has ``size`` pixels."""

    def __init__(self, size: int, interp: int = 2):
        super().__init__(size=size, interp=interp)
        self.size, self.interp = size, interp

    def __call__(self, src: Any) -> Any:
        """The resized image."""
        return resize_short(src, self.size, self.interp)


class ForceResizeAug(Augmenter):
    """Resizes to ``size`` (width, height), whatever the proportions."""

    def __init__(self, size: tuple[int, int], interp: int = 2):
        super().__init__(size=size, interp=interp)
        self.size, self.interp = size, interp

    def __call__(self, src: Any) -> Any:
        """The resized image."""
        sizes = (src.shape[0], src.shape[1], self.size[1], self.size[0])
        return imresize(src, *self.size, interp=_get_interp_method(self.interp, sizes))


class RandomCropAug(Augmenter):
    """Cuts out ``size`` (width, height) at a random place."""

    def __init__(self, size: Any, interp: int = 2):
        super().__init__(size=size, interp=interp)
        self.size, self.interp = size, interp

    def __call__(self, src: Any) -> Any:
        """The part of the image."""
        return random_crop(src, self.size, self.interp)[0]


class RandomSizedCropAug(Augmenter):
    """Cuts out a random part and resizes it to ``size`` (width, height), see ``random_size_crop``."""

    def __init__(self, size: Any, area: Any, ratio: Any, interp: int = 2, **kwargs: Any):
        super().__init__(size=size, area=area, ratio=ratio, interp=interp)
        self.size, self.ratio, self.interp = size, ratio, interp
        self.area = _old_name(area, kwargs, "RandomSizedCropAug")

    def __call__(self, src: Any) -> Any:
        """The part of the image."""
        return random_size_crop(src, self.size, self.area, self.ratio, self.interp)[0]


class CenterCropAug(Augmenter):
    """Cuts out the middle of ``size`` (width, height)."""

    def __init__(self, size: Any, interp: int = 2):
        super().__init__(size=size, interp=interp)
        self.size, self.interp = size, interp

    def __call__(self, src: Any) -> Any:
        """The part of the image."""
        return center_crop(src, self.size, self.interp)[0]


class BrightnessJitterAug(Augmenter):
    """Multiplies by a factor between 1 - ``brightness`` and 1 + ``brightness``."""

    def __init__(self, brightness: float):
        super().__init__(brightness=brightness)
        self.brightness = brightness

    def __call__(self, src: Any) -> Any:
        """The image, changed in place."""
        src *= 1.0 + random.uniform(-self.brightness, self.brightness)
        return src


class ContrastJitterAug(Augmenter):
    """Mixes the image with its mean gray; its own share is between 1 - ``contrast`` and 1 + ``contrast``."""

    def __init__(self, contrast: float):
        super().__init__(contrast=contrast)
        self.contrast = contrast
        self.coef = nd.array(_GRAY)

    def __call__(self, src: Any) -> Any:
        """The image, changed in place."""
        share = 1.0 + random.uniform(-self.contrast, self.contrast)
        gray = src * self.coef
        mean = (3.0 * (1.0 - share) / gray.size) * nd.sum(gray)
        src *= share
        src += mean
        return src


class SaturationJitterAug(Augmenter):
    """Mixes each pixel with its gray; its own share is between 1 - ``saturation`` and 1 + ``saturation``."""

    def __init__(self, saturation: float):
        super().__init__(saturation=saturation)
        self.saturation = saturation
        self.coef = nd.array(_GRAY)

    def __call__(self, src: Any) -> Any:
        """The image, changed in place."""
        share = 1.0 + random.uniform(-self.saturation, self.saturation)
        gray = nd.sum(src * self.coef, axis=2, keepdims=True) * (1.0 - share)
        src *= share
        src += gray
        return src


class HueJitterAug(Augmenter):
    """Turns the colours by an angle between -``hue`` and ``hue``, where 1 is half a turn, in the YIQ colour space."""

    def __init__(self, hue: float):
        super().__init__(hue=hue)
        self.hue = hue
        self.tyiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
        self.ityiq = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])

    def __call__(self, src: Any) -> Any:
        """A new image."""
        angle = random.uniform(-self.hue, self.hue) * np.pi
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
        return nd.dot(src, nd.array((self.ityiq @ turn @ self.tyiq).T))


class ColorJitterAug(RandomOrderAug):
    """Brightness, contrast and saturation, those above 0, in a random order."""

    def __init__(self, brightness: float, contrast: float, saturation: float):
        kinds: list[tuple[Any, float]] = [
            (BrightnessJitterAug, brightness),
            (ContrastJitterAug, contrast),
            (SaturationJitterAug, saturation),
        ]
        super().__init__([make(amount) for make, amount in kinds if amount > 0])


class LightingAug(Augmenter):
    """Adds a colour: the eigenvectors ``eigvec`` (3, 3) weighted by ``eigval`` (3,) and by noise of ``alphastd``."""

    def __init__(self, alphastd: float, eigval: Any, eigvec: Any):
        super().__init__(alphastd=alphastd, eigval=eigval, eigvec=eigvec)
        self.alphastd, self.eigval, self.eigvec = alphastd, eigval, eigvec

    def __call__(self, src: Any) -> Any:
        """The image, changed in place."""
        noise = np.random.normal(0, self.alphastd, size=(3,))
        src += nd.array(np.dot(self.eigvec * noise, self.eigval))
        return src


class ColorNormalizeAug(Augmenter):
    """``(src - mean) / std``; None leaves one out."""

    def __init__(self, mean: Any, std: Any):
        super().__init__(mean=mean, std=std)
        self.mean, self.std = (
            given if given is None or isinstance(given, nd.NDArray) else nd.array(given) for given in (mean, std)
        )

    def __call__(self, src: Any) -> Any:
        """The image, changed in place."""
        return color_normalize(src, self.mean, self.std)


class RandomGrayAug(Augmenter):
    """Makes the image gray, in three equal channels, with probability ``p``."""

    def __init__(self, p: float):
        super().__init__(p=p)
        self.p = p
        self.mat = nd.array([[0.21] * 3, [0.72] * 3, [0.07] * 3])

    def __call__(self, src: Any) -> Any:
        """A new image, or the given one."""
        return nd.dot(src, self.mat) if random.random() < self.p else src


class HorizontalFlipAug(Augmenter):
    """Mirrors left and right with probability ``p``."""

    def __init__(self, p: float):
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: Any) -> Any:
        """A new image, or the given one."""
        return nd.flip(src, axis=1) if random.random() < self.p else src


class CastAug(Augmenter):
    """Converts to the type ``typ``."""

    def __init__(self, typ: str = "float32"):
        super().__init__(type=typ)
        self.typ = typ

    def __call__(self, src: Any) -> Any:
        """A new image."""
        return src.astype(self.typ)


def statistic(given: Any, standard: list[float], make: Callable[[list], Any], accepted: tuple, name: str) -> Any:
    """``mean`` or ``std`` as an array or None; True means ImageNet's, which ``make`` makes an array."""
    if given is True:
        return make(standard)
    if given is not None and not (isinstance(given, accepted) and given.shape[0] in (1, 3)):
        raise AssertionError(f"{name} is {given!r}, expected True or an array of 1 or 3 numbers")
    return given


def color_augmenters(
    brightness: float, contrast: float, saturation: float, hue: float, pca_noise: float, rand_gray: float
) -> list[Augmenter]:
    """The augmenters of colours that are asked for."""
    found: list[Augmenter] = []
    if brightness or contrast or saturation:
        found.append(ColorJitterAug(brightness, contrast, saturation))
    if hue:
        found.append(HueJitterAug(hue))
    if pca_noise > 0:
        found.append(LightingAug(pca_noise, np.array(_EIGENVALUES), np.array(_EIGENVECTORS)))
    if rand_gray > 0:
        found.append(RandomGrayAug(rand_gray))
    return found


def CreateAugmenter(  # noqa: N802
    data_shape: tuple, resize: int = 0, rand_crop: bool = False, rand_resize: bool = False, rand_mirror: bool = False,
    mean: Any = None, std: Any = None, brightness: float = 0, contrast: float = 0, saturation: float = 0, hue: float = 0,
    pca_noise: float = 0, rand_gray: float = 0, inter_method: int = 2,
) -> list[Augmenter]:  # fmt: skip
    """The usual list of augmenters for images of ``data_shape`` (channel, height, width).

    In this order: shorter edge to ``resize``; a crop, random with ``rand_crop``, of random size with ``rand_resize``;
    mirrored half of the time with ``rand_mirror``; float32; brightness, contrast, saturation, ``hue``, ``pca_noise``,
    gray with probability ``rand_gray``; ``mean`` and ``std`` (arrays, or True for ImageNet's).
    """
    size = (data_shape[2], data_shape[1])
    augmenters: list[Augmenter] = [ResizeAug(resize, inter_method)] if resize > 0 else []
    if rand_resize:
        if not rand_crop:
            raise AssertionError("rand_resize=True needs rand_crop=True")
        augmenters.append(RandomSizedCropAug(size, 0.08, (3.0 / 4.0, 4.0 / 3.0), inter_method))
    else:
        augmenters.append(RandomCropAug(size, inter_method) if rand_crop else CenterCropAug(size, inter_method))
    if rand_mirror:
        augmenters.append(HorizontalFlipAug(0.5))
    augmenters.append(CastAug())
    augmenters += color_augmenters(brightness, contrast, saturation, hue, pca_noise, rand_gray)
    mean = statistic(mean, MEAN, nd.array, (np.ndarray, nd.NDArray), "mean")
    std = statistic(std, STD, nd.array, (np.ndarray, nd.NDArray), "std")
    if mean is not None or std is not None:
        augmenters.append(ColorNormalizeAug(mean, std))
    return augmenters
