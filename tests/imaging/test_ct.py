"""Tomography in the plane against exact integrals of ellipses, and what is kept on the disk."""

import numpy as np
import pytest
import torch

from eitdip.errors import InvalidDataError, MissingPackageError, NotPositiveError, OptionError, ShapeError
from eitdip.imaging import CT, FanBeam, FanCT, ParallelBeam, ParallelCT, cgls
from eitdip.imaging import ct as module
from eitdip.imaging.beams import view_weights
from eitdip.imaging.matrix_cache import cache_folder, cached
from eitdip.phantoms import Ellipses, random_ellipses, shepp_logan
from eitdip.verify import adjoint_error

pytest.importorskip("astra")

SIDE = 128
PIXEL = 2 / SIDE
HALF_TURN = np.arange(90) * np.pi / 90
TURN = np.arange(180) * 2 * np.pi / 180
# The axis of the disc's holes is nowhere near a symmetry of the pixels: a flip or a transposition shows.
PHANTOM = Ellipses([[1, 0.8, 0.7, 0.05, -0.1, 0.3], [-0.5, 0.1, 0.2, 0.4, 0.1, 0.2], [0.5, 0.2, 0.1, -0.3, -0.4, 1.0]])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def parallel(side=SIDE, angles=HALF_TURN, **options) -> ParallelCT:
    pixel = 2 / side
    return ParallelCT((side, side), angles, int(1.45 * side), pixel_size=pixel, detector_size=pixel, **options)


def fan(side=SIDE, angles=TURN, **options) -> FanCT:
    pixel = 2 / side
    distances = {"source_origin": 4.0, "origin_detector": 2.0}
    return FanCT(
        (side, side), angles, int(1.5 * side), **distances, pixel_size=pixel, detector_size=1.6 * pixel, **options
    )


def error(got, expected) -> float:
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("make", [parallel, fan])
@pytest.mark.parametrize(("kernel", "limits"), [("line", (0.009, 0.033)), ("strip", (0.004, 0.018))])
def test_line_integrals_are_those_of_ellipses(make, kernel, limits):
    """An image that is moved by a quarter of a pixel is beyond the limits."""
    operator = make(kernel=kernel, dtype="float64", angles=HALF_TURN[::4])
    for phantom, limit in zip((PHANTOM, shepp_logan()), limits, strict=True):
        exact = phantom.integrals(operator.beam, samples=8 if kernel == "strip" else 1)
        assert error(operator(phantom.image((SIDE, SIDE), PIXEL)), exact) <= limit


@pytest.mark.slow
@pytest.mark.parametrize("make", [parallel, fan])
def test_line_integrals_at_full_size(make):
    operator = make(side=256, angles=np.arange(180) * np.pi / 180)
    exact = shepp_logan().integrals(operator.beam)
    assert error(operator(shepp_logan().image((256, 256), 2 / 256)), exact) <= 1.5e-2


@pytest.mark.parametrize("make", [parallel, fan])
def test_the_adjoint_is_exact(make, rng):
    assert adjoint_error(make(side=32, dtype="float64", angles=TURN[::9]), rng) <= 1e-13


@pytest.mark.parametrize(("make", "limit"), [(parallel, 0.08), (fan, 0.13)])
def test_filtered_back_projection_of_exact_sinograms(make, limit):
    operator = make()
    exact, image = PHANTOM.integrals(operator.beam), PHANTOM.image((SIDE, SIDE), PIXEL)
    found = operator.pinv(exact)
    assert found.shape == image.shape and found.dtype == np.float32
    assert error(found, image) <= limit
    inside = PHANTOM.image((SIDE, SIDE), PIXEL, samples=1) == 1  # far from edges in the mean: the scale is right
    assert found[inside].mean() == pytest.approx(1, abs=0.01)
    assert found.mean() == pytest.approx(image.mean(), rel=2e-3)


def test_back_projection_takes_batches_and_gradients():
    operator = fan(side=24, angles=TURN[::12], dtype="float64")
    y = torch.randn((2, *operator.range.shape), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    both = operator.pinv(y)
    assert torch.allclose(both[1], operator.pinv(y[1]), rtol=1e-12)
    y.requires_grad_()
    (gradient,) = torch.autograd.grad(operator.pinv(y).square().sum() / 2, y)
    direction = torch.ones_like(y).cumsum(-1) / 10
    slope = (operator.pinv(y).detach() * operator.pinv(direction)).sum()  # it is linear
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-10)


