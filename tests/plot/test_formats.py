"""A file is what its ending says, and texts of users are shown as they are."""

import numpy as np
import pytest

from eitdip import plot
from eitdip.errors import OptionError
from tests.cases.meshes import ring_disk

BEGINNINGS = {"png": b"\x89PNG\r\n", "pdf": b"%PDF-", "svg": b"<?xml", "PDF": b"%PDF-"}


@pytest.mark.parametrize("ending", BEGINNINGS)
def test_the_ending_decides_the_format(ending, tmp_path):
    for name in ("a", "b"):
        plot.images(tmp_path / f"{name}.{ending}", {"x": np.eye(9) + 1}, title="same")
    content = (tmp_path / f"a.{ending}").read_bytes()
    assert content.startswith(BEGINNINGS[ending])
    assert content == (tmp_path / f"b.{ending}").read_bytes(), "the same picture has the same bytes"


@pytest.mark.parametrize("name", ["a.jpg", "a.eps", "a", "a.png.txt", ".png"])
def test_other_endings_are_refused_by_every_picture(name, tmp_path):
    disk, ones = ring_disk(3), np.ones((4, 4))
    flat, path = np.ones(len(disk.cells)), tmp_path / name
    for draw in (
        lambda: plot.conductivity(path, disk, flat),
        lambda: plot.images(path, {"a": ones}),
        lambda: plot.labels(path, np.zeros((4, 4))),
        lambda: plot.pictures(path, {"a": ones}),
        lambda: plot.data_fit(str(path), ones, ones, ones, ones),
        lambda: plot.curves(path, {"loss": np.ones(3)}),
        lambda: plot.against_time(path, {"a": {"seconds": [1.0], "chi2": [1.0]}}, "chi2"),
    ):
        with pytest.raises(OptionError, match=r"got the ending .*, expected one of: \.png, \.pdf, \.svg"):
            draw()
    assert not list(tmp_path.iterdir())


def test_a_dollar_in_a_text_begins_no_formula(tmp_path):
    """Units come from data files, labels from the user's settings."""
    odd, image = r"$\frac{a", np.eye(9) + 1
    history = {"seconds": [1.0, 2.0], "chi2": [2.0, 1.0]}
    plot.images(tmp_path / "a.png", {odd: image}, unit=odd, title=odd)
    plot.pictures(tmp_path / "a.png", {odd: image})
    plot.against_time(tmp_path / "a.png", {odd: history}, "chi2")
    plot.data_fit(tmp_path / "a.png", image, image, image, image, unit=odd)
