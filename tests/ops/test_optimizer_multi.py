"""Rows of the update operators of many weights, and of what optimizers compute of many arrays."""

from tests.harness import Bad, Row, positive, rows_test

SHAPES = ((3, 4), (5,))
CLOSE = {"rtol": 1e-5, "atol": 2e-6}  # sums and products of the same numbers in another order
RATES = {"lrs": (0.1, 0.2), "wds": (0.1, 0.0)}


def _many(op, roles, params, tail=(), dtype="float32", out=True, **options):
    """Two weights with the given roles; ``32`` at the end of a role means float32."""
    inputs = {}
    for shape in SHAPES:
        for role in roles.split():
            inputs[f"arg{len(inputs)}"] = positive(shape, "float32" if role.endswith("32") else dtype)
    for spec in tail:
        inputs[f"arg{len(inputs)}"] = spec
    stride = len(roles.split())
    written = ("arg0", f"arg{stride}")
    tolerance = CLOSE if dtype != "float16" or "32" in roles else {"rtol": 5e-3, "atol": 5e-3}
    return Row(op, inputs, params, faces=("nd",), grad=False, out=written, **{**tolerance, **options})


def _sgd(op, roles, momentum, tail=(), given=RATES, dtypes=("float32", "float64", "float16")):
    params = {**given, "num_weights": 2, **({"momentum": 0.9} if momentum else {})}
    return [
        *[_many(op, roles, params, tail, dtype) for dtype in dtypes],
        _many(op, roles, {**params, "rescale_grad": 0.5}, tail, dtypes[0]),
        _many(op, roles, {**params, "rescale_grad": 2.0, "clip_gradient": 0.7}, tail, dtypes[0]),
    ]


PRELOADED = ([0.1, 0.2], [0.1, 0.0])
HALF = ("float16",)
LAMB = {"learning_rates": (0.1, 0.2), "wds": (0.1, 0.0), "step_count": (1, 3), "num_tensors": 2}
ADAMW = {"lrs": (0.1, 0.2), "wds": (0.1, 0.0), "etas": (1.0, 0.5), "num_weights": 2}
LARS = {name: positive((3,)) for name in ("lrs", "weights_sum_sq", "grads_sum_sq", "wds")}
MULTI_LAMB, MULTI_MP_LAMB = "_internal._multi_lamb_update", "_internal._multi_mp_lamb_update"
MULTI_ADAMW, MULTI_MP_ADAMW = "_internal._multi_adamw_update", "_internal._multi_mp_adamw_update"
PAIR = {"arg0": (3, 4), "arg1": (3, 4)}


def _sum(shapes, **options):
    inputs = {f"arg{i}": shape for i, shape in enumerate(shapes)}
    return Row("multi_sum_sq", inputs, {"num_arrays": len(shapes)}, grad=False, **options)


ROWS = [
    *_sgd("multi_sgd_update", "weight grad", False),
    *_sgd("multi_sgd_mom_update", "weight grad mom", True),
    *_sgd("multi_mp_sgd_update", "weight grad weight32", False, dtypes=HALF),
    *_sgd("multi_mp_sgd_mom_update", "weight grad mom32 weight32", True, dtypes=HALF),
    *_sgd("preloaded_multi_sgd_update", "weight grad", False, PRELOADED, {}, ("float32",)),
    *_sgd("preloaded_multi_sgd_mom_update", "weight grad mom", True, PRELOADED, {}, ("float32",)),
    *_sgd("preloaded_multi_mp_sgd_update", "weight grad weight32", False, PRELOADED, {}, HALF),
    *_sgd("preloaded_multi_mp_sgd_mom_update", "weight grad mom32 weight32", True, PRELOADED, {}, HALF),
    Bad("multi_sgd_update", PAIR, {"lrs": (0.1, 0.2), "wds": (0.1,)}, match="lrs", faces=("nd",)),
    Bad("multi_sgd_update", PAIR, {**RATES, "num_weights": 2}, match="expects 4 inputs", faces=("nd",)),
    Bad("preloaded_multi_sgd_update", {**PAIR, "arg2": (2,), "arg3": (1,)}, {}, match="lrs", faces=("nd",)),
    *[
        _many(MULTI_LAMB, "weight grad mean var", {**LAMB, **more})
        for more in (
            {},
            {"bias_correction": False, "rescale_grad": 0.5},
            {"clip_gradient": 0.7, "lower_bound": 3.0},
            {"upper_bound": 0.5, "epsilon": 1e-3},
        )
    ],
    *[
        _many(
            MULTI_MP_LAMB, "weight grad mean32 var32 weight32", {**LAMB, **more}, dtype="float16", rtol=1e-3, atol=1e-3
        )
        for more in ({}, {"bias_correction": False}, {"clip_gradient": 0.7, "upper_bound": 0.5})
    ],
    Bad(
        MULTI_LAMB,
        {f"arg{i}": (3, 4) for i in range(4)},
        {"learning_rates": (0.1,), "wds": (0.1,), "step_count": (1, 2)},
        match="step_count",
        faces=("nd",),
    ),
    *[
        _many(MULTI_ADAMW, "weight grad mean var", {**ADAMW, **more}, tail=([scale],))
        for scale, more in ((1.0, {}), (0.5, {"epsilon": 1e-3}), (2.0, {"clip_gradient": 0.7}), (0.0, {}))
    ],
    *[
        _many(MULTI_MP_ADAMW, "weight grad mean32 var32 weight32", {**ADAMW, **more}, tail=([scale],), dtype="float16")
        for scale, more in ((1.0, {}), (0.5, {"epsilon": 1e-3}), (2.0, {"clip_gradient": 0.7}))
    ],
    _sum([(3, 4)]),
    _sum([(3, 4), (5,)], compile=True),
    _sum([(3, 4), (5,), (2, 2)], dtype="float64"),
    Bad("multi_sum_sq", PAIR, {"num_arrays": 3}, match="3 inputs", faces=("nd",)),
    Row("multi_lars", LARS, {"eta": 0.01, "eps": 1e-3}, grad=False, compile=True, **CLOSE),
    Row("multi_lars", LARS, {"eta": 0.5, "eps": 0.0, "rescale_grad": 0.5}, grad=False, **CLOSE),
    Row("multi_lars", {**LARS, "weights_sum_sq": [0.0, 1.0, 2.0]}, {"eta": 0.1, "eps": 0.0}, grad=False, **CLOSE),
    Row("multi_lars", {**LARS, "grads_sum_sq": [0.0, 1.0, 2.0]}, {"eta": 0.1, "eps": 0.0}, grad=False, **CLOSE),
    Bad("multi_lars", {**LARS, "wds": positive((2,))}, {"eta": 0.1, "eps": 0.0}, match="expected"),
    Bad("multi_lars", LARS, {"eta": 0.1}, match="eps"),
    *[
        Row(
            "reset_arrays",
            {f"arg{i}": shape for i, shape in enumerate(shapes)},
            {"num_arrays": len(shapes)},
            faces=("nd",),
            grad=False,
            dtype=dtype,
        )
        for shapes, dtype in ((((3, 4),), "float32"), (((3, 4), (5,)), "float32"), (((3, 4), (5,)), "float64"))
    ],
    Bad("reset_arrays", PAIR, {"num_arrays": 1}, match="1 inputs", faces=("nd",)),
]

test_rows = rows_test(ROWS, __file__)
