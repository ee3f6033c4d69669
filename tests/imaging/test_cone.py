"""Cone beams against exact line integrals of boxes and ellipsoids."""

import numpy as np
import pytest
import torch

from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError
from eitdip.imaging import FanCT, SampledConeCT, cgls, cone_samples
from eitdip.imaging.cone import ConeBeam, ConeBeamCT
from eitdip.imaging.panels import Panels

CENTRE, AXES = np.array([0.1, -0.2, 0.15]), np.array([0.6, 0.5, 0.4])


def beam(pixels: int, views: int = 5) -> ConeBeam:
    """That sees the cube from -1 to 1."""
    angles = np.linspace(0, 2 * np.pi, views, endpoint=False) + 0.1
    size = 6.4 / pixels
    return ConeBeam(angles, pixels, size, source_origin=4.0, origin_detector=4.0, rows=pixels)


def ellipsoid_integrals(rays: ConeBeam) -> np.ndarray:
    """Chords of the ellipsoid: the roots of a quadratic, where it is the unit ball."""
    start, step = rays.rays()
    start, step = (start - CENTRE) / AXES, step / AXES
    square, mixed, rest = (step**2).sum(-1), (start * step).sum(-1), (start**2).sum(-1) - 1
    return 2 * np.sqrt(np.clip(mixed**2 - square * rest, 0, None)) / square


def ellipsoid_voxels(n: int, samples: int = 4) -> np.ndarray:
    """Share of each voxel that is inside: z along the first axis, y downwards along the second."""
    g = (np.arange(n * samples) + 0.5) / (n * samples) * 2 - 1
    z, y, x = g[:, None, None] - CENTRE[2], -g[:, None] - CENTRE[1], g - CENTRE[0]
    inside = (x / AXES[0]) ** 2 + (y / AXES[1]) ** 2 + (z / AXES[2]) ** 2 <= 1
    return inside.reshape(n, samples, n, samples, n, samples).mean(axis=(1, 3, 5))


def mean_over_pixels(rays: ConeBeam, samples: int) -> np.ndarray:
    views, rows, columns = rays.shape
    fine = ellipsoid_integrals(rays.refine(samples))
    return fine.reshape(views, rows, samples, columns, samples).mean(axis=(2, 4))


def error(n: int, samples: int) -> float:
    rays = beam(3 * n // 2, views=3)
    operator = ConeBeamCT((n, n, n), rays, 2 / n, samples=samples)
    expected = mean_over_pixels(rays, 6)
    return float(np.linalg.norm(operator(ellipsoid_voxels(n)) - expected) / np.linalg.norm(expected))


def test_an_ellipsoid():
    errors = [error(n, samples=2) for n in (16, 32, 48)]
    assert errors[-1] <= 2.2e-2
    assert errors[0] > 1.5 * errors[1] and errors[1] > 1.2 * errors[2]  # first order: the edge crosses voxels
    assert error(32, samples=1) > errors[1]


def test_a_box_is_exact():
    """Of ones the operator gives the chord of each ray in the volume, whatever the voxels are."""
    rays, voxel = beam(24), 0.07
    operator = ConeBeamCT((9, 20, 16), rays, voxel, dtype="float64")
    corner = np.array([16, 20, 9]) * voxel / 2
    points, directions = rays.rays()
    with np.errstate(divide="ignore"):
        first, second = (-corner - points) / directions, (corner - points) / directions
    enter, leave = np.minimum(first, second).max(axis=-1), np.maximum(first, second).min(axis=-1)
    expected = np.clip(leave - enter, 0, None)
    assert (expected > 0).any() and (expected == 0).any()
    np.testing.assert_allclose(operator(np.ones(operator.domain.shape)), expected, atol=1e-9)


def test_the_middle_slice_is_a_fan():
    pytest.importorskip("astra")
    rays = ConeBeam(np.linspace(0, 6, 7), 30, 0.2, source_origin=4.0, origin_detector=3.0)
    cone = ConeBeamCT((1, 18, 20), rays, 0.1)
    fan = FanCT((18, 20), rays.angles, 30, detector_size=0.2, source_origin=4.0, origin_detector=3.0, pixel_size=0.1)
    assert abs(cone.matrix - fan.matrix).max() <= 2e-3 * fan.matrix.max()
    assert cone.range.shape == (7, 1, 30)


def test_axes_and_rows():
    """A voxel on the right, at the top of the slice and high up is seen where the geometry puts it."""
    volume = np.zeros((9, 9, 9))
    volume[7, 1, 6] = 1.0  # x = 2, y = 3, z = 3
    rays = ConeBeam([0.0, np.pi / 2], 61, 0.5, source_origin=40.0, origin_detector=20.0, rows=41)
    seen = ConeBeamCT((9, 9, 9), rays, 1.0, samples=3)(volume)
    mass = seen / seen.sum(axis=(1, 2), keepdims=True)
    along_rows = (mass.sum(axis=2) * (np.arange(41) - 20) * 0.5).sum(axis=1)
    along_columns = (mass.sum(axis=1) * rays.offsets).sum(axis=1)
    # The source at (0, -40) is 43 away in y; the one at (40, 0) is 38 away in x and its columns grow along y.
    np.testing.assert_allclose(along_columns, [2 * 60 / 43, 3 * 60 / 38], atol=0.05)
    np.testing.assert_allclose(along_rows, [3 * 60 / 43, 3 * 60 / 38], atol=0.05)


def test_samples_are_the_mean_of_finer_rays():
    rays = beam(6, views=2)
    coarse = ConeBeamCT((5, 6, 7), rays, 0.2, samples=3, dtype="float64")
    fine = ConeBeamCT((5, 6, 7), rays.refine(3), 0.2, dtype="float64")
    volume = coarse.domain.random(np.random.default_rng(0))
    expected = fine(volume).reshape(2, 6, 3, 6, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(coarse(volume), expected, atol=1e-6)


def test_rays_along_the_planes_between_voxels():
    """Each such ray belongs to the voxels on one side: nothing is lost and nothing counts twice."""
    rays = ConeBeam([0.0], 1, 1.0, source_origin=10.0, origin_detector=10.0, rows=1)
    matrix = ConeBeamCT((4, 4, 4), rays, 1.0, dtype="float64").matrix
    np.testing.assert_allclose(matrix.sum(), 4.0)
    np.testing.assert_allclose(matrix.data, 1.0)


def test_least_squares_finds_the_volume():
    rays = beam(14, views=12)
    operator = ConeBeamCT((8, 8, 8), rays, 0.25, dtype="float64")
    truth = torch.from_numpy(ellipsoid_voxels(8))
    x = cgls(operator, operator(truth), 30)
    assert torch.linalg.vector_norm(x - truth) <= 0.1 * torch.linalg.vector_norm(truth)


def test_filtered_back_projection_of_the_middle_slice_is_that_of_its_fan():
    pytest.importorskip("astra")
    rays = ConeBeam(np.linspace(0, 6, 7), 31, 0.2, source_origin=4.0, origin_detector=3.0, rows=9)
    cone = ConeBeamCT((5, 18, 20), rays, 0.1, dtype="float64")
    fan = FanCT(
        (18, 20), rays.angles, 31, detector_size=0.2, source_origin=4.0, origin_detector=3.0, pixel_size=0.1,
        dtype="float64",
    )  # fmt: skip
    y = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 7, 9, 31)))
    found, expected = cone.pinv(y)[:, 2], fan.pinv(y[:, :, 4])
    assert torch.allclose(found, expected, atol=1e-4) and expected.abs().max() > 1


