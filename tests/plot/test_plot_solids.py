"""Pictures of solids, and the level sets that they are made of."""

import matplotlib.image
import numpy as np
import pytest

from eitdip import plot
from eitdip.errors import NotPositiveError, ShapeError
from eitdip.plot.level_sets import level_segments, level_triangles, vertex_means
from eitdip.plot.style import BLUE, RED
from eitdip.plot.surfaces import Surface, surfaces
from tests.cases.meshes import ring_disk
from tests.cases.solids import box, box_with_electrodes


def areas(triangles: np.ndarray) -> np.ndarray:
    return 0.5 * np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)


@pytest.fixture(scope="module")
def body():
    return box_with_electrodes(8)


@pytest.fixture(scope="module")
def sigma(body):
    """A conductive ball above, a resistive one below."""
    value = np.ones(len(body.cells))
    value[np.linalg.norm(body.centroids - [0.3, 0.5, 0.7], axis=1) < 0.2] = 5.0
    value[np.linalg.norm(body.centroids - [0.7, 0.5, 0.3], axis=1) < 0.2] = 0.2
    return value


class TestLevelSets:
    """Zero sets of piecewise linear functions."""

    @pytest.mark.parametrize("normal", [(1.0, 0.0, 0.0), (1.0, 2.0, -0.5), (0.3, 0.3, 0.31)])
    def test_a_plane(self, normal, rng):
        """All pieces lie in the plane, in their cells, and cover the section once."""
        domain = box(3, 4, 5, (1.0, 2.0, 0.5))
        values = domain.points @ normal - 0.37
        triangles, owner = level_triangles(domain.points, domain.cells, values)
        np.testing.assert_allclose(triangles @ normal, 0.37, atol=1e-12)
        matrices = np.concatenate([domain.points[domain.cells], np.ones((len(domain.cells), 4, 1))], axis=2)
        middles = np.column_stack([triangles.mean(axis=1), np.ones(len(triangles))])
        barycentric = np.linalg.solve(matrices[owner].swapaxes(1, 2), middles[:, :, None])
        assert barycentric.min() > -1e-9
        # A plane cuts the lines along x at one point each, if its normal has a component there.
        y, z = np.meshgrid(np.linspace(0, 2, 801), np.linspace(0, 0.5, 201))
        x = (0.37 - normal[1] * y - normal[2] * z) / normal[0]
        share = ((x >= 0) & (x <= 1)).mean()
        projected = areas(triangles) * abs(normal[0]) / np.linalg.norm(normal)
        assert projected.sum() == pytest.approx(share * 1.0, rel=0.01)

    def test_a_ball(self):
        domain = box(16, 16, 16)
        values = 0.35 - np.linalg.norm(domain.points - 0.5, axis=1)
        triangles, _ = level_triangles(domain.points, domain.cells, values)
        assert areas(triangles).sum() == pytest.approx(4 * np.pi * 0.35**2, rel=0.02)

    def test_nothing(self):
        domain = box(2, 2, 2)
        triangles, owner = level_triangles(domain.points, domain.cells, np.ones(len(domain.points)))
        assert triangles.shape == (0, 3, 3) and owner.shape == (0,)

    def test_the_outline_of_a_section_is_its_perimeter(self):
        domain = box(3, 4, 5, (1.0, 2.0, 0.5))
        segments, facet = level_segments(domain.points, domain.facets, domain.points[:, 2] - 0.21)
        np.testing.assert_allclose(segments[:, :, 2], 0.21)
        lengths = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
        assert lengths.sum() == pytest.approx(6.0)
        assert len(facet) == len(segments)

    def test_vertex_means(self, rng):
        domain = box(3, 3, 3)
        np.testing.assert_allclose(vertex_means(domain, np.full(len(domain.cells), 2.5)), 2.5)
        field = rng.standard_normal(len(domain.cells))
        around = (domain.cells == 7).any(axis=1)
        expected = np.average(field[around], weights=domain.cell_sizes[around])
        assert vertex_means(domain, field)[7] == pytest.approx(expected)


def colours(path) -> np.ndarray:
    return matplotlib.image.imread(path)[..., :3]


def share_of_red(path) -> float:
    r, g, b = np.moveaxis(colours(path), -1, 0)
    return float(((r - g > 0.25) & (r - b > 0.2)).mean())


def share_of_blue(path) -> float:
    r, _, b = np.moveaxis(colours(path), -1, 0)
    return float((b - r > 0.2).mean())


