"""The list of documented differences names what is there, and every operator that draws random numbers."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import mxcompat as mx
from mxcompat.differences import DIFFERENCES, GENERAL, RANDOM, difference
from mxcompat.ops import registry


def test_every_name_is_there() -> None:
    assert mx.nd.zeros(1).shape == (1,)  # the catalogue is filled
    for name in DIFFERENCES:
        op = registry.find(name)
        if op is not None:
            assert op.name == name, f"{name} is an alias of {op.name}"
        else:
            assert callable(functools.reduce(getattr, name.split("."), mx)), name


def test_every_operator_that_draws_is_listed() -> None:
    branches = {"_cond", "_foreach", "_while_loop"}  # they draw when their bodies do
    assert {op.name for op in registry.operators() if op.random} - branches == set(RANDOM)


def test_parameters_decide() -> None:
    assert difference("Cast", {"dtype": "int32"}) and difference("Cast", {"dtype": "float16"}) is None
    assert difference("Cast", {"dtype": "int32"}, symbolic=False) is None
    assert difference("LeakyReLU", {"act_type": "rrelu"}) and difference("LeakyReLU", {"act_type": "elu"}) is None
    assert difference("Dropout", {"p": 0.5}) and difference("Dropout", {"p": 0.0}) is None
    assert difference("Convolution", {}) is None


def test_the_readme_tells_them() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Known differences")[2].partition("\n## ")[0]
    told = set(re.findall(r"\w{5,}", section))
    for text in GENERAL:
        words = set(re.findall(r"\w{5,}", text))
        assert len(words & told) >= 0.7 * len(words), text
