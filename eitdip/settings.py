"""Settings as frozen dataclasses: each stands once, with its default and its words; they are changed by name."""

from dataclasses import field, fields, replace
from difflib import get_close_matches
from typing import get_args

import numpy as np

from eitdip.errors import OptionError, choose


class Settings:
    """Base of frozen dataclasses of settings: types and ranges are checked however one is made.

    Raises:
        OptionError: If a value has the wrong type or is out of range.
    """

    def __post_init__(self):
        for known in fields(self):
            value = _converted(known.name, getattr(self, known.name), known.type)
            object.__setattr__(self, known.name, _checked(known, value))


def setting(
    words: str, default=None, *, choices: tuple[str, ...] = (), least=None, most=None, above=None, below=None, **by_kind
):
    """A field of a settings class.

    Args:
        words: What it is, one line for tables and `--help`.
        default: Its value where nothing is said; None if that depends on the problem.
        choices: Names that it may have.
        least: Smallest value that it may have.
        most: Largest value that it may have.
        above: Value that it must exceed.
        below: Value that it must stay below.
        by_kind: Defaults that depend on the problem: "plane", "solid" and "image" to a value, or to a function of the
            other settings.
    """
    limits = {"least": least, "most": most, "above": above, "below": below}
    return field(default=default, metadata={"words": words, "choices": choices, "by_kind": by_kind} | limits)


def configured(options, settings: dict):
    """A frozen dataclass of settings with some fields changed, types and ranges checked.

    Args:
        options: Some `Settings`; each field's type is bool, int, float, str, or a union of these and None.
        settings: Names of fields to values.

    Raises:
        OptionError: If a name is unknown, or a value has the wrong type or is out of range.
    """
    known = {f.name: f for f in fields(options)}
    for name in _named(settings):
        if name not in known:
            raise unknown(name, known)
    return replace(options, **settings)


def _named(settings) -> dict:
    """Settings, if they have names."""
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise OptionError(f"settings: got {settings!r}, expected a dictionary of names and values")
    return settings


def unknown(name: str, known) -> OptionError:
    """The error for a setting that does not exist; the nearest name stands first."""
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    rest = [other for other in known if other not in near]
    return OptionError(f"unknown option: got {name!r}, expected one of: {', '.join([*near, *rest])}")


def _converted(name: str, value, kind):
    value = value.item() if isinstance(value, np.generic) else value
    kinds = get_args(kind) or (kind,)
    allowed = (*kinds, int) if float in kinds else kinds
    if (isinstance(value, bool) and bool not in kinds) or not isinstance(value, allowed):
        expected = " or ".join(k.__name__ for k in kinds if k is not type(None))
        raise OptionError(f"option {name}: got {value!r}, expected {expected}")
    if float not in kinds or not isinstance(value, int) or isinstance(value, bool):
        return value
    try:
        return float(value)
    except OverflowError as error:
        raise OptionError(f"option {name}: got an integer of more than 308 digits, expected less") from error


def _checked(known, value):
    """The value, if it is within the range or among the choices of its field."""
    limits = known.metadata
    if value is None or not limits:
        return value
    if limits["choices"]:
        choose(known.name, value, dict.fromkeys(limits["choices"]))
    least, most, above, below = (limits[name] for name in ("least", "most", "above", "below"))
    low_ok = (least is None or value >= least) and (above is None or value > above)
    high_ok = (most is None or value <= most) and (below is None or value < below)
    finite = not isinstance(value, float) or abs(value) < float("inf")
    if not (low_ok and high_ok and finite):
        words = [f"at least {least}"] * (least is not None) + [f"> {above}"] * (above is not None)
        words += [f"at most {most}"] * (most is not None) + [f"< {below}"] * (below is not None)
        raise OptionError(f"option {known.name}: got {value}, expected {' and '.join(words) or 'a finite number'}")
    return value


def completed(options, kind: str):
    """The same with everything set that the kind of problem decides.

    Args:
        options: A frozen dataclass of settings.
        kind: "plane", "solid" or "image".
    """
    for known in fields(options):
        defaults = known.metadata.get("by_kind", {})
        if getattr(options, known.name) is None and kind in defaults:
            value = defaults[kind]
            options = replace(options, **{known.name: value(options) if callable(value) else value})
    return options


def table(*classes) -> list[tuple[str, str, str]]:
    """Name, default and meaning of all settings of some classes."""
    rows = []
    for known in (known for owner in classes for known in fields(owner)):
        words, choices = known.metadata["words"], known.metadata["choices"]
        rows.append((known.name, _default(known), f"{words}: {', '.join(choices)}" if choices else words))
    return rows


def _default(known) -> str:
    """What a field is where nothing is said, for people."""
    shown = {kind: _text(value) for kind, value in known.metadata["by_kind"].items()}
    if not shown:
        return _text(known.default)
    if len(set(shown.values())) == 1:
        return shown.popitem()[1]
    if shown["plane"] == shown["solid"]:
        shown = {"bodies": shown["plane"]} | {kind: shown[kind] for kind in shown.keys() - {"plane", "solid"}}
    return "; ".join(f"{kind} {text}" for kind, text in shown.items())


def _text(value) -> str:
    if callable(value):
        return value.__doc__
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def divided(settings: dict, *classes: type) -> list[dict]:
    """Settings sorted by the class that has them, the first one where several do.

    Args:
        settings: Names to values.
        classes: Settings classes.

    Raises:
        OptionError: If none has a name; the nearest ones stand first.
    """
    names = [[f.name for f in fields(owner)] for owner in classes]
    parts: list[dict] = [{} for _ in classes]
    for name, value in _named(settings).items():
        place = next((i for i, own in enumerate(names) if name in own), None)
        if place is None:
            raise unknown(name, [each for own in names for each in own])
        parts[place][name] = value
    return parts
