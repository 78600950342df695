"""The part of the generated file that finds the symbol's name of every weight, loads and saves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mxcompat.convert.body import wrapped
from mxcompat.convert.steps import Layer, Variable, quoted, shown

__all__ = ["loading_text"]

EXAMPLE_WIDTH = 60
_ENDINGS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}


@dataclass
class _Names:
    """Names that do not follow from the path: of layers, by the path of what holds them, and of single weights.

    ``stems`` are the symbol's names of all layers. ``patterns`` are names of layers by the beginning of the name of what
    holds them, whose rest stands for ``*``: conv_3a holds the layer bn of the pattern bn_*.
    """

    stems: dict[str, str] = field(default_factory=dict)
    patterns: dict[str, dict[str, str]] = field(default_factory=dict)
    layers: dict[str, dict[str, str]] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    recurrent: dict[str, str] = field(default_factory=dict)
    has_norms: bool = False
    has_dashes: bool = False
    example: tuple[str, str] = ("", "")


def loading_text(layers: Mapping[str, Layer], stored: Mapping[str, Variable], fixes_gamma: bool) -> str:
    """Source of ``symbol_names``, ``load`` and ``save``; layers and free variables by their attribute in the network."""
    names = _Names()
    for attribute, layer in layers.items():
        _collect(attribute, layer, names)
    _find_rules(names)
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
        if len("".join(names.example)) < len(path) + len(own) + len(variable.name) < EXAMPLE_WIDTH:
            names.example = f"{path}.{own}", variable.name
        if not stem:
            names.weights.update({f"{path}.{own}": variable.name for own, variable in weights.items()})
        else:
            names.stems[path] = stem


def _find_rules(names: _Names) -> None:
    """Sort the layers' names into patterns and single ones; those that follow from the path are in neither."""
    names.has_dashes = any("-" in stem for stem in names.stems.values()) and not any("_" in s for s in names.stems.values())
    stems = {path: stem.replace("-", "_") if names.has_dashes else stem for path, stem in names.stems.items()}
    candidates: dict[tuple[str, str], Counter] = {}
    for path, stem in stems.items():
        key, own, rest = _place(path)
        if stem != path.replace(".", "_") and rest and rest in stem:
            candidates.setdefault((key, own), Counter())[stem.replace(rest, "*", 1)] += 1
    for (key, own), found in candidates.items():
        pattern, count = found.most_common(1)[0]
        if count > 1:
            names.patterns.setdefault(key, {})[own] = pattern
    for path, stem in stems.items():
        key, own, rest = _place(path)
        if stem != names.patterns.get(key, {}).get(own, path.replace(".", "_")).replace("*", rest):
            names.layers.setdefault(path.rpartition(".")[0], {})[own] = stem


def _place(path: str) -> tuple[str, str, str]:
    """Of the layer ``conv_3a.bn``: conv, bn, 3a."""
    holder, _, own = path.rpartition(".")
    key, _, rest = holder.partition("_")
    return key, own, rest


def _tables(names: _Names) -> list[str]:
    tables = []
    about_patterns = "what the symbol calls the layers of blocks; * is what follows the first _ of the block's name"
    for name, comment, table in (
        ("PATTERNS", about_patterns, names.patterns),
        ("LAYERS", "layers whose name in the symbol does not follow from their path", names.layers),
    ):
        if table:
            lines = [f"#: {comment}", f"{name} = {{"]
            for holder, stems in table.items():
                entries = ", ".join(f"{quoted(own)}: {quoted(stem)}" for own, stem in stems.items())
                lines += [f"    {line}" for line in wrapped(f"{quoted(holder)}: {{{entries}}}")]
                lines[-1] += ","
            tables.append("\n".join([*lines, "}"]))
    for name, comment, pairs_by_name in (
        ("NAMES", "weights whose name in the symbol does not follow from their path", names.weights),
        ("RECURRENT", "recurrent layers, whose weights the symbol holds in one vector", names.recurrent),
    ):
        if pairs_by_name:
            pairs = [f"    {quoted(path)}: {quoted(symbol_name)}," for path, symbol_name in pairs_by_name.items()]
            tables.append("\n".join([f"#: {comment}", f"{name} = {{", *pairs, "}"]))
    if names.has_norms:
        pairs = [f'    "{own}": "{ending}",' for own, ending in _ENDINGS.items()]
        tables.append("\n".join(["#: what the symbol calls the weights of a normalization", "NORM = {", *pairs, "}"]))
    return tables


def _symbol_names(names: _Names) -> str:
    path, symbol_name = names.example
    example = f": {path} is {shown(symbol_name)}" if path else ""
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
    if names.layers or names.patterns:
        lines += ['        holder, _, own = path.rpartition(".")']
    if names.patterns:
        lines += ['        key, _, rest = holder.partition("_")']
        stem = f'PATTERNS.get(key, {{}}).get(own, {stem}).replace("*", rest)'
    lines += [f"        stem = {stem}"]
    if names.layers:
        lines += ["        stem = LAYERS.get(holder, {}).get(own, stem)"]
    if names.has_dashes:
        lines += ['        stem = stem.replace("_", "-")']
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