@pytest.mark.parametrize("draw", [plot.slices, plot.render])
def test_both_objects_are_seen(draw, body, sigma, tmp_path):
    path = tmp_path / "solid.png"
    draw(path, body, sigma, background=1.0)
    assert share_of_red(path) > 0.002 and share_of_blue(path) > 0.002
    resistive = tmp_path / "resistive.png"
    draw(resistive, body, np.minimum(sigma, 1.0), background=1.0)
    # The colour bar keeps some red; the object's is gone.
    assert share_of_red(resistive) < 0.7 * share_of_red(path)


def test_the_truth_is_shown_where_it_is(body, sigma, tmp_path):
    """A reconstruction that equals the truth: above and below look the same."""
    z, y, x = np.meshgrid(*[(np.arange(40) + 0.5) / 40] * 3, indexing="ij")
    y = 1 - y  # row 0 has the largest y
    truth = np.ones(z.shape)
    truth[(x - 0.3) ** 2 + (y - 0.5) ** 2 + (z - 0.7) ** 2 < 0.04] = 5.0
    truth[(x - 0.7) ** 2 + (y - 0.5) ** 2 + (z - 0.3) ** 2 < 0.04] = 0.2
    one, both = tmp_path / "one.png", tmp_path / "both.png"
    plot.render(one, body, sigma, background=1.0)
    plot.render(both, body, sigma, background=1.0, truth=truth)
    picture = colours(both)
    assert picture.shape[1] > 1.6 * colours(one).shape[1]
    left, right = np.array_split(picture, 2, axis=1)
    for half in (left, right):
        r, g, b = np.moveaxis(half, -1, 0)
        assert ((r > 0.5) & (g < 0.45) & (b < 0.45)).mean() > 0.005
    plot.slices(both, body, sigma, background=1.0, truth=truth)
    assert colours(both).shape[0] > 400


@pytest.mark.parametrize("near", [0.2, 5.0])
def test_the_nearer_object_hides_the_farther(body, near, tmp_path):
    """A small ball on the line of sight to a larger one; whatever its colour, it is seen whole."""
    up, around = np.radians(28), np.radians(-60)
    sight = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
    small = np.linalg.norm(body.centroids - 0.5 - 0.28 * sight, axis=1) < 0.16
    large = np.linalg.norm(body.centroids - 0.5 + 0.28 * sight, axis=1) < 0.22
    share = share_of_blue if near < 1 else share_of_red
    alone, both, far = (tmp_path / f"{name}.png" for name in ("alone", "both", "far"))
    plot.render(alone, body, np.where(small, near, 1.0), background=1.0)
    plot.render(both, body, np.where(small, near, np.where(large, 1 / near, 1.0)), background=1.0)
    assert share(alone) > 0.005
    assert share(both) == pytest.approx(share(alone), rel=0.1)
    plot.render(far, body, np.where(large, near, np.where(small, 1 / near, 1.0)), background=1.0)
    plot.render(alone, body, np.where(large, near, 1.0), background=1.0)
    assert 0 < share(far) < 0.9 * share(alone)


class TestSurfaces:
    """Levels of the surfaces, and what is not lost."""

    @staticmethod
    def of(body, sigma, background=1.0) -> dict[tuple[str, float], Surface]:
        return {(each.colour, each.opacity): each for each in surfaces(body, sigma, background)}

    @staticmethod
    def near(surface: Surface, center, distance: float = 0.3) -> int:
        """How many triangles are around a point."""
        return int((np.linalg.norm(surface.triangles.mean(axis=1) - center, axis=1) < distance).sum())

    def test_levels_are_half_and_a_fifth_of_the_way(self, body, sigma):
        found = self.of(body, sigma)
        expected = {(BLUE, 1.0): 0.2**0.5, (BLUE, 0.15): 0.2**0.2, (RED, 1.0): 5**0.5, (RED, 0.15): 5**0.2}
        assert {key: surface.level for key, surface in found.items()} == pytest.approx(expected)

    @pytest.mark.parametrize("value", [1e6, 1e-6])
    def test_an_absurd_cell_moves_no_level(self, body, sigma, value):
        """Half of the way to a million is a thousand: both objects were lost."""
        before, changed = self.of(body, sigma), sigma.copy()
        changed[np.argmin(np.linalg.norm(body.centroids - [0.8, 0.2, 0.8], axis=1))] = value
        for key, surface in self.of(body, changed).items():
            assert surface.level == pytest.approx(before[key].level)
            assert len(surface.triangles) == len(before[key].triangles)

    def test_a_weak_object_beside_a_strong_one(self, body):
        """It is below half of the way to the strong one, but not below a fifth."""
        strong, weak = [0.3, 0.5, 0.7], [0.7, 0.5, 0.3]
        sigma = np.where(np.linalg.norm(body.centroids - strong, axis=1) < 0.2, 100.0, 1.0)
        sigma[np.linalg.norm(body.centroids - weak, axis=1) < 0.2] = 4.0
        found = self.of(body, sigma)
        assert self.near(found[RED, 1.0], strong) > 50 and self.near(found[RED, 1.0], weak) == 0
        assert self.near(found[RED, 0.15], strong) > 50 and self.near(found[RED, 0.15], weak) > 50

    def test_a_background_that_is_off_is_no_object(self, body, sigma):
        """The fitted one misses the truth's by 15 %: all of the body was one conductive object."""
        found = self.of(body, sigma, background=0.87)
        assert found[RED, 1.0].level == pytest.approx(5**0.5) and found[BLUE, 0.15].level == pytest.approx(0.2**0.2)
        assert not surfaces(body, np.ones(len(body.cells)), 0.87)

    def test_levels_are_in_the_picture(self, body, sigma, figures):
        plot.render("a.png", body, 3 * sigma, background=3.0, truth=np.full((4, 4, 4), 3.0), unit="mS")
        legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figures[-1].axes]
        assert legends[0] == ["below 1.34 mS", "below 2.17 mS", "above 6.71 mS", "above 4.14 mS"]
        assert legends[1] == ["nothing differs by 10 % from the background"]


