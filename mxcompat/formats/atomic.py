"""Saving a file so that its path holds either the old content or the new, whatever happens in between."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["write_atomically"]

Content = bytes | bytearray | memoryview | Iterable[bytes | memoryview] | Callable[[BinaryIO], None]

_TEMPORARY = re.compile(r"\.mxcompat-[0-9a-f]{16}\.tmp")
_WRITE_BACK_AFTER = 8 << 20  # bytes
_ABANDONED_AFTER = 24 * 3600  # seconds, where the system cannot tell whether a file is still being written


def write_atomically(path: str | os.PathLike, content: Content) -> None:
    """Replaces the file ``path`` by ``content``: bytes, an iterable of bytes, or a function that is given the open file.

    The content goes to a temporary file in the same folder, reaches the disk and then takes the place of ``path`` in
    one step; when anything fails the temporary file is removed and ``path`` is as before. An existing file keeps its
    permissions, a new one gets those of the process' umask; a symbolic link keeps pointing at the file that is
    replaced. Something that is no regular file (a pipe, ``/dev/null``) is written directly. Raises ``OSError``.

    Temporary files that killed processes left in the folder are removed first.
    """
    mode = _permissions(path)
    if mode is None:
        with open(path, "wb") as pipe:
            _write(pipe, content)
        return
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    _remove_leftovers(folder)
    temporary, stream = _open_temporary(folder)
    try:
        with stream:
            _write(stream, content)
            stream.flush()
            os.fsync(stream.fileno())
            if mode >= 0:
                os.chmod(temporary, mode)
            if fcntl is not None:
                os.replace(temporary, target)  # as long as the lock holds
        if fcntl is None:  # Windows does not rename open files
            os.replace(temporary, target)
    except BaseException:  # also an interrupt from the keyboard must not leave the temporary file behind
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _open_temporary(folder: str) -> tuple[str, BinaryIO]:
    """A new file, locked for as long as it is open, by which others know that it is not left over."""
    while True:
        path = os.path.join(folder, f".mxcompat-{secrets.token_hex(8)}.tmp")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        stream = open(descriptor, "wb")  # noqa: SIM115  closed by the caller
        if _lock(descriptor) is not False and os.path.exists(path):
            return path, stream
        stream.close()  # another process took it for left over before it was locked


def _lock(descriptor: int) -> bool | None:
    """Whether the file is locked now; None where the system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True


def _remove_leftovers(folder: str) -> None:
    """Removes the temporary files that nobody is writing any more."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _TEMPORARY.fullmatch(entry.name)]
    for path in (os.path.join(folder, name) for name in names):
        with contextlib.suppress(OSError):  # it is gone already, or belongs to another user
            if _is_left_over(path):
                os.unlink(path)


def _is_left_over(path: str) -> bool:
    descriptor = os.open(path, os.O_RDWR)
    try:
        locked = _lock(descriptor)
        if locked is None:
            return time.time() - os.fstat(descriptor).st_mtime > _ABANDONED_AFTER
        return locked
    finally:
        os.close(descriptor)


def _permissions(target: str | os.PathLike) -> int | None:
    """The permission bits of the file at ``target``, -1 when there is none yet, None when it cannot be replaced."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return -1
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", str(target))
    if not stat.S_ISREG(status.st_mode):
        return None
    if not os.access(target, os.W_OK):
        # Replacing needs no permission on the file itself; a file that was made read-only is meant to stay.
        raise PermissionError(errno.EACCES, "Permission denied", str(target))
    return stat.S_IMODE(status.st_mode)


def _write(stream: BinaryIO, content: Content) -> None:
    if callable(content):
        content(stream)
        return
    parts = [content] if isinstance(content, (bytes, bytearray, memoryview)) else content
    start = end = 0
    for part in parts:
        view = memoryview(part).cast("B")
        for first in range(0, len(view), _WRITE_BACK_AFTER):
            end += stream.write(view[first : first + _WRITE_BACK_AFTER])
            if end - start >= _WRITE_BACK_AFTER:
                _begin_write_back(stream, start, end)
                start = end


def _begin_write_back(stream: BinaryIO, start: int, end: int) -> None:
    """Has the system bring these bytes to the disk while the next ones are written: the sync at the end waits for less."""
    if hasattr(os, "posix_fadvise"):
        stream.flush()
        with contextlib.suppress(OSError):  # a hint, which pipes and some file systems do not take
            os.posix_fadvise(stream.fileno(), start, end - start, os.POSIX_FADV_DONTNEED)


def _sync_folder(folder: str) -> None:
    """Makes the new directory entry durable where the system can do that (a folder cannot be opened on Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse to sync a folder; the file itself is safe
    finally:
        os.close(descriptor)
