"""Functions, augmenters and the iterator for images (public path of the original: ``mxnet.image.image``)."""

from mxcompat.image import augmenters, functions
from mxcompat.image import iterator as _iterator
from mxcompat.image.augmenters import *  # noqa: F403
from mxcompat.image.functions import *  # noqa: F403
from mxcompat.image.functions import _get_interp_method as _get_interp_method
from mxcompat.image.iterator import ImageIter as ImageIter

__all__ = [*augmenters.__all__, *functions.__all__, *_iterator.__all__]  # noqa: PLE0604
