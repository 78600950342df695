"""Every operator against the original's registry: names, inputs, parameters, defaults, outputs, auxiliary states.

``tests/golden/catalogue.json`` has what the original says of each operator: ``params`` in its order, as [type] where one
is required and [type, default as text] where not; enumerations are written ``a|b``.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

import mxcompat as mx
from mxcompat.ops import faces, registry, schema
from mxcompat.ops.schema import Operator

FACTS: dict[str, dict[str, Any]] = json.loads(
    (pathlib.Path(__file__).parents[1] / "golden" / "catalogue.json").read_text(encoding="utf-8")
)

mx.nd, mx.sym  # noqa: B018 - loads the catalogue
OPERATORS = {op.name: op for op in registry.operators()}
REGISTERED = sorted(set(FACTS) & set(OPERATORS))

#: parameters that the original takes although its registry does not list them
UNLISTED = {
    "_contrib_SparseEmbedding": ["deterministic"],
    "_linalg_potrf": ["lower"],
    "_linalg_potri": ["lower"],
    "_linspace": ["stop", "num", "endpoint"],
    "add_n": ["num_args"],
    "khatri_rao": ["num_args"],
}
#: parameters that its registry lists although it does not take them
LISTED_IN_VAIN = {"_contrib_SparseEmbedding": ["sparse_grad"], "_linspace": ["stop", "step", "repeat", "infer_range"]}
#: operators with inputs that its registry does not list
UNLISTED_INPUTS = {"_CrossDeviceCopy"}

#: kinds by the original's name of a type (``a or None`` aside)
KINDS = {
    "boolean": (schema._Bool,),
    "int": (schema.Int,),
    "int (non-negative)": (schema.Int,),
    "long": (schema.Int,),
    "long (non-negative)": (schema.Int,),
    "float": (schema.Float,),
    "double": (schema.Float,),
    "real_t": (schema.Float,),
    "string": (schema._Str,),
    "ptr": (schema._Str,),
    "": (schema._Floats,),  # _histogram's range
    "Shape": (schema.Shape, schema._OptionalInts),
    "Shape(tuple)": (schema.Shape, schema._OptionalInts),
    "tuple of <long>": (schema.Shape,),
    "tuple of <float>": (schema._Floats,),
    "tuple of <double>": (schema._Floats,),
}


@pytest.mark.parametrize("name", REGISTERED)
def test_aliases(name: str) -> None:
    assert sorted(OPERATORS[name].aliases) == sorted(FACTS[name].get("aliases", []))


@pytest.mark.parametrize("name", sorted(set(REGISTERED) - UNLISTED_INPUTS))
def test_inputs(name: str) -> None:
    op, facts = OPERATORS[name], FACTS[name]
    assert (op.variadic is not None) == facts.get("variadic", False)
    if op.variadic is None:
        assert [n for n in op.inputs if n not in op.aux] == [n for n in facts.get("inputs", []) if n not in op.aux]


@pytest.mark.parametrize("name", REGISTERED)
def test_parameters(name: str) -> None:
    op = OPERATORS[name]
    params = {k: v for k, v in FACTS[name].get("params", {}).items() if k not in LISTED_IN_VAIN.get(name, [])}
    found = [n for n in op.params if n not in UNLISTED.get(name, []) + LISTED_IN_VAIN.get(name, [])]
    if op.variadic is None:
        assert found == list(params)
    assert sorted(found) == sorted(params)  # the original shows no order where the inputs are any number
    problems = [problem for key, fact in params.items() if (problem := _difference(op, key, *fact))]
    assert problems == []


REQUIRED = object()


def _difference(op: Operator, key: str, kind: str, default: Any = REQUIRED) -> str:
    """What is different about one parameter; empty when nothing is."""
    param = op.params[key]
    if param.required != (default is REQUIRED):
        return f"{key}: required is {param.required}"
    if default is not REQUIRED and not param.required and default is not None:
        expected = _parsed(param.kind, default)
        if not _same(param.default, expected):
            return f"{key}: default {param.default!r}, expected {expected!r}"
    return _kind_difference(key, param.kind, kind)


def _parsed(kind: schema.Kind, text: str) -> Any:
    """A default as the original writes it, as a value."""
    if text == "None":
        return None
    return kind.parse(text.replace("[", "(").replace("]", ",)").replace("(,)", "()"))


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return found == pytest.approx(expected, rel=1e-6)
    return found == expected or (found in (None, ()) and expected in (None, ()))


def _kind_difference(key: str, found: schema.Kind, kind: str) -> str:
    while isinstance(found, (schema.NoEffect, schema.Optional)):
        found = found.kind
    if isinstance(found, schema.Enum):
        ours = set(found.values)
    elif isinstance(found, schema.DType):
        ours = set(found.names)
    else:
        plain = kind.removesuffix(" or None")
        if plain not in KINDS or not isinstance(found, KINDS[plain]):
            return f"{key}: {type(found).__name__}, expected {kind}"
        if "non-negative" in plain and isinstance(found, schema.Int) and (found.min is None or found.min < 0):
            return f"{key}: negative numbers are taken, expected {kind}"
        return ""
    return "" if ours == set(kind.split("|")) - {"None"} else f"{key}: {sorted(ours)}, expected {kind}"


BUILT = [name for name in REGISTERED if "built_with" in FACTS[name] and OPERATORS[name].symbolic]


@pytest.mark.parametrize("name", BUILT)
def test_names_of_a_node(name: str) -> None:
    facts = FACTS[name]
    where, public = faces.place(name)
    function = getattr(getattr(mx.sym, where), public)
    given = [mx.sym.Variable(key) for key in facts["built_with"]["inputs_given"]]
    if OPERATORS[name].variadic is None:
        symbol = function(
            **dict(zip(facts["built_with"]["inputs_given"], given)), **facts["built_with"]["params"], name="op"
        )
    else:
        symbol = function(*given, **facts["built_with"]["params"], name="op")
    assert symbol.list_arguments() == facts.get("arguments", [])
    assert symbol.list_outputs() == facts["outputs"]
    assert symbol.list_auxiliary_states() == facts.get("aux", [])


def test_nothing_else_is_registered() -> None:
    assert sorted(set(OPERATORS) - set(FACTS)) == []
