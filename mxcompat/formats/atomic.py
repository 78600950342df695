"""Saving a file so that its path holds either the old content or the new, whatever happens in between."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from typing import BinaryIO

__all__ = ["write_atomically"]

Content = bytes | bytearray | memoryview | Iterable[bytes | memoryview] | Callable[[BinaryIO], None]


def write_atomically(path: str | os.PathLike, content: Content) -> None:
    """Replaces the file ``path`` by ``content``: bytes, an iterable of bytes, or a function that is given the open file.

    The content goes to a temporary file in the same folder, reaches the disk and then takes the place of ``path`` in
    one step; when anything fails the temporary file is removed and ``path`` is as before. An existing file keeps its
    permissions, a new one gets those of the process' umask; a symbolic link keeps pointing at the file that is
    replaced. Something that is no regular file (a pipe, ``/dev/null``) is written directly. Raises ``OSError``.
    """
    mode = _permissions(path)
    if mode is None:
        with open(path, "wb") as stream:
            _write(stream, content)
        return
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".mxcompat-{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with open(descriptor, "wb") as stream:
            _write(stream, content)
            stream.flush()
            os.fsync(stream.fileno())
        if mode >= 0:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:  # also an interrupt from the keyboard must not leave the temporary file behind
        os.unlink(temporary)
        raise
    _sync_folder(folder)


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
    elif isinstance(content, (bytes, bytearray, memoryview)):
        stream.write(content)
    else:
        stream.writelines(content)


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
