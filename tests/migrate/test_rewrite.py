"""``mxcompat migrate``: what is rewritten, what stays to the letter, and what happens to files."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("libcst", reason="extra [migrate]")
pytest.importorskip("fissix", reason="extra [migrate]")

from mxcompat.__main__ import main  # noqa: E402
from mxcompat.migrate import CommandError, idioms  # noqa: E402
from mxcompat.migrate.constructs import CALLS, numpy_text  # noqa: E402
from mxcompat.migrate.rewrite import rewrite_notebook, rewrite_source  # noqa: E402

TAG = "# TODO(mxcompat)"


def rewrite(text: str, py2: bool = False) -> str:
    """The rewritten source; doing it again must change nothing."""
    after = rewrite_source(text, "a.py", py2).text
    assert rewrite_source(after, "a.py", py2).text == after
    return after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import mxnet as mx  # why\n", "import mxcompat as mx  # why\n"),
        ("from mxnet import nd, sym\n", "from mxcompat import nd, sym\n"),
        ("import mxnet.ndarray as nd\n", "import mxcompat.ndarray as nd\n"),
        ("from mxnet.io import *\n", "from mxcompat.io import *\n"),
        ("import os, mxnet as mx\n", "import os, mxcompat as mx\n"),
        ("import mxnet\nx = mxnet.nd.zeros(3)\n", "import mxcompat\nx = mxcompat.nd.zeros(3)\n"),
        (
            "import mxnet.symbol\nmxnet.symbol.Variable('a')\n",
            "import mxcompat.symbol\nmxcompat.symbol.Variable('a')\n",
        ),
        ("import mxnet as mxnet\nmxnet.cpu()\n", "import mxcompat as mxnet\nmxnet.cpu()\n"),
        ("import mxnet\nf(mxnet=1).mxnet\n", "import mxcompat\nf(mxnet=1).mxnet\n"),
        ("try:\n    import mxnet as mx\nexcept ImportError:\n    mx = None\n",) * 2,
        ("'import mxnet as mx'\n",) * 2,
        ("from .mxnet import nd\n",) * 2,
        ("def f(mxnet):\n    return mxnet.nd\n",) * 2,
        ("x = 1\n",) * 2,
        ("",) * 2,
    ],
)
def test_imports(before: str, after: str) -> None:
    assert rewrite(before) == (
        after.replace("import mxnet as mx\n", "import mxcompat as mx\n") if "try" in before else after
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("np.zeros(3, dtype = np.float)  # c", "np.zeros(3, dtype = float)  # c"),
        ("np.product(x)", "np.prod(x)"),
        ("(np.int, np.bool, np.object)", "(int, bool, object)"),
        ("np.NINF ** 2", "(-np.inf) ** 2"),
        ("np.unicode_", "np.str_"),
        ("np.asscalar(x)", "np.asarray(x).item()"),
        ("np.rank(x)", "np.ndim(x)"),
        ("np.in1d(x, y)", "np.isin(np.asarray(x).ravel(), y)"),
        ("np.find_common_type(a or b, c)", "np.result_type(*(a or b), *c)"),
        ("np.fromstring(x, dtype=np.uint8)", "np.frombuffer(x, dtype=np.uint8).copy()"),
        ("np.fromstring(string=x, dtype='f4')", "np.frombuffer(buffer=x, dtype='f4').copy()"),
        ("np.fromstring('1 2', sep=' ')",) * 2,
        ("np.array(x, copy=False)", "np.array(x, copy=None)"),
        ("np.array(x, copy=True)",) * 2,
        ("'np.int'",) * 2,
        ("other.int",) * 2,
        ("lambda np: np.int",) * 2,
    ],
)
def test_numpy(before: str, after: str) -> None:
    assert rewrite(f"import numpy as np\n{before}\n") == f"import numpy as np\n{after}\n"
    text = rewrite(f"import numpy\n{before.replace('np.', 'numpy.')}\n")
    if "lambda" not in before:
        assert text == f"import numpy\n{after.replace('np.', 'numpy.')}\n"


def test_every_removed_name_of_numpy_is_settled() -> None:
    """It has an expression that gives its value, a call that does the same, or is left to be marked."""
    import numpy as np

    left = {name for name in idioms.NUMPY_NAMES if numpy_text(name, "np") is None} - set(CALLS)
    assert left == {"sctypes", "issubclass_", "issctype"}
    for name, value in idioms.NUMPY_NAMES.items():
        text = numpy_text(name, "np")
        if text is not None and text not in ("math", "np.trapezoid"):
            assert repr(eval(text, {"np": np})) == repr(value), name


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import time\ntime.clock()\n", "import time\ntime.process_time()\n"),
        ("from time import clock, time\n", "from time import time, process_time as clock\n"),
        (
            "import collections\nisinstance(x, collections.Mapping)\n",
            "import collections\nimport collections.abc\nisinstance(x, collections.abc.Mapping)\n",
        ),
        (
            "from collections import Mapping, OrderedDict  # c\n",
            "from collections import OrderedDict  # c\nfrom collections.abc import Mapping\n",
        ),
        ("from fractions import gcd\n", "from math import gcd\n"),
        ("import base64\nbase64.encodestring(x)\n", "import base64\nbase64.encodebytes(x)\n"),
        ("import numpy as np\nnp.math.pi\n", "import numpy as np\nimport math\nmath.pi\n"),
        ("from numpy import product, ones\n", "from numpy import ones, prod as product\n"),
        ("from numpy import float as f\n", "f = float\n"),
        ("import inspect\ninspect.getargspec(f).keywords\n", "import inspect\ninspect.getfullargspec(f).varkw\n"),
        ("import xml.etree.cElementTree as ET\n", "import xml.etree.ElementTree as ET\n"),
        ("from xml.etree import cElementTree as ET\n", "from xml.etree import ElementTree as ET\n"),
        ("from imp import reload\n", "from importlib import reload\n"),
        ("t.isAlive()\n", "t.is_alive()\n"),
        ("class T:\n    def isAlive(self):\n        return self.isAlive()\n",) * 2,
    ],
)
def test_python(before: str, after: str) -> None:
    assert rewrite(before) == after


def test_versions_come_from_mxcompat() -> None:
    text = rewrite("from distutils.version import LooseVersion\nprint(LooseVersion('1.9') < '1.10')\n")
    assert "distutils" not in text and TAG not in text
    exec(text, {})


def test_a_shadowed_builtin_is_not_used() -> None:
    text = rewrite("import numpy as np\nfloat = 3\nx = np.float\n")
    assert "x = np.float\n" in text and f"{TAG} MX110 np.float" in text


def test_marks_stand_above_the_statement() -> None:
    text = rewrite("import mxnet as mx\nif True:\n    x = f(1,\n          mx.sym.NoSuchOperator(2))\n")
    lines = text.splitlines()
    assert lines[2].startswith(f"    {TAG} MX301 mx.sym.NoSuchOperator") and lines[3] == "    x = f(1,"
    assert f"{TAG} MX304" in rewrite("import importlib\nmx = importlib.import_module('mxnet')\n")


def test_what_is_not_supported_stays_runnable() -> None:
    text = rewrite("import mxnet as mx\nfrom mxnet.gluon import nn\nclass Net(nn.Block):\n    pass\nprint('ran')\n")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.stdout == "ran\n", done.stderr


PYTHON2 = """
import mxnet as mx
import cPickle

