"""Dataclasses of options, changed by name."""

from dataclasses import fields, replace
from typing import get_args

from eitdip.errors import OptionError, choose


def configured(options, settings: dict):
    """A frozen dataclass of options with some fields changed.

    Args:
        options: The dataclass; each field's type is bool, int, float, str, or a union of these and None.
        settings: Names of fields to values.

    Raises:
        OptionError: If a name is unknown, or a value has the wrong type.
    """
    kinds = {f.name: f.type for f in fields(options)}
    changes = {}
    for name, value in settings.items():
        changes[name] = _converted(name, value, choose("option", name, kinds))
    return replace(options, **changes)


def _converted(name: str, value, kind):
    kinds = get_args(kind) or (kind,)
    allowed = (*kinds, int) if float in kinds else kinds
    if (isinstance(value, bool) and bool not in kinds) or not isinstance(value, allowed):
        expected = getattr(kind, "__name__", str(kind)) if len(kinds) == 1 else str(kind)
        raise OptionError(f"option {name}: got {value!r}, expected {expected}")
    return float(value) if float in kinds and isinstance(value, int) else value
