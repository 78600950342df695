"""Rows of the operators on image files, and files that the tests write themselves."""

import numpy as np

from tests.harness import Bad, Row, ints, rows_test, values

BORDER, RESIZE, DECODE = "_internal._cvcopyMakeBorder", "_internal._cvimresize", "_internal._cvimdecode"
MARGINS = {"top": 2, "bot": 3, "left": 1, "right": 2}
TOP = {"top": 1, "bot": 0, "left": 0, "right": 0}
ND = ("nd",)
SMALL = {"w": 3, "h": 2}


def pixels(*shape, dtype=None):
    return {"src": ints(shape, 0, 256, dtype)}


ROWS = [
    *[Row(BORDER, pixels(2, 3, 1), dict(MARGINS, type=kind), grad=False, faces=ND, exact=True) for kind in range(5)],
    Row(BORDER, pixels(2, 3, 3), dict(MARGINS, value=7.5), grad=False, faces=ND, exact=True, dtype="float64"),
    Row(BORDER, pixels(2, 2, 4), dict(TOP, value=7), grad=False, faces=ND, exact=True),
    Row(BORDER, pixels(2, 2, 4), dict(TOP, values=(1, 2, 3, 4)), grad=False, faces=ND, exact=True),
    Row(BORDER, pixels(2, 2, 3), dict(TOP, value=300.7), grad=False, faces=ND, exact=True, dtype="uint8"),
    Row(BORDER, pixels(2, 2, 3), dict(TOP, value=1.5), grad=False, faces=ND, exact=True, dtype="uint8"),
    Row(BORDER, pixels(2, 2, 1), dict(TOP, value=-2.5), grad=False, faces=ND, exact=True, dtype="int32"),
    Row(BORDER, pixels(2, 2, 5), dict(MARGINS, type=1), grad=False, faces=ND, exact=True),
    Row(BORDER, pixels(1, 1, 1), dict(MARGINS, type=4), grad=False, faces=ND, exact=True),
    Bad(BORDER, pixels(2, 2, 5), dict(TOP, value=7), match="values", faces=ND),
    Bad(BORDER, pixels(2, 2, 3), dict(TOP, values=(1,)), match="channels", error="MXNetError", faces=ND),
    Bad(BORDER, pixels(2, 2), TOP, match="src", faces=ND),
    Bad(BORDER, pixels(2, 2, 3), dict(TOP, top=-1), faces=ND),
    Bad(BORDER, pixels(2, 2, 3), dict(TOP, left=2, type=5), match="type", faces=ND),
    Bad(BORDER, pixels(2, 2, 3), {"top": 1}, match="bot", faces=ND),
    Row(RESIZE, pixels(4, 5, 3), dict(SMALL, interp=0), grad=False, faces=ND, exact=True),
    Row(RESIZE, pixels(4, 5, 3), SMALL, grad=False, faces=ND, exact=True, dtype="uint8"),
    Row(RESIZE, pixels(2, 2, 3), {"w": 5, "h": 4}, grad=False, faces=ND, dtype="float64"),
    Bad(RESIZE, pixels(2, 2), SMALL, match="src", faces=ND),
    Bad(RESIZE, pixels(2, 2, 3), dict(SMALL, w=0), faces=ND),
    Bad(RESIZE, pixels(2, 2, 3), dict(SMALL, interp=10), match="interp", faces=ND),
    Bad(RESIZE, pixels(2, 2, 3), SMALL, dtype="float16", faces=ND),
    Bad(DECODE, {"buf": values([1.0, 2.0])}, match="uint8", faces=ND),
    Bad(DECODE, {"buf": ints((9,), 0, 9, "uint8")}, {"flag": -1}, match="flag", faces=ND),
    Bad("_internal._cvimread", {}, {"filename": "missing.png"}, match="missing.png", faces=ND),
]


def _written(tmp_path):
    """A small colour image as a PNG file; skips where no library for it is installed."""
    import pytest

    from mxcompat.formats import images

    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    try:
        content = images.encode(pixels, ".png", 3)
    except ImportError:
        pytest.skip("needs OpenCV or Pillow")
    path = tmp_path / "image.png"
    path.write_bytes(content)
    return pixels, path


def test_decode_and_read(tmp_path):
    from mxcompat import nd

    pixels, path = _written(tmp_path)
    found = nd._internal._cvimread(filename=str(path), to_rgb=False)
    np.testing.assert_array_equal(found.asnumpy(), pixels)
    content = nd.array(np.frombuffer(path.read_bytes(), np.uint8), dtype="uint8")
    np.testing.assert_array_equal(nd._internal._cvimdecode(content).asnumpy(), pixels[:, :, ::-1])
    assert nd._internal._cvimdecode(content, flag=0).shape == (2, 3, 1)


def test_without_the_libraries(tmp_path, monkeypatch):
    import pytest

    from mxcompat import MXNetError, nd

    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    content = nd.array([1, 2], dtype="uint8")
    with pytest.raises(MXNetError, match=r"mxcompat\[image\]"):
        nd._internal._cvimdecode(content)
    resized = nd._internal._cvimresize(nd.ones((2, 2, 3), dtype="uint8"), w=3, h=2, interp=2)
    assert resized.shape == (2, 3, 3)
    assert (resized.asnumpy() == 1).all()


test_rows = rows_test(ROWS, __file__)
