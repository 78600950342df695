"""``mx.image``, also ``mx.img``: images and their augmentation (public path of the original: ``mxnet.image``)."""

from mxcompat.image import detection, image
from mxcompat.image import detection as det
from mxcompat.image.detection import *  # noqa: F403
from mxcompat.image.image import *  # noqa: F403

__all__ = [*image.__all__, *detection.__all__, "det", "detection", "image"]  # noqa: PLE0604
