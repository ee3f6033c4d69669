"""The picture of a posterior: its panels, its section, and fields that do not fit."""

import numpy as np
import pytest

from eitdip import plot
from eitdip.errors import ShapeError


def fields(**more) -> dict[str, np.ndarray]:
    rows, columns = np.indices((12, 16))
    estimate = np.where(np.hypot(rows - 6, columns - 8) < 6, 1 + 0.5 * np.sin(columns), np.nan)
    return {"estimate": estimate, "low": 0.8 * estimate, "high": 1.2 * estimate, "deviation": 0.1 * estimate} | more


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_it_is_drawn(logarithmic, known, tmp_path):
    given = fields()
    if known:
        given |= {"truth": 1.1 * given["estimate"], "error": given["deviation"], "P(> 2)": given["deviation"]}
    path = tmp_path / "uncertainty.png"
    plot.uncertainty(path, given, ("P(> 2)",) * known, logarithmic=logarithmic, unit="S/m")
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10000


def test_fields_that_differ_in_shape_are_refused(tmp_path):
    with pytest.raises(ShapeError, match=r"deviation: got shape \(3, 3\), expected \(H, W\), the same for all"):
        plot.uncertainty(tmp_path / "a.png", fields(deviation=np.ones((3, 3))))
    assert not list(tmp_path.iterdir())
