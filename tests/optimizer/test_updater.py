"""The updater: states by index, contexts, and states files."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat import nd
from mxcompat.base import MXNetError


def trained(optimizer: Any, steps: int = 3) -> tuple[Any, list]:
    updater, weights = mx.optimizer.get_updater(optimizer), [nd.ones((2, 2)), nd.ones((3,))]
    for step in range(steps):
        updater([0, 1], [nd.ones((2, 2)) * (step + 1), nd.ones((3,))], weights)
    return updater, weights


def test_one_and_many() -> None:
    updater, _ = trained(mx.optimizer.SGD(momentum=0.9))
    assert sorted(updater.states) == [0, 1]
    assert updater.states_synced == {0: True, 1: True}
    updater("name", nd.ones((1,)), nd.ones((1,)))
    updater([b"bytes"], [nd.ones((1,))], [nd.ones((1,))])
    assert sorted(map(str, updater.states)) == ["0", "1", "bytes", "name"]
    updater([], [], [])
    assert updater.optimizer.num_update == 3


def test_counts_by_device() -> None:
    optimizer = mx.optimizer.SGD()
    updater = mx.optimizer.get_updater(optimizer)
    for device in (0, 1, 1):
        array = nd.ones((1,), ctx=mx.cpu(device))
        updater(device, array, array.copy())
    assert optimizer._all_index_update_counts == {0: {0: 1}, 1: {1: 2}}


def test_states_move_to_the_context_of_the_weight() -> None:
    content = trained(mx.optimizer.Adam())[0].get_states()
    updater = mx.optimizer.get_updater(mx.optimizer.Adam())
    updater.set_states(content)
    assert updater.states_synced == {0: False, 1: False}
    updater(0, nd.ones((2, 2), ctx=mx.cpu(1)), nd.ones((2, 2), ctx=mx.cpu(1)))
    assert [state.context for state in updater.states[0]] == [mx.cpu(1)] * 2
    moved = updater.sync_state_context([None, (nd.ones((1,)), 3)], mx.cpu(2))
    assert (moved[0], moved[1][0].context, moved[1][1]) == (None, mx.cpu(2), 3)


#: those of mx.optimizer; contrib.svrg_optimization registers two that need arguments
NAMES = {n for n, kind in mx.optimizer.Optimizer.opt_registry.items() if kind.__module__.startswith("mxcompat.optimizer.")}


@pytest.mark.parametrize("name", sorted(NAMES - {"groupadagrad", "test", "sgld"}))
@pytest.mark.parametrize("with_optimizer", [False, True])
def test_states_go_round(name: str, with_optimizer: bool) -> None:
    def make() -> Any:
        return mx.optimizer.create(name, lr_scheduler=mx.lr_scheduler.MultiFactorScheduler([2, 5], 0.5, base_lr=0.05))

    updater, weights = trained(make())
    content = updater.get_states(dump_optimizer=with_optimizer)
    other = mx.optimizer.get_updater(make())
    other.set_states(content)
    if with_optimizer:
        assert type(other.optimizer) is type(updater.optimizer)
        assert other.optimizer.num_update == 3
        copies = [weight.copy() for weight in weights]
        grads = [nd.ones((2, 2)), nd.ones((3,))]
        updater([0, 1], grads, weights)
        other([0, 1], [grad.copy() for grad in grads], copies)
        for weight, its_copy in zip(weights, copies):
            np.testing.assert_array_equal(weight.asnumpy(), its_copy.asnumpy())
    assert other.states.keys() == updater.states.keys()


def test_the_names_in_the_file_are_those_of_the_original() -> None:
    content = trained(mx.optimizer.SGD(lr_scheduler=mx.lr_scheduler.FactorScheduler(2)))[0].get_states(True)
    assert b"mxnet.optimizer.optimizer" in content
    assert b"mxnet.lr_scheduler" in content
    assert b"mxcompat" not in content
    assert b"mxnet.optimizer.contrib" in mx.optimizer.get_updater(mx.optimizer.create("groupadagrad")).get_states(True)


class Slower(mx.lr_scheduler.LRScheduler):
    """A schedule of the program."""

    def __call__(self, num_update: int) -> float:
        return self.base_lr / (1 + num_update)


def test_schedules_of_the_program_are_known() -> None:
    content = trained(mx.optimizer.SGD(lr_scheduler=Slower(0.5)))[0].get_states(dump_optimizer=True)
    other = mx.optimizer.get_updater(mx.optimizer.SGD())
    other.set_states(content)
    assert type(other.optimizer.lr_scheduler) is Slower
    assert other.optimizer.learning_rate == 0.125


class Evil:
    def __reduce__(self) -> tuple:
        return (print, ("run",))


@pytest.mark.parametrize("content", [{0: Evil()}, [1, 2], ({0: None}, "no optimizer")])
def test_other_content_is_refused(content: Any, capsys: Any) -> None:
    updater, _ = trained(mx.optimizer.SGD(momentum=0.9))
    before = dict(updater.states)
    with pytest.raises(MXNetError):
        updater.set_states(pickle.dumps(content))
    assert updater.states == before
    assert capsys.readouterr().out == ""
