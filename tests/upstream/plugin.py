"""The pytest plugin inside each file's process: the alias, the stand-ins, a limit a test, and a line a result.

It is loaded with ``-p tests.upstream.plugin``, also by the oracle's Python 3.8, and takes its settings from the
environment: ``UPSTREAM_REPORT`` (file for the results, a JSON line each: first ``{"start": id}``, then the outcome),
``UPSTREAM_LIMIT`` (seconds a test), ``UPSTREAM_REAL`` (the tests run on real MXNet), ``UPSTREAM_DONE`` (file with the ids
to leave out: an earlier process of this file has done them), ``UPSTREAM_FILE`` (the file's name).
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time

import pytest

REAL = bool(os.environ.get("UPSTREAM_REAL"))
#: folders of the original whose code is outside what mxcompat covers
APART = {"gluon": ("gluon",), "np": ("numpy", "numpy_extension", "_numpy_op_doc", "symbol/numpy", "ndarray/numpy")}

if not REAL:
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "stand_ins"))
    import mxcompat
    from mxcompat.migrate import idioms

    mxcompat.install()
    idioms.restore()


class LimitExceeded(BaseException):
    """A test took longer than its limit. A BaseException, so that no test takes it for an expected error."""


class Uses:
    """Which parts of the original a test calls, seen by a profile function (real MXNet only)."""

    def __init__(self):
        import mxnet

        root = os.path.dirname(os.path.realpath(mxnet.__file__))
        self.folders = [(os.path.join(root, folder), kind) for kind, folders in APART.items() for folder in folders]
        self.known = {}
        self.found = set()

    def profile(self, frame, event, argument):
        if event == "call":
            path = frame.f_code.co_filename
            if path not in self.known:
                real = os.path.realpath(path)
                kinds = [kind for folder, kind in self.folders if real.startswith((folder + os.sep, folder + ".py"))]
                self.known[path] = kinds[0] if kinds else None
            if frame.f_code.co_name == "np_array":  # mx.util.use_np
                self.found.add("np")
            if self.known[path]:
                self.found.add(self.known[path])


def seed_everything(seed):
    """Tests that set no seed draw the same numbers in every run too, whatever ran before them."""
    import mxnet
    import numpy

    random.seed(seed)
    numpy.random.seed(seed)
    mxnet.random.seed(seed)


def test_id(item):
    """``test_operator.py::test_name``, without the folders."""
    return os.path.basename(str(item.path)) + "::" + item.nodeid.split("::", 1)[1]


class Reporter:
    """Writes each test's start and outcome at once, so that a crash loses nothing."""

    def __init__(self):
        self.file = open(os.environ["UPSTREAM_REPORT"], "a", buffering=1)
        self.limit = float(os.environ.get("UPSTREAM_LIMIT", "300"))
        self.uses = Uses() if REAL else None
        self.results = {}

    def write(self, **line):
        self.file.write(json.dumps(line) + "\n")

    def pytest_collection_modifyitems(self, config, items):
        with open(os.environ["UPSTREAM_DONE"]) as file:
            done = set(file.read().split("\n"))
        items[:] = [item for item in items if test_id(item) not in done]

    def pytest_collectreport(self, report):
        if report.failed:
            self.write(
                id=os.environ["UPSTREAM_FILE"] + "::collection",
                outcome="failed",
                seconds=0,
                error=_last_line(report.longreprtext),
            )

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        name = test_id(item)
        self.write(start=name)
        seed_everything(int(os.environ.get("MXNET_TEST_SEED", "1")))
        self.results[item.nodeid] = ("passed", "")
        begin = time.time()
        signal.signal(signal.SIGALRM, self.expired)
        signal.setitimer(signal.ITIMER_REAL, self.limit)
        if self.uses:
            self.uses.found = set()
            threading.setprofile(self.uses.profile)
            sys.setprofile(self.uses.profile)
        try:
            yield
        except LimitExceeded:
            self.results[item.nodeid] = ("failed", f"over the limit of {self.limit:g} s")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.setprofile(None)
            threading.setprofile(None)
        outcome, error = self.results.pop(item.nodeid)
        uses = sorted(self.uses.found) if self.uses else []
        self.write(id=name, outcome=outcome, seconds=round(time.time() - begin, 2), error=error, uses=uses)

    def expired(self, number, frame):
        raise LimitExceeded(f"over the limit of {self.limit:g} s")

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.results[report.nodeid] = ("failed", _last_line(report.longreprtext))
        elif report.skipped and self.results[report.nodeid][0] != "failed":
            self.results[report.nodeid] = ("skipped", str(report.longrepr)[-200:])


def _last_line(text):
    """The error's own line of a traceback text: the last that pytest marks with E, and the place."""
    lines = text.strip().split("\n")
    errors = [line[2:].strip() for line in lines if line.startswith("E ")]
    return ((errors[0] if errors else "") + " @ " + lines[-1])[:500]


def pytest_configure(config):
    """Start reporting."""
    config.pluginmanager.register(Reporter(), "upstream-reporter")
