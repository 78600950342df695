"""Checks across contexts, types and optimizers, and the time that a symbol takes."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat import random
from mxcompat.base import MXNetError
from mxcompat.context import Context
from mxcompat.ndarray import NDArray
from mxcompat.symbol import Symbol
from mxcompat.test_utils.arrays import rand_ndarray
from mxcompat.test_utils.compare import assert_almost_equal, compare_ndarray_tuple
from mxcompat.test_utils.defaults import default_context, get_tols

__all__ = ["check_consistency", "check_gluon_hybridize_consistency", "check_speed", "compare_optimizer"]


def check_speed(
    sym: Symbol,
    location: Mapping[str, np.ndarray] | None = None,
    ctx: Context | None = None,
    N: int = 20,  # noqa: N803
    grad_req: Any = None,
    typ: str = "whole",
    **kwargs: Any,
) -> float:
    """Mean seconds of ``N`` runs of a symbol: forward and backward (``typ='whole'``), or ``'forward'`` alone.

    Inputs are ``location`` by name, or normal draws of the shapes in ``kwargs``, which go to ``simple_bind``.
    """
    if typ not in ("whole", "forward"):
        raise ValueError(f'typ can only be "whole" or "forward", found {typ!r}')
    if location is not None and not isinstance(location, Mapping):
        raise AssertionError(f"location: expected a dict, found {type(location).__name__}")
    shapes = kwargs if location is None else {name: value.shape for name, value in location.items()}
    executor = sym.simple_bind(grad_req=grad_req or "write", ctx=ctx or default_context(), **shapes)
    if location is None:
        location = {name: np.random.normal(size=array.shape) for name, array in executor.arg_dict.items()}
    for name, value in location.items():
        executor.arg_dict[name][:] = value.astype(executor.arg_dict[name].dtype)

    def run() -> None:
        executor.forward(is_train=typ == "whole")
        if typ == "whole":
            executor.backward(out_grads=executor.outputs)

    run()  # not timed: the first run prepares
    nd.waitall()
    begin = time.time()
    for _ in range(N):
        run()
    nd.waitall()
    return (time.time() - begin) / N


def _coarser(first: Any, second: Any) -> Any:
    """The less precise of two types; the second when they are alike."""
    return first if np.dtype(first).itemsize < np.dtype(second).itemsize else second


class _Comparison:
    """Executors of one symbol in several contexts, and what they are compared with."""

    def __init__(self, executors: list[Any], grad_req: Any, ground_truth: Any, raise_on_err: bool, **tolerances: Any):
        self.executors, self.grad_req, self.raise_on_err = executors, grad_req, raise_on_err
        self.tolerances = tolerances
        self.dtypes = [np.dtype(executor.outputs[0].dtype) for executor in executors]
        self.best = int(np.argmax(self.dtypes))  # type: ignore[arg-type]
        self.truth = ground_truth

    def others(self) -> Iterator[tuple[int, Any]]:
        return ((place, executor) for place, executor in enumerate(self.executors) if place != self.best)

    def take_truth(self) -> None:
        """Compare with the most precise executor's arrays (which later passes fill anew), unless a truth was given."""
        if self.truth is None:
            executor = self.executors[self.best]
            self.truth = dict(executor.output_dict)
            if self.grad_req != "null":
                self.truth.update(executor.grad_dict)

    def compare(self, title: str, place: int, name: str, array: NDArray, **tolerances: Any) -> None:
        try:
            assert_almost_equal(array, self.truth[name], **{**self.tolerances, **tolerances})
        except AssertionError as error:
            print(f"{title} Err: ctx {place} vs ctx {self.best} at {name}")
            traceback.print_exc()
            if self.raise_on_err:
                raise
            print(error)

    def predict(self) -> None:
        for executor in self.executors:
            executor.forward(is_train=False)
        self.take_truth()
        for place, executor in self.others():
            for name, array in executor.output_dict.items():
                self.compare("Predict", place, name, array)

    def train(self) -> None:
        for executor in self.executors:
            executor.forward(is_train=True)
        # Heads are the first executor's outputs, rounded to the coarsest type, so that all get the same numbers.
        heads = []
        for place, output in enumerate(self.executors[0].outputs):
            coarsest = output.dtype
            for executor in self.executors:
                coarsest = _coarser(executor.outputs[place].dtype, coarsest)
            heads.append(output.astype(coarsest).asnumpy())
        for executor in self.executors:
            executor.backward(
                [
                    nd.array(head, ctx=output.context, dtype=output.dtype).tostype(output.stype)
                    for head, output in zip(heads, executor.outputs)
                ]
            )
        for place, executor in self.others():
            for name, array in {**executor.output_dict, **executor.grad_dict}.items():
                self.compare_trained(place, name, array)

    def compare_trained(self, place: int, name: str, array: NDArray | None) -> None:
        truth = self.truth[name]
        if truth is None or array is None:
            if truth is not array:
                raise AssertionError(f"gradient of {name}: one context computes it, another does not")
            return
        # A float32 gradient of a float16 model (BatchNorm's gamma, say) is as coarse as float16.
        own, best = _coarser(array.dtype, self.dtypes[place]), _coarser(truth.dtype, self.dtypes[self.best])
        tolerances = {}
        if own != array.dtype or best != truth.dtype:
            rtol, atol = get_tols(
                array.astype(own), truth.astype(best), self.tolerances["rtol"], self.tolerances["atol"]
            )
            tolerances = {"rtol": rtol, "atol": atol}
        self.compare("Train", place, name, array, **tolerances)