def f(n, (a, b)):
    for i in xrange(n / 2):
        print "x", i, len(a) / 2, n / 2.0
    try:
        n /= 3
    except Exception, e:
        print >>log, e
    for k, v in d.iteritems(): pass
    return raw_input("?")
"""


def test_python2() -> None:
    with pytest.raises(CommandError, match=r"^a.py:5: this is Python 2 \(tuple parameter\): add --py2"):
        rewrite_source(PYTHON2, "a.py")
    text = rewrite(PYTHON2, py2=True)
    ast.parse(text)
    for part in ("import mxcompat as mx", "len(a)//2" if "len(a)//2" in text else "len(a) // 2", "n / 2.0", "input("):
        assert part in text
    assert text.count(f"{TAG} MX103") == 2
    assert rewrite_source(text, "a.py").text == text


def test_next_stays_where_mxnet_calls_it() -> None:
    """MXNet's iterators call ``next``, Python 3 calls ``__next__``."""
    derived = "class I(mx.io.DataIter):\n    def next(self):\n        print 1\n    x = 1\n"
    assert "    def __next__(self):\n        print(1)\n\n    next = __next__\n    x = 1\n" in rewrite(derived, py2=True)
    assert "next = " not in rewrite(derived.replace("mx.io.DataIter", "object"), py2=True)
    at_end = rewrite("class I(A):\n    def next(self):\n        print 1", py2=True)
    assert at_end.endswith("print(1)\n\n    next = __next__\n")


def test_quotients_of_constants() -> None:
    text = "N = 3\nM = 4\nM = 5\nK = 2.0\nprint len(x) / N, 2 * N / 2, M / 2, 1 / K\n"
    assert "print(len(x) // N, 2 * N // 2, M / 2, 1 / K)" in rewrite(text, py2=True)
    assert "len(x) / N" in rewrite(text + "def f(N):\n    pass\n", py2=True)


