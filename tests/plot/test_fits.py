"""Pictures of a fit tell a bad one from a good one."""

import numpy as np
import pytest

from eitdip import plot
from eitdip.plot.fits import scaled


@pytest.fixture
def fit(rng) -> dict[str, np.ndarray]:
    """Six excitations of 80 data to 2 % of an object's effect, which is 3 % of the data."""
    homogeneous = 0.1 + 0.01 * rng.standard_normal((6, 80))
    prediction = homogeneous + 3e-3 * np.sin(np.arange(80.0))
    deviation = np.full((6, 80), 6e-5)
    data = prediction + deviation * rng.standard_normal((6, 80))
    fit = {"data": data, "prediction": prediction, "deviation": deviation, "reference_prediction": homogeneous}
    return fit | {"mask": np.ones((6, 80), bool)}


def panels(figures) -> tuple[list, object, object]:
    """The axes of the excitations, of the histogram and of all residuals."""
    left, right = figures[-1].subfigs
    return left.axes, *right.axes


def dots(axes) -> tuple[np.ndarray, np.ndarray]:
    """All residuals that are drawn, and those of them in the colour of what is out of the band."""
    inside, outside = (line.get_ydata() for line in axes.lines)
    return np.concatenate([inside, outside]), outside


@pytest.mark.parametrize(("times", "least", "most"), [(1, 0.02, 0.07), (2, 0.28, 0.38)])
def test_a_misfit_of_4_is_not_one_of_1(tmp_path, fit, figures, times, least, most):
    """Of normal residuals 4.6 % are beyond two deviations, of twice as large ones 32 %."""
    residual = times * (fit["data"] - fit["prediction"])
    plot.data_fit(tmp_path / "a.png", **fit | {"data": fit["prediction"] + residual})
    _, histogram, all_of_them = panels(figures)
    every, outside = dots(all_of_them)
    assert every.size == 480 and least < outside.size / 480 < most
    expected = np.square(residual / fit["deviation"]).mean()
    assert f"χ²/N = {expected:.3g}" in figures[-1].get_suptitle()
    assert f"{100 * outside.size / 480:.2g} % beyond ±2" in figures[-1].get_suptitle()
    heights = [bar.get_height() for bar in histogram.patches]
    assert (max(heights) > 0.35) == (times == 1), "the noise alone has 0.4"


def test_the_left_shows_what_objects_change(tmp_path, fit, figures):
    plot.data_fit(tmp_path / "a.png", **fit)
    excitations, _, _ = panels(figures)
    assert [axes.get_title("left") for axes in excitations] == [f"excitation {k}" for k in (1, 3, 4, 6)]
    by_label = {line.get_label(): line for line in excitations[1].lines}
    change = 1e3 * (fit["prediction"] - fit["reference_prediction"])[2]
    np.testing.assert_allclose(by_label["predicted"].get_ydata(), change)
    measured = excitations[1].containers[0].lines[0].get_ydata()
    np.testing.assert_allclose(measured, 1e3 * (fit["data"] - fit["reference_prediction"])[2])
    assert figures[-1].subfigs[0].get_supylabel() == "difference to the homogeneous body (mV)"


def test_without_a_homogeneous_body_the_left_shows_the_data(tmp_path, fit, figures):
    plot.data_fit(tmp_path / "a.png", **fit | {"reference_prediction": None}, unit="A")
    excitations, _, _ = panels(figures)
    np.testing.assert_allclose(excitations[0].containers[0].lines[0].get_ydata(), 1e3 * fit["data"][0])
    assert figures[-1].subfigs[0].get_supylabel() == "data (mA)"


def test_what_is_masked_counts_nowhere(tmp_path, fit, figures):
    fit["mask"][0] = fit["mask"][3, :5] = False
    fit["data"][~fit["mask"]] = 1e9
    plot.data_fit(tmp_path / "a.png", **fit)
    excitations, _, all_of_them = panels(figures)
    assert dots(all_of_them)[0].size == 395 and np.abs(dots(all_of_them)[0]).max() < 6
    assert excitations[0].get_title("left") == "excitation 2"
    assert "N = 395 measurements" in figures[-1].get_suptitle()


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [(0.02, "V", (1e3, "mV")), (3.0, "V", (1.0, "V")), (5e-5, "A", (1e6, "µA")), (2e-14, "V", (1e9, "nV")),
     (2e3, "", (1e-3, "1e3")), (3.0, "", (1.0, "")), (0.0, "V", (1.0, "V"))],
)  # fmt: skip
def test_data_have_a_unit_that_fits_their_size(size, unit, expected):
    factor, name = scaled(size, unit)
    assert (factor, name) == (pytest.approx(expected[0]), expected[1])
