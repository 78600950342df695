"""Printed and drawn symbols: every line is the original's."""

from __future__ import annotations

import pytest

import mxcompat as mx
from tests.tools import GOLDEN
from tests.tools.visualization_cases import CASES
from tests.training.observing import differences, recorded

RECORDED = recorded("visualization", GOLDEN)


@pytest.mark.parametrize("name", CASES)
def test_recorded(name: str) -> None:
    assert not differences(CASES[name](mx), RECORDED[name])


def test_one_axis_has_no_channels(capsys: pytest.CaptureFixture) -> None:
    """Where the original fails with an IndexError, there are no channels to count."""
    net = mx.sym.identity(mx.sym.Variable("data"), name="same")
    mx.viz.print_summary(net, shape={"data": (4,)})
    assert "Total params: 0" in capsys.readouterr().out


def test_edges_of_named_outputs() -> None:
    net = mx.sym.RNN(mx.sym.Variable("data"), state_size=4, num_layers=1, mode="gru", state_outputs=True, name="rnn")
    net = mx.sym.identity(net[1], name="state")
    source = mx.viz.plot_network(net, shape={"data": (5, 2, 3)}).source
    assert 'state -> rnn [label="2x4"' in source