def check_consistency(
    sym: Symbol | Sequence[Symbol],
    ctx_list: Sequence[Mapping[str, Any]],
    scale: float = 1.0,
    grad_req: Any = "write",
    arg_params: dict[str, Any] | None = None,
    aux_params: dict[str, Any] | None = None,
    rtol: Any = None,
    atol: Any = None,
    raise_on_err: bool = True,
    ground_truth: dict[str, Any] | None = None,
    equal_nan: bool = False,
    use_uniform: bool = False,
    rand_type: Any = np.float64,
) -> dict[str, Any]:
    """``AssertionError`` unless a symbol computes the same, forward and backward, in every context and type.

    Each entry of ``ctx_list`` holds the arguments of ``simple_bind``: ``{'ctx': mx.gpu(0), 'data': (2, 10),
    'type_dict': {'data': np.float16}}``; ``sym`` may be a list with a symbol for each. Arguments that ``arg_params``
    lacks are normal (or uniform) draws of scale ``scale``, rounded to ``rand_type``; auxiliary states that
    ``aux_params`` lacks are 0. All are compared with the most precise one, or with ``ground_truth``; the arrays by name
    that they were compared with are returned.
    """
    symbols = [sym] * len(ctx_list) if isinstance(sym, Symbol) else list(sym)
    if len(ctx_list) < 2 or len(symbols) != len(ctx_list):
        raise AssertionError(f"check_consistency: {len(symbols)} symbols for {len(ctx_list)} contexts, expected two up")
    for other in symbols[1:]:
        names = (other.list_arguments(), other.list_outputs())
        if names != (symbols[0].list_arguments(), symbols[0].list_outputs()):
            raise AssertionError("check_consistency: the symbols differ in the names of arguments or outputs")
    executors = [own.simple_bind(grad_req=grad_req, **ctx) for own, ctx in zip(symbols, ctx_list)]
    arg_params = {} if arg_params is None else arg_params
    aux_params = {} if aux_params is None else aux_params
    for name, array in sorted(executors[0].arg_dict.items()):  # sorted: the same draws every time
        if name not in arg_params:
            arg_params[name] = _draws(array.shape, scale, use_uniform, rand_type)
    for name in executors[0].aux_dict:
        aux_params.setdefault(name, 0)
    for executor in executors:
        _fill(executor, arg_params, aux_params, grad_req)
    tolerances = {"rtol": rtol, "atol": atol, "equal_nan": equal_nan}
    comparison = _Comparison(executors, grad_req, ground_truth, raise_on_err, **tolerances)
    comparison.predict()
    if grad_req != "null":
        comparison.train()
    return comparison.truth


def _draws(shape: tuple[int, ...], scale: float, use_uniform: bool, dtype: Any) -> np.ndarray:
    if use_uniform:
        values = np.random.uniform(low=-0.92 * scale, high=0.92 * scale, size=shape)
    else:
        values = np.random.normal(size=shape, scale=scale)
    return np.asarray(values).astype(dtype)


