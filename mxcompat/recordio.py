"""Reading and writing RecordIO files and image records (public path of the original: ``mxnet.recordio``). No torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.formats import images
from mxcompat.formats.recordio import IRHeader, RecordReader, RecordWriter, pack, read_index, unpack

__all__ = ["IRHeader", "MXIndexedRecordIO", "MXRecordIO", "pack", "pack_img", "unpack", "unpack_img"]


class MXRecordIO:
    """A RecordIO file, read from its beginning (``flag`` 'r') or written anew ('w').

    Raises ``ValueError`` for any other flag and ``MXNetError`` for a file that cannot be opened or is damaged.
    """

    handle: Any = None
    is_open = False

    def __init__(self, uri: str, flag: str):
        self.uri = os.fspath(uri)
        self.flag = flag
        self.pid: int | None = None
        self.open()

    def open(self) -> None:
        """Opens the file; writing starts with an empty one."""
        if self.flag not in ("r", "w"):
            raise ValueError(f"Invalid flag {self.flag}: expected 'r' or 'w'")
        self.writable = self.flag == "w"
        self.handle = RecordWriter(self.uri) if self.writable else RecordReader(self.uri)
        self.pid = os.getpid()
        self.is_open = True

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """A reader travels as its paths and opens the file again where it is unpickled, at the first record."""
        if self.is_open and self.writable:
            # Compat: the original allows it, and unpickling then empties the file that was just written.
            raise RuntimeError(f"{self.uri}: an open writer cannot be pickled, close() it first")
        return {**self.__dict__, "handle": None, "pid": None}

    def __setstate__(self, d: dict[str, Any]) -> None:
        self.__dict__.update(d)
        self.is_open = False
        if d["is_open"]:
            self.open()

    def _check_pid(self, allow_reset: bool = False) -> None:
        """A file that was opened before a fork shares its position with the other process, so it is not used."""
        if not self.is_open:
            raise RuntimeError(f"{self.uri}: the file is closed")
        if self.pid != os.getpid():
            if not allow_reset:
                raise RuntimeError(f"{self.uri}: Forbidden operation in multiple processes: call reset() after a fork")
            self.reset()

    def _check_flag(self, writable: bool, method: str) -> None:
        if self.writable != writable:
            raise AssertionError(f"{self.uri}: {method} needs flag {'w' if writable else 'r'!r}, found {self.flag!r}")

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        if self.is_open:
            self.is_open = False
            self.pid = None
            self.handle.close()

    def reset(self) -> None:
        """Goes back to the first record; a file being written is emptied."""
        self.close()
        self.open()

    def write(self, buf: bytes) -> None:
        """Appends a record."""
        self._check_flag(True, "write")
        self._check_pid()
        if isinstance(buf, str):
            raise TypeError("a record is bytes, found str")
        self.handle.write(buf)

    def read(self) -> bytes | None:
        """The next record, None behind the last one."""
        self._check_flag(False, "read")
        self._check_pid()
        return self.handle.read()


class MXIndexedRecordIO(MXRecordIO):
    """A RecordIO file with an index (a text file of key, TAB, byte offset) for reading in any order.

    ``idx`` maps keys to offsets and ``keys`` lists them in file order; keys are converted with ``key_type``.
    """

    fidx: Any = None

    def __init__(self, idx_path: str, uri: str, flag: str, key_type: Callable[[str], Any] = int):
        self.idx_path = os.fspath(idx_path)
        self.idx: dict[Any, int] = {}
        self.keys: list[Any] = []
        self.key_type = key_type
        super().__init__(uri, flag)

    def open(self) -> None:
        super().open()
        if self.writable:
            self.idx, self.keys = {}, []
            self.fidx = open(self.idx_path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115  closed by close()
        else:
            entries = read_index(self.idx_path, self.key_type)
            self.idx, self.keys = dict(entries), [key for key, _ in entries]

    def close(self) -> None:
        """Closes both files; the index is complete only then."""
        super().close()
        if self.fidx is not None:
            self.fidx.close()
            self.fidx = None

    def seek(self, idx: Any) -> None:
        """Makes the record with key ``idx`` the next one that ``read`` gives; ``KeyError`` for an unknown key."""
        self._check_flag(False, "seek")
        self._check_pid(allow_reset=True)
        offset, size = self.idx[idx], os.path.getsize(self.uri)
        if not 0 <= offset < size:
            raise MXNetError(f"{self.idx_path}: key {idx!r} is at offset {offset}, {self.uri} has {size} bytes")
        self.handle.seek(offset)

    def tell(self) -> int:
        """Byte offset at which the next record will be written."""
        self._check_flag(True, "tell")
        self._check_pid()
        return self.handle.tell()

    def read_idx(self, idx: Any) -> bytes | None:
        """The record with key ``idx``."""
        self.seek(idx)
        return self.read()

    def write_idx(self, idx: Any, buf: bytes) -> None:
        """Appends a record under the key ``idx``."""
        key = self.key_type(idx)
        offset = self.tell()
        self.write(buf)
        self.fidx.write(f"{key}\t{offset}\n")
        self.idx[key] = offset
        self.keys.append(key)


def pack_img(header: Any, img: np.ndarray, quality: int = 95, img_fmt: str = ".jpg") -> bytes:
    """A record of the header and an encoded image.

    ``img`` (H, W), (H, W, 3) or (H, W, 4) with the colours blue, green, red; ``quality`` 1 to 100 for JPEG, the
    compression level for PNG. Needs OpenCV or Pillow (``pip install 'mxcompat[image]'``), else ``ImportError``.
    """
    return pack(header, images.encode(img, img_fmt, quality))


def unpack_img(s: bytes, iscolor: int = -1) -> tuple[Any, np.ndarray | None]:
    """The header of an image record and its image, colours in the order blue, green, red; None for no image.

    ``iscolor``: -1 as stored, 0 gray (H, W), 1 colours (H, W, 3). Needs OpenCV or Pillow as ``pack_img`` does.
    """
    header, content = unpack(s)
    return header, images.decode(content, iscolor)
