"""Symbol JSON: text of every version in, the text of MXNet 1.9.1 out.

``golden/formats/symbol_json.json`` was recorded with MXNet 1.9.1: ``texts`` are its saved symbols, ``upgrades`` are
older graphs with what it saved after loading them.
"""

import copy
import json
import logging
from pathlib import Path

import pytest

from mxcompat.base import MXNetError
from mxcompat.formats import symbol_json
from mxcompat.formats.symbol_json import NodeData

GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLES = GOLDEN / "samples"
RECORDED = json.loads((GOLDEN / "formats" / "symbol_json.json").read_text(encoding="utf-8"))

INPUTS = {
    "Activation": ["data"],
    "BatchNorm": ["data", "gamma", "beta", "moving_mean", "moving_var"],
    "FullyConnected": ["data", "weight", "bias"],
    "LeakyReLU": ["data", "gamma"],
    "SoftmaxOutput": ["data", "label"],
    "argmax": ["data"],
    "argmin": ["data"],
    "elemwise_add": ["lhs", "rhs"],
}


def input_names(op, attrs):
    names = INPUTS[op]
    return names[:2] if op == "FullyConnected" and attrs.get("no_bias") == "True" else names


def variable_attrs(op, attrs, place):
    if op == "BatchNorm" and place >= 3:
        return {"__init__": '["zero", {}]' if place == 3 else '["one", {}]'}
    return {"__init__": '["Constant", {"value": 0.25}]'} if op == "LeakyReLU" and place == 1 else {}


def upgraded_text(graph):
    graph = symbol_json.upgrade(graph, input_names, variable_attrs)
    counts = [3 if node.op == "BatchNorm" else 1 for node in graph.nodes]
    return symbol_json.render(graph.nodes, graph.heads, counts)


def rendered(graph):
    return symbol_json.render(graph.nodes, graph.heads, graph.node_outputs, graph.version, graph.attrs)


