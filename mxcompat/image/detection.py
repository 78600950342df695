"""Augmenters and the iterator for images with boxes (public path of the original: ``mxnet.image.detection``)."""

from mxcompat.image import detection_augmenters as _augmenters
from mxcompat.image import detection_iterator as _iterator
from mxcompat.image.detection_augmenters import *  # noqa: F403
from mxcompat.image.detection_iterator import ImageDetIter as ImageDetIter
from mxcompat.image.image import (  # noqa: F401  # found here in the original, too
    Augmenter,
    CastAug,
    ColorJitterAug,
    ColorNormalizeAug,
    ForceResizeAug,
    HueJitterAug,
    ImageIter,
    LightingAug,
    RandomGrayAug,
    RandomOrderAug,
    ResizeAug,
    fixed_crop,
)

__all__ = [*_augmenters.__all__, *_iterator.__all__]  # noqa: PLE0604
