"""Tools for people who migrate: the alias (``import mxnet`` gives mxcompat), the runner and the other commands."""

__all__ = ["CommandError"]


class CommandError(Exception):
    """A command cannot do what it was asked to: the message goes to stderr and the process ends with ``exit_code``."""

    def __init__(self, message: str, exit_code: int = 2):
        super().__init__(message)
        self.exit_code = exit_code
