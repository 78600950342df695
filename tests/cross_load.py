"""States of every optimizer, written here and read by real MXNet, and the other way round.

``python tests/cross_load.py --oracle PYTHON`` takes the interpreter of an environment with MXNet 1.9.1. Each case makes
ten updates, saves (with the optimizer itself and without), and goes on for ten more from the saved states; the weights
have to be those of real MXNet from its own states. No test needs this: what real MXNet wrote is recorded.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import warnings
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if __name__ == "__main__":
    sys.path[0] = ROOT

import numpy as np  # noqa: E402

from tests.optimizer import cases, saved  # noqa: E402

#: SGLD draws random numbers and has no state: that its files load is all there is to see
RANDOM = {"sgld": ("sgld", False), "sgld+optimizer": ("sgld", True)}


def _add_random() -> None:
    cases.CASES.setdefault("sgld", ("sgld", {}))
    saved.CASES.update(RANDOM)


def write_all(mx: Any) -> dict[str, np.ndarray]:
    """The states files of every case."""
    return {name: np.frombuffer(saved.write(mx, name), np.uint8) for name in saved.CASES}


def go_on(mx: Any, files: Any) -> dict[str, np.ndarray]:
    """The weights after going on from each of the files, as ``case/weight``; an error as ``case/error``."""
    found: dict[str, np.ndarray] = {}
    for name in saved.CASES:
        try:
            weights = saved.go_on(mx, files[name].tobytes(), name)
        except Exception as error:  # the result of a comparison, not a failure of this script
            found[f"{name}/error"] = np.array(f"{type(error).__name__}: {error}")
        else:
            found.update({f"{name}/{key}": array for key, array in weights.items()})
    return found


def as_oracle(given: str, made: str) -> None:
    """What real MXNet does: go on from the files in ``given``, write its own and go on from these."""
    import mxnet as mx

    own = write_all(mx)
    np.savez(f"{made}.files.npz", **own)
    np.savez(f"{made}.own.npz", **go_on(mx, own))
    with np.load(given) as files:
        np.savez(f"{made}.foreign.npz", **go_on(mx, files))


def compare(expected: dict[str, np.ndarray], found: dict[str, np.ndarray], title: str) -> int:
    """Print what differs; how many cases do."""
    from tests.optimizer.test_agreement import WIDER, check

    bad = 0
    for name, (case, _) in saved.CASES.items():
        if name in RANDOM:
            problems = [str(found[key]) for key in found if key == f"{name}/error"]
        else:
            wanted, had = ({k: v for k, v in side.items() if k.startswith(f"{name}/")} for side in (expected, found))
            error = had.get(f"{name}/error")
            problems = check(wanted, had, WIDER.get(case, 0.0)) if error is None else [str(error)]
        bad += bool(problems)
        if problems:
            print(f"  {name}: {problems[0][:300]}")
    print(f"{title}: {len(saved.CASES) - bad} of {len(saved.CASES)} files agree")
    return bad


def main() -> int:
    """The exit code: 1 where a file was refused or its weights differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--oracle", metavar="PYTHON", required=True)
    args = parser.parse_args()
    import mxcompat as mx

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        given, made = os.path.join(folder, "given.npz"), os.path.join(folder, "made")
        np.savez(given, **write_all(mx))
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        subprocess.run(
            [args.oracle, __file__, "--as-oracle", given, made],
            check=True,
            env=environment,
            timeout=600,
            stdout=subprocess.DEVNULL,
        )
        own, foreign, files = (dict(np.load(f"{made}.{kind}.npz")) for kind in ("own", "foreign", "files"))
        here = go_on(mx, files)
    bad = compare(own, foreign, "written by mxcompat, read by MXNet")
    bad += compare(own, here, "written by MXNet, read by mxcompat")
    return int(bool(bad))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _add_random()
    if sys.argv[1:2] == ["--as-oracle"]:
        as_oracle(*sys.argv[2:])
    else:
        sys.exit(main())
