"""``mxcompat ops``: which of the original's operators mxcompat has, which it lacks, and which it leaves out, and why."""

from __future__ import annotations

import argparse
import functools
from dataclasses import dataclass

import mxcompat as mx
from mxcompat.ops import faces, reference, registry

SUPPORTED, MISSING, EXCLUDED = "supported", "missing", "left out"

#: operators behind Python functions: registry name -> the function's place
THROUGH = {"_cond": "contrib.cond", "_foreach": "contrib.foreach", "_while_loop": "contrib.while_loop"}

#: prefixes of the operators with a submodule or a family of their own
FAMILIES = ("_linalg_", "_random_", "_sample_", "_image_")

COUNTS = """\
The counts refer to MXNet 1.9.1:
  public operators   distinct operators with a name directly under mx.nd and mx.sym (no underscore)
  contrib            names under mx.nd.contrib and mx.sym.contrib, gradient nodes (backward_...) aside
  linalg, random,    registry names and aliases of the operators whose registry name begins with _linalg_, _random_,
  sample, image      _sample_ or _image_, and the names under mx.nd.linalg and mx.nd.image

left out are operators that no program needs here; calling one raises an error that says why."""


@dataclass(frozen=True)
class Entry:
    """One operator of the original: all registry names, the places below ``mx.nd`` and ``mx.sym``, and what it does."""

    name: str
    aliases: tuple[str, ...]
    places: tuple[str, ...]
    status: str
    summary: str

    def matches(self, text: str) -> bool:
        """Whether the text occurs in a name or in the summary, in whatever case."""
        return any(text.lower() in part.lower() for part in (self.name, *self.aliases, *self.places, self.summary))


def _place(name: str) -> str:
    where, public = faces.place(name)
    return public if where == "op" else f"{where}.{public}"


def _reachable(place: str) -> bool:
    """Whether a face has a function there that does something."""
    for face in (mx.nd, mx.sym):
        found = functools.reduce(lambda module, part: getattr(module, part, None), place.split("."), face)
        if found is not None and not hasattr(found, "reason"):
            return True
    return False


@functools.cache
def entries() -> tuple[Entry, ...]:
    """All operators of the original, by registry name."""
    found = []
    for name, aliases in sorted(reference.registered_names().items()):
        op, reason = registry.find(name), reference.why_excluded(name)
        place = THROUGH.get(name, _place(name))
        if op is not None or _reachable(place):
            status, summary = (
                SUPPORTED,
                op.doc.split("\n\n")[0].replace("\n", " ") if op is not None else f"mx.nd.{place}",
            )
        else:
            status, summary = (EXCLUDED, reason) if reason else (MISSING, "")
        places = tuple(dict.fromkeys(_place(each) for each in (name, *aliases)))
        found.append(Entry(name, tuple(aliases), places, status, summary))
    return tuple(found)


def counts() -> dict[str, tuple[int, int]]:
    """How many are supported, and of how many, by the groups that ``COUNTS`` defines."""
    public = [entry for entry in entries() if any("." not in place for place in entry.places)]
    contrib = [
        (entry, place)
        for entry in entries()
        for place in entry.places
        if place.startswith("contrib.") and not place.startswith("contrib.backward_")
    ]
    families = [
        (entry, name)
        for entry in entries()
        if entry.name.startswith(FAMILIES)
        for name in (entry.name, *entry.aliases, *(p for p in entry.places if p.startswith(("linalg.", "image."))))
    ]
    groups = {
        "public operators": public,
        "contrib": [entry for entry, _ in contrib],
        "linalg, random, sample, image": [entry for entry, _ in families],
    }
    return {name: (sum(e.status == SUPPORTED for e in found), len(found)) for name, found in groups.items()}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mxcompat ops``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = COUNTS
    parser.add_argument("--missing", action="store_true", help="only operators that are missing or left out")
    parser.add_argument("--search", metavar="TEXT", help="only operators with TEXT in a name or in what they do")


def main(args: argparse.Namespace) -> int:
    """Print the operators, then the counts."""
    shown = [
        entry
        for entry in entries()
        if not (args.missing and entry.status == SUPPORTED) and (args.search is None or entry.matches(args.search))
    ]
    for entry in shown:
        names = ", ".join(entry.places)
        print(f"{entry.status:<9}  {names}" + (f"\n{'':<11}{entry.summary}" if entry.summary else ""))
    if shown:
        print()
    elif args.search is not None:
        which = "missing or left-out operator" if args.missing else "operator"
        print(f"no {which} has {args.search!r} in a name or in what it does\n")
    states = [entry.status for entry in entries()]
    print(", ".join(f"{states.count(status)} {status}" for status in (SUPPORTED, MISSING, EXCLUDED)))
    for name, (supported, total) in counts().items():
        print(f"{name}: {supported} of {total}")
    return 0
