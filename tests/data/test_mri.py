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
