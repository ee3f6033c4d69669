"""What the screen says beside the numbers."""

import pytest

from eitdip.cli.reconstruct import _rows
from tests.cases.commands import COARSE, eitdip


def rows(**changes) -> dict[str, str]:
    summary = {
        "problem": "electrodes", "kind": "plane", "method": "gn-tv", "status": "done", "iterations": [], "kept": [],
        "misfit": 1.0, "noise level known": True, "background": 0.3, "unit": "mS per square", "metrics": None,
        "seconds": {"total": 1.0, "model": 0.5}, "data": {}, "calibration": {"error": 0.0289},
    }  # fmt: skip
    return _rows(summary | changes)


def test_the_background_has_the_unit_of_the_data():
    assert rows()["background"] == "0.3 mS per square"


def test_the_error_of_the_calibration():
    assert rows()["calibration"] == "misses the empty tank by 2.9 %"
    assert "calibration" not in rows(calibration=None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"misfit": 2.9}, None),
        ({"misfit": 0.21}, None),
        ({"misfit": 85.0}, "chi^2/N is 85, not about 1: the deviations in the data; more steps"),
        ({"misfit": 85.0, "kind": "image"}, "chi^2/N is 85"),
        ({"misfit": 0.15}, "chi^2/N is 0.15, not about 1: whether the deviations in the data are too large"),
        ({"misfit": 85.0, "noise level known": False}, None),
        ({"misfit": 0.1, "problem": "pet", "kind": "image"}, None),
        ({"misfit": 85.0, "problem": "pet", "kind": "image"}, "chi^2/N is 85"),
    ],
)
def test_a_misfit_far_from_one_is_told(changes, said):
    found = rows(**changes).get("check")
    assert found is None if said is None else found.startswith(said)
    if said and "85" in said:
        assert ("polarity" in found) == (changes.get("kind") != "image")


def test_both_are_printed(data, tmp_path, capsys):
    assert eitdip("reconstruct", data["cem"], "--method", "cells-tikhonov", "--out", tmp_path / "out", *COARSE) == 0
    printed = capsys.readouterr().out
    assert "calibration       misses the empty tank by " in printed
    assert ("check             chi^2/N is" in printed) == (not 0.2 <= float(printed.split("misfit")[1].split()[0]) <= 3)