def test_view_weights_count_every_line_once():
    def total(beam, angles, **distances):
        return view_weights(beam(np.deg2rad(angles), 4, **distances))

    distances = {"source_origin": 4.0, "origin_detector": 2.0}
    step = np.pi / 180
    assert total(ParallelBeam, np.arange(180)) == pytest.approx(np.full(180, step))
    assert total(ParallelBeam, np.arange(360)).sum() == pytest.approx(np.pi)
    assert total(FanBeam, np.arange(360), **distances) == pytest.approx(np.full(360, step / 2))
    limited = total(FanBeam, np.arange(40, 70), **distances)
    assert limited == pytest.approx(np.full(30, step))  # nothing of the gap that has no views
    uneven = total(ParallelBeam, [0, 1, 2, 4, 5, 6])
    assert uneven[2:4] == pytest.approx(1.5 * step)
    assert total(ParallelBeam, [30]) == pytest.approx(np.pi)


def test_limited_views_of_a_fan_fit_their_data():
    operator = fan(side=64, angles=np.deg2rad(np.arange(20, 80, 2)))
    exact = torch.from_numpy(PHANTOM.integrals(operator.beam).astype(np.float32))
    assert error(operator(operator.pinv(exact)), exact) < 0.6  # most directions are missing
    assert error(operator(cgls(operator, exact, 20)), exact) < 0.03


def test_an_image_larger_than_the_beam_is_cut():
    operator = ParallelCT((16, 16), [0.0], 4, dtype="float64")
    assert operator(np.ones((16, 16))) == pytest.approx(np.full((1, 4), 16.0))
    assert operator.adjoint(np.ones((1, 4)))[:, :6].max() == 0


def test_chords_of_a_disc_and_the_means_of_pixels():
    disc = Ellipses([[2.0, 1.5, 1.5, 0.25, 0.5, 0.7]])
    beam = ParallelBeam(np.array([0.0, np.pi / 2]), 41, 0.1)
    distances = beam.offsets - np.array([[0.25], [0.5]])  # at 90 degrees the detector grows along y
    chords = 4 * np.sqrt(np.clip(1.5**2 - distances**2, 0, None))
    assert disc.integrals(beam) == pytest.approx(chords, abs=1e-6)  # two rays touch the rim
    fine = disc.integrals(beam.refine(9)).reshape(2, 41, 9).mean(axis=-1)
    assert disc.integrals(beam, samples=9) == pytest.approx(fine, abs=1e-12)
    image = disc.image((90, 80), 0.05, samples=8)
    assert image.sum() * 0.05**2 == pytest.approx(2 * np.pi * 1.5**2, rel=1e-3)
    rows, columns = np.indices(image.shape)
    center = (image * columns).sum() / image.sum(), (image * rows).sum() / image.sum()
    assert center == pytest.approx((39.5 + 0.25 / 0.05, 44.5 - 0.5 / 0.05), abs=1e-2)


def test_phantoms():
    head = shepp_logan().image((64, 64), 2 / 64)
    assert head.min() == pytest.approx(0, abs=1e-12) and head.max() == pytest.approx(1)
    assert (shepp_logan(3.0).table[:, 1:5] == 3 * shepp_logan().table[:, 1:5]).all()
    first, second = (random_ellipses(np.random.default_rng(4), 50, radius=2.0) for _ in range(2))
    assert (first.table == second.table).all()
    reach = np.hypot(*first.table[:, 3:5].T) + first.table[:, 1:3].max(axis=1)
    assert len(reach) == 50 and reach.max() <= 2.0
    assert first.table[:, 0].min() >= 0.2 and first.table[:, 0].max() <= 1


