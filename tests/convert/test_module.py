"""The generated modules: numbers, source text, training."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")

import torch

import mxcompat as mx
from mxcompat.convert import ConversionError, checkpoint, exports
from tests.convert.nets import NETS, batches, bound, values

STEPS, RATE, MOMENTUM = 5, 0.05, 0.9
#: vgg draws what it drops (vgg_steady drops nothing), ssd has no loss
TRAINABLE = [name for name in NETS if name not in ("vgg", "ssd")]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``converted(name)``: the path of the net's module, written once."""
    folder, made = tmp_path_factory.mktemp("converted"), {}

    def path(name: str) -> Path:
        if name not in made:
            made[name] = exports.convert(bound(name), "module", str(folder / f"{name}.py"))
        return folder / f"{name}.py"

    return path


def imported(path: Path) -> Any:
    try:
        return exports.import_file(path)
    finally:
        exports.forget_files()


@pytest.mark.parametrize("name", NETS)
def test_outputs_agree(converted: Any, name: str) -> None:
    """Other inputs, and more of them, than those that the conversion was verified on."""
    network = bound(name, 5)
    inputs = checkpoint.seeded_inputs(network, 7)
    module = imported(converted(name))
    model = module.load(module.Net()).eval()
    found = model(*(torch.from_numpy(inputs[key]) for key in NETS[name].forward_inputs))
    found = found if isinstance(found, tuple) else (found,)
    for want, have in zip(checkpoint.reference_outputs(network, inputs), found, strict=True):
        np.testing.assert_allclose(have.detach().numpy(), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_source(converted: Any, name: str) -> None:
    """It imports torch and safetensors alone (numpy where targets are computed step by step), in lines that fit."""
    text = converted(name).read_text()
    roots = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(str(node.module).split(".")[0])
    assert roots <= {"torch", "safetensors", "pathlib"} | ({"numpy"} if name == "ssd_training" else set())
    assert "mxnet" not in text.replace("mxcompat", "")
    assert max(map(len, text.splitlines())) <= 132


def test_sources_pass_the_linter(converted: Any) -> None:
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    paths = [str(converted(name)) for name in NETS]
    config = str(Path(__file__).parents[2] / "pyproject.toml")
    for options in (["--config", config], ["--isolated"]):
        done = subprocess.run([sys.executable, "-m", "ruff", "check", *options, *paths], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def _trained_here(name: str, data: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Parameters and states after some steps of Module."""
    net = NETS[name]
    symbol, start = net.build(), values(net)
    aux = set(symbol.list_auxiliary_states())
    module = mx.mod.Module(symbol, data_names=list(net.shapes), label_names=list(net.labels))
    module.bind(list(net.shapes.items()), list(net.labels.items()))
    module.init_params(
        arg_params={key: value for key, value in start.items() if key not in aux},
        aux_params={key: value for key, value in start.items() if key in aux},
    )
    module.init_optimizer(optimizer_params={"learning_rate": RATE, "momentum": MOMENTUM, "wd": 0.0})
    for batch in data:
        given = [[mx.nd.array(batch[key]) for key in names] for names in (net.shapes, net.labels)]
        module.forward_backward(mx.io.DataBatch(data=given[0], label=given[1]))
        module.update()
    arguments, states = module.get_params()
    return {key: value.asnumpy() for key, value in {**arguments, **states}.items()}


@pytest.mark.parametrize("name", TRAINABLE)
def test_training_agrees(converted: Any, name: str, tmp_path: Path) -> None:
    """Five steps of SGD with momentum, against Module; running variances are unbiased in PyTorch."""
    net = NETS[name]
    data = batches(net, STEPS)
    module = imported(converted(name))
    model = module.load(module.Net())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=RATE, momentum=MOMENTUM)
    size = next(iter(net.shapes.values()))[0]
    names = module.loss.__code__.co_varnames[1 : module.loss.__code__.co_argcount]
    for batch in data:
        optimizer.zero_grad()
        (module.loss(model, *(torch.from_numpy(batch[key]) for key in names)) / size).backward()
        optimizer.step()
    module.save(model, tmp_path / "trained.safetensors")
    _, found = exports.read_safetensors(str(tmp_path / "trained.safetensors"))
    expected = _trained_here(name, data)
    assert set(found) == set(expected)
    moved = 0.0
    start = values(net)
    for key, want in expected.items():
        if not key.endswith("moving_var"):
            np.testing.assert_allclose(found[key].asnumpy(), want, atol=1e-3, err_msg=key)
        moved = max(moved, float(np.abs(want - start[key].asnumpy()).max()))
    assert moved > 1e-3


def test_fixed_gamma_stays_one(converted: Any) -> None:
    module = imported(converted("inception_bn"))
    model = module.load(module.Net())
    scale = model.bn_1.weight
    assert not scale.requires_grad and bool((scale == 1).all())


def test_frozen_statistics_stay_frozen(tmp_path: Path) -> None:
    """Training mode neither uses nor moves the statistics of a layer with use_global_stats."""
    symbol = mx.sym.BatchNorm(mx.sym.Variable("data"), use_global_stats=True, fix_gamma=False, name="bn")
    arrays = {"bn_gamma": mx.nd.array([2, 3]), "bn_beta": mx.nd.array([1, 0])}
    arrays.update(bn_moving_mean=mx.nd.array([0.5, -1]), bn_moving_var=mx.nd.array([4, 0.25]))
    network = checkpoint.make(symbol, arrays, {"data": (3, 2, 4, 4)}, "net")
    exports.convert(network, "module", str(tmp_path / "net"))
    module = imported(tmp_path / "net.py")
    model, data = module.load(module.Net()), torch.randn(3, 2, 4, 4)
    expected = model.eval()(data)
    assert torch.equal(model.train()(data), expected)
    assert model.bn.running_mean.tolist() == [0.5, -1]


def test_repeats_become_classes(converted: Any) -> None:
    text = converted("resnet_v2").read_text()
    assert text.count("class Residual") == 2
    assert "self.stage3_unit2 = Residual(" in text and "self.stage3_unit1 = ResidualProjection(" in text
    assert "class RecurrentStep" in converted("unrolled_lstm").read_text()
    assert "class Branches" in converted("inception_bn").read_text()


def test_unrolled_steps_become_loops(converted: Any) -> None:
    """Whatever the number of steps: the loop goes over all pieces of the input."""
    text = converted("unrolled_lstm").read_text()
    assert "        for x in embed:\n" in text and "            outputs.append(lstm_l1_out)\n" in text
    assert text.count("self.lstm_l0(") == 1
    module = imported(converted("unrolled_lstm"))
    model = module.load(module.Net()).eval()
    data = torch.arange(27).reshape(3, 9) % 9
    assert model(data).shape == (27, 9)
    assert torch.allclose(model(data)[:6], model(data[:, :6])[:6])
    assert "            h = self.step(x, h)  # (3, 4)\n" in converted("handmade_gru").read_text()


def _stacked() -> Any:
    stack = mx.rnn.SequentialRNNCell()
    stack.add(mx.rnn.GRUCell(4, prefix="gru_l0_"))
    stack.add(mx.rnn.DropoutCell(0.3, prefix="drop_"))
    stack.add(mx.rnn.ResidualCell(mx.rnn.RNNCell(4, activation="relu", prefix="rnn_l1_")))
    return stack


def _both_ways() -> Any:
    return mx.rnn.BidirectionalCell(mx.rnn.LSTMCell(3, prefix="l_"), mx.rnn.GRUCell(4, prefix="r_"))


@pytest.mark.parametrize("merge", [True, False], ids=["merged", "apart"])
@pytest.mark.parametrize("length", [2, 3, 7])
@pytest.mark.parametrize("cell", [_stacked, _both_ways, lambda: mx.rnn.LSTMCell(4), lambda: mx.rnn.RNNCell(4)])
def test_unrolled_cells(cell: Any, length: int, merge: bool, tmp_path: Path) -> None:
    """Converting compares the outputs."""
    outputs, states = cell().unroll(length, mx.sym.Variable("data"), merge_outputs=merge, layout="NTC")
    states = [state for entry in states for state in (entry if isinstance(entry, list) else [entry])]
    symbol = mx.sym.Group([*(outputs if isinstance(outputs, list) else [outputs]), *states])
    arguments, _, _ = symbol.infer_shape(data=(2, length, 3))
    generator = np.random.RandomState(0)
    arrays = {
        name: mx.nd.array(generator.uniform(-1, 1, shape))
        for name, shape in zip(symbol.list_arguments(), arguments)
        if name != "data"
    }
    network = checkpoint.make(symbol, arrays, {"data": (2, length, 3)}, "net")
    assert exports.convert(network, "module", str(tmp_path / "net")).differences[0].agrees


def _resnet50() -> Any:
    sym = mx.sym

    def conv(net: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
        options = {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (kernel // 2, kernel // 2)}
        return sym.Convolution(net, num_filter=filters, no_bias=True, name=name, **options)

    def act(net: Any, name: str) -> Any:
        return sym.Activation(sym.BatchNorm(net, fix_gamma=False, eps=2e-5, name=name), act_type="relu")

    net = act(conv(sym.BatchNorm(sym.Variable("data"), eps=2e-5, name="bn_data"), 64, 7, 2, "conv0"), "bn0")
    net = sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    for stage, (count, filters) in enumerate(zip((3, 4, 6, 3), (256, 512, 1024, 2048)), 1):
        for index in range(1, count + 1):
            name, stride = f"stage{stage}_unit{index}_", 2 if index == 1 and stage > 1 else 1
            first = act(net, name + "bn1")
            branch = act(conv(first, filters // 4, 1, 1, name + "conv1"), name + "bn2")
            branch = act(conv(branch, filters // 4, 3, stride, name + "conv2"), name + "bn3")
            branch = conv(branch, filters, 1, 1, name + "conv3")
            net = branch + (conv(first, filters, 1, stride, name + "sc") if index == 1 else net)
    net = sym.Pooling(act(net, "bn1"), global_pool=True, kernel=(7, 7), pool_type="avg")
    return sym.SoftmaxOutput(sym.FullyConnected(net, num_hidden=1000, name="fc1"), name="softmax")


def test_resnet50_is_short() -> None:
    from mxcompat.convert.translate import translate
    from mxcompat.convert.write import source_text

    symbol = _resnet50()
    arguments, _, aux = symbol.infer_shape(data=(1, 3, 64, 64))
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    arrays = {
        name: mx.nd.zeros(shape)
        for name, shape in zip(names, [*arguments, *aux])
        if name not in ("data", "softmax_label")
    }
    network = checkpoint.make(symbol, arrays, {"data": (1, 3, 64, 64)}, "resnet-50")
    assert len(source_text(translate(network), network, "resnet-50.safetensors").splitlines()) <= 200


def test_unsupported_operators_are_named() -> None:
    data = mx.sym.Variable("data")
    symbol = mx.sym.Custom(data, op_type="convert_test_twice", name="twice")
    with pytest.raises(ConversionError, match="Custom twice: .*code of the program; --output NAME"):
        exports.convert(checkpoint.make(symbol, {}, {"data": (2, 3)}, "net"), "module", "net.py")


@mx.operator.register("convert_test_twice")
class TwiceProp(mx.operator.CustomOpProp):
    """An operator of the program's own."""

    def create_operator(self, ctx: Any, shapes: Any, dtypes: Any) -> Any:
        return Twice()


class Twice(mx.operator.CustomOp):
    """Two times its input."""

    def forward(self, is_train: Any, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
        self.assign(out_data[0], req[0], in_data[0] * 2)

    def backward(self, req: Any, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
        self.assign(in_grad[0], req[0], out_grad[0] * 2)