def simple_graph():
    return {
        "nodes": [
            {"op": "null", "name": "a", "inputs": []},
            {"op": "null", "name": "b", "inputs": []},
            {"op": "elemwise_add", "name": "c", "inputs": [[0, 0, 0], [1, 0, 0]]},
        ],
        "arg_nodes": [0, 1],
        "heads": [[2, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }


@pytest.mark.parametrize("name", sorted(RECORDED["texts"]))
def test_a_saved_symbol_is_written_again_to_the_character(name):
    text = RECORDED["texts"][name]
    assert rendered(symbol_json.parse(text)) == text
    assert rendered(symbol_json.parse(text.encode("utf-8"))) == text


def test_the_sample_is_written_again_to_the_character():
    graph = symbol_json.load(SAMPLES / "convnet-symbol.json")
    assert rendered(graph) == (SAMPLES / "convnet-symbol.json").read_text(encoding="utf-8")
    assert graph.version == 10901
    assert [node.name for node in graph.nodes if node.is_variable][:3] == ["data", "conv1_weight", "conv1_bias"]
    assert graph.nodes[8].inputs[3:] == [(6, 0, 1), (7, 0, 1)]


@pytest.mark.parametrize("name", sorted(RECORDED["upgrades"]))
def test_an_older_graph_becomes_what_the_original_makes_of_it(name):
    pair = RECORDED["upgrades"][name]
    graph = symbol_json.parse(json.dumps(pair["in"]))
    before = copy.deepcopy(graph)
    assert upgraded_text(graph) == pair["out"]
    assert graph == before


@pytest.mark.parametrize(
    ("sample", "resaved"),
    [
        ("save_000800.json", "resaved_000800"),
        ("handmade_v08-symbol.json", "resaved_v08"),
        ("handmade_v09-symbol.json", "resaved_v09"),
        ("handmade_v10-symbol.json", "resaved_v10"),
    ],
)
def test_an_older_sample_becomes_what_the_original_makes_of_it(sample, resaved):
    assert upgraded_text(symbol_json.load(SAMPLES / sample)) == RECORDED["texts"][resaved]


def test_a_missing_version_mark_means_0_8():
    graph = simple_graph()
    del graph["attrs"]
    assert symbol_json.parse(json.dumps(graph)).version == 800


def test_attributes_of_all_three_keys_are_merged():
    graph = simple_graph()
    graph["nodes"][0].update(attr={"a": "1", "x": "attr"}, attrs={"b": "1", "x": "attrs"}, param={"c": "1", "x": "p"})
    assert symbol_json.parse(json.dumps(graph)).nodes[0].attrs == {"a": "1", "b": "1", "c": "1", "x": "attrs"}


def test_two_entry_edges_and_heads():
    graph = simple_graph()
    graph["nodes"][2]["inputs"] = [[0, 0], [1, 0]]
    graph["heads"] = [[2, 0]]
    found = symbol_json.parse(json.dumps(graph))
    assert found.nodes[2].inputs == [(0, 0, 0), (1, 0, 0)]
    assert found.heads == [(2, 0, 0)]


def test_edges_may_be_given_without_version():
    nodes = [NodeData("null", "a"), NodeData("abs", "b", inputs=[(0, 0)])]
    text = symbol_json.render(nodes, [(1, 0)], [1, 1])
    assert symbol_json.parse(text).nodes[1].inputs == [(0, 0, 0)]
    assert '"node_row_ptr": [0, 1, 2]' in text


def test_counts_of_outputs_must_fit():
    with pytest.raises(MXNetError, match="1 nodes is written with 2 counts"):
        symbol_json.render([NodeData("null", "a")], [(0, 0, 0)], [1, 1])


def test_a_wrong_node_row_ptr_counts_as_absent():
    for wrong in ([5], "x", [0, 1, 2, "3"]):
        graph = {**simple_graph(), "node_row_ptr": wrong}
        assert symbol_json.parse(json.dumps(graph)).node_outputs is None


@pytest.mark.parametrize("key", ["nodes", "arg_nodes", "heads"])
def test_a_missing_key(key):
    graph = simple_graph()
    del graph[key]
    with pytest.raises(MXNetError, match=f"net.json: the key '{key}' is missing"):
        symbol_json.parse(json.dumps(graph), "net.json")


@pytest.mark.parametrize("key", ["op", "name", "inputs"])
def test_a_missing_key_of_a_node(key):
    graph = simple_graph()
    del graph["nodes"][2][key]
    with pytest.raises(MXNetError, match=f"net.json: node 2: the key '{key}' is missing"):
        symbol_json.parse(json.dumps(graph), "net.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "node 2: unknown key 'extra', expected attr"),
        ({"op": 3}, "node 2: op is a number"),
        ({"name": None}, "node 2: name is null"),
        ({"attrs": {"k": 3}}, r"node 2 \(elemwise_add 'c'\): the value of 'k' is 3, expected a string"),
        ({"attrs": []}, "attrs is a list, expected a JSON object"),
        ({"inputs": {}}, "inputs: expected a list, found an object"),
        ({"inputs": [[0]]}, r"input 0 is \[0\], expected \[node, output\]"),
        ({"inputs": [[0, 0, 0, 0]]}, "input 0 is"),
        ({"inputs": [[0.0, 0, 0]]}, "input 0 is"),
        ({"inputs": [["0", 0, 0]]}, "input 0 is"),
        ({"inputs": [[True, 0, 0]]}, "input 0 is"),
        ({"inputs": [[0, 0], [9, 0, 0]]}, "input 1 names node 9, the graph has 3 nodes"),
        ({"inputs": [[-1, 0, 0]]}, "input 0 names node -1"),
        ({"inputs": [[0, -1, 0]]}, "cannot be negative"),
        ({"inputs": [[2, 0, 0]]}, "takes node 2, which does not come before it"),
        ({"control_deps": [2]}, "takes node 2, which does not come before it"),
        ({"control_deps": [3]}, "control_deps holds 3, expected node numbers below 3"),
        ({"control_deps": "a"}, "control_deps: expected a list, found a string"),
        ({"backward_source_id": "x"}, "backward_source_id is 'x'"),
        ({"subgraphs": [{}]}, r"node 2 \(elemwise_add 'c'\): subgraph 0: the key 'nodes' is missing"),
        ({"op": "null"}, "a variable has no inputs, found 2"),
    ],
)
def test_a_wrong_node_is_named(change, message):
    graph = simple_graph()
    graph["nodes"][2].update(change)
    with pytest.raises(MXNetError, match="net.json: .*" + message):
        symbol_json.parse(json.dumps(graph), "net.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "unknown key 'extra'"),
        ({"nodes": {}}, "nodes: expected a list, found an object"),
        ({"nodes": [1]}, "node 0: expected a JSON object, found a number"),
        ({"arg_nodes": [2]}, "arg_nodes names node 2, which is no variable but elemwise_add"),
        ({"arg_nodes": [77]}, "arg_nodes holds 77"),
        ({"arg_nodes": ["x"]}, "arg_nodes holds 'x'"),
        ({"heads": [[7, 0, 0]]}, "heads entry 0 names node 7"),
        ({"attrs": [1]}, "attrs is a list"),
        ({"attrs": {"mxnet_version": 3}}, "attrs entry 'mxnet_version' is 3"),
        ({"attrs": {"mxnet_version": ["str", "1"]}}, "mxnet_version is '1', expected a whole number"),
    ],
)
def test_a_wrong_graph(change, message):
    with pytest.raises(MXNetError, match="net.json: " + message):
        symbol_json.parse(json.dumps({**simple_graph(), **change}), "net.json")


