"""The part of the generated file that finds the symbol's name of every weight, loads and saves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mxcompat.convert.body import wrapped
from mxcompat.convert.steps import Layer, Variable

__all__ = ["loading_text"]

_ENDINGS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}


@dataclass
class _Names:
    """Names that do not follow from the path: of layers, by the path of what holds them, and of single weights."""

    layers: dict[str, dict[str, str]] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    recurrent: dict[str, str] = field(default_factory=dict)
    has_norms: bool = False
    example: tuple[str, str] = ("", "")


def loading_text(layers: Mapping[str, Layer], stored: Mapping[str, Variable], fixes_gamma: bool) -> str:
    """Source of ``symbol_names``, ``load`` and ``save``; layers and free variables by their attribute in the network."""
    names = _Names()
    for attribute, layer in layers.items():
        _collect(attribute, layer, names)
    for attribute, variable in stored.items():
        if attribute != variable.name:
            names.weights[attribute] = variable.name
    tables = "\n\n".join(_tables(names))
    sections = [*([tables] if tables else []), _symbol_names(names), _load_and_save(names, fixes_gamma)]
    return "\n\n".join(section.rstrip("\n") + "\n" for section in sections)


def _collect(attribute: str, layer: Layer, names: _Names) -> None:
    """Compare what follows from the path of each weight with the symbol's name, layer by layer."""
    by_layer: dict[str, dict[str, Variable]] = {}
    for own, variable in layer.weights.items():
        path, _, last = f"{attribute}.{own}".rpartition(".")
        by_layer.setdefault(path, {})[last] = variable
    for path, weights in by_layer.items():
        if "" in weights:
            names.recurrent[path] = weights[""].name
            continue
        is_norm = any(variable.name.endswith(tuple(_ENDINGS.values())) for variable in weights.values())
        names.has_norms |= is_norm and "running_mean" in weights or len(weights) == 2 and is_norm
        endings = _ENDINGS if is_norm and len(weights) > 1 else {}
        stems = {
            v.name[: -len(endings.get(own, own)) - 1] if v.name.endswith(f"_{endings.get(own, own)}") else ""
            for own, v in weights.items()
        }
        stem = stems.pop() if len(stems) == 1 else ""
        own, variable = next(reversed(weights.items()))
        if len(path) + len(own) > len("".join(names.example)):
            names.example = f"{path}.{own}", variable.name
        if not stem:
            names.weights.update({f"{path}.{own}": variable.name for own, variable in weights.items()})
        elif stem != path.replace(".", "_"):
            holder, _, child = path.rpartition(".")
            names.layers.setdefault(holder, {})[child] = stem


def _tables(names: _Names) -> list[str]:
    tables = []
    if names.layers:
        lines = ["#: layers whose name in the symbol does not follow from their path", "LAYERS = {"]
        for holder, stems in names.layers.items():
            entries = ", ".join(f'"{own}": "{stem}"' for own, stem in stems.items())
            lines += [f"    {line}" for line in wrapped(f'"{holder}": {{{entries}}}')]
            lines[-1] += ","
        tables.append("\n".join([*lines, "}"]))
    for name, comment, table in (
        ("NAMES", "weights whose name in the symbol does not follow from their path", names.weights),
        ("RECURRENT", "recurrent layers, whose weights the symbol holds in one vector", names.recurrent),
    ):
        if table:
            pairs = [f'    "{path}": "{symbol_name}",' for path, symbol_name in table.items()]
            tables.append("\n".join([f"#: {comment}", f"{name} = {{", *pairs, "}"]))
    if names.has_norms:
        pairs = [f'    "{own}": "{ending}",' for own, ending in _ENDINGS.items()]
        tables.append("\n".join(["#: what the symbol calls the weights of a normalization", "NORM = {", *pairs, "}"]))
    return tables


def _symbol_names(names: _Names) -> str:
    path, symbol_name = names.example
    example = f": {path} is {symbol_name}" if path else ""
    lines = ["def symbol_names(model):"]
    what = "weights" if names.recurrent else "weight"
    lines += wrapped(f'    """The {what} under each name of the symbol{example}."""')
    lines += ["    names = {}", "    for path, layer in model.named_modules():"]
    if names.recurrent:
        lines += [
            "        if path in RECURRENT:  # all matrices, then all biases",
            "            names[RECURRENT[path]] = sorted(layer.parameters(), key=lambda weight: -weight.ndim)",
            "            continue",
        ]
    stem = 'path.replace(".", "_")'
    if names.layers:
        lines += ['        holder, _, own = path.rpartition(".")']
        stem = f"LAYERS.get(holder, {{}}).get(own, {stem})"
    lines += [f"        stem = {stem}"]
    if names.has_norms:
        lines += ['        endings = NORM if hasattr(layer, "eps") else {}']
    lines += [
        "        for kind, tensor in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:",
        '            if kind != "num_batches_tracked":',
    ]
    ending = "endings.get(kind, kind)" if names.has_norms else "kind"
    value = "[tensor]" if names.recurrent else "tensor"
    name = f'f"{{stem}}_{{{ending}}}" if path else kind'
    if names.weights:
        lines += [f"                name = {name}", '                own_path = f"{path}.{kind}" if path else kind']
        lines += [f"                names[NAMES.get(own_path, name)] = {value}"]
    else:
        lines += [f"                names[{name}] = {value}"]
    return "\n".join([*lines, "    return names"])


def _load_and_save(names: _Names, fixes_gamma: bool) -> str:
    if names.recurrent:
        copy = [
            "        for name, parts in symbol_names(model).items():",
            "            pieces = weights[name].flatten().split([part.numel() for part in parts])",
            "            for part, piece in zip(parts, pieces):",
            "                part.copy_(piece.view_as(part))",
        ]
        value = "parts[0] if len(parts) == 1 else torch.cat([part.flatten() for part in parts])"
        made = f"    weights = {{name: {value}\n               for name, parts in symbol_names(model).items()}}"
        made += "\n    weights = {name: weight.detach().contiguous() for name, weight in weights.items()}"
    else:
        copy = [
            "        for name, tensor in symbol_names(model).items():",
            "            tensor.copy_(weights[name])",
        ]
        made = "    weights = {name: tensor.detach().contiguous() for name, tensor in symbol_names(model).items()}"
    if fixes_gamma:
        copy += [
            "        for layer in model.modules():",
            '            if getattr(layer, "has_fixed_gamma", False):  # whatever the file says',
            "                nn.init.ones_(layer.weight)",
        ]
    lines = [
        "def load(model, path=WEIGHTS):",
        '    """The model, with the weights of a file that has them under the symbol\'s names."""',
        "    weights = load_file(path)",
        "    with torch.no_grad():",
        *copy,
        "    return model",
        "",
        "",
        "def save(model, path):",
        '    """Write the weights under the symbol\'s names; ``mxcompat convert PATH --to params`` makes a checkpoint of them."""',
        '    with safe_open(WEIGHTS, "pt") as original:',
        "        metadata = original.metadata()",
        made,
        "    save_file(weights, path, metadata)",
    ]
    return "\n".join(lines)
