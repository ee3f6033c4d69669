"""Pictures of tests have few dots per inch, or are not painted at all: painting is most of what these tests cost."""

from contextlib import contextmanager
from importlib import import_module

import pytest
from matplotlib.figure import Figure

from eitdip.plot import style

DRAWING = ("comparison", "fields", "fits", "histories", "pictures", "solids", "surfaces")


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Half of the resolution that users get."""
    monkeypatch.setattr(style, "DPI", 75)


@pytest.fixture
def figures(monkeypatch) -> list[Figure]:
    """The figures that are made, in place of files."""
    made = []

    @contextmanager
    def kept(path, size, title="", layout=None):
        figure = Figure(figsize=size)
        figure.suptitle(title)
        yield figure
        made.append(figure)

    for name in DRAWING:  # of which one is also the name of a function
        monkeypatch.setattr(import_module(f"eitdip.plot.{name}"), "picture", kept)
    return made
