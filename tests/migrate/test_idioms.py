"""Old idioms: every restored name does what it did in NumPy 1.19 and Python 3.6."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from mxcompat.migrate import idioms, removed_modules

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    """What the expressions of EXPECTED give in a fresh process with the idioms restored."""
    code = (
        "import json, sys\n"
        "from mxcompat.migrate import idioms; idioms.restore(); idioms.restore()\n"
        "import base64, collections, fractions, inspect, threading, time, numpy as np\n"
        "import xml.etree.cElementTree as ET\n"
        "out = {text: repr(eval(text)) for text in json.loads(sys.argv[1])}\n"
        "print(json.dumps(out))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(list(EXPECTED))], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


EXPECTED = {
    "[np.int, np.float, np.complex, np.object, np.str]": repr([int, float, complex, object, str]),
    "np.zeros(2, np.bool)": "array([False, False])",
    "np.zeros(2, np.int).dtype": "dtype('int64')",
    "[np.float_, np.complex_] == [np.float64, np.complex128]": "True",
    "[np.Inf, np.PINF, np.NINF, np.NaN]": "[inf, inf, -inf, nan]",
    "np.asscalar(np.array([2.5]))": "2.5",
    "np.in1d([[1, 2], [3, 4]], [2, 3])": "array([False,  True,  True, False])",
    "np.product([2, 3, 4])": "24",
    "np.cumproduct([2, 3, 4])": "array([ 2,  6, 24])",
    "[np.sometrue([0, 1]), np.alltrue([0, 1])]": "[True, False]",
    "np.rank([[1, 2]])": "2",
    "np.round_(2.567, 1)": "2.6",
    "np.trapz([1.0, 2.0, 4.0])": "4.5",
    "np.row_stack([[1, 2], [3, 4]]).shape": "(2, 2)",
    "np.msort([[3, 1], [2, 4]]).tolist()": "[[2, 1], [3, 4]]",
    "np.asfarray([1, 2]).dtype": "dtype('float64')",
    "np.math.floor(2.5)": "2",
    "np.mat([[1, 2]]).shape": "(1, 2)",
    "np.fromstring(b'\\x01\\x02', np.uint8)": "array([1, 2], dtype=uint8)",
    "np.fromstring(b'\\x01\\x02', np.uint8).flags.writeable": "True",
    "np.fromstring('1 2 3', int, -1, ' ')": "array([1, 2, 3])",
    "np.array([1, 2], copy=False).tolist()": "[1, 2]",
    "np.array(np.ones(3, 'f'), dtype='d', copy=False).dtype": "dtype('float64')",
    "[np.float32(2.5), np.float64(1), np.int64(3), np.bool_(True)]": "[2.5, 1.0, 3, True]",
    "issubclass(dict, collections.Mapping) and issubclass(list, collections.Sequence)": "True",
    "collections.OrderedDict(a=1)['a']": "1",
    "time.clock() <= time.clock()": "True",
    "tuple(inspect.getargspec(lambda a, b=2, *c, **d: 0))": "(['a', 'b'], 'c', 'd', (2,))",
    "fractions.gcd(12, 18)": "6",
    "base64.decodestring(base64.encodestring(b'abc'))": "b'abc'",
    "threading.Thread().isAlive()": "False",
    "ET.fromstring('<a><b/></a>').find('b').tag": "'b'",
}


@pytest.mark.parametrize("text", list(EXPECTED))
def test_restored(answers: dict[str, str], text: str) -> None:
    assert answers[text] == EXPECTED[text]


def test_importing_changes_nothing() -> None:
    assert not hasattr(np, "asscalar") and not hasattr(np, "_mxcompat_idioms")
    assert set(idioms.NUMPY_NAMES) >= {"bool", "int", "float", "object", "float_", "Inf", "product", "alltrue"}


def test_loose_version() -> None:
    version = removed_modules.LooseVersion
    assert version("1.9.1").version == [1, 9, 1] and version("1.9.1rc2").version == [1, 9, 1, "rc", 2]
    assert version("1.10") > version("1.9.1") >= "1.9.1" and version("0.12") < "1.0" and version("1.0") == "1.0"
    assert str(version("1.0")) == "1.0" and repr(version("1.0")) == "LooseVersion ('1.0')"


def test_strict_version() -> None:
    version = removed_modules.StrictVersion
    assert version("1.2") == version("1.2.0") and version("1.2a1") < version("1.2b1") < version("1.2")
    with pytest.raises(ValueError, match="invalid version number '1'"):
        version("1")


def test_distutils(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike) -> None:
    for name in ("distutils", "distutils.version", "distutils.util", "distutils.dir_util"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "distutils.core", raising=False)  # torch's compiler imports it
    monkeypatch.setitem(sys.modules, "distutils", removed_modules.make_distutils())
    from distutils.dir_util import mkpath
    from distutils.util import strtobool
    from distutils.version import LooseVersion

    assert LooseVersion is removed_modules.LooseVersion
    assert [strtobool(word) for word in ("Yes", "off")] == [1, 0]
    made = mkpath(os.path.join(tmp_path, "a", "b"))
    assert [os.path.basename(folder) for folder in made] == ["a", "b"] and os.path.isdir(made[1])
    with pytest.raises(ModuleNotFoundError, match="distutils.core"):
        exec("import distutils.core")


def test_imp(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike) -> None:
    with open(os.path.join(tmp_path, "old_config.py"), "w", encoding="utf-8") as file:
        file.write("depth = 18\n")
    imp = removed_modules.make_imp()
    for name in ("old_config", "other_name"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert imp.load_source("other_name", os.path.join(tmp_path, "old_config.py")).depth == 18
    file, path, description = imp.find_module("old_config", [str(tmp_path)])
    with file:
        assert imp.load_module("old_config", file, path, description).depth == 18
    with pytest.raises(ImportError, match="No module named 'nowhere'"):
        imp.find_module("nowhere", [str(tmp_path)])
    for name in ("old_config", "other_name"):
        del sys.modules[name]
