"""The notebook extension: what ``%load_ext mxcompat`` switches on and off, and what a symbol shows as."""

from __future__ import annotations

import shutil
import sys
from types import SimpleNamespace

import pytest

import mxcompat as mx
from mxcompat.migrate import alias, notebook


class Formatter(dict):
    """IPython's formatter as the extension uses it."""

    def for_type_by_name(self, module: str, name: str, function: object) -> None:
        self[f"{module}.{name}"] = function


@pytest.fixture
def shell():
    yield SimpleNamespace(display_formatter=SimpleNamespace(mimebundle_formatter=Formatter()))
    notebook.unload(None)
    assert not alias.is_installed()


def net() -> mx.sym.Symbol:
    data = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    return mx.sym.Activation(data, act_type="relu", name="relu")


def test_load_and_unload(shell: SimpleNamespace) -> None:
    registered = shell.display_formatter.mimebundle_formatter
    mx.load_ipython_extension(shell)
    import mxnet

    assert mxnet is mx and list(registered) == [f"{mx.sym.Symbol.__module__}.{mx.sym.Symbol.__qualname__}"]
    mx.unload_ipython_extension(shell)
    assert not registered and "mxnet" not in sys.modules


def test_old_names_work_until_unload(shell: SimpleNamespace) -> None:
    import numpy as np

    before, options = dict(vars(np)), np.get_printoptions()
    mx.load_ipython_extension(shell)
    assert np.float is float and np.array([1.0], copy=False).shape == (1,)
    assert np.fromstring(b"abc", np.uint8).tolist() == [97, 98, 99]
    mx.unload_ipython_extension(shell)
    assert vars(np) == before and np.get_printoptions() == options


def test_an_alias_that_was_there_stays(shell: SimpleNamespace) -> None:
    with alias.install():
        mx.load_ipython_extension(shell)
        mx.unload_ipython_extension(shell)
        assert alias.is_installed()


def test_without_dot_a_symbol_shows_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert notebook.symbol_mimebundle(net()) == {
        "text/plain": "<Symbol relu>\n(a drawing needs the program dot: install Graphviz)\n"
        "data\nfc_weight\nfc_bias\nfc = FullyConnected(data, fc_weight, fc_bias)\nrelu = Activation(fc)"
    }


def test_with_dot_a_symbol_shows_as_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    import graphviz

    drawn = []
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/dot")
    monkeypatch.setattr(graphviz.Digraph, "pipe", lambda self, format: drawn.append(self.source) or b"<svg/>")  # noqa: A006
    assert notebook.symbol_mimebundle(net()) == {"text/plain": "<Symbol relu>", "image/svg+xml": "<svg/>"}
    assert "FullyConnected" in drawn[0]


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_a_real_drawing() -> None:
    assert "<svg" in notebook.symbol_mimebundle(net())["image/svg+xml"]


def test_large_graphs_are_not_drawn() -> None:
    x = mx.sym.Variable("x")
    for _ in range(1000):
        x = x + 1
    assert notebook.symbol_mimebundle(x)["text/plain"].endswith("(not drawn: more than 1000 nodes)")


def test_in_ipython() -> None:
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    shell = interactive.InteractiveShell()
    try:
        shell.run_line_magic("load_ext", "mxcompat")
        bundle, _ = shell.display_formatter.format(net())
        assert bundle["text/plain"].startswith("<Symbol relu>")
        assert ("image/svg+xml" in bundle) == (shutil.which("dot") is not None)
        shown, _ = shell.display_formatter.format(mx.nd.ones((1, 2)))
        assert shown["text/plain"] == "\n[[1. 1.]]\n<NDArray 1x2 @cpu(0)>"
    finally:
        shell.run_line_magic("unload_ext", "mxcompat")
