"""Optimizer states: pickles of every protocol are read without running their code, and written as the original does.

``golden/formats/states.json`` holds pickles that MXNet 1.9.1 made (base64): states of 13 optimizers, sparse and shared
arrays, and the pair of states and optimizer in protocols 0 to 4.
"""

import base64
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from mxcompat.base import MXNetError
from mxcompat.formats import arrays, states

GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLES = GOLDEN / "samples"
CONTENTS = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
RECORDED = {
    name: base64.b64decode(text)
    for name, text in json.loads((GOLDEN / "formats" / "states.json").read_text(encoding="utf-8")).items()
}
RECORD = arrays.dump_record(arrays.ArrayRecord.dense(np.array([1, 2], "float32")))


class Plain:
    """Stands for a scheduler."""


class Optimizer:
    """Keeps its state as the original's optimizers do."""

    def __getstate__(self):
        state = self.__dict__.copy()
        del state["param_dict"]
        return state

    def __setstate__(self, state):
        self.__dict__ = state
        self.param_dict = {}


SGD = type("SGD", (Optimizer,), {"__module__": "mxcompat.optimizer.optimizer"})
MultiFactorScheduler = type("MultiFactorScheduler", (Plain,), {"__module__": "mxcompat.lr_scheduler"})


def resolve(module, name):
    known = {"mxnet.optimizer.optimizer.SGD": SGD, "mxnet.lr_scheduler.MultiFactorScheduler": MultiFactorScheduler}
    return known.get(f"{module}.{name}")


def loads(content, **options):
    return states.loads(content, arrays.parse_record, resolve, **options)


def dumps(content):
    return states.dumps(content, arrays.ArrayRecord, arrays.dump_record)


def array_reference(content):
    """An array of Python 2, whose bytes are text of one byte per character."""
    text = content.decode("latin-1").encode("utf-8")
    return (
        b"cmxnet.ndarray\nNDArray\n(NtR(dU\x06handlec__builtin__\nbytearray\n(X"
        + struct.pack("<I", len(text))
        + text
        + b"U\x07latin-1tRsb"
    )


@pytest.mark.parametrize("name", ["adam.states", "convnet-0003.states"])
def test_sample(name):
    content = (SAMPLES / name).read_bytes()
    found = loads(content)
    expected = CONTENTS[name]["values"]
    assert {str(key) for key in found} == set(expected)
    for key, state in found.items():
        wanted = expected[str(key)]
        pairs = zip(state, wanted, strict=True) if isinstance(state, tuple) else [(state, wanted)]
        for record, recorded in pairs:
            assert list(record.shape) == recorded["shape"]
            if recorded["values"] is not None:
                np.testing.assert_array_equal(record.data.ravel(), np.array(recorded["values"], "float32"))
    assert dumps(found) == content


@pytest.mark.parametrize("name", sorted(name for name in RECORDED if "pair" not in name))
def test_states_are_written_to_the_byte(name):
    assert dumps(loads(RECORDED[name])) == RECORDED[name]


@pytest.mark.parametrize("name", sorted(name for name in RECORDED if "pair" in name))
def test_states_and_optimizer_of_every_protocol(name):
    found, optimizer = loads(RECORDED[name])
    momentum, weight = found[0]
    assert (momentum.dtype, weight.dtype) == ("float32", "float32")
    assert type(optimizer) is SGD
    assert type(optimizer.lr_scheduler) is MultiFactorScheduler
    assert (optimizer.momentum, optimizer.lr_scheduler.step, optimizer.a_set) == (0.9, [2, 5], {1, 2})
    assert optimizer.lr_mult == {"w": np.float32(2.5)}
    assert type(optimizer.lr_mult["w"]) is np.float32
    np.testing.assert_array_equal(optimizer.extra, np.arange(6, dtype="float32").reshape(2, 3))
    np.testing.assert_array_equal(optimizer.weights.data, [4, 5])
    assert optimizer.param_dict == {}


