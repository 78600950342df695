"""What ``import mxnet`` finds in a process started by one that has the alias on.

The folder above is on PYTHONPATH there (see ``mxcompat.migrate.alias``). Python of any version may come by here, so the
syntax is that of Python 2.7 until the version is checked.
"""

import os
import sys

if sys.version_info < (3, 10):
    raise ImportError(
        "this process inherited the mxnet alias of mxcompat, which needs Python 3.10 or newer; "
        "take %s out of PYTHONPATH to start it without" % os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    )

try:
    import mxcompat
except ModuleNotFoundError:  # not installed: the parent ran from a checkout
    sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 4)))
    import mxcompat  # noqa: F401

from mxcompat.migrate import run

run.continue_in_child()
