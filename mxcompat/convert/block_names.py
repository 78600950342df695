"""Names around a block: of its class, of its layers and instances, and of the arguments in which its repeats differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mxcompat.convert.steps import Layer, Source, Step, is_number, unique

__all__ = ["Arguments", "arguments_of_layers", "class_name", "common_name", "has_parts", "split_names", "word_of"]

_SHORT = {
    "nn.Conv1d": "Conv", "nn.Conv2d": "Conv", "nn.Conv3d": "Conv", "nn.Linear": "Linear", "nn.BatchNorm1d": "Norm",
    "nn.BatchNorm2d": "Norm", "nn.BatchNorm3d": "Norm", "Pooling": "Pool", "Activation": "Act", "LeakyReLU": "Act",
    "relu": "Act", "Dropout": "Dropout", "Concat": "Concat",
}  # fmt: skip


def class_name(steps: Sequence[Step], inputs: Sequence[Source]) -> str:
    """A class name by what the steps do."""
    operators = {step.operator for step in steps}
    texts = " ".join(step.text for step in steps)
    adds = [step for step in steps if step.operator in ("elemwise_add", "broadcast_add", "add_n")]
    if "torch.sigmoid" in texts and "torch.tanh" in texts and adds:
        return "RecurrentStep"
    if "Concat" in operators:
        return "Branches"
    if adds and any(step.layer is not None and "Conv" in step.layer.cls for step in steps):
        given = {(id(p), i) for p, i in inputs}
        is_identity = any((id(p), i) in given for step in adds for p, i in step.inputs)
        return "Residual" if is_identity else "ResidualProjection"
    depthwise = [
        step for step in steps if step.layer is not None and step.layer.options.get("groups", 1) not in (1, False)
    ]
    if depthwise and len(steps) > 3:
        return "Separable"
    names = [_SHORT.get(step.layer.cls if step.layer else step.operator, "") for step in steps]
    return "".join(names) if all(names) and len(names) <= 4 else "Block"


def word_of(cls: str) -> str:
    """What names of a class's instances begin with, where they have none of their own."""
    last = cls.split(".")[-1]
    return "conv" if last.startswith("Conv") else "step" if last.startswith("RecurrentStep") else last.lower()


# -- names of layers --------------------------------------------------------------------------------------------------


def split_names(instances: Sequence[Sequence[str]]) -> tuple[list[str], list[str], int]:
    """``(names of the layers inside, names of the instances, how well they follow from the full names)``.

    2: the full names consist of them, 1: but for numbers inside of words, 0: they are made up.

    ``stage1_unit1_conv1`` is layer conv1 of stage1_unit1, ``conv_3a_1x1`` is layer conv_1x1 of 3a, ``conv2_dw`` conv_dw of 2.
    """
    if not instances or not instances[0]:
        return [], [""] * len(instances), 0
    tokens = [[re.split("[_-]", name) for name in names] for names in instances]
    letters = [[re.findall(r"\d+|[^\W\d_]+|[\W_]+", name) for name in names] for names in instances]
    for found, grade in (
        (_by_prefix(tokens) or _by_difference(tokens, "_"), 2),
        (_by_difference(letters, "") or _by_ending(tokens), 1),
    ):
        if found is not None:
            return (*found, grade)
    return _numbered(instances[0]), [""] * len(instances), 0


def _by_prefix(tokens: list[list[list[str]]]) -> tuple[list[str], list[str]] | None:
    prefixes, endings = [], []
    for names in tokens:
        shortest = min(map(len, names)) - 1
        length = 0
        while length < shortest and len({name[length] for name in names}) == 1:
            length += 1
        prefixes.append("_".join(names[0][:length]))
        endings.append(["_".join(name[length:]) for name in names])
    if not all(prefixes) or len(set(prefixes)) != len(prefixes) or any(e != endings[0] for e in endings):
        return None
    return endings[0], prefixes


def _by_ending(tokens: list[list[list[str]]]) -> tuple[list[str], list[str]] | None:
    """conv_3c_3x3 and bn_3c_3x3 are layers conv and bn of 3c_3x3."""
    turned = [[name[::-1] for name in names] for names in tokens]
    found = _by_prefix(turned)
    if found is None or len(found[0]) < 2:
        return None
    return tuple(["_".join(name.split("_")[::-1]) for name in names] for names in found)  # type: ignore[return-value]


def _by_difference(tokens: list[list[list[str]]], joint: str) -> tuple[list[str], list[str]] | None:
    keys: list[set[str]] = [set() for _ in tokens]
    common = []
    for layer in zip(*tokens):
        if len({len(name) for name in layer}) != 1:
            return None
        equal = [len(set(column)) == 1 for column in zip(*layer)]
        common.append(joint.join(part for part, same in zip(layer[0], equal) if same))
        for key, name in zip(keys, layer):
            key.add("_".join(part for part, same in zip(name, equal) if not same))
    if any(len(key) != 1 for key in keys) or not all(common) or len(set(common)) != len(common):
        return None
    names = [key.pop() for key in keys]
    return (common, names) if all(names) and len(set(names)) == len(names) else None