def test_an_optimizer_is_written_under_the_names_of_the_original():
    content = dumps(loads(RECORDED["pair_p4"]))
    assert b"mxcompat" not in content
    assert b"numpy._core" not in content
    for name in (b"mxnet.optimizer.optimizer", b"mxnet.lr_scheduler", b"mxnet.ndarray.ndarray", b"numpy.core"):
        assert name in content
    assert loads(content)[1].lr_scheduler.step == [2, 5]


def test_an_array_that_occurs_twice_stays_one():
    found = loads(RECORDED["shared"])
    assert found[0] is found[1][0]
    assert found[0] is found[1][1][0]


def test_storage_types():
    assert [record.stype for record in loads(RECORDED["sparse"]).values()] == ["row_sparse", "csr", "row_sparse"]


def test_arrays_of_python_2():
    content = b"\x80\x02}(K\x00" + array_reference(RECORD) + b"U\x04nameNu."
    found = loads(content)
    np.testing.assert_array_equal(found[0].data, [1, 2])
    assert found["name"] is None


def test_numbers_and_arrays_of_numpy():
    values = {
        "scalar": np.float64(0.5),
        "bool": np.bool_(True),
        "big": np.arange(3, dtype=">i4"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.zeros((0, 2), "float16"),
        "type": np.dtype("int8"),
        "complex": 1 + 2j,
        "bytes": b"\x00\xff",
    }
    for protocol in range(6):
        found = loads(pickle.dumps(values, protocol))
        assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in values.items()}
        for key, value in values.items():
            np.testing.assert_array_equal(found[key], value, strict=isinstance(value, np.ndarray))
    assert loads(dumps(values))["scalar"] == 0.5


def test_an_object_may_contain_itself():
    optimizer = SGD()
    optimizer.param_dict = {}
    optimizer.itself = [optimizer]
    optimizer.table = {}
    optimizer.table["table"] = optimizer.table
    found = loads(dumps(optimizer))
    assert found.itself[0] is found
    assert found.table["table"] is found.table


def test_the_programs_own_class_needs_permission():
    content = pickle.dumps({0: Plain()})
    with pytest.raises(
        MXNetError, match=r"the class .*\.Plain is refused: .* pass a class of your own in extra_classes"
    ):
        loads(content)
    found = loads(content, extra_classes={(Plain.__module__, "Plain"): Plain})
    assert type(found[0]) is Plain


