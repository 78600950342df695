"""Encoded images (JPEG, PNG, ...) to arrays and back, with OpenCV where it is installed, else with Pillow.

Arrays are uint8, (H, W) or (H, W, C), colours in OpenCV's order: blue, green, red(, alpha).
"""

from __future__ import annotations

import importlib
import io
import sys
from types import ModuleType
from typing import Any

import numpy as np

from mxcompat.base import DamagedFile
from mxcompat.formats.image_size import check_size

__all__ = ["decode", "encode", "opencv", "resize", "swap_colors"]

UNCHANGED, GRAY, COLOR = -1, 0, 1
CUBIC = 2
_IGNORE_ORIENTATION = 128


def decode(content: bytes | bytearray | memoryview, flag: int = COLOR, *, turn: bool = True) -> np.ndarray | None:
    """The image in ``content``, None when it is none.

    ``flag`` as in OpenCV: 1 three colours, 0 gray, -1 as stored, which may be uint16 and may have a fourth channel
    (Pillow gives colours of 16 bits as uint8). With ``turn``, gray and colour images are turned the way that their EXIF
    data ask for. Raises ``ImportError`` when neither library is there, ``DamagedFile`` for an image that claims more
    pixels than its bytes can hold.
    """
    if flag not in (UNCHANGED, GRAY, COLOR):
        raise ValueError(f"image flag is {flag!r}, expected 1 (colours), 0 (gray) or -1 (as stored)")
    name, library = _library()
    if not len(content):
        return None
    check_size(content)
    if name == "cv2":
        mode = flag if turn or flag == UNCHANGED else flag | _IGNORE_ORIENTATION
        try:
            return library.imdecode(np.frombuffer(content, np.uint8), mode)
        except library.error as error:
            raise DamagedFile(f"an image that cannot be decoded: {error}") from None
    return _pillow_decode(library, bytes(content), flag, turn and flag != UNCHANGED)


def opencv() -> Any:
    """OpenCV's module, None where it is not installed."""
    library = sys.modules.get("cv2")
    if library is not None:
        return library
    try:
        return importlib.import_module("cv2")
    except ImportError:
        return None


def resize(library: Any, pixels: np.ndarray, width: int, height: int, interpolation: int) -> np.ndarray:
    """The image (H, W, C) in another size, by OpenCV, whose module is ``library``; C may be missing in the result.

    Cubic interpolation goes without Intel's IPP: its rounding differs by 1 from the original's in 5 of 100 pixels.
    """
    if interpolation != CUBIC or not library.ipp.useIPP():
        return library.resize(pixels, (width, height), interpolation=interpolation)
    library.ipp.setUseIPP(False)  # a setting of this thread
    try:
        return library.resize(pixels, (width, height), interpolation=interpolation)
    finally:
        library.ipp.setUseIPP(True)


def encode(image: np.ndarray, image_format: str = ".jpg", quality: int = 95) -> bytes:
    """The bytes of ``image`` in the format of a file name's ending.

    ``quality`` is 1 to 100 for JPEG and the compression level for PNG, where more than 9 means 9; other formats ignore
    it, as in the original. Raises ``ImportError`` when neither library is there, ``ValueError`` for an unknown format.
    """
    name, library = _library()
    kind = {".JPG": "JPEG", ".JPEG": "JPEG", ".PNG": "PNG"}.get(image_format.upper())
    if name == "cv2":
        settings = {
            "JPEG": [library.IMWRITE_JPEG_QUALITY, quality],
            "PNG": [library.IMWRITE_PNG_COMPRESSION, min(quality, 9)],
        }
        try:
            done, content = library.imencode(image_format, image, settings.get(kind or "", []))
        except library.error as error:
            raise ValueError(f"image of shape {image.shape} cannot be written as {image_format}: {error}") from None
        if not done:
            raise ValueError(f"image of shape {image.shape} cannot be written as {image_format}")
        return content.tobytes()
    return _pillow_encode(library, image, image_format, kind, quality)


def _library() -> tuple[str, ModuleType]:
    library = opencv()
    if library is not None:
        return "cv2", library
    try:
        return "PIL", importlib.import_module("PIL.Image")
    except ImportError:
        pass
    raise ImportError("images need OpenCV or Pillow, neither of which is installed: pip install 'mxcompat[image]'")


def _pillow_decode(library: Any, content: bytes, flag: int, turn: bool) -> np.ndarray | None:
    operations = importlib.import_module("PIL.ImageOps")
    try:
        with library.open(io.BytesIO(content)) as opened:
            opened.load()
            image = operations.exif_transpose(opened) if turn else opened
            return _as_opencv(image, flag)
    except (OSError, SyntaxError, ValueError):  # what Pillow raises for content that is no (whole) image
        return None


def _as_opencv(image: Any, flag: int) -> np.ndarray:
    """The pixels of a Pillow image as OpenCV would give them."""
    if image.mode.startswith("I"):  # 16 bits a pixel
        pixels = np.asarray(image).astype(np.uint16)
        if flag == UNCHANGED:
            return pixels
        pixels = (pixels >> 8).astype(np.uint8)
        return pixels if flag == GRAY else np.repeat(pixels[:, :, None], 3, axis=2)
    if flag == UNCHANGED:
        if image.mode in ("1", "L"):
            return np.asarray(image.convert("L")).copy()
        transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        mode = "RGBA" if transparent else "RGB"
    else:
        mode = "L" if flag == GRAY else "RGB"
    pixels = np.asarray(image.convert(mode))
    return pixels.copy() if pixels.ndim == 2 else swap_colors(pixels)


def swap_colors(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) or (H, W, 4) with red and blue exchanged, as a new array; alpha stays the last."""
    library = opencv()
    if library is not None:
        three = pixels.shape[2] == 3
        return library.cvtColor(pixels, library.COLOR_BGR2RGB if three else library.COLOR_BGRA2RGBA)
    order = [2, 1, 0, *range(3, pixels.shape[2])]
    return np.ascontiguousarray(pixels[:, :, order])


def _pillow_encode(library: Any, image: np.ndarray, image_format: str, kind: str | None, quality: int) -> bytes:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ValueError(
            f"image of shape {image.shape} and type {image.dtype} cannot be written, "
            "expected uint8 and (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        )
    if image.ndim == 3:
        image = image[:, :, 0] if image.shape[2] == 1 else swap_colors(image)
    if kind == "JPEG" and image.ndim == 3:
        image = np.ascontiguousarray(image[:, :, :3])
    kind = kind or library.registered_extensions().get(image_format.lower())
    if kind is None:
        raise ValueError(f"image format {image_format!r} is unknown")
    settings: dict[str, int] = {"JPEG": {"quality": quality}, "PNG": {"compress_level": min(quality, 9)}}.get(kind, {})
    stream = io.BytesIO()
    library.fromarray(image).save(stream, format=kind, **settings)
    return stream.getvalue()
