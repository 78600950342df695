"""Rows of the update operators of one weight."""

from tests.harness import Bad, Row, positive, rows_test

SHAPE = (3, 4)
PLAIN = {}
DECAY = {"wd": 0.1, "rescale_grad": 0.5}
CLIPPED = {"wd": 0.1, "rescale_grad": 2.0, "clip_gradient": 0.4}
CLOSE = {"rtol": 1e-5, "atol": 2e-6}  # sums and products of the same numbers in another order


def _row(op, states, params, out=True, dtype="float32", **options):
    """``states`` maps names to specs; half the rows write into the weight, as optimizers do."""
    inputs = {"weight": SHAPE, "grad": SHAPE, **states}
    written = ("weight",) if out else ()
    tolerance = CLOSE if dtype == "float32" else {}
    return Row(op, inputs, params, faces=("nd",), grad=False, out=written, dtype=dtype, **{**tolerance, **options})


def _family(op, states, lr=0.1, **params):
    given = {"lr": lr, **params}
    return [
        _row(op, states, given),
        _row(op, states, given, out=False),
        _row(op, states, {**given, **DECAY}),
        _row(op, states, {**given, **CLIPPED}),
        _row(op, states, {**given, **CLIPPED, "clip_gradient": 0.0}),
        _row(op, states, {**given, **DECAY}, dtype="float64"),
        _row(op, states, {**given, "rescale_grad": 0.5}, dtype="float16", rtol=5e-3, atol=5e-3),
        Bad(op, {"weight": SHAPE, "grad": (4,), **states}, given, match="expected", faces=("nd",)),
        Bad(op, {"weight": SHAPE, "grad": SHAPE, **states}, params, match="lr", faces=("nd",)),
        Bad(op, {"weight": SHAPE, "grad": SHAPE, **states}, given, match="floating", dtype="int32", faces=("nd",)),
    ]


def _mixed(op, states, **params):
    inputs = {"weight": positive(SHAPE, "float16"), "grad": positive(SHAPE, "float16")}
    inputs.update({name: positive(SHAPE, "float32") for name in states})
    given = {"lr": 0.1, **params}
    return [
        *[Row(op, inputs, {**given, **more}, faces=("nd",), grad=False, **CLOSE) for more in (PLAIN, CLIPPED)],
        Row(op, inputs, {**given, "rescale_grad": 0.5}, faces=("nd",), grad=False, out=("weight",), **CLOSE),
        Bad(op, {**inputs, states[-1]: positive(SHAPE, "float16")}, given, match="float32", faces=("nd",)),
    ]


MOM = {"mom": SHAPE}
MOMENTS = {"mean": SHAPE, "var": positive(SHAPE)}
LAMB = {"t": 3, "wd": 0.1}
SMALL = positive((1,))


def _phase2(op, extra, **params):
    inputs = {"weight": SHAPE, "g": SHAPE, "r1": SMALL, "r2": SMALL, **extra}
    half = {"weight": positive(SHAPE, "float16")} if extra else {}
    given = {**inputs, **half}
    return [
        Row(op, given, {"lr": 0.1}, faces=("nd",), grad=False, **CLOSE),
        Row(op, given, {"lr": 0.1, "lower_bound": 2.5}, faces=("nd",), grad=False, **CLOSE),
        Row(op, given, {"lr": 0.1, "upper_bound": 0.3}, faces=("nd",), grad=False, out=("weight",), **CLOSE),
        Row(op, {**given, "r1": [0.0]}, {"lr": 0.1}, faces=("nd",), grad=False, **CLOSE),
        Bad(op, {**given, "r1": (2,)}, {"lr": 0.1}, match="r1", faces=("nd",)),
        Bad(op, {**given, "g": (4,)}, {"lr": 0.1}, match="input g", faces=("nd",)),
    ]


def _adamw(op, extra, dtype, scale, **params):
    inputs = {"weight": positive(SHAPE, dtype), "grad": positive(SHAPE, dtype), "mean": SHAPE, "var": positive(SHAPE)}
    given = {**inputs, **extra, "rescale_grad": [scale]}
    return Row(op, given, {"lr": 0.1, "eta": 0.9, **params}, faces=("nd",), grad=False, out=("weight",), **CLOSE)