def _numbered(names: Sequence[str]) -> list[str]:
    """The letters that the names begin with, numbered where several are equal."""
    stems = ["".join(letter for letter in name if not letter.isdigit()).strip("_").split("_")[-1] for name in names]
    stems = [stem or "layer" for stem in stems]
    return [
        f"{stem}{stems[: place + 1].count(stem)}" if stems.count(stem) > 1 else stem for place, stem in enumerate(stems)
    ]


def common_name(names: Sequence[str]) -> str:
    """What names of values at the same place of a block have in common, an identifier; empty where that is nothing."""
    tokens = [[re.split("[_-]", name)] for name in names]
    for found in (_by_prefix(tokens), _by_difference(tokens, "_")):
        if found is not None and found[0][0].isidentifier():
            return found[0][0]
    return ""


def has_parts(names: Sequence[str]) -> bool:
    """Whether the names of a block's layers suggest smaller blocks: unit1_conv1, unit1_conv2, unit2, …"""
    heads = [name.split("_")[0] for name in names]
    return any(
        re.fullmatch(r"\D+\d+", head) and 1 < heads.count(head) < len(heads) and f"{head}_" in name
        for head, name in zip(heads, names)
    )


# -- arguments --------------------------------------------------------------------------------------------------------


#: arguments that most layers leave at these values
_USUAL = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


@dataclass
class Arguments:
    """The arguments of a block's constructor: the numbers in which its instances differ, each once.

    ``places`` says which number of which layer or step (by position) is which argument.
    """

    names: list[str] = field(default_factory=list)
    columns: dict[str, tuple] = field(default_factory=dict)
    layers: dict[tuple[int, str], str] = field(default_factory=dict)
    steps: dict[tuple[int, str], str] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)

    def values(self, instance: int) -> dict[str, Any]:
        return {name: self.columns[name][instance] for name in self.names}

    def texts(self) -> list[str]:
        """The names as a function's arguments, with their defaults."""
        return [f"{name}={self.defaults[name]}" if name in self.defaults else name for name in self.names]

    def of_layers(self, layers: Sequence[Layer]) -> dict[tuple[int, str], str]:
        return {(id(layers[place]), name): text for (place, name), text in self.layers.items()}

    def of_steps(self, steps: Sequence[Step]) -> dict[tuple[int, str], str]:
        return {(id(steps[place]), name): text for (place, name), text in self.steps.items()}


def arguments_of_layers(
    layers: Sequence[Sequence[Layer]], steps: Sequence[Sequence[Step]], own_names: Sequence[str] = ()
) -> Arguments:
    """The arguments for instances with these layers and steps; ``own_names`` are those of the layers."""
    found = Arguments()
    uses: dict[tuple, list[tuple[str, int, str]]] = {}
    for kind, columns in (("layer", list(zip(*layers))), ("step", list(zip(*steps)))):
        for place, column in enumerate(columns):
            entries = [item.values() if isinstance(item, Layer) else item.numbers for item in column]
            for name in entries[0]:
                values = tuple(entry[name] for entry in entries)
                if all(map(is_number, values)) and len(set(values)) > 1:
                    uses.setdefault(values, []).append((kind, place, name))
    produced = [_producer(places, own_names) for places in uses.values()]
    by_layer = sum(name != "" for name in produced) > 2
    taken: set[str] = set()
    for (values, places), producer in zip(uses.items(), produced):
        name = unique(f"channels_{producer}", taken) if by_layer and producer else _argument_name(places, taken)
        found.names.append(name)
        found.columns[name] = values
        if name in _USUAL and _USUAL[name] in values:
            found.defaults[name] = _USUAL[name]
        for kind, place, own in places:
            (found.layers if kind == "layer" else found.steps)[place, own] = name
    found.names.sort(key=lambda name: (name in found.defaults, "channels" not in name and "features" not in name))
    return found


def _producer(places: list[tuple[str, int, str]], own_names: Sequence[str]) -> str:
    """The layer that makes so many channels, by the part of its name that tells it from others; empty if none does."""
    makers = [own_names[place] for kind, place, own in places if own == "out_channels" and kind == "layer" and own_names]
    return re.sub(r"^_+|^conv(olution)?(2d)?_|_conv(2d)?$", "", makers[0]) if makers else ""


def _argument_name(places: list[tuple[str, int, str]], taken: set[str]) -> str:
    """What the number is called where it is used; sizes of layers are channels or features."""
    own = [name for _, _, name in places]
    name = own[0]
    if name.startswith(("in_", "out_", "num_features")):
        kind = "features" if name.endswith("_features") and not name.startswith("num") else "channels"
        is_output = any(entry.startswith("out_") for entry in own)
        is_input = any(entry.startswith("in_") for entry in own)
        name = kind if is_output and is_input else f"out_{kind}" if is_output else f"in_{kind}"
    if name == "channels" and name in taken:
        name = "inner_channels"
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}{number}", number + 1
    taken.add(candidate)
    return candidate
