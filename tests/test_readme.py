"""What the README says is there: examples run, commands are understood, files and options exist."""

import re
import shlex

import click
import numpy as np
import pytest

from eitdip.cli import app
from eitdip.cli.settings import settings_markdown
from eitdip.data import save
from eitdip.imaging.beams import ParallelBeam
from eitdip.phantoms import shepp_logan
from tests.cases.measurements import cem
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [
    words
    for language, text in BLOCKS
    if not language
    for line in text.splitlines()
    for command in line.split("#")[0].split("&&")
    if (words := shlex.split(command)) and words[0] == "eitdip"
]


def test_the_examples_for_tanks_run(tmp_path, monkeypatch, gmsh):
    """In the order of the text, in one namespace, with fewer steps."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("tank", "empty"):
        np.savetxt(f"{name}.txt", rng.uniform(0.1, 1, (16, 16)))
    save("tank.h5", cem())
    first, own, educated, sure, tank = (text for text in PYTHON if "ParallelCT" not in text)
    assert "steps=200" in first and "Budget(100)" in own
    known = {}
    exec(first.replace("steps=200", "steps=3").replace('"tank.h5")', '"tank.h5", h=0.2)'), known)
    assert known["solution"].results[0].iterations == 3 and (tmp_path / "results/tank/result.json").exists()
    assert (tmp_path / "tank.png").read_bytes().startswith(b"\x89PNG")
    exec(own.replace("Budget(100)", "Budget(3)"), known)
    assert known["result"].iterations == 3 and set(known["result"].state) >= {"generator.p"}
    assert "channels=24, levels=2" in educated and "steps=1000" in educated and "steps=50" in educated
    smaller = educated.replace("channels=24, levels=2", "channels=4, levels=1, tanks=60, held_pairs=4")
    exec(smaller.replace("steps=1000", "steps=2").replace("steps=50", "steps=2, quiet=True"), known)
    assert known["solution"].results[0].iterations == 2 and (tmp_path / "w-examples.png").exists()
    quick = 'uncertainty="laplace", steps=3, size=16, channels=8, quiet=True'
    exec(sure.replace('"tank.h5")', '"tank.h5", h=0.2)').replace('uncertainty="laplace"', quick), known)
    assert known["low"].shape == (16, 16) and 0 <= np.nanmax(known["metal"]) <= 1
    exec(tank, known)


def test_the_example_for_sinograms_runs(tmp_path, monkeypatch):
    pytest.importorskip("astra")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (text,) = (text for text in PYTHON if "ParallelCT" in text)
    angles = np.linspace(0, np.pi, 20, endpoint=False)
    sinogram = shepp_logan(32).integrals(ParallelBeam(angles, 92))
    assert '"dip-tv")' in text
    known = {"angles": angles, "sinogram": sinogram}
    exec(text.replace('"dip-tv")', '"dip-tv", steps=3, quiet=True)'), known)
    assert known["solution"].x.shape == (64, 64)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_commands_are_understood(words):
    context = click.Context(app, **app.context_settings)  # commands keep what they first saw of it
    name, command, rest = app.resolve_command(context, words[1:])
    command.make_context(name, rest, parent=context)  # unknown options and missing arguments are errors


def test_every_command_is_shown():
    assert {words[1] for words in COMMANDS} == set(app.commands)


def test_files_that_are_named_exist():
    names = set(re.findall(r"(?:docs|demos|docker|meshes|eitdip|tests)/[\w./-]*\w\.(?:md|png|py|yml)", README))
    assert len(names) > 10
    for name in names:
        assert (ROOT / name).exists(), name


def test_modules_that_are_run_exist():
    for name in set(re.findall(r"python -m (eitdip[\w.]*|benchmarks[\w.]*)", README)):
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


def test_the_table_is_that_of_the_settings():
    assert settings_markdown() in README, "eitdip info --settings prints what belongs there"
