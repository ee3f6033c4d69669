"""Scales of colours that a few absurd values do not stretch."""

import numpy as np
import pytest
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from eitdip import plot
from eitdip.plot.scales import beyond, robust_limits, weighted_quantile
from eitdip.plot.style import colour_scale
from tests.cases.meshes import ring_disk
from tests.cases.solids import box


def test_quantiles_count_weights_not_entries():
    assert weighted_quantile([3.0, 1.0, 2.0], 0.5) == 2
    assert weighted_quantile([3.0, 1.0, 2.0], 0.5, [8.0, 1.0, 1.0]) == 3
    assert weighted_quantile([3.0, 1.0, 2.0], 0.0, [8.0, 1.0, 1.0]) == 1
    assert weighted_quantile([3.0, 1.0, 2.0], 0.1, [8.0, 1.0, 1.0]) == 2


def test_limits_leave_out_a_share_of_the_area():
    values = np.arange(10_000.0)
    assert robust_limits(values) == (20, 9979)
    small = np.where(values < 500, 1e-3, 1.0)  # 500 tiny cells are less than one of the others
    assert robust_limits(values, small) == (518, 9980)
    assert robust_limits(values, np.ones(10_000)) == robust_limits(values)


def test_on_a_coarse_mesh_one_cell_is_left_out():
    """One of 100 cells is more than 0.2 % of the area; one of ten cells is too much to be left out."""
    assert robust_limits(np.arange(100.0)) == (1, 98)
    assert robust_limits(np.arange(10.0)) == (0, 9)
    assert robust_limits([7.0]) == (7, 7)


def test_arrows_stand_for_what_is_beyond():
    values = np.array([1.0, 2.0, 3.0])
    assert [beyond(values, *ends) for ends in ((1, 3), (2, 3), (1, 2), (2, 2.5))] == ["neither", "min", "max", "both"]
    assert beyond(np.array([1 - 1e-12, 3.0]), 1, 3) == "neither"


@pytest.mark.parametrize("background", [None, 1.0])
def test_one_absurd_cell_does_not_stretch_the_scale(background, rng):
    sigma = np.where(np.arange(400) < 40, 5.0, 1.0) * np.exp(0.01 * rng.standard_normal(400))
    plain = colour_scale([sigma], background, "S/m")[0]["norm"]
    sigma[100] = 1e6
    style, draw_bar = colour_scale([sigma], background, "S/m")
    assert style["norm"].vmax == pytest.approx(plain.vmax, rel=0.02) and plain.vmax == pytest.approx(5, rel=0.03)
    figure = Figure()
    axes = figure.subplots()
    draw_bar(figure, ScalarMappable(**style), [axes])
    assert len(figure.axes[1].patches) == 1, "one arrow"


def test_each_of_several_pictures_keeps_its_range():
    """An object that is in one of six pictures only has less than 0.2 % of all their pixels."""
    empty, image = np.ones((40, 40)), np.ones((40, 40))
    image[:4, :4] = 3.0
    assert colour_scale([image, *[empty] * 6], 1.0, "S/m")[0]["norm"].vmax == 3


def test_the_bar_reaches_as_far_as_there_are_values():
    """Centred on the background, the scale has room for what few cells have on its shorter side: no arrow there."""
    sigma = np.ones(1000)
    sigma[:100], sigma[500] = 10.0, 0.3
    style, draw_bar = colour_scale([sigma], 1.0, "S/m")
    figure = Figure()
    axes = figure.subplots()
    draw_bar(figure, ScalarMappable(**style), [axes])
    assert figure.axes[1].get_ylim() == pytest.approx((0.3, 10.0)) and not figure.axes[1].patches


def absurd(values: np.ndarray, entry) -> np.ndarray:
    changed = values.copy()
    changed[entry] = 1e6
    return changed


def limits(figure) -> tuple[float, float]:
    """Of the colours of everything in a figure, which share them."""
    drawn = [each for axes in figure.axes for each in (*axes.images, *axes.collections)]
    found = {each.get_clim() for each in drawn if each.get_array() is not None}
    assert len(found) == 1
    return found.pop()


def test_no_picture_is_stretched_by_one_cell(figures):
    disk, solid = ring_disk(8), box(6, 6, 6)
    image = np.where(np.hypot(*np.mgrid[-1:1:40j, -1:1:40j]) < 0.4, 5.0, 1.0)
    volume = np.where(np.hypot(*np.mgrid[-1:1:20j, -1:1:20j]) < 0.5, 5.0, np.ones((20, 1, 1)))
    flat = np.where(np.hypot(*disk.centroids.T) < 0.4, 5.0, 1.0)
    nodes = np.where(np.hypot(*disk.points[disk.vertices].T) < 0.5, 5.0, 1.0)
    deep = np.where(np.linalg.norm(solid.centroids - 0.5, axis=1) < 0.4, 5.0, 1.0)
    for background in (None, 1.0):
        plot.conductivity("a.png", disk, absurd(flat, 300), background=background)
        plot.conductivity("a.png", disk, absurd(nodes, 200), background=background)
        plot.conductivity("a.png", disk, flat, truth=absurd(image, (3, 3)), background=background)
        plot.images("a.png", {"a": absurd(image, (3, 3)), "b": image}, background=background)
        plot.slices("a.png", solid, absurd(deep, 0), background=background)
        plot.slices("a.png", solid, deep, truth=absurd(volume, (1, 1, 1)), background=background)
    assert len(figures) == 12
    for figure in figures:
        assert limits(figure)[1] == 5


def test_sizes_of_cells_count(figures):
    """Six of 384 cells, refined to nothing, are less than the one of usual size that may be left out."""
    disk = ring_disk(8)
    inner = np.arange(384) < 6
    sigma = np.where(disk.centroids[:, 0] > 0.2, 5.0, 1.0)
    sigma[inner] = 1e6
    disk.__dict__["cell_sizes"] = np.where(inner, 1e-6, disk.cell_sizes)
    plot.conductivity("a.png", disk, sigma)
    plot.conductivity("a.png", disk, sigma, background=1.0)
    assert [limits(figure)[1] for figure in figures] == [5, 5]


def test_gray_pictures_are_not_stretched_by_one_pixel(figures):
    """Neither end, of any of them, and with an arrow; limits that are given stay as they are."""
    ramp = np.linspace(0, 1, 1600).reshape(40, 40)
    broken = ramp.copy()
    broken[5, 5], broken[20, 20] = 1e4, -1e4
    plot.pictures("a.png", {"a": ramp, "b": broken})
    plot.pictures("a.png", {"a": ramp, "b": broken}, 0.0, 2.0)
    assert limits(figures[0]) == pytest.approx((0, 1), abs=0.01) and limits(figures[1]) == (0, 2)
    assert [len(figure.axes[-1].patches) for figure in figures] == [2, 2]
    axes = plot.draw_picture(None, broken)
    assert limits(axes.figure) == pytest.approx((0, 1), abs=0.01)
