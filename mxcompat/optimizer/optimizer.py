"""All optimizers under the path of the original (``mxnet.optimizer.optimizer``), which files of states name."""

from mxcompat.ndarray import abs as NDabs  # noqa: N812
from mxcompat.optimizer.adaptive import FTML, AdaDelta, AdaGrad, Adam, Adamax, Ftrl, Nadam, RMSProp
from mxcompat.optimizer.base import Optimizer, create, register
from mxcompat.optimizer.descent import DCASGD, NAG, SGD, SGLD, Signum, Test, ccSGD
from mxcompat.optimizer.large_batch import LAMB, LARS, LBSGD
from mxcompat.optimizer.updater import Updater, get_updater

__all__ = [
    "DCASGD",
    "FTML",
    "LAMB",
    "LARS",
    "LBSGD",
    "NAG",
    "SGD",
    "SGLD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "Adamax",
    "Ftrl",
]
__all__ += ["NDabs", "Nadam", "Optimizer", "RMSProp", "Signum", "Test", "Updater", "ccSGD", "create", "get_updater"]
__all__ += ["register"]

for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
