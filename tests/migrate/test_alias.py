"""The alias: the same objects under both names, stand-ins for what is missing, ended without traces, inherited."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

import mxcompat
from mxcompat.base import MXNetError
from mxcompat.migrate import alias


@pytest.fixture
def installed() -> Iterator[None]:
    with mxcompat.install():
        yield


def run_python(code: str, **options: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, **options)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "name",
    [
        "mxnet",
        "mxnet.base",
        "mxnet.context",
        "mxnet.ndarray",
        "mxnet.ndarray.ndarray",
        "mxnet.symbol.symbol",
        "mxnet.symbol.contrib",
        "mxnet.io",
        "mxnet.io.io",
        "mxnet.module.base_module",
        "mxnet.initializer",
        "mxnet.recordio",
        "mxnet.gluon",
    ],
)
def test_same_objects(installed: None, name: str) -> None:
    own = importlib.import_module("mxcompat" + name[len("mxnet") :])
    spec = own.__spec__
    assert importlib.import_module(name) is own
    assert own.__spec__ is spec


def test_forms_of_import(installed: None) -> None:
    import mxnet as mx
    import mxnet.symbol.symbol
    from mxnet import AttrScope, nd
    from mxnet.base import MXNetError as imported
    from mxnet.ndarray import NDArray

    assert mx is mxcompat and mx.__version__ == "1.9.1"
    assert nd is mxcompat.ndarray and NDArray is mxcompat.nd.NDArray
    assert imported is MXNetError and AttrScope is mxcompat.AttrScope
    assert mxnet.symbol.symbol.Symbol is mxcompat.sym.Symbol


def test_star_import(installed: None) -> None:
    names: dict[str, object] = {}
    exec("from mxnet import *", names)
    assert names["nd"] is mxcompat.ndarray and names["gluon"] is mxcompat.gluon


def test_unsupported_modules_import_and_say_so_when_used(installed: None) -> None:
    import mxnet.gluon
    import mxnet.gluon.data.vision
    import mxnet.numpy as np
    from mxnet import npx
    from mxnet.gluon import nn

    for use in (lambda: mxnet.gluon.Trainer(), lambda: nn.Dense(3), lambda: np.zeros(3), lambda: npx.relu):
        with pytest.raises(MXNetError, match="mxcompat has no "):
            use()


def test_unsupported_classes_can_be_derived_from(installed: None) -> None:
    from mxnet import gluon

    class Block(gluon.HybridBlock):
        def hybrid_forward(self, F, x): ...  # noqa: N803

    with pytest.raises(MXNetError, match=r"no gluon\.HybridBlock: mx\.gluon is not supported"):
        Block()
    with pytest.raises(MXNetError, match=r"no gluon\.Parameter\.data"):
        assert gluon.Parameter.data


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("import mxnet.nowhere", "mxnet.nowhere"),
        ("from mxnet import nowhere", "mxnet.nowhere"),
        ("from mxnet.symbol import Nowhere", "mxnet.symbol.Nowhere"),
        ("from mxnet.gluon import metrics", "mxnet.gluon.metrics"),
        ("import mxnet.gluon.nowhere", "mxnet.gluon.nowhere"),
    ],
)
def test_missing_names(installed: None, statement: str, missing: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"mxcompat has no {missing}"):
        exec(statement)


def test_missing_name_of_a_plain_module(installed: None) -> None:
    with pytest.raises(ImportError, match="Nowhere.*mxcompat.context"):
        exec("from mxnet.context import Nowhere")


def test_pickles_name_the_original(installed: None) -> None:
    error = pickle.loads(pickle.dumps(MXNetError("text")))
    assert type(error) is MXNetError and str(error) == "text"


def test_uninstall_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    before = (list(sys.meta_path), list(sys.path), os.environ["PYTHONPATH"])
    with mxcompat.install():
        importlib.import_module("mxnet.base")
        assert os.environ["PYTHONPATH"] == alias.INHERIT + os.pathsep + "somewhere"
    assert (list(sys.meta_path), list(sys.path), os.environ["PYTHONPATH"]) == before
    assert not [name for name in sys.modules if name.split(".")[0] == "mxnet"]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mxnet")


def test_inner_block_does_not_end_an_outer_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with mxcompat.install():
        with mxcompat.install():
            pass
        assert alias.is_installed()
    assert not alias.is_installed() and "PYTHONPATH" not in os.environ


def test_refused_after_another_mxnet(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("mxnet")
    other.__file__, other.__version__ = "/site/mxnet/__init__.py", "1.9.1"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mxnet", other)
    with pytest.raises(ImportError, match="mxnet 1.9.1 is already imported from /site/mxnet"):
        mxcompat.install()
    assert not alias.is_installed()


def test_subprocess_inherits(installed: None, tmp_path: os.PathLike) -> None:
    code = "import mxnet.recordio, mxnet, sys; print(mxnet.__name__, mxnet.recordio.__name__, 'torch' in sys.modules)"
    assert run_python(code, cwd=str(tmp_path)) == "mxcompat mxcompat.recordio False"


def test_spawned_process_inherits(tmp_path: os.PathLike) -> None:
    script = os.path.join(tmp_path, "main.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(
            "import mxcompat; mxcompat.install()\n"
            "import multiprocessing\n"
            "def work(pipe):\n"
            "    import mxnet.base\n"
            "    pipe.send((mxnet.__name__, mxnet.base.MXNetError('text')))\n"
            "if __name__ == '__main__':\n"
            "    context = multiprocessing.get_context('spawn')\n"
            "    here, there = context.Pipe()\n"
            "    process = context.Process(target=work, args=(there,)); process.start()\n"
            "    print(*here.recv()); process.join()\n"
        )
    root = os.path.dirname(os.path.dirname(mxcompat.__file__))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    assert done.stdout.strip() == "mxcompat text", done.stderr
