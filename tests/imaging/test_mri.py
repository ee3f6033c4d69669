"""Magnetic resonance imaging against dense exponentials, unitarity, and a real brain."""

import numpy as np
import pytest
import torch

from eitdip.data import data_root
from eitdip.data.mri import load_kspace
from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.imaging import CartesianMRI, NonCartesianMRI, cgls, coil_maps
from eitdip.operator import Space


def normal(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return Space(shape, "complex128").random(np.random.default_rng(seed))


def exponentials(samples: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The matrix exp(-2 pi i k . r) / sqrt(H W), pixels counted from the middle one; shape (S, H W)."""
    rows, columns = (np.arange(n) - n // 2 for n in shape)
    pixels = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.exp(-2j * np.pi * samples @ pixels.T) / np.sqrt(len(pixels))


def grid(shape: tuple[int, int]) -> np.ndarray:
    """Points of the Cartesian grid in cycles per pixel, (H W, 2)."""
    axes = [(np.arange(n) - n // 2) / n for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


@pytest.fixture
def brain() -> tuple[np.ndarray, np.ndarray]:
    """K-space of a real head, 8 coils, and where it was sampled."""
    root = data_root()
    path = root / "mri_brain_8ch" / "cartesian_ksp.npy" if root else None
    if path is None or not path.is_file():
        pytest.skip("needs the real k-space; set EITDIP_DATA to the folder of the data sets")
    data, mask = load_kspace(path)
    return data.values.astype(np.complex64), mask


class TestCartesian:
    @pytest.fixture(autouse=True)
    def _deepinv(self):
        pytest.importorskip("deepinv", reason="needs deepinv")

    @pytest.mark.parametrize("shape", [(8, 9), (7, 6)])
    def test_a_full_mask_is_unitary(self, shape):
        operator = CartesianMRI(np.ones(shape), dtype="complex128")
        x = normal(shape)
        assert np.linalg.norm(operator(x)) == pytest.approx(np.linalg.norm(x), rel=1e-13)
        np.testing.assert_allclose(operator.adjoint(operator(x)), x, rtol=0, atol=1e-13)

    @pytest.mark.parametrize("shape", [(8, 9), (7, 6)])
    def test_it_is_the_dense_transform_of_each_coil(self, shape):
        mask = np.random.default_rng(1).random(shape) < 0.5
        maps, x = normal((3, *shape), seed=2), normal(shape)
        images = (maps * x).reshape(3, -1)
        expected = (images @ exponentials(grid(shape), shape).T).reshape(3, *shape) * mask
        np.testing.assert_allclose(CartesianMRI(mask, maps, "complex128")(x), expected, rtol=0, atol=1e-12)

    def test_the_zero_filled_image_of_full_data_is_the_image(self):
        maps, x = normal((3, 8, 9), seed=2), normal((2, 8, 9))
        maps[:, 0, 0] = 0  # where no coil sees anything
        operator = CartesianMRI(np.ones((8, 9)), maps, "complex128")
        seen = operator.pinv(operator(x))
        x[:, 0, 0] = 0
        np.testing.assert_allclose(seen, x, rtol=0, atol=1e-12)
        tensor = operator.pinv(operator(torch.from_numpy(x)))
        np.testing.assert_allclose(tensor.numpy(), x, rtol=0, atol=1e-12)

    @pytest.mark.parametrize(
        ("make", "error", "message"),
        [
            (lambda: CartesianMRI(np.zeros((4, 4))), InvalidDataError, "empty"),
            (lambda: CartesianMRI(np.full((4, 4), 2)), InvalidDataError, "not 0 or 1"),
            (lambda: CartesianMRI(np.ones((2, 4, 4))), ShapeError, r"got shape \(2, 4, 4\), expected \(H, W\)"),
            (lambda: CartesianMRI(np.ones((4, 4)), normal((2, 4, 5))), ShapeError, r"expected \(coils, 4, 4\)"),
            (lambda: CartesianMRI(np.ones((4, 4)), np.zeros((2, 4, 4))), InvalidDataError, "only zeros"),
            (lambda: CartesianMRI(np.ones((4, 4)), np.full((2, 4, 4), np.inf)), InvalidDataError, "not finite"),
            (lambda: CartesianMRI(np.ones((4, 4)), dtype="float32"), OptionError, "expected one of: complex64"),
        ],
    )
    def test_bad_input_is_explained(self, make, error, message):
        with pytest.raises(error, match=message):
            make()


class TestNonCartesian:
    @pytest.fixture(autouse=True)
    def _finufft(self):
        pytest.importorskip("finufft", reason="needs finufft")

    @pytest.mark.parametrize(("dtype", "bound"), [("complex64", 2e-5), ("complex128", 1e-11)])
    @pytest.mark.parametrize("shape", [(8, 9), (7, 6)])
    def test_it_is_the_dense_exponential_matrix(self, shape, dtype, bound):
        samples = np.random.default_rng(1).uniform(-0.5, 0.5, (50, 2))
        operator = NonCartesianMRI(samples, shape, dtype=dtype)
        expected = exponentials(samples, shape)
        assert np.linalg.norm(operator.dense() - expected, 2) <= bound * np.linalg.norm(expected, 2)

    def test_coils_see_the_image_through_their_maps(self):
        samples, maps = np.random.default_rng(1).uniform(-0.5, 0.5, (50, 2)), normal((3, 8, 9), seed=2)
        x = normal((8, 9))
        expected = (maps * x).reshape(3, -1) @ exponentials(samples, (8, 9)).T
        operator = NonCartesianMRI(samples, (8, 9), maps, "complex128")
        np.testing.assert_allclose(operator(x), expected, rtol=0, atol=1e-10)

    def test_on_the_grid_it_is_the_cartesian_one(self):
        pytest.importorskip("deepinv", reason="needs deepinv")
        x = normal((8, 9))
        got = NonCartesianMRI(grid((8, 9)), (8, 9), dtype="complex128")(x)
        expected = CartesianMRI(np.ones((8, 9)), dtype="complex128")(x)
        np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=0, atol=1e-11)

    def test_many_samples_determine_the_image(self):
        samples = np.random.default_rng(1).uniform(-0.5, 0.5, (600, 2))
        operator = NonCartesianMRI(samples, (8, 9), dtype="complex128")
        x = normal((8, 9))
        np.testing.assert_allclose(operator.pinv(operator(x)), x, rtol=0, atol=1e-6)

    @pytest.mark.parametrize(
        ("make", "error", "message"),
        [
            (lambda: NonCartesianMRI(np.zeros((5, 3)), (8, 8)), ShapeError, r"got shape \(5, 3\), expected \(S, 2\)"),
            (lambda: NonCartesianMRI(np.zeros((0, 2)), (8, 8)), ShapeError, r"expected \(S, 2\)"),
            (lambda: NonCartesianMRI(np.full((5, 2), 3.0), (8, 8)), InvalidDataError, "divide angles by 2 pi"),
            (lambda: NonCartesianMRI(np.full((5, 2), np.nan), (8, 8)), InvalidDataError, "not finite"),
            (lambda: NonCartesianMRI(np.zeros((5, 2)), (8, 8, 8)), ShapeError, r"expected \(H, W\)"),
            (lambda: NonCartesianMRI(np.zeros((5, 2)), (8, 8), normal((2, 4, 4))), ShapeError, r"\(coils, 8, 8\)"),
            (lambda: NonCartesianMRI(np.zeros((5, 2)), (8, 8), dtype="float64"), OptionError, "got 'float64'"),
        ],
    )
    def test_bad_input_is_explained(self, make, error, message):
        with pytest.raises(error, match=message):
            make()


def smooth_coils(shape: tuple[int, int]) -> np.ndarray:
    """Four coils beside the four edges, of phases that turn slowly; the sum of squares is 1."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    places = [(-1.5, 0), (1.5, 0), (0, -1.5), (0, 1.5)]
    maps = np.array([np.exp(1j * (a * x - b * y)) / ((y - a) ** 2 + (x - b) ** 2 + 1) for a, b in places])
    return maps / np.linalg.norm(maps, axis=0)


def test_maps_of_a_smooth_image_are_those_of_the_coils():
    shape = (32, 40)
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    image = np.exp(-3 * (x**2 + y**2))
    truth = smooth_coils(shape)
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(truth * image, axes=(1, 2)), norm="ortho"), axes=(1, 2))
    body = image > 0.2

    def error(maps: np.ndarray) -> float:
        np.testing.assert_allclose(np.linalg.norm(maps, axis=0), 1, rtol=1e-12)
        return np.linalg.norm((maps - truth)[:, body]) / np.linalg.norm(truth[:, body])

    coarse, fine = coil_maps(kspace, (8, 10)), coil_maps(kspace, (16, 20))
    assert error(fine) <= 0.05 and error(coarse) >= 3 * error(fine), "order 2 in the resolution"
    single = coil_maps(torch.from_numpy(kspace.astype(np.complex64)), (16, 20))
    assert single.dtype == np.complex64 and np.allclose(single, fine, atol=1e-4)


