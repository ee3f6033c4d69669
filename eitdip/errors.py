"""Exceptions. Each message says what was got, what was expected and what to do about it."""

import importlib
from types import ModuleType


class EitdipError(Exception):
    """Any error that eitdip raises on purpose; the command line turns it into exit code 2."""


class ShapeError(EitdipError, ValueError):
    """An array has the wrong shape or kind of number for where it is used."""


class NotPositiveError(EitdipError, ValueError):
    """A conductivity, impedance or deviation is not strictly positive and finite."""


class InvalidDataError(EitdipError, ValueError):
    """Measured or geometric data contradict themselves or contain NaN."""


class OptionError(EitdipError, ValueError):
    """An option or a name is unknown, or its value is out of range."""


class FileFormatError(EitdipError, ValueError):
    """A file is not what it should be: missing, damaged, of another format or version."""


class OutputError(EitdipError, OSError):
    """Results cannot be written where they were asked for."""


class CheckpointError(FileFormatError):
    """A checkpoint is damaged, or belongs to another run or version."""


class LinearSolverError(EitdipError, ArithmeticError):
    """A factorization or a solve failed."""


class DivergenceError(EitdipError, ArithmeticError):
    """The loss became infinite or NaN; `result` holds what was reached before, `step` where the failing step began."""

    def __init__(self, message: str, result=None, step=None):
        super().__init__(message)
        self.result, self.step = result, step


class MissingPackageError(EitdipError, ImportError):
    """An optional package is not installed."""


def choose(kind: str, name: str, table: dict):
    """The entry `name` of `table`; the error lists the valid names.

    Raises:
        OptionError: If `name` is not a key of `table`.
    """
    try:
        known = name in table
    except TypeError:  # a list, for instance, which no table can hold
        known = False
    if not known:
        raise OptionError(f"unknown {kind}: got {name!r}, expected one of: {', '.join(map(str, table))}")
    return table[name]


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra of eitdip installs it.

    Raises:
        MissingPackageError: If the module, or a system library it needs, is missing.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise MissingPackageError(
            f"cannot import {module!r} ({error}): install it with: pip install 'eitdip[{extra}]'"
        ) from error
