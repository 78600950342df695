"""``mxcompat ops``, and the operators that are left out."""

from __future__ import annotations

import json
import pathlib

import pytest

import mxcompat as mx
from mxcompat import MXNetError
from mxcompat.__main__ import main
from mxcompat.migrate import catalogue
from mxcompat.ops import faces, reference, registry


def test_the_shipped_names_are_the_originals() -> None:
    path = pathlib.Path(__file__).parents[1] / "golden" / "catalogue.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    assert reference.registered_names() == {name: fact.get("aliases", []) for name, fact in facts.items()}


def test_totals() -> None:
    assert [total for _, total in catalogue.counts().values()] == [247, 67, 138]
    assert catalogue.counts()["public operators"] == (247, 247)
    assert catalogue.counts()["linalg, random, sample, image"] == (138, 138)


def test_every_operator_is_listed(capsys: pytest.CaptureFixture) -> None:
    assert main(["ops"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("supported") and "Convolution" in line for line in lines)
    assert any(line == "public operators: 247 of 247" for line in lines)
    assert sum(line.startswith(("supported", "missing", "left out")) for line in lines) == len(
        reference.registered_names()
    )


def test_missing(capsys: pytest.CaptureFixture) -> None:
    assert main(["ops", "--missing"]) == 0
    out = capsys.readouterr().out
    assert "supported  " not in out
    assert "contrib.dgl_subgraph\n           graph sampling" in out


@pytest.mark.parametrize(("text", "found"), [("CHOLESKY", "linalg.potrf"), ("ElementWiseSum", "add_n")])
def test_search(text: str, found: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["ops", "--search", text]) == 0
    out = capsys.readouterr().out
    assert found in out
    assert "Convolution" not in out


def test_search_for_nothing_there(capsys: pytest.CaptureFixture) -> None:
    assert main(["ops", "--search", "no such operator"]) == 0
    assert capsys.readouterr().out.startswith("no operator has 'no such operator' in a name or in what it does\n\n")


def test_help_defines_the_counts(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["ops", "--help"])
    assert "The counts refer to" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(reference.excluded()))
def test_what_is_left_out_says_why(name: str) -> None:
    assert registry.find(name) is None, "it is there, so it should not be listed as left out"
    where, public = faces.place(name)
    for face in (mx.nd, mx.sym):
        with pytest.raises(MXNetError, match="is not supported"):
            getattr(getattr(face, where), public)()
    with pytest.raises(MXNetError, match=r"is not registered: \w+"):
        registry.get(name)


def test_a_saved_graph_with_one_says_why() -> None:
    node = {"op": "_sg_mkldnn_conv", "name": "sg0", "inputs": []}
    text = json.dumps({"nodes": [node], "arg_nodes": [], "heads": [[0, 0, 0]]})
    with pytest.raises(MXNetError, match="backends"):
        mx.sym.load_json(text)
