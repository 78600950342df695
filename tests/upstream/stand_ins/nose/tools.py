"""Stands in for nose.tools: assertions under nose's names, and its decorators."""

import functools
import re
import unittest

_case = unittest.TestCase()
__all__ = ["eq_", "istest", "make_decorator", "nottest", "ok_", "raises", "with_setup"]
for _name in dir(_case):
    if re.match(r"assert[A-Z]", _name):
        _spelling = re.sub(r"(?<!^)([A-Z])", r"_\1", _name).lower()
        globals()[_spelling] = getattr(_case, _name)
        __all__.append(_spelling)


def ok_(expr, msg=None):
    """Assert that expr is true."""
    assert expr, msg


def eq_(a, b, msg=None):
    """Assert that two values are equal."""
    assert a == b, msg or f"{a!r} != {b!r}"


def make_decorator(func):
    """Decorator that gives a function the name and look of ``func``."""

    def decorate(wrapper):
        wrapper = functools.wraps(func)(wrapper)
        del wrapper.__wrapped__  # the parameters are the wrapper's own
        return wrapper

    return decorate


def raises(*exceptions):
    """Decorator: the test passes if one of the exceptions is raised."""

    def decorate(func):
        @make_decorator(func)
        def wrapper(*args, **kwargs):
            with _case.assertRaises(exceptions):
                func(*args, **kwargs)

        return wrapper

    return decorate


def with_setup(setup=None, teardown=None):
    """Decorator: run functions before and after the test."""

    def decorate(func):
        @make_decorator(func)
        def wrapper(*args, **kwargs):
            if setup:
                setup()
            try:
                func(*args, **kwargs)
            finally:
                if teardown:
                    teardown()

        return wrapper

    return decorate


def istest(func):
    """Mark a function as a test."""
    func.__test__ = True
    return func


def nottest(func):
    """Mark a function as no test."""
    func.__test__ = False
    return func