def test_filtered_back_projection_finds_an_ellipsoid():
    """Whose values are right inside, also off the plane of the sources."""
    rays = beam(70, views=60)
    operator = ConeBeamCT((32, 32, 32), rays, 2 / 32)
    x, truth = operator.pinv(mean_over_pixels(rays, 2)), ellipsoid_voxels(32)
    inside = ellipsoid_voxels(32, samples=1) * np.roll(truth, 3, axis=0) * np.roll(truth, -3, axis=0) == 1
    assert x[inside].mean() == pytest.approx(1, abs=0.02) and inside.any(axis=(1, 2)).sum() >= 6
    assert np.linalg.norm(x - truth) <= 0.25 * np.linalg.norm(truth)
    missing = np.abs(x[truth == 0]).mean()
    assert missing < 0.05


def sampled_error(n: int, step: float) -> float:
    rays = beam(3 * n // 2, views=3)
    operator = SampledConeCT((n, n, n), rays, 2 / n, step=step)
    expected = mean_over_pixels(rays, 6)
    return float(np.linalg.norm(operator(ellipsoid_voxels(n)) - expected) / np.linalg.norm(expected))


def test_sampled_rays_find_an_ellipsoid():
    errors = [sampled_error(n, step=0.5) for n in (16, 32)]
    assert errors[1] <= 4e-2 and errors[0] > 1.5 * errors[1]
    assert sampled_error(32, step=0.25) == pytest.approx(errors[1], rel=0.2)  # half a voxel is enough


def test_sampled_rays_in_an_oblong_volume():
    """Of a smooth volume both operators say the same, so that axes, signs and lengths are theirs."""
    rays = beam(20)
    whole, sampled = (kind((18, 28, 24), rays, 0.05, dtype="float64") for kind in (ConeBeamCT, SampledConeCT))
    z, y, x = np.ogrid[-1:1:18j, -1:1:28j, -1:1:24j]
    volume = (1 - z**2) * (1 - x**2) * (1 - y**2) * (1.5 + x - 0.4 * y + 0.7 * z)
    expected = whole(volume)
    assert np.linalg.norm(sampled(volume) - expected) <= 0.03 * np.linalg.norm(expected)
    assert np.linalg.norm(sampled(volume[:, ::-1]) - expected) > 0.1 * np.linalg.norm(expected)
    np.testing.assert_allclose(sampled.pinv(expected), whole.pinv(expected), rtol=1e-12)


def test_sampled_rays_in_parts(monkeypatch):
    operator = SampledConeCT((5, 6, 7), beam(6, views=2), 0.2, dtype="float64")
    volumes = np.random.default_rng(0).random((2, 5, 6, 7))
    seen = operator(volumes)
    back = operator.adjoint(seen)
    monkeypatch.setattr(cone_samples, "_AT_ONCE", 200)
    np.testing.assert_allclose(operator(volumes), seen, rtol=1e-12)
    np.testing.assert_allclose(operator.adjoint(seen), back, rtol=1e-12)


def test_panels_are_the_beam_that_they_were_made_of():
    """And they may stand anywhere: all turned together, a volume that is turned so looks the same."""
    rays = beam(6, views=3)
    free = rays.panels()
    assert free.shape == rays.shape and free.refine(2).shape == rays.refine(2).shape
    for found, expected in zip(free.refine(2).rays(), rays.refine(2).rays(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(np.mod(free.angles, 2 * np.pi), rays.angles, atol=1e-12)
    np.testing.assert_allclose(free.distances, 8.0)
    np.testing.assert_allclose(free.normals, -free.sources / 4, atol=1e-12)
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # by a right angle, from x to y
    turned = Panels(*(value @ turn.T for value in (free.sources, free.centres, free.across, free.up)), 6, 6)
    volume = np.random.default_rng(0).random((5, 5, 5))
    one, other = ConeBeamCT((5, 5, 5), rays, 0.2, dtype="float64"), ConeBeamCT((5, 5, 5), turned, 0.2, dtype="float64")
    y = one(volume)
    np.testing.assert_allclose(other(np.rot90(volume, axes=(1, 2))), y, atol=1e-6)
    np.testing.assert_allclose(np.rot90(one.pinv(y), axes=(1, 2)), other.pinv(y), atol=1e-9)


def test_the_rows_of_panels_may_run_down():
    """Columns and rows in the other order: the same projections, mirrored, and the same volume."""
    free = beam(6, views=3).panels()
    mirrored = Panels(free.sources, free.centres, -free.across, -free.up, 6, 6)
    volume = np.random.default_rng(0).random((5, 5, 5))
    one, other = (ConeBeamCT((5, 5, 5), each, 0.2, dtype="float64") for each in (free, mirrored))
    y = one(volume)
    np.testing.assert_allclose(other(volume), y[:, ::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(other.pinv(y[:, ::-1, ::-1]), one.pinv(y), atol=1e-9)


def test_panels_that_cannot_be():
    free = beam(4, views=2).panels()
    good = {name: getattr(free, name) for name in ("sources", "centres", "across", "up", "rows", "detectors")}
    with pytest.raises(ShapeError, match=r"up: got shape \(1, 3\), expected \(views, 3\)"):
        Panels(**good | {"up": free.up[:1]})
    with pytest.raises(InvalidDataError, match="centres: got a number that is not finite"):
        Panels(**good | {"centres": np.full((2, 3), np.nan)})
    with pytest.raises(OptionError, match="rows: got 0"):
        Panels(**good | {"rows": 0})
    with pytest.raises(InvalidDataError, match="plane of its detector in view 1"):
        Panels(**good | {"centres": np.stack([free.centres[0], free.sources[1]])})
    with pytest.raises(InvalidDataError, match="plane of its detector in view 0"):
        Panels(**good | {"up": free.across})


def test_bad_input_is_refused():
    with pytest.raises(OptionError, match="rows: got 0"):
        ConeBeam([0.0], 4, 1.0, source_origin=9.0, origin_detector=9.0, rows=0)
    with pytest.raises(ShapeError, match="three positive numbers"):
        ConeBeamCT((8, 8), beam(4))
    with pytest.raises(NotPositiveError, match="voxel_size: got 0"):
        ConeBeamCT((8, 8, 8), beam(4), 0)
    with pytest.raises(OptionError, match=r"source_origin, origin_detector: got 4, 4, but the volume reaches 5\.65685"):
        ConeBeamCT((8, 8, 8), beam(4), 1.0)
    for wrong in ({"voxel_size": 0}, {"step": 0}):
        with pytest.raises(NotPositiveError, match=f"{next(iter(wrong))}: got 0"):
            SampledConeCT((8, 8, 8), beam(4), **{"voxel_size": 0.1} | wrong)
    with pytest.raises(ShapeError, match="three positive numbers"):
        SampledConeCT((8, 8), beam(4))
    with pytest.raises(OptionError, match="source_origin, origin_detector: got 4, 4, but"):
        SampledConeCT((8, 8, 8), beam(4), 1.0)
    with pytest.raises(OptionError, match="unknown dtype"):
        SampledConeCT((8, 8, 8), beam(4), 0.1, dtype="float16")
    with pytest.raises(OptionError, match="unknown dtype"):
        ConeBeamCT((8, 8, 8), beam(4), 0.1, dtype="float16")
    with pytest.raises(OptionError, match="samples: got 0"):
        ConeBeamCT((8, 8, 8), beam(4), 0.1, samples=0)
    with pytest.raises(OptionError, match="take fewer views, detector pixels, samples or voxels"):
        ConeBeamCT((256, 256, 256), beam(512, views=90), 0.01)
