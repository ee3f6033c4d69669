"""Settings from a TOML file and from KEY=VALUE words."""

import tomllib
from pathlib import Path

import click

from eitdip.errors import FileFormatError, OptionError

PATH = click.Path(path_type=Path)


def from_file(config: Path | None) -> dict:
    """What a TOML file says; nothing without one.

    Raises:
        FileFormatError: If it cannot be read.
    """
    if config is None:
        return {}
    try:
        return tomllib.loads(config.read_text())
    except OSError as error:
        raise FileFormatError(f"{config}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{config}: not a TOML file ({error})") from error


def from_words(pairs: list[str]) -> dict:
    """What KEY=VALUE words say; a value that is no TOML, such as unet, is a string.

    Raises:
        OptionError: If a word has no key or no equals sign.
    """
    chosen = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise OptionError(f"--set: got {pair!r}, expected KEY=VALUE")
        try:
            chosen[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            chosen[key] = value
    return chosen
