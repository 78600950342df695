"""Stands in for nose.plugins.attrib."""


def attr(*names, **values):
    """Decorator that sets attributes of a test function; nothing here selects by them."""

    def decorate(function):
        for name in names:
            setattr(function, name, True)
        for name, value in values.items():
            setattr(function, name, value)
        return function

    return decorate
