"""The notebook extension, ``%load_ext mxcompat``: a notebook runs as a script does under ``mxcompat run``.

The alias is installed, names that NumPy and Python removed work again, and a Symbol shows as a drawing of its graph.

The drawing is SVG where the program ``dot`` of Graphviz is installed, and the plain text of ``print_summary``'s nodes with
a note elsewhere. An NDArray shows as MXNet's, by its ``repr``.
"""

from __future__ import annotations

import shutil
from typing import Any

from mxcompat.migrate import alias, idioms

__all__ = ["load", "symbol_mimebundle", "unload"]

#: above this many nodes a drawing takes seconds and fits on no screen
_MOST_NODES = 1000
_NO_DOT = "(a drawing needs the program dot: install Graphviz)"
_TOO_LARGE = f"(not drawn: more than {_MOST_NODES} nodes)"
_installed: list[alias.Alias] = []
_restored: list[bool] = []


def load(ipython: Any) -> None:
    """Install alias, old names and the drawing of symbols in an IPython shell; without one (None) no drawing."""
    _installed.append(alias.install())
    _restored.append(idioms.restore())
    formatter = _formatter(ipython)
    if formatter is not None:
        formatter.for_type_by_name("mxcompat.symbol.symbol", "Symbol", symbol_mimebundle)


def unload(ipython: Any) -> None:
    """Take all of it back; an alias and old names that were there before stay."""
    formatter = _formatter(ipython)
    if formatter is not None:
        formatter.pop("mxcompat.symbol.symbol.Symbol", None)
    while _installed:
        with _installed.pop():
            pass
    if any(_restored):
        idioms.withdraw()
    _restored.clear()


def _formatter(ipython: Any) -> Any:
    return None if ipython is None else ipython.display_formatter.mimebundle_formatter


def symbol_mimebundle(symbol: Any, include: Any = None, exclude: Any = None) -> dict[str, str]:
    """What a notebook shows for a symbol: plain text always, SVG where it can be drawn."""
    text, nodes = repr(symbol), len(symbol.get_internals())
    if nodes > _MOST_NODES:
        return {"text/plain": f"{text}\n{_TOO_LARGE}"}
    if shutil.which("dot") is None:
        return {"text/plain": f"{text}\n{_NO_DOT}\n{_as_text(symbol)}"}
    from mxcompat.visualization import plot_network

    drawing = plot_network(symbol, hide_weights=True)
    return {"text/plain": text, "image/svg+xml": drawing.pipe(format="svg").decode("utf-8")}


def _as_text(symbol: Any) -> str:
    """The nodes in order, each with its operator and the nodes that it reads."""
    import json

    nodes = json.loads(symbol.tojson())["nodes"]
    lines = []
    for node in nodes:
        operator = "" if node["op"] == "null" else f" = {node['op']}"
        inputs = ", ".join(nodes[entry[0]]["name"] for entry in node["inputs"])
        lines.append(f"{node['name']}{operator}" + (f"({inputs})" if operator else ""))
    return "\n".join(lines)
