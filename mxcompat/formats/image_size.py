"""The size that an encoded image claims, before a library allocates memory for it."""

from __future__ import annotations

import re
import struct

from mxcompat.base import DamagedFile

__all__ = ["check_size", "claimed_size"]

_ALWAYS_FINE = 1 << 20  # pixels
#: Pixels that a byte can stand for: deflate makes at most 1032 bytes of one, with 8 pixels of one bit each; a block of a
#: JPEG image takes a bit at least and stands for 64 pixels, or 16 times as many in the coarsest channel.
_PIXELS_OF_A_BYTE = 8256
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # start of a frame of JPEG
_SHORT = 1 << 14  # bytes that are searched for frames faster than their segments are followed
_FRAME = re.compile(rb"\xff(?=[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]...(....))", re.DOTALL)
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length


def check_size(content: bytes | bytearray | memoryview) -> None:
    """``DamagedFile`` for a JPEG, PNG or BMP image of more pixels than so many bytes can hold."""
    head, limit = bytes(content[:32]), max(_ALWAYS_FINE, _PIXELS_OF_A_BYTE * len(content))
    if len(content) <= _SHORT and head.startswith(b"\xff\xd8") and _largest_frame(content) <= limit:
        return
    size = claimed_size(head, content)
    if size is None:
        return
    height, width = size
    if height * width > limit:
        raise DamagedFile(f"an image of {height} x {width} pixels, which its {len(content)} bytes cannot hold")


def _largest_frame(content: bytes | bytearray | memoryview) -> int:
    """The pixels of the largest frame of a JPEG image, also of what only looks like one, as bytes of a comment may."""
    sizes = (struct.unpack(">HH", size) for size in _FRAME.findall(content))
    return max((height * width for height, width in sizes), default=0)


def claimed_size(head: bytes, content: bytes | bytearray | memoryview) -> tuple[int, int] | None:
    """Height and width in the header of a JPEG, PNG or BMP image, None for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        width, height = struct.unpack_from(">II", head, 16)
        return height, width
    if head.startswith(b"BM") and len(head) >= 26:
        width, height = struct.unpack_from("<ii", head, 18)
        return abs(height), abs(width)
    if head.startswith(b"\xff\xd8"):
        return _jpeg_size(content)
    return None


def _jpeg_size(content: bytes | bytearray | memoryview) -> tuple[int, int] | None:
    """The largest frame's size, where segments before the first scan announce one."""
    place, found = 2, None
    while place + 9 <= len(content):
        if content[place] != 0xFF:  # libjpeg looks for the next marker
            place += 1
            continue
        marker = content[place + 1]
        if marker == 0xFF or marker == 0 or marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker in (0xD9, 0xDA):
            break
        (length,) = struct.unpack_from(">H", content, place + 2)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", content, place + 5)
            found = max(found or (0, 0), (height, width), key=lambda size: size[0] * size[1])
        place += 2 + length
    return found
