"""Stands in for nose, which no longer imports: what MXNet's unit tests take from it."""

from unittest import SkipTest

from nose import tools


def runmodule(*args, **kwargs):
    """The runner of a file that is started as a script; pytest runs the files here."""
    raise RuntimeError("the tests run under pytest")
