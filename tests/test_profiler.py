"""Profiling: what reaches the trace file and the statistics, and when."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mxcompat as mx
from mxcompat import profiler
from mxcompat.profiler.control import PROFILER
from mxcompat.scope import WATCH
from tests import api_walk

nd = mx.nd


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path / "trace.json")
    PROFILER.stop()
    PROFILER.abandon()


def events(path: str) -> list[dict[str, Any]]:
    return json.loads(Path(path).read_text())["traceEvents"]


def configure(path: str, **options: Any) -> None:
    options = {"profile_memory": False, "continuous_dump": False, "aggregate_stats": True, **options}
    profiler.set_config(filename=path, **options)


def counts(category: str = "operator") -> dict[str, int]:
    entries = json.loads(profiler.dumps(format="json"))["Time"].get(category, {})
    return {name: entry["Count"] for name, entry in entries.items()}


def test_names_and_signatures() -> None:
    api_walk.check(["mx.profiler"], {"mx.profiler.*.__del__": "nothing has to be given back"})


def test_imperative_operators_and_their_gradients(path: str) -> None:
    configure(path)
    x = nd.array([1.0, 4.0])
    x.attach_grad()
    profiler.set_state("run")
    with mx.autograd.record():
        y = (x + 1).sqrt()
    y.backward()
    profiler.set_state("stop")
    (x + 3).asnumpy()
    assert counts() == dict.fromkeys(["_plus_scalar", "sqrt", "_backward_sqrt", "_backward_plus_scalar"], 1)
    np.testing.assert_allclose(x.grad.asnumpy(), 0.5 / np.sqrt([2.0, 5.0]), rtol=1e-6)
    profiler.dump()
    found = [event for event in events(path) if event.get("name") == "sqrt"]
    assert [event["ph"] for event in found] == ["B", "E"] and found[0]["cat"] == "operator"
    assert abs(found[0]["ts"] / 1e6 - time.time()) < 60 and found[0]["ts"] < found[1]["ts"]


def test_bound_symbols_run_node_by_node(path: str) -> None:
    data = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(data, num_hidden=3, name="fc")
    net = mx.sym.SoftmaxOutput(mx.sym.BatchNorm(net, name="bn"), name="softmax")

    def train() -> dict[str, np.ndarray]:
        mx.random.seed(3)
        module = mx.mod.Module(net)
        module.bind([("data", (4, 5))], [("softmax_label", (4,))])
        module.init_params(mx.initializer.Xavier())
        module.init_optimizer(optimizer="adam")
        batch = mx.io.DataBatch([nd.arange(20).reshape((4, 5))], [nd.array([0, 1, 2, 0])])
        for _ in range(2):
            module.forward_backward(batch)
            module.update()
        arguments, states = module.get_params()
        return {name: array.asnumpy() for name, array in {**arguments, **states}.items()}

    plain = train()
    configure(path, profile_imperative=False)
    profiler.set_state("run")
    profiled = train()
    profiler.set_state("stop")
    names = ["FullyConnected", "BatchNorm", "SoftmaxOutput"]
    assert counts() == dict.fromkeys([*names, *(f"_backward_{name}" for name in names)], 2)
    for name in plain:  # the profiled graph is not fused
        np.testing.assert_allclose(profiled[name], plain[name], rtol=1e-5, atol=1e-6)
    configure(path, profile_symbolic=False)
    profiler.dumps(reset=True)
    profiler.set_state("run")
    train()
    assert "FullyConnected" not in counts() and counts()["adam_update"] == 2


def test_monitor_and_profiler_together(path: str) -> None:
    exe = (mx.sym.Variable("x") * 2).bind(mx.cpu(), {"x": nd.ones(3)})
    seen: list[str] = []
    exe.set_monitor_callback(lambda name, array: seen.append(name))
    configure(path)
    profiler.set_state("run")
    exe.forward()
    assert len(seen) == 1 and counts()["_mul_scalar"] == 1


def test_pause_and_resume(path: str) -> None:
    configure(path)
    profiler.set_state("run")
    profiler.pause()
    nd.ones(3).exp()
    event = profiler.Event("unseen")
    event.start()
    profiler.resume()
    event.stop()
    nd.ones(3).log()
    assert counts() == {"_ones": 1, "log": 1} and counts("event") == {}
    profiler.pause()
    profiler.set_state("run")  # running anew ends a pause
    nd.ones(3).tan()
    assert counts()["tan"] == 1


def test_objects(path: str) -> None:
    configure(path)
    domain = profiler.Domain("mine")
    counter = domain.new_counter("counter", 5)
    profiler.set_state("run")
    things = [domain.new_task("task"), domain.new_frame("frame"), profiler.Event("event")]
    for thing in things:
        thing.stop()  # not started: nothing to note
        thing.start()
        thing.stop()
    counter += 2
    counter -= 1
    counter.set_value(9)
    domain.new_marker("marker").mark("thread")
    assert [str(x) for x in (domain, counter, *things)] == ["mine", "counter", "task", "frame", "event"]
    profiler.dump()
    found = [(e["ph"], e["cat"], e["name"]) for e in events(path) if e["ph"] != "M"]
    assert found == [
        ("b", "mine", "task"),
        ("e", "mine", "task"),
        ("(", "mine,frame", "frame"),
        (")", "mine,frame", "frame"),
        ("B", "event", "event"),
        ("E", "event", "event"),
        *[("C", "mine", "counter")] * 3,
        ("n", "mine,instant_marker", "marker"),
    ]
    assert [e["args"]["counter"] for e in events(path) if e["ph"] == "C"] == [7, 6, 9]
    with pytest.raises(mx.MXNetError, match="'nowhere', valid values are"):
        domain.new_marker("marker").mark("nowhere")
    with pytest.raises(ValueError):
        domain.new_counter("other", "many")  # type: ignore[arg-type]


def test_custom_operators(path: str) -> None:
    class Double(mx.operator.CustomOp):
        def forward(self, is_train: Any, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
            self.assign(out_data[0], req[0], in_data[0] * 2)

        def backward(self, req: Any, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
            self.assign(in_grad[0], req[0], out_grad[0] * 2)

    @mx.operator.register("profiled_double")
    class DoubleProp(mx.operator.CustomOpProp):
        def create_operator(self, ctx: Any, shapes: Any, dtypes: Any) -> Double:
            return Double()

    x = nd.ones(3)
    x.attach_grad()
    configure(path)
    profiler.set_state("run")
    with mx.autograd.record():
        y = nd.Custom(x, op_type="profiled_double")
    y.backward()
    profiler.set_state("stop")
    found = counts("Custom Operator")
    assert found["profiled_double::_mul_scalar"] == 1 == found["_backward_profiled_double::_mul_scalar"]
    assert {"profiled_double::pure_python", "_backward_profiled_double::pure_python"} <= set(found)
    assert counts() == {"Custom": 1, "_backward_Custom": 1}


def test_memory(path: str) -> None:
    configure(path, profile_memory=True)
    profiler.set_state("run")
    kept = nd.ones((1000, 1000))
    statistics = json.loads(profiler.dumps(format="json"))
    [(name, entry)] = statistics["Memory"]["Device Storage"].items()
    assert name == "Memory: cpu/0" and entry["Count"] == 1 and 4000 < entry["Min"] == entry["Max"] == entry["Avg"]
    assert "Max Use  (kB)" in profiler.dumps() and kept.shape == (1000, 1000)


@pytest.mark.parametrize("sort_by", ["total", "avg", "min", "max", "count"])
@pytest.mark.parametrize("ascending", [False, True])
def test_sorting(path: str, sort_by: str, ascending: bool) -> None:
    configure(path, profile_memory=True)
    profiler.set_state("run")
    for count in range(1, 4):
        for _ in range(count):
            getattr(nd.ones(count), ["exp", "log", "sin"][count - 1])()
    entries = json.loads(profiler.dumps(format="json", sort_by=sort_by, ascending=ascending))["Time"]["operator"]
    values = [entry[sort_by.capitalize()] for entry in entries.values()]
    assert values == sorted(values, reverse=not ascending) and len(values) == 4


def test_table(path: str) -> None:
    configure(path)
    assert profiler.dumps() == "\nProfile Statistics:\n\tNote the difference in units for different entries.\n"
    PROFILER.statistics.add("operator", "sqrt", 1.5)  # type: ignore[union-attr]
    PROFILER.statistics.add("operator", "sqrt", 2.5)  # type: ignore[union-attr]
    assert profiler.dumps(reset=True).split("\n")[3:] == [
        "operator",
        "=================",
        "Name                          Total Count        Time (ms)    Min Time (ms)    Max Time (ms)    Avg Time (ms)",
        "----                          -----------        ---------    -------------    -------------    -------------",
        "sqrt                                    2           4.0000           1.5000           2.5000           2.0000",
        "",
        "",
    ]
    assert "operator" not in profiler.dumps()
    configure(path, aggregate_stats=False)
    assert profiler.dumps() == ""


def test_dump_while_running_and_again(path: str) -> None:
    configure(path)
    with pytest.raises(mx.MXNetError, match="Profiler hasn't been run"):
        profiler.dump()
    profiler.set_state("run")
    sizes = []
    for _ in range(3):
        nd.ones(3)
        profiler.dump(False)
        sizes.append(len(events(path)))
    assert sizes[0] < sizes[1] < sizes[2] and WATCH.imperative is not None
    nd.zeros(3)
    profiler.dump()
    assert WATCH.imperative is None and "_zeros" in [event["name"] for event in events(path)]
    with pytest.raises(mx.MXNetError):
        profiler.dump()
    profiler.set_state("run")
    nd.ones(3)
    profiler.dump()
    assert [event["name"] for event in events(path)] == ["process_name", "_ones", "_ones"]


def test_continuous_dump(path: str) -> None:
    configure(path, continuous_dump=True, dump_period=0.02)
    profiler.set_state("run")
    nd.ones(3)
    for _ in range(200):
        if os.path.exists(path) and len(events(path)) == 3:
            break
        time.sleep(0.02)
    else:
        raise AssertionError("nothing was written")


def test_events_of_the_library(path: str) -> None:
    configure(path, profile_all=True)
    profiler.set_state("run")
    nd.ones((3, 3)).exp()
    profiler.dump(False)
    nd.ones((3, 3)).log()
    profiler.set_state("stop")
    assert counts("PyTorch")["aten::exp"] == 1 == counts("PyTorch")["aten::log"]
    profiler.dump()
    by_name = {event["name"]: event for event in events(path) if event["ph"] in "BX"}
    assert by_name["exp"]["ts"] <= by_name["aten::exp"]["ts"] <= by_name["log"]["ts"] <= by_name["aten::log"]["ts"]


def test_another_profiler_is_in_the_way(path: str) -> None:
    configure(path, profile_api=True)
    with torch.autograd.profiler.profile(use_kineto=False), pytest.raises(mx.MXNetError, match="another profiler"):
        profiler.set_state("run")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"nothing": 1}, "unknown keyword nothing"),
        ({"profile_all": "maybe"}, "profile_all expect boolean but value='maybe'"),
        ({"dump_period": "soon"}, "dump_period expect float"),
        ({"dump_period": -1}, "dump_period is -1.0"),
        ({"profile_process": "nobody"}, "valid values are"),
        ({"profile_process": "server"}, "no server processes"),
    ],
)
def test_bad_configurations(path: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(mx.MXNetError, match=text):
        profiler.set_config(**options)


def test_bad_arguments(path: str) -> None:
    with pytest.raises(KeyError):
        profiler.set_state("walk")
    for call in (profiler.set_state, profiler.pause, profiler.resume, profiler.dump):
        with pytest.raises(mx.MXNetError, match="no server processes"):
            call(profile_process="server")
        with pytest.raises(KeyError):
            call(profile_process="nobody")
    for options in ({"format": "xml"}, {"sort_by": "name"}, {"ascending": 3}, {"reset": "yes"}):
        with pytest.raises(AssertionError, match="Invalid value provided for"):
            profiler.dumps(**options)


def test_old_spellings(path: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        profiler.profiler_set_config("symbolic", path)
        profiler.profiler_set_state("run")
        nd.ones(3)
        profiler.dump_profile()
    assert ["deprecated" in str(warning.message) for warning in caught] == [True] * 3
    assert len(events(path)) >= 3
    profiler.set_kvstore_handle(None)


@pytest.mark.parametrize(("mode", "names"), [("0", {"sqrt"}), ("1", {"sqrt", "_ones"})])
def test_autostart(tmp_path: Path, mode: str, names: set[str]) -> None:
    program = "import mxcompat as mx; mx.sym.sqrt(mx.sym.Variable('x')).bind(mx.cpu(), {'x': mx.nd.ones(3)}).forward()"
    environment = {**os.environ, "MXNET_PROFILER_AUTOSTART": "1", "MXNET_PROFILER_MODE": mode}
    environment["PYTHONPATH"] = str(Path(mx.__file__).parents[1])
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    found = {event["name"] for event in events(str(tmp_path / "profile.json")) if event["ph"] == "B"}
    assert found == names


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_collects_nothing(path: str) -> None:
    configure(path)
    profiler.set_state("run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # threads of the test run
        child = os.fork()
    if child == 0:
        os._exit(0 if WATCH.imperative is None and PROFILER.trace is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert WATCH.imperative is not None