@pytest.mark.parametrize(
    "text", ["print(input('x'))\n", "for k in d.items(): pass\n", "x = 1 / 2\n", "list(map(f, x))\n"]
)
def test_python3_stays_under_py2(text: str) -> None:
    assert rewrite(text, py2=True) == text


def test_tabs_count_eight_columns() -> None:
    text = rewrite("if True:\n        a = 1\n\tb = 2\nprint a\n", py2=True)
    assert text == "if True:\n        a = 1\n        b = 2\nprint(a)\n"


def test_neither_python() -> None:
    with pytest.raises(CommandError, match="^a.py:2: neither Python 2 nor Python 3: syntax error at '[(]'"):
        rewrite_source("print 'a'\ndef (:\n", "a.py", py2=True)
    with pytest.raises(CommandError, match="^a.py:1: neither Python 2 nor Python 3"):
        rewrite_source("print 'a\ndef (:\n", "a.py", py2=True)
    with pytest.raises(CommandError, match="^a.py:2: syntax error"):
        rewrite_source("x = 1\ndef (:\n", "a.py")


# -- notebooks ----------------------------------------------------------------------------------------------------


def notebook(*cells: str, indent: int | None = 1, **metadata: object) -> str:
    """A notebook with a text cell and these code cells."""
    code = [
        {"cell_type": "code", "execution_count": 3, "metadata": {"z": "é"}, "outputs": [], "source": c.splitlines(True)}
        for c in cells
    ]
    text = {"cell_type": "markdown", "metadata": {}, "source": ["import mxnet as mx\n", "np.int"]}
    content = {"cells": [text, *code], "metadata": metadata, "nbformat": 4, "nbformat_minor": 2}
    return json.dumps(content, indent=indent, ensure_ascii=False) + "\n"