def test_sections_of_mesh_and_truth_are_the_same_way_round(body, tmp_path):
    """One object off the middle along x, y and z: in each section both rows have it in the same place."""
    center, radius = np.array([0.35, 0.35, 0.68]), 0.27
    axes = [(np.arange(n) + 0.5) / n for n in (40, 44, 48)]
    z, y, x = np.meshgrid(axes[0], 1 - axes[1], axes[2], indexing="ij")
    truth = np.where(np.linalg.norm(np.stack([x, y, z], axis=-1) - center, axis=-1) < radius, 5.0, 1.0)
    sigma = np.where(np.linalg.norm(body.centroids - center, axis=1) < radius, 5.0, 1.0)
    path = tmp_path / "slices.png"
    plot.slices(path, body, sigma, truth=truth, background=1.0)
    picture = colours(path)
    picture = picture[:, : int(0.92 * picture.shape[1])]  # without the colour bar
    red = picture[..., 0] - picture[..., 2] > 0.25
    tops, lows = np.array_split(red, 2)
    for panel in range(1, 4):  # the lowest section misses the object
        columns = slice(panel * red.shape[1] // 4, (panel + 1) * red.shape[1] // 4)
        (row, column), (true_row, true_column) = (np.argwhere(half[:, columns]).mean(axis=0) for half in (tops, lows))
        assert column == pytest.approx(true_column, abs=0.02 * red.shape[1] / 4)
        assert row == pytest.approx(true_row, abs=0.06 * len(tops))
        assert column < 0.5 * red.shape[1] / 4
    assert (row < 0.5 * len(tops)) and (true_row < 0.5 * len(lows)), "z goes up in the vertical section"


@pytest.mark.parametrize("background", [None, 0.0, -1.0, np.nan, np.inf])
def test_a_background_that_is_not_positive_is_refused(body, sigma, background, tmp_path):
    with pytest.raises(NotPositiveError, match="background: got"):
        plot.render(tmp_path / "a.png", body, sigma, background=background)
    assert not list(tmp_path.iterdir())


def test_errors(body, sigma, tmp_path):
    path = tmp_path / "a.png"
    with pytest.raises(ShapeError, match="expected one for each cell of a solid"):
        plot.slices(path, body, sigma[:-1])
    disk = ring_disk(3)
    with pytest.raises(ShapeError, match="on a domain of 2 dimensions"):
        plot.render(path, disk, np.ones(len(disk.cells)), background=1.0)
    with pytest.raises(NotPositiveError, match=r"sigma: entry \(0,\) is -1"):
        plot.slices(path, body, -sigma / sigma[0])
    with pytest.raises(ShapeError, match=r"truth: got shape \(4, 4\)"):
        plot.slices(path, body, sigma, truth=np.ones((4, 4)))
    with pytest.raises(ShapeError, match=r"got shape \(2, 2, 2\), expected an image \(D, H, W\) that is not NaN"):
        plot.slices(path, body, sigma, truth=np.full((2, 2, 2), np.nan))
    with pytest.raises(ShapeError, match=r"panel 'a': got shape \(2, 2, 2\), expected an image \(H, W\)"):
        plot.images(path, {"a": np.ones((2, 2, 2))})
    assert not list(tmp_path.iterdir())
