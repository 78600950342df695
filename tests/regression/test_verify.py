"""Verify: recordings of MXNet agree, planted errors are found where they are, damaged files are named.

The recordings were made by MXNet, from the folder of the scripts:
python ../../../mxcompat/regression/record.py -o ../../golden/regression/module_fit -- module_fit.py
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mxcompat.__main__ import main
from mxcompat.regression import record
from mxcompat.regression.compare import Comparison, Report, Tolerance, compare, jump
from mxcompat.regression.golden import Recording, find_recordings
from mxcompat.regression.graphs import Graph
from mxcompat.regression.replay import replay
from mxcompat.symbol.symbol import load_json

SCRIPTS = Path(__file__).parent / "scripts"
GOLDEN = Path(__file__).parents[1] / "golden" / "regression"
NAMES = [path.name for path in find_recordings(GOLDEN)]


def planted(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a recording with another ``meta.json``."""
    shutil.copytree(GOLDEN / name, folder / name)
    path = folder / name / "meta.json"
    meta = json.loads(path.read_text(encoding="utf-8"))
    change(meta)
    path.write_text(json.dumps(meta), encoding="utf-8")
    return folder / name


def planted_symbol(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a recording with another symbol; ``change`` gets its nodes by name."""

    def other(meta: dict[str, Any]) -> None:
        path = folder / name / meta["symbols"][0]["file"]
        graph = json.loads(path.read_text(encoding="utf-8"))
        change({node["name"]: node for node in graph["nodes"]})
        path.write_text(json.dumps(graph), encoding="utf-8")
        meta["symbols"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()

    return planted(folder, name, other)


def calls(meta: dict[str, Any]) -> list[dict[str, Any]]:
    return [call for step in meta["steps"] for call in step["calls"]]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "custom_operator"])
def test_recordings_of_mxnet_agree(name: str) -> None:
    report = replay(Recording(GOLDEN / name))
    assert not report.divergences, report.text()
    assert len(report.comparisons) > 50
    assert [reason.split(" in ")[0] for reason in report.skipped] == ["rates of a schedule"] * name.endswith("0_11")
    kinds = " ".join(comparison.what for comparison in report.comparisons)
    for what in ("inner output", "output", "gradient of", "after its update by", "state 0 of", "lr of"):
        assert what in kinds, what
    assert report.worst is not None and report.worst.error < 1e-5


def test_each_part_is_compared() -> None:
    report = replay(Recording(GOLDEN / "module_fit"))
    found = {comparison.what for comparison in report.comparisons}
    assert {"inner output conv1_output", "inner output bn1_output", "output softmax_output", "state bn1_moving_var"} <= found
    assert {"gradient of bn1_gamma", "fc1_weight after its update by SGD", "sum_metric of Accuracy"} <= found
    assert {"num_inst of TopKAccuracy", "wd of fc1_weight", "state 0 of conv1_weight after its update by SGD"} <= found
    assert {comparison.step for comparison in report.comparisons} >= {"step 0", "step 10", "inference 0", "inference 1"}


def first(folder: Path, **options: Any) -> Comparison:
    """The first divergence."""
    report = replay(Recording(folder), **options)
    assert report.divergences
    return report.divergences[0]


@pytest.mark.parametrize("eps", ["0.0011", "1e-5"])
def test_another_eps_is_found_at_its_node(eps: str, tmp_path: Path) -> None:
    folder = planted_symbol(tmp_path, "module_fit", lambda nodes: nodes["bn1"]["attrs"].update(eps=eps))
    found = first(folder)
    assert (found.step, found.what, found.node) == ("step 0", "inner output bn1_output", "node bn1 (BatchNorm)")
    assert found.shape == (8, 4, 8, 8) and 1e-4 < found.error < 1


def test_a_later_step_alone_names_the_output(tmp_path: Path) -> None:
    folder = planted_symbol(tmp_path, "module_fit", lambda nodes: nodes["bn1"]["attrs"].update(eps="1e-2"))
    assert "(record.py --steps 3 records every node of this step)" in replay(Recording(folder), steps=[3]).text()
    found = first(folder, steps=[3])
    assert (found.step, found.what, found.node) == ("step 3", "output softmax_output", "node softmax (SoftmaxOutput)")


@pytest.mark.parametrize(
    ("name", "one", "other", "node"),
    [
        ("module_fit", "bn1_gamma", "bn1_beta", "node bn1 (BatchNorm)"),
        ("bucketing", "lstm_i2h_bias", "lstm_h2h_bias", "node lstm_t0_i2h (FullyConnected)"),
        ("custom_loop", "x", "x", "node fc1 (FullyConnected)"),
    ],
)
def test_swapped_arguments_are_found_at_their_node(name: str, one: str, other: str, node: str, tmp_path: Path) -> None:
    def swap(meta: dict[str, Any]) -> None:
        given = [call["arguments"] for call in calls(meta)]
        if one == other:  # the inputs of two steps
            given[0][one], given[1][one] = given[1][one], given[0][one]
        for arguments in given if one != other else ():
            arguments[one], arguments[other] = arguments[other], arguments[one]

    found = first(planted(tmp_path, name, swap))
    assert (found.step, found.node) == ("step 0", node)


def test_another_rate_is_found_in_the_update(tmp_path: Path) -> None:
    def change(meta: dict[str, Any]) -> None:
        meta["optimizers"][0]["settings"]["momentum"] = 0.8

    found = first(planted(tmp_path, "module_fit", change))
    assert (found.step, found.what) == ("step 1", "conv1_weight after its update by SGD")

    def schedule(meta: dict[str, Any]) -> None:
        meta["optimizers"][0]["scheduler"]["settings"]["base_lr"] = 0.2

    found = first(planted(tmp_path / "2", "module_fit", schedule))
    assert (found.step, found.what, found.found) == ("step 0", "lr of conv1_weight", 0.2)


def swapped_gradients(meta: dict[str, Any]) -> None:
    gradients = calls(meta)[0]["backwards"][0]["gradients"]
    gradients["bn1_gamma"], gradients["bn1_beta"] = gradients["bn1_beta"], gradients["bn1_gamma"]


def test_another_gradient_is_found_at_its_node(tmp_path: Path) -> None:
    report = replay(Recording(planted(tmp_path, "module_fit", swapped_gradients)))
    assert [found.what for found in report.divergences] == ["gradient of bn1_beta", "gradient of bn1_gamma"]
    assert report.divergences[0].node == "node bn1 (BatchNorm)"


def test_gradients_may_part_as_far_as_they_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = planted(tmp_path, "module_fit", swapped_gradients)
    monkeypatch.setattr("mxcompat.regression.replay.jump", lambda *_: 10.0)
    report = replay(Recording(folder))
    assert not report.divergences and "2 gradients were allowed to part as far as they jump" in report.text()
    assert report.worst is not None and not report.worst.jumps and report.worst.error < 1e-5


def test_jumps_are_measured_in_terms_of_the_recorded_array() -> None:
    entry, values = {"array": "a", "shape": [2], "dtype": "float32"}, Values(a=np.ones(2, "f"))
    found = np.array([1.0, 2.0], "f")
    assert jump(entry, found, found, values, 0.5) == 0
    assert jump(entry, found, np.array([1.0, 2.7], "f"), values, 0.5) == pytest.approx(0.2)


def test_another_share_of_dropout_is_found(tmp_path: Path) -> None:
    folder = planted_symbol(tmp_path, "feed_forward", lambda nodes: nodes["drop1"]["attrs"].update(p="0.4"))
    found = first(folder)
    assert found.what == "inner output drop1_output" and found.node == "node drop1 (Dropout)"
    assert found.error > 0.05


def test_without_masks_what_depends_on_dropout_is_named(tmp_path: Path) -> None:
    def change(meta: dict[str, Any]) -> None:
        for call in calls(meta):
            call.pop("masks", None)

    report = replay(Recording(planted(tmp_path, "feed_forward", change)))
    assert not report.divergences
    assert {reason.split(" behind ")[0] for reason in report.skipped} >= {"nodes", "outputs", "gradients"}
    assert all("drop1 (Dropout)" in reason or "metrics" in reason for reason in report.skipped)


def test_classes_of_the_script_are_left_out_and_named(tmp_path: Path) -> None:
    def change(meta: dict[str, Any]) -> None:
        meta["optimizers"][0].update({"class": "Mine", "module": "__main__"})
        for step in meta["steps"]:
            for metric in step["metrics"]:
                metric.update({"module": "__main__"})

    report = replay(Recording(planted(tmp_path, "feed_forward", change)))
    assert not report.divergences
    assert set(report.skipped) == {"updates by Mine, a class of the script", "Accuracy, a metric of the script"}


def test_an_operator_that_is_missing_is_a_divergence(tmp_path: Path) -> None:
    folder = planted_symbol(tmp_path, "custom_loop", lambda nodes: nodes["fc1"].update(op="NoSuchThing"))
    found = first(folder)
    assert "NoSuchThing" in found.problem


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["verify", str(GOLDEN / "custom_loop"), str(GOLDEN / "bucketing")]) == 0
    assert capsys.readouterr().out.count("0 out of tolerance; worst ") == 2
    folder = planted_symbol(tmp_path, "module_fit", lambda nodes: nodes["bn1"]["attrs"].update(eps="0.1"))
    assert main(["verify", str(folder)]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{folder}: module_fit.py; mxnet 1.9.1, Python 3.8.")
    assert lines[1].startswith(
        "first divergence: step 0, inner output bn1_output, node bn1 (BatchNorm), shape (8, 4, 8, 8): error "
    )
    assert main(["verify", str(folder), "--step", "3", "--format", "json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found[0]["first"]["step"] == "step 3" and found[0]["compared"] > 20
    assert main(["verify", str(folder), "--rtol", "1e9", "--atol", "10"]) == 0


def test_operators_of_the_script_are_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    folder, script = str(GOLDEN / "custom_operator"), SCRIPTS / "custom_operator.py"
    assert main(["verify", folder]) == 3
    assert "square_of_script" in (text := capsys.readouterr().out) and "--load the file that registers it" in text
    assert main(["verify", folder, "--load", "nowhere.py"]) == 2
    command = [sys.executable, "-m", "mxcompat", "verify", folder, "--load", str(script)]  # it changes its process
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0 and "0 out of tolerance" in done.stdout, done.stderr


def test_files_that_cannot_be_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def message(folder: Path) -> str:
        assert main(["verify", str(folder)]) == 2
        return capsys.readouterr().err

    assert "mxcompat recorder makes recordings" in message(tmp_path / "none")
    assert "expected a recording of format 1, found 9" in message(
        planted(tmp_path / "a", "custom_loop", lambda meta: meta.update(format=9))
    )
    assert "no complete recording" in message(planted(tmp_path / "b", "custom_loop", lambda meta: meta.pop("steps")))
    folder = planted(tmp_path / "c", "custom_loop", lambda meta: None)
    (folder / "arrays.npz").write_bytes(b"no archive")
    assert "its hash differs" in message(folder)
    (folder / "meta.json").write_text("{")
    assert "meta.json" in message(folder)
    assert main(["verify", str(GOLDEN / "custom_loop"), "--step", "2"]) == 2
    assert "no step 2; recorded are [0, 1, 3]" in capsys.readouterr().err


# -- comparing ----------------------------------------------------------------------------------------------------


class Values:
    """Arrays in the place of a recording."""

    def __init__(self, **arrays: np.ndarray):
        self.arrays = arrays

    def entry(self, key: str) -> np.ndarray:
        return self.arrays[key]

    def array(self, entry: Any) -> np.ndarray:
        return self.arrays[entry["array"]]


def error(recorded: Any, found: Any, dtype: str = "float32", **options: Any) -> Comparison:
    recorded, found = np.asarray(recorded, dtype), np.asarray(found, dtype)
    entry = {"array": "a", "shape": list(recorded.shape), "dtype": dtype}
    return compare(Comparison("", "", ""), entry, found, Values(a=recorded), options.pop("tolerance", Tolerance()), **options)


def test_errors_are_relative_to_the_element_and_the_array() -> None:
    assert error([1, -1], [1, -1]).exact
    found = error([1, -1], [1, -1.001])
    assert found.error == pytest.approx(0.0005, rel=1e-3) and found.place == (1,) and not found.agrees
    assert error([1, 0], [1, 1e-5]).agrees  # 1e-5 of an array of size 0.7
    assert error([0, 0], [0, 1e-9]).error == np.inf
    assert error([0, 0], [0, 1e-9], floor=1e-3).agrees
    assert error([0, 0], [0, 1e-9], tolerance=Tolerance(atol=1e-8)).agrees
    assert error(np.zeros((0, 3)), np.zeros((0, 3))).agrees


def test_types_have_their_tolerances() -> None:
    assert error([1.0], [1.01], "float16").agrees and not error([1.0], [1.01]).agrees
    assert not error([1.0], [1 + 1e-7], "float64").agrees
    assert not error([100], [101], "int32").agrees and error([100], [100], "int32").agrees
    assert not error([True], [False], "bool").agrees
    assert error([1.0], [1.05], tolerance=Tolerance(rtol=0.1)).agrees


def test_values_that_are_no_numbers_must_be_the_same() -> None:
    assert error([np.nan, np.inf, -np.inf], [np.nan, np.inf, -np.inf]).agrees
    assert error([np.nan, 1], [0, 1]).error == np.inf
    assert error([np.inf, 1], [-np.inf, 1]).error == np.inf
    assert error([1, 1], [1, np.nan]).error == np.inf


def test_updates_are_compared_by_how_far_they_moved() -> None:
    before = np.array([1.0, 1.0], "f")
    assert not error([1.001, 0.999], [1.0011, 0.999], before=before).agrees
    assert error([1.001, 0.999], np.float32([1.001, 0.999]) + np.float32(1e-7), before=before).agrees  # rounding
    assert error([1, 1], [1, 1], before=before).agrees


def test_shape_and_type_must_be_the_same() -> None:
    assert "found (2, 1)" in error([1.0, 1.0], [[1.0], [1.0]]).problem
    entry = {"array": "a", "shape": [1], "dtype": "float32"}
    found = compare(Comparison("", "", ""), entry, np.ones(1), Values(a=np.ones(1, "f")), Tolerance())
    assert "found (1,) float64" in found.problem


def test_elements_that_are_not_kept_show_in_the_size() -> None:
    value = np.ones(5000, "f")
    chosen = record.positions(5000, 100)
    entry = {"shape": [5000], "dtype": "float32", "stats": record.statistics(value), "sample": "s"}
    values = Values(s=value[chosen])
    assert compare(Comparison("", "", ""), entry, value, values, Tolerance()).agrees
    other = value.copy()
    other[np.setdiff1d(np.arange(5000), chosen)[:50]] = 3
    assert "root mean square" in compare(Comparison("", "", ""), entry, other, values, Tolerance()).text()
    other[:] = value
    other[np.setdiff1d(np.arange(5000), chosen)[0]] = np.nan
    assert "1 values are not finite" in compare(Comparison("", "", ""), entry, other, values, Tolerance()).problem


def test_reports_say_what_is_worst() -> None:
    report = Report(Recording(GOLDEN / "custom_loop"))
    assert report.worst is None and "compared 0" in report.text()
    report.add(Comparison("step 0", "output a", "node a (x)", (2,), 1e-7, 1e-4))
    assert report.text().endswith("0 out of tolerance; worst 1.0e-07 at step 0, output a")


# -- graphs -------------------------------------------------------------------------------------------------------


def test_what_depends_on_random_numbers() -> None:
    graph = Graph(load_json((GOLDEN / "feed_forward" / "symbol-0.json").read_text(encoding="utf-8")))
    assert graph.random(False) == set()
    assert graph.random(True) == {"drop1", "fc2", "softmax"}
    assert graph.touched("fc1_weight", graph.random(True)) == "drop1"
    assert graph.from_the_loss(["fc1_weight", "fc2_bias"]) == ["fc2_bias", "fc1_weight"]