def cells_of(text: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("indent", [1, 2, None])
def test_notebooks(indent: int | None) -> None:
    cells = [
        "%matplotlib inline\nimport mxnet as mx\nimport numpy as np",
        "!ls np.int\nx = np.int(3)\nmx.cpu?",
        "%%bash\nimport mxnet",
        "y = np.array(x,\n  copy=False)\n",
        "",
        "this is no Python",
    ]
    before = notebook(*cells, indent=indent)
    after = rewrite_notebook(before, "a.ipynb").text
    assert cells_of(after) == [
        "%matplotlib inline\nimport mxcompat as mx\nimport numpy as np",
        "!ls np.int\nx = int(3)\nmx.cpu?",
        "%%bash\nimport mxnet",
        "y = np.array(x,\n  copy=None)\n",
        "",
        "this is no Python",
    ]
    assert after == notebook(*cells_of(after), indent=indent)  # nothing else has changed
    assert rewrite_notebook(after, "a.ipynb").text == after


def test_notebooks_in_python2() -> None:
    before = notebook("import mxnet as mx\nprint 'a'", "%time x = n / 2\nprint n / 2")
    with pytest.raises(CommandError, match=r"^a.ipynb: code cell 1: this is Python 2 \(print statement\): add --py2"):
        rewrite_notebook(before, "a.ipynb")
    after = rewrite_notebook(before, "a.ipynb", py2=True).text
    first, second = cells_of(after)
    assert first == "import mxcompat as mx\nprint('a')"
    assert second.splitlines()[0] == "%time x = n / 2" and second.splitlines()[1].startswith(f"{TAG} MX103")
    assert rewrite_notebook(after, "a.ipynb", py2=True).text == after


def test_a_format_over_two_lines_is_no_command() -> None:
    """Neither in Python 2 nor beside commands."""
    cell = "print '%d of %d' \\\n   % (1,\n      n)"
    after = rewrite_notebook(notebook(cell, "%time f()\nx = ('%d'\n  % 3)"), "a.ipynb", py2=True).text
    assert cells_of(after) == ["print('%d of %d' \\\n   % (1,\n      n))", "%time f()\nx = ('%d'\n  % 3)"]
    beside = "%time f()\nx = np.int('%d'\n  %(3,))"
    after = rewrite_notebook(notebook("import mxnet as mx, numpy as np", beside), "a.ipynb").text
    assert cells_of(after)[1] == beside.replace("np.int", "int")


def test_notebooks_with_nothing_to_do() -> None:
    assert "no code cells" in rewrite_notebook(notebook(), "a.ipynb").note
    julia = notebook("println(1)", kernelspec={"language": "julia"})
    assert rewrite_notebook(julia, "a.ipynb").text == julia
    for text in ("", "[]", "{}", '{"cells": []}', '{"cells": 3, "nbformat": 4}'):
        with pytest.raises(CommandError, match="^a.ipynb: this is no notebook"):
            rewrite_notebook(text, "a.ipynb")


# -- the command --------------------------------------------------------------------------------------------------


def put(path: Path, text: str = "import mxnet as mx\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_diff_is_the_default(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = put(tmp_path / "a.py", "import mxnet as mx")
    for option in ([], ["--diff"]):
        assert main(["migrate", str(path), *option]) == 0
        out, err = capsys.readouterr()
        assert "-import mxnet as mx\n\\ No newline" in out and "+import mxcompat as mx\n" in out
        assert err == "1 file, 1 to change\n" and path.read_text() == "import mxnet as mx"


def test_write(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = put(tmp_path / "a.py", "#!/usr/bin/python\r\n# -*- coding: latin-1 -*-\r\nimport mxnet as mx\r\n")
    path.write_bytes(path.read_bytes() + "x = 'é'\r\n".encode("latin-1"))
    path.chmod(0o750)
    before = path.read_bytes()
    assert main(["migrate", str(path), "--write"]) == 0
    assert path.read_bytes() == before.replace(b"mxnet", b"mxcompat") and path.stat().st_mode & 0o777 == 0o750
    assert os.listdir(tmp_path) == ["a.py"] and capsys.readouterr().err == "1 file, 1 changed\n"
    stamp = path.stat().st_mtime_ns
    assert main(["migrate", str(path), "--write"]) == 0
    assert path.stat().st_mtime_ns == stamp and capsys.readouterr().err == "1 file, 0 changed\n"


def test_output(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.py"), put(tmp_path / "in" / "sub" / "b.ipynb", notebook("import mxnet"))
    put(tmp_path / "in" / ".git" / "c.py"), put(tmp_path / "in" / "d.txt")
    assert main(["migrate", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 0
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")) == [
        "a.py",
        "sub/b.ipynb",
    ]
    assert main(["migrate", str(tmp_path / "in" / "a.py"), "-o", str(tmp_path / "new.py")]) == 0
    assert (tmp_path / "new.py").read_text() == "import mxcompat as mx\n"
    assert main(["migrate", str(tmp_path / "in" / "a.py"), "-o", str(tmp_path / "in" / "a.py")]) == 2
    assert main(["migrate", str(tmp_path / "in"), "-o", str(tmp_path / "new.py")]) == 2
    assert (tmp_path / "in" / "a.py").read_text() == "import mxnet as mx\n"


def test_one_bad_file_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    good, bad = put(tmp_path / "a.py"), put(tmp_path / "b.py", "print 'x'\n")
    put(tmp_path / "c.py", "x = 'é'\n").write_bytes(b"x = '\xe9'\n")
    assert main(["migrate", str(tmp_path), "--write"]) == 2
    err = capsys.readouterr().err
    assert f"{bad}:1: this is Python 2 (print statement): add --py2" in err and "nothing was written" in err
    assert "c.py: the encoding of this file" in err
    assert good.read_text() == "import mxnet as mx\n"
    assert main(["migrate", str(tmp_path / "none.py")]) == 2
    assert "none.py: no such file or folder" in capsys.readouterr().err


def test_other_inputs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["migrate", str(tmp_path)]) == 0
    assert capsys.readouterr().err == f"mxcompat migrate: no script or notebook in {tmp_path}\n0 files, 0 to change\n"
    assert main(["migrate", str(put(tmp_path / "net-symbol.json", "{}"))]) == 2
    assert "net-symbol.json: neither a script nor a notebook" in capsys.readouterr().err
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    good = put(tmp_path / "a.py")
    assert main(["migrate", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "gone.py: No such file or directory" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and good.read_text() == "import mxnet as mx\n"


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    path = put(tmp_path / "a.py")
    monkeypatch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert main(["migrate", str(path), "--write"]) == 2
    assert capsys.readouterr().err == f"mxcompat migrate: {path}: No space left on device\n"
    assert os.listdir(tmp_path) == ["a.py"] and path.read_text() == "import mxnet as mx\n"


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = put(tmp_path / "a.py")
    monkeypatch.setitem(sys.modules, "fissix", None)
    assert main(["migrate", str(path), "--py2"]) == 2
    assert "fissix is missing: pip install 'mxcompat[migrate]'" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "libcst", None)
    assert main(["migrate", str(path)]) == 2
    assert "libcst is missing: pip install 'mxcompat[migrate]'" in capsys.readouterr().err
