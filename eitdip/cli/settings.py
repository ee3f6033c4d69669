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


def chosen_settings(config: Path | None, pairs: list[str], **given) -> dict:
    """Settings of a file, of KEY=VALUE words, and of options of their own; the later ones win, None says nothing."""
    return from_file(config) | from_words(pairs) | {name: value for name, value in given.items() if value is not None}


def settings_rows() -> dict[str, list[tuple[str, str, str]]]:
    """Name, default and meaning of all settings, by what they are of."""
    from eitdip.methods.options import Method, Running
    from eitdip.pretraining.training import Network, Training
    from eitdip.problems.load import TASKS, Reading
    from eitdip.problems.meshing import Meshing
    from eitdip.runs.model_error import Simulated
    from eitdip.settings import table

    of_tasks: dict[str, dict[str, None]] = {}
    for _, defaults in (known for tasks in TASKS.values() for known in tasks.values()):
        for name, value in defaults.items():
            shown = "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value).lower()
            of_tasks.setdefault(name, {})[shown] = None
    reading = [(name, " or ".join(of_tasks[name]), words) for name, _, words in table(Reading)]
    rows = {"method": table(Method), "running": table(Running), "bodies": table(Meshing), "images": reading}
    return rows | {"training": table(Network, Training), "errors": table(Simulated)}


class WithSettings(click.Command):
    """A command whose --help ends with all settings; they are looked up then only, as that takes a moment."""

    def format_epilog(self, ctx, formatter) -> None:
        """Write all settings with their defaults."""
        formatter.write("\nSettings for --set KEY=VALUE, with their defaults:\n")
        for owner, rows in settings_rows().items():
            formatter.write(f"\n  of {owner}:\n")
            for name, default, words in rows:
                formatter.write_text(f"    {name} [{default}] {words}")


def settings_markdown() -> str:
    """All settings as the table of README."""
    lines = ["| name | default | meaning |", "| --- | --- | --- |"]
    titles = {"running": "how it is run", "bodies": "meshes and models of bodies", "images": "how images are read"}
    titles |= {"training": "`eitdip train`: a network, its pairs, and how it is trained on them"}
    titles |= {"errors": "`eitdip model-error`: tanks that are simulated"}
    for owner, rows in settings_rows().items():
        lines += [f"| **{titles[owner]}** | | |"] if owner in titles else []
        lines += [f"| `{name}` | {default} | {words} |" for name, default, words in rows]
    return "\n".join(lines)
