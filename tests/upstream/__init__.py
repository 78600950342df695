"""Apache MXNet's own unit tests, run against mxcompat: ``python -m tests.upstream --src CHECKOUT``.

The tests are read from a checkout of MXNet's branch v1.9.x that the user names; nothing of it is kept here but the ids
of tests and what became of them on real MXNet 1.9.1 (``data/``).
"""
