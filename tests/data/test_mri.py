"""K-space of several coils: what is read, and which files are refused."""

import numpy as np
import pytest

from eitdip.data.mri import load_kspace
from eitdip.errors import FileFormatError, InvalidDataError, ShapeError


def normal(shape: tuple[int, ...]) -> np.ndarray:
    real, imaginary = np.random.default_rng(0).standard_normal((2, *shape))
    return real + 1j * imaginary


def test_what_was_written_is_read(tmp_path):
    kspace = normal((3, 4, 5)) * (np.arange(20).reshape(4, 5) % 3 == 0)
    np.save(tmp_path / "k.npy", kspace)
    got, mask = load_kspace(tmp_path / "k.npy")
    assert np.array_equal(got.values, kspace.astype(np.complex64)) and np.array_equal(got.mask, [mask] * 3)
    assert got.tied == (0,) and not got.noise.known and got.provenance["file"] == "k.npy"
    assert np.array_equal(mask, np.arange(20).reshape(4, 5) % 3 == 0)


def test_one_coil_may_lack_its_axis(tmp_path):
    np.save(tmp_path / "k.npy", normal((4, 5)))
    got, mask = load_kspace(tmp_path / "k.npy")
    assert got.shape == (1, 4, 5) and mask.shape == (4, 5) and mask.all()


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.ones((2, 4, 5)), FileFormatError, "got float64, expected one array of complex numbers"),
        (np.ones(4, complex), ShapeError, r"got shape \(4,\)"),
        (np.zeros((2, 4, 5), complex), InvalidDataError, "all numbers are zero"),
        (np.pad([[[np.nan + 0j]]], ((1, 0), (2, 0), (3, 0))), InvalidDataError, "coil 1, row 2, column 3"),
        (np.array([{"a": 1}], dtype=object), FileFormatError, "without objects"),
    ],
)
def test_other_contents_are_refused(array, error, message, tmp_path):
    np.save(tmp_path / "k.npy", array)
    with pytest.raises(error, match=message):
        load_kspace(tmp_path / "k.npy")


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "k.npz", k=normal((2, 4, 5)))
    with pytest.raises(FileFormatError, match="got an archive of arrays"):
        load_kspace(tmp_path / "k.npz")
    np.save(tmp_path / "k.npy", normal((2, 4, 5)))
    whole = (tmp_path / "k.npy").read_bytes()
    for damaged in (b"", b"no k-space", whole[:50], whole[:-8]):
        (tmp_path / "k.npy").write_bytes(damaged)
        with pytest.raises(FileFormatError, match=r"k\.npy: cannot be read as a NumPy file"):
            load_kspace(tmp_path / "k.npy")
    with pytest.raises(FileFormatError, match="no such file"):
        load_kspace(tmp_path / "absent.npy")


def brain(coils: int = 4) -> np.ndarray:
    """k-space of an ellipse seen by some coils, (coils, 32, 32), k = 0 in the middle."""
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    angle = 2 * np.pi * np.arange(coils)[:, None, None] / coils
    maps = np.exp(-((x - np.cos(angle)) ** 2 + (y - np.sin(angle)) ** 2) / 1.5)
    image = maps * ((x / 0.7) ** 2 + (y / 0.5) ** 2 < 1)
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, axes=axes), norm="ortho"), axes=axes)


@pytest.mark.parametrize("coils", [1, 4, 24])
def test_k_space_in_its_layout_is_taken(coils, tmp_path):
    np.save(tmp_path / "k.npy", brain(coils))
    assert load_kspace(tmp_path / "k.npy")[0].shape == (coils, 32, 32)


def test_coils_in_the_last_axis_are_noticed(tmp_path):
    np.save(tmp_path / "k.npy", np.moveaxis(brain(24), 0, -1))
    with pytest.raises(InvalidDataError, match=r"got 32 coils of 32 x 24 points, .* numpy.moveaxis\(kspace, -1, 0\)"):
        load_kspace(tmp_path / "k.npy")


def test_a_middle_in_the_corner_is_noticed(tmp_path):
    np.save(tmp_path / "k.npy", np.fft.ifftshift(brain(), axes=(-2, -1)))
    with pytest.raises(InvalidDataError, match=r"largest samples are in the corners, .* numpy.fft.fftshift"):
        load_kspace(tmp_path / "k.npy")
