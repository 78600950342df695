"""Sizes that image headers claim."""

import struct

import pytest

from mxcompat.base import MXNetError
from mxcompat.formats.image_size import check_size, claimed_size

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def jpeg(height, width, before=b""):
    return b"\xff\xd8" + before + b"\xff\xc0" + struct.pack(">HBHH", 11, 8, height, width) + bytes(20) + b"\xff\xd9"


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (PNG + struct.pack(">II", 30, 20) + bytes(9), (20, 30)),
        (PNG, None),
        (b"BM" + bytes(16) + struct.pack("<ii", 7, -9), (9, 7)),
        (jpeg(5, 6), (5, 6)),
        (jpeg(5, 6, b"\xff\xe0\0\x04\xff\xc0\0\xff\xff"), (5, 6)),
        (b"\xff\xd8\xff\xda" + jpeg(5, 6)[2:], None),
        (b"\xff\xd8", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_claimed_size(content, size):
    assert claimed_size(content[:32], content) == size


def test_more_pixels_than_the_bytes_can_hold():
    check_size(jpeg(1000, 1000))
    check_size(b"")
    with pytest.raises(MXNetError, match="60000 x 60000 pixels, which its 33 bytes cannot hold"):
        check_size(jpeg(60000, 60000))
    with pytest.raises(ValueError, match="pixels"):
        check_size(PNG + struct.pack(">II", 2**31, 2**31))


def test_real_images():
    images = pytest.importorskip("cv2")
    import numpy as np

    pixels = np.zeros((3000, 6000, 3), np.uint8)
    for ending in (".jpg", ".png", ".bmp"):
        content = images.imencode(ending, pixels)[1].tobytes()
        assert claimed_size(content[:32], content) == (3000, 6000)
        check_size(content)