class Evil:
    """Runs a command when plainly unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("call", "refused"),
    [
        ((eval, "1"), "builtins.eval"),
        ((exec, "1"), "builtins.exec"),
        ((getattr, "a", "upper"), "builtins.getattr"),
        ((print, "here"), "builtins.print"),
    ],
)
def test_a_pickle_that_calls_functions_is_refused(protocol, call, refused, capsys):
    with pytest.raises(MXNetError, match=f"file.states: the class {refused} is refused"):
        loads(pickle.dumps({0: Evil(*call)}, protocol), source="file.states")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "the class os.system is refused"),
        (b"cbuiltins\nset.__init__\n.", "the class builtins.set.__init__ is refused"),
        (b"\x80\x04\x8c\x08builtins\x8c\x0cset.__init__\x93.", "the class builtins.set.__init__ is refused"),
        (b"cmxnet.optimizer.optimizer\nAbsent\n.", "the class mxnet.optimizer.optimizer.Absent is refused"),
        (b"cmxnet.optimizer_evil\nSGD\n.", "the class mxnet.optimizer_evil.SGD is refused"),
        (b"(imxnet.context\nContext\n.", "the class mxnet.context.Context is refused"),
        (b"cbuiltins\nset\n.", "stands where a value is expected"),
        (b"cmxnet.ndarray.ndarray\nNDArray\n.", "stands where a value is expected"),
        (b"cbuiltins\nbytearray\n(I99999999999\ntR.", "bytearray of int is refused"),
        (b"c_codecs\nencode\n(Va\nVrot13\ntR.", "encoding 'rot13' is refused"),
        (b"ccopyreg\n_reconstructor\n(cbuiltins\nset\ncbuiltins\nobject\nNtR.", "built on a builtin class"),
        (b"c_codecs\nencode\n(N}U\x0c__defaults__(U\x05rot13tstb.", "a state for the function _encode is refused"),
        (b"cmxnet.ndarray.ndarray\nNDArray\n(NtR}S'handle'\nNsb.", "an array without content"),
        (b"cmxnet.ndarray.ndarray\nNDArray\n(NtR.", "the pickle is damaged"),
        (b"cmxnet.ndarray.ndarray\nNDArray\n(NtR}S'handle'\nS'junk'\nsb.", "<buffer>: offset 4: truncated"),
        (b"cmxnet.ndarray.ndarray\nNDArray\n(Nt}S'a'\nNsb.", "the pickle is damaged"),
        (b"cnumpy\ndtype\n(S'O8'\ntR.", "numpy type 'O8' is refused"),
        (b"cnumpy\ndtype\n(S'f4,O'\ntR.", "numpy type 'f4,O' is refused"),
        (b"cos\nsystem\nq\x00.", "the class os.system is refused"),
        (b"Nr\xff\xff\xff\xff.", "memo number 4294967295 is out of range"),
        (b"Np99999999999\n.", "memo number 99999999999 is out of range"),
        (b"\x82\x01.", "the pickle is damaged"),
        (b"P1\n.", "the pickle is damaged"),
        (b"(" * 5 + b".", "the pickle is damaged"),
        (b"]" * 5000 + b"a" * 4999 + b".", "the pickle is damaged"),
        (b"", "the pickle is damaged"),
        (b"\xff", "the pickle is damaged"),
    ],
)
def test_refused(content, message):
    with pytest.raises(MXNetError, match=message):
        loads(content)


@pytest.mark.parametrize(
    "use",
    [
        lambda key: b"}" + key + b"Ns.",
        lambda key: b"}(" + key + b"Nu.",
        lambda key: b"(" + key + b"Nd.",
        lambda key: b"\x8f(" + key + b"\x90.",
        lambda key: b"(" + key + b"\x91.",
        lambda key: b"cbuiltins\nset\n]" + key + b"a\x85R.",
        lambda key: b"cbuiltins\nfrozenset\n]" + key + b"a\x85R.",
        lambda key: b"ccollections\nOrderedDict\n]" + key + b"N\x86a\x85R.",
    ],
)
def test_a_key_whose_hash_takes_for_ever_is_refused(use):
    key = b"K\x01\x85" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    with pytest.raises(MXNetError, match="a key with more than a thousand parts is refused"):
        loads(b"\x80\x04" + use(key))
    assert loads(b"\x80\x04" + use(b"K\x01K\x02\x86")) in ({(1, 2): None}, {(1, 2)})


def test_every_truncation_is_an_error():
    for content in (RECORDED["opt_adam"], RECORDED["pair_p0"], RECORDED["pair_p2"], RECORDED["sparse"]):
        for length in range(len(content)):
            with pytest.raises(MXNetError):
                loads(content[:length])


def test_every_changed_byte_is_read_or_refused(caplog):
    content = RECORDED["pair_p4"]
    for place in range(len(content)):
        for value in (0x00, 0x28, 0x52, 0x72, 0x93, 0xFF):
            try:
                loads(content[:place] + bytes([value]) + content[place + 1 :])
            except MXNetError:
                pass
    np.testing.assert_array_equal(loads(content)[1].weights.data, [4, 5])


def test_bytes_behind_the_pickle_are_reported(caplog):
    assert loads(pickle.dumps({0: None}) + b"xy", source="long.states") == {0: None}
    assert caplog.messages == ["long.states: 2 bytes behind the pickle are ignored"]