W32 = {"weight32": positive(SHAPE)}
ADAMW = [
    _adamw(op, extra, dtype, scale, **params)
    for op, extra, dtype in (("_internal._adamw_update", {}, "float32"), ("_internal._mp_adamw_update", W32, "float16"))
    for scale, params in (
        (1.0, {}),
        (0.5, {"wd": 0.1, "epsilon": 1e-3}),
        (2.0, {"wd": 0.1, "clip_gradient": 0.9}),
        (float("inf"), {}),
        (0.0, {"wd": 0.1}),
    )
]

ROWS = [
    *_family("sgd_update", {}),
    Row("sparse.sgd_update", {"weight": SHAPE, "grad": SHAPE}, {"lr": 0.1}, faces=("nd",), grad=False, **CLOSE),
    *_family("sgd_mom_update", MOM, momentum=0.9),
    _row("sgd_mom_update", MOM, {"lr": 0.1, "lazy_update": False}),
    *_mixed("mp_sgd_update", ("weight32",), wd=0.1),
    *_mixed("mp_sgd_mom_update", ("mom", "weight32"), momentum=0.9),
    # Without out= the original's momentum takes the decay of the old weight; here it is that of the new one.
    *[row for row in _family("nag_mom_update", MOM, momentum=0.9)],
    *_mixed("mp_nag_mom_update", ("mom", "weight32"), momentum=0.9),
    *_family("signsgd_update", {}),
    *_family("signum_update", MOM, momentum=0.9),
    _row("signum_update", MOM, {"lr": 0.1, "momentum": 0.9, "wd_lh": 0.2}),
    *_family("adam_update", MOMENTS, epsilon=1e-3),
    _row("adam_update", MOMENTS, {"lr": 0.1, "beta1": 0.5, "beta2": 0.8}),
    _row("adam_update", MOMENTS, {"lr": 0.1, "beta1": 1.0, "beta2": 1.0}),
    *_family("rmsprop_update", {"n": positive(SHAPE)}, gamma1=0.8),
    _row("rmsprop_update", {"n": positive(SHAPE)}, {"lr": 0.1, "clip_weights": 0.3}),
    *_family("rmspropalex_update", {"n": positive(SHAPE), "g": [[0.1] * 4] * 3, "delta": SHAPE}),
    _row(
        "rmspropalex_update",
        {"n": positive(SHAPE), "g": [[0.1] * 4] * 3, "delta": SHAPE},
        {"lr": 0.1, "gamma2": 0.5, "clip_weights": 0.3},
    ),
    *_family("ftrl_update", {"z": SHAPE, "n": positive(SHAPE)}),
    _row("ftrl_update", {"z": SHAPE, "n": positive(SHAPE)}, {"lr": 0.1, "lamda1": 0.5, "beta": 0.2}),
    *[
        _row(
            "ftml_update",
            {"d": positive(SHAPE), "v": positive(SHAPE), "z": SHAPE},
            {"lr": 0.1, "t": 3, **more},
            **options,
        )
        for more, options in (
            ({}, {}),
            ({}, {"out": False}),
            ({"wd": 0.1, "rescale_grad": 0.5, "beta1": 0.5, "beta2": 0.9}, {}),
            ({"wd": 0.1, "clip_grad": 0.3, "epsilon": 1e-3}, {}),
            ({"wd": 0.1}, {"dtype": "float64"}),
        )
    ],
    Bad(
        "ftml_update",
        {"weight": SHAPE, "grad": SHAPE, "d": SHAPE, "v": SHAPE, "z": SHAPE},
        {"lr": 0.1, "t": 1, "beta1": 2.0},
        match="beta1",
        faces=("nd",),
    ),
    *[
        _row("lamb_update_phase1", MOMENTS, {**LAMB, **more}, out=False, **options)
        for more, options in (
            ({}, {}),
            ({"bias_correction": False, "rescale_grad": 0.5}, {}),
            ({"clip_gradient": 0.3, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3}, {}),
            ({}, {"dtype": "float64"}),
        )
    ],
    *_phase2("lamb_update_phase2", {}),
    *[
        Row(
            "mp_lamb_update_phase1",
            {
                "weight": positive(SHAPE, "float16"),
                "grad": positive(SHAPE, "float16"),
                "mean": SHAPE,
                "var": positive(SHAPE),
                "weight32": positive(SHAPE),
            },
            {**LAMB, **more},
            faces=("nd",),
            grad=False,
            **CLOSE,
        )
        for more in ({}, {"bias_correction": False}, {"clip_gradient": 0.3, "rescale_grad": 0.5})
    ],
    *_phase2("mp_lamb_update_phase2", W32),
    *ADAMW,
]

test_rows = rows_test(ROWS, __file__)
