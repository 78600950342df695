"""``mx.optimizer``: update rules with their states and multipliers (public path of the original: ``mxnet.optimizer``)."""

from mxcompat.optimizer import contrib, optimizer
from mxcompat.optimizer.optimizer import *  # noqa: F403
from mxcompat.optimizer.optimizer import __all__ as _names

__all__ = sorted([*_names, "contrib"])  # noqa: PLE0605
