"""glibc's allocator, told to keep large blocks for the next step instead of giving them back to the system.

By default every block of more than a few hundred kilobytes is mapped anew and its pages are faulted in one by one, in
every step again. The setting is process-wide and costs resident memory: what a step needed stays with the process.
``MXCOMPAT_ALLOCATOR=system`` leaves the allocator as it is.
"""

from __future__ import annotations

import ctypes
import sys

from mxcompat.base import env_choice

__all__ = ["keep_memory"]

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_done = False


def keep_memory() -> bool:
    """Make the setting, once; whether it is made (False on another C library, or when switched off)."""
    global _done
    if _done or not sys.platform.startswith("linux"):
        return _done
    if env_choice("MXCOMPAT_ALLOCATOR", ("keep", "system"), "keep") == "system":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = ((_MMAP_THRESHOLD, 1 << 30), (_TRIM_THRESHOLD, (1 << 31) - 1), (_TOP_PAD, 64 << 20))
    _done = all(library.mallopt(name, value) == 1 for name, value in settings)
    return _done
