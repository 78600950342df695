"""A mutant is a loader, a number and a seed: from these three its files are made again at any time."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.fuzz.loaders import Files, Loader, loaders
from tests.fuzz.mutators import mutate


class Mutant(NamedTuple):
    """The files of a mutant, the one that is damaged, and by which mutators."""

    files: Files
    damaged: str
    how: str


def make(name: str, number: int, seed: int) -> Mutant:
    """The mutant ``number`` of the loader ``name``; number 0 is followed by as many others as one likes."""
    loader = loaders()[name]
    rng = random.Random(f"{seed}:{name}:{number}")
    files = dict(rng.choice(loader.sets))
    damaged = rng.choice(sorted(file for file in files if file.endswith(loader.targets)))
    ending = damaged.rpartition(".")[2]
    others = [content for other in loader.sets for file, content in other.items() if file.endswith(ending)]
    files[damaged], how = mutate(damaged, files[damaged], rng, others)
    return Mutant(files, damaged, how)


def shares(names: list[str], count: int) -> dict[str, int]:
    """How many of ``count`` mutants each of the loaders gets, at least one."""
    weights: dict[str, Loader] = {name: loaders()[name] for name in names}
    total = sum(loader.weight for loader in weights.values())
    return {name: max(count * loader.weight // total, 1) for name, loader in weights.items()}