@pytest.mark.parametrize(
    ("kspace", "block", "error", "message"),
    [
        (np.ones((8, 8)), 4, ShapeError, r"got shape \(8, 8\) of float64"),
        (normal((2, 8, 8)).real, 4, ShapeError, "complex"),
        (normal((2, 8, 8)), 9, OptionError, r"from 2 to the size of k-space \(8, 8\)"),
        (normal((2, 8, 8)), (4, 4, 4), OptionError, "one or two integers"),
        (np.zeros((2, 8, 8), complex), 4, InvalidDataError, "got 0 of 16 samples"),
        (np.full((2, 8, 8), np.nan + 0j), 4, InvalidDataError, "not finite"),
    ],
)
def test_maps_without_calibration_are_refused(kspace, block, error, message):
    with pytest.raises(error, match=message):
        coil_maps(kspace, block)


def test_a_real_brain(brain):
    """Hidden points of real k-space are predicted by least squares, far better than by zero filling."""
    pytest.importorskip("deepinv", reason="needs deepinv")
    kspace, mask = brain
    assert kspace.shape == (8, 230, 180) and mask.mean() == pytest.approx(0.1243, abs=1e-4)
    maps = coil_maps(kspace)
    block = np.zeros(mask.shape, dtype=bool)
    block[103:127, 78:102] = True  # the maps have seen it
    hidden = mask & ~block & (np.random.default_rng(0).random(mask.shape) < 0.1)
    train, test = CartesianMRI(mask & ~hidden, maps), CartesianMRI(hidden, maps)
    y = torch.from_numpy(kspace)
    known, unseen = y * torch.from_numpy(mask & ~hidden), y * torch.from_numpy(hidden)

    def error(x: torch.Tensor) -> float:
        return float(torch.linalg.vector_norm(test(x) - unseen) / torch.linalg.vector_norm(unseen))

    zero_filled, image = train.pinv(known), cgls(train, known, steps=8)
    assert error(zero_filled) > 0.7 and error(image) < 0.45
    # A head: bright inside of an ellipse, dark in the corners, and nearly real with these maps.
    magnitude = image.abs().numpy()
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in mask.shape), indexing="ij")
    assert magnitude[x**2 + y**2 > 1.4].mean() < 0.1 * magnitude[x**2 + y**2 < 0.3].mean()
    centre = image[x**2 + y**2 < 0.3]
    assert float(centre.real.sum() / centre.abs().sum()) > 0.9
