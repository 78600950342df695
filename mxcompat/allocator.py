"""glibc's allocator, told to keep large blocks for the next step instead of giving them back to the system.

By default every block of more than a few hundred kilobytes is mapped anew and its pages are faulted in one by one, in
every step again. The setting is process-wide and costs resident memory: what a step needed stays with the process.
``MXCOMPAT_ALLOCATOR=system`` leaves the allocator as it is.

Kept blocks of many sizes leave gaps between them, which takes away what mirroring saves. So where the switch for
mirroring is set, large blocks go back to the system after all (``return_large_blocks``), unless ``MXCOMPAT_ALLOCATOR=keep``
is set too. ResNet-50 on two cores: 940 MB and 609 ms a step with kept blocks, mirrored 982 MB and 670 ms with kept blocks,
662 MB and 1150 ms without.
"""

from __future__ import annotations

import ctypes
import os
import sys

from mxcompat.base import env_choice

__all__ = ["keep_memory", "return_large_blocks"]

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGE = 1 << 20
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


def return_large_blocks() -> bool:
    """Let blocks of 1 MiB and more go back to the system from now on; whether that is so (not if keeping is asked for)."""
    if not _done or os.environ.get("MXCOMPAT_ALLOCATOR"):
        return False
    return ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE) == 1