@pytest.mark.parametrize(("error", "match", "arguments"), [
    (ShapeError, "expected a vector", {"angles": [[0.0]]}),
    (ShapeError, "at least one", {"angles": []}),
    (InvalidDataError, "got nan in place 1", {"angles": [0.0, np.nan]}),
    (OptionError, "detectors: got 0", {"detectors": 0}),
    (NotPositiveError, "detector_size: got -1", {"detector_size": -1.0}),
    (NotPositiveError, "pixel_size: got 0", {"pixel_size": 0.0}),
    (OptionError, "unknown kernel: got 'linear', expected one of: line, strip", {"kernel": "linear"}),
    (OptionError, "unknown dtype", {"dtype": "float16"}),
    (ShapeError, r"got \(8,\), expected two", {"shape": (8,)}),
    (OptionError, "the source must be outside", {"source_origin": 5.0}),
    (NotPositiveError, "origin_detector: got nan", {"origin_detector": np.nan}),
])  # fmt: skip
def test_what_is_out_of_range_is_refused(error, match, arguments):
    right = {"shape": (8, 8), "angles": [0.0, 1.0], "detectors": 9, "source_origin": 20.0, "origin_detector": 5.0}
    with pytest.raises(error, match=match):
        FanCT(**right | arguments)


@pytest.mark.parametrize(("error", "table"), [
    (ShapeError, np.ones((2, 5))),
    (InvalidDataError, [[np.inf, 1, 1, 0, 0, 0]]),
    (NotPositiveError, [[1, 1, 0, 0, 0, 0]]),
])  # fmt: skip
def test_wrong_ellipses_are_refused(error, table):
    with pytest.raises(error):
        Ellipses(table)


def test_a_sinogram_of_other_angles_is_refused():
    operator = parallel(side=16, angles=HALF_TURN[::9])
    with pytest.raises(ShapeError, match=r"sinogram \(angles, detector pixels\): got shape \(11, 23\)"):
        operator.pinv(np.ones((11, 23)))


def test_without_astra_the_extra_is_named(monkeypatch):
    def missing(name, extra):
        raise MissingPackageError(f"cannot import {name}: pip install 'eitdip[{extra}]'")

    monkeypatch.setattr(module, "require", missing)
    with pytest.raises(MissingPackageError, match=r"eitdip\[ct\]"):
        ParallelCT((8, 8), [0.0], 8)


def test_large_matrices_are_kept_on_the_disk(monkeypatch):
    monkeypatch.setattr(module, "_SMALL", 0)
    first = parallel(side=16)
    (path,) = cache_folder().glob("*.npz")
    builds = []
    build = module._build
    monkeypatch.setattr(module, "_build", lambda *arguments: builds.append(1) or build(*arguments))
    again = parallel(side=16)
    assert not builds and (again.matrix != first.matrix).nnz == 0
    parallel(side=16, angles=HALF_TURN + 1e-9)  # any change is another matrix
    parallel(side=16, kernel="strip")
    fan(side=16, angles=HALF_TURN)
    assert len(builds) == 3 and len(list(cache_folder().iterdir())) == 4
    path.write_bytes(path.read_bytes()[:-100])  # damaged: made again
    assert (parallel(side=16).matrix != first.matrix).nnz == 0 and len(builds) == 4


def test_the_cache_does_not_grow_for_ever_and_may_be_refused(tmp_path, monkeypatch):
    from scipy import sparse

    from eitdip.imaging import matrix_cache

    matrix = sparse.csr_array(np.eye(3, dtype=np.float32))
    folder = tmp_path / "cache"
    monkeypatch.setattr(matrix_cache, "LARGEST", 1)
    for key in ("a", "b"):
        assert (cached(key, lambda: matrix, folder) != matrix).nnz == 0
    assert len(list(folder.iterdir())) == 1  # the newest stays
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert cached("a", lambda: matrix, blocked) is matrix


def test_state_survives_save_and_load():
    one, other = parallel(side=16), parallel(side=16)
    other.load_state_dict(one.state_dict())
    assert isinstance(one, CT) and (one.matrix != other.matrix).nnz == 0


def test_degrees_are_not_taken_for_radians():
    with pytest.raises(InvalidDataError, match=r"got up to 179, expected radians within two turns; .* numpy.deg2rad"):
        parallel(angles=np.arange(180.0))
    ParallelBeam(np.deg2rad(np.arange(-360, 360.0)), 4)