def test_a_node_that_feeds_on_a_later_one():
    graph = simple_graph()
    graph["nodes"].reverse()
    graph["arg_nodes"] = [1, 2]
    with pytest.raises(
        MXNetError, match=r"node 0 \(elemwise_add 'c'\): it takes node 1, which does not come before it"
    ):
        symbol_json.parse(
            json.dumps({**graph, "nodes": [{**graph["nodes"][0], "inputs": [[1, 0]]}, *graph["nodes"][1:]]})
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 column 1: this is no symbol JSON"),
        ("[]", "expected a JSON object, found a list"),
        ('{"nodes": [], "nodes": []}', "the key 'nodes' occurs twice in one object"),
        ('{"nodes": [', "line 1 column 12: this is no symbol JSON"),
        ("[" * 100_000, "nested too deeply"),
        (b"\xff", "offset 0: this is not UTF-8 text"),
        ('{"nodes": "\\ud800"}', "surrogates not allowed"),
    ],
)
def test_text_that_is_no_graph(text, message):
    with pytest.raises(MXNetError, match=message):
        symbol_json.parse(text)


def test_every_truncation_is_an_error():
    text = RECORDED["texts"]["foreach"]
    for length in range(len(text)):
        with pytest.raises(MXNetError):
            symbol_json.parse(text[:length])


def test_a_file_that_cannot_be_opened(tmp_path):
    for path in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(MXNetError, match="cannot be read"):
            symbol_json.load(path)


def test_text_behind_the_graph_and_a_newer_version_are_reported(caplog):
    caplog.set_level(logging.WARNING)
    graph = simple_graph()
    graph["attrs"] = {"mxnet_version": ["int", 20000], "is_np_shape": ["int", 1]}
    found = symbol_json.parse("\n" + json.dumps(graph) + " more", "net.json")
    assert found.version == 20000
    assert found.attrs == {"is_np_shape": ("int", 1)}
    assert caplog.messages == [
        "net.json: 5 characters behind the graph are ignored",
        "net.json: written by MXNet version 20000, newer than 10901",
    ]


def test_an_operator_whose_inputs_have_no_names_is_left_alone():
    graph = simple_graph()
    graph["nodes"][2]["attrs"] = {"arg0_lr_mult": "2"}
    del graph["attrs"]
    found = symbol_json.upgrade(symbol_json.parse(json.dumps(graph)), lambda op, attrs: None, lambda *_: {})
    assert found.nodes[2].attrs == {"arg0_lr_mult": "2"}
    assert len(found.nodes) == 3


def test_a_key_for_an_input_that_is_missing_or_no_variable_stays():
    nodes = [
        NodeData("null", "x"),
        NodeData("Activation", "act", inputs=[(0, 0, 0)]),
        NodeData("FullyConnected", "fc", {"data_lr_mult": "2", "bias_lr_mult": "3"}, [(1, 0, 0), (0, 0, 0)]),
    ]
    graph = symbol_json.GraphData(nodes, [(2, 0, 0)], version=10000)
    found = symbol_json.upgrade(graph, input_names, variable_attrs)
    assert found.nodes[2].attrs == {"data_lr_mult": "2", "bias_lr_mult": "3"}