def _fill(executor: Any, arg_params: dict[str, Any], aux_params: dict[str, Any], grad_req: Any) -> None:
    for name, array in executor.arg_dict.items():
        array[:] = arg_params[name]
    for name, array in executor.aux_dict.items():
        array[:] = aux_params[name]
    if grad_req == "add":
        for array in executor.grad_arrays:
            if array is not None:
                array[:] = 0


def _pair(shape: tuple[int, ...], stype: str, dtype: Any, **options: Any) -> tuple[NDArray, NDArray]:
    """A random array as dense and in ``stype``."""
    if stype == "default":
        array = random.uniform(shape=shape, ctx=default_context(), dtype=dtype)
        return array.copyto(default_context()), array
    if stype not in ("row_sparse", "csr"):
        raise ValueError(f"storage type {stype!r} is not supported, expected 'default', 'row_sparse' or 'csr'")
    array = rand_ndarray(shape, stype, dtype=dtype, **options)
    return array.copyto(default_context()).tostype("default"), array


def compare_optimizer(
    opt1: Any,
    opt2: Any,
    shape: Any,
    dtype: Any,
    w_stype: str = "default",
    g_stype: str = "default",
    rtol: float = 1e-4,
    atol: float = 1e-5,
    compare_states: bool = True,
    ntensors: int = 1,
) -> None:
    """``AssertionError`` unless two optimizers make the same of one random weight and gradient.

    ``opt1`` gets them dense, ``opt2`` in the storage types ``w_stype`` and ``g_stype``. Where ``shape`` is a list,
    ``opt2`` updates its ``ntensors`` weights in one call, ``opt1`` one after another.
    """
    if isinstance(shape, list):
        _compare_multi_tensor(opt1, opt2, shape[:ntensors], dtype, rtol, atol, compare_states)
        return
    if ntensors != 1:
        raise AssertionError(f"ntensors is {ntensors}, but shape is not a list")
    w1, w2 = _pair(shape, w_stype, dtype, density=1)
    g1, g2 = _pair(shape, g_stype, dtype)
    state1 = opt1.create_state_multi_precision(0, w1)
    state2 = opt2.create_state_multi_precision(0, w2)
    if compare_states:
        compare_ndarray_tuple(state1, state2)
    opt1.update_multi_precision(0, w1, g1, state1)
    opt2.update_multi_precision(0, w2, g2, state2)
    if compare_states:
        compare_ndarray_tuple(state1, state2, rtol=rtol, atol=atol)
    assert_almost_equal(w1, w2, rtol=rtol, atol=atol)


def _compare_multi_tensor(
    opt1: Any, opt2: Any, shapes: list, dtype: Any, rtol: float, atol: float, compare_states: bool
) -> None:
    weights1, gradients1 = [], []
    for shape in shapes:
        weights1.append(random.uniform(shape=shape, ctx=default_context(), dtype=dtype))
        gradients1.append(random.uniform(shape=shape, ctx=default_context(), dtype=dtype))
    weights2, gradients2 = deepcopy(tuple(weights1)), deepcopy(tuple(gradients1))
    places = list(range(len(shapes)))
    states2 = [opt2.create_state_multi_precision(place, weights2[place]) for place in places]
    opt2.update_multi_precision(places, weights2, gradients2, states2)
    for place in places:
        state1 = opt1.create_state_multi_precision(place, weights1[place])
        opt1.update_multi_precision(place, weights1[place], gradients1[place], state1)
        if compare_states:
            compare_ndarray_tuple(state1, states2[place], rtol, atol)
        compare_ndarray_tuple(weights1[place], weights2[place], rtol, atol)


def check_gluon_hybridize_consistency(
    net_builder: Any,
    data_l: Any,
    numpy_func: Any = None,
    test_grad: bool = True,
    rtol: float = 1e-4,
    atol: float = 1e-4,
) -> None:
    """Raises ``MXNetError``: there are no Gluon blocks to check."""
    raise MXNetError("check_gluon_hybridize_consistency: Gluon is not supported (port Gluon blocks to torch.nn)")
