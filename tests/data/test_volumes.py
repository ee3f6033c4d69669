"""Volumes from files, and drawn ones."""

import numpy as np
import pytest

from eitdip.data.volumes import is_volume, read_volume
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError


@pytest.fixture
def write(tmp_path):
    def write(array) -> str:
        np.save(tmp_path / "v.npy", array)
        return str(tmp_path / "v.npy")

    return write


def test_a_file_is_read_as_it_is_or_averaged(write):
    volume = np.arange(64).reshape(4, 4, 4) / 63
    assert np.array_equal(read_volume(write(volume)), volume)
    np.testing.assert_allclose(read_volume(write(volume), 1), [[[0.5]]])
    found = read_volume(write(volume), 2)
    assert found[0, 0, 0] == pytest.approx(volume[:2, :2, :2].mean())
    assert found[1, 0, 1] == pytest.approx(volume[2:, :2, 2:].mean())
    assert read_volume(write(np.ones((2, 3, 4), bool))).shape == (2, 3, 4)


def test_volumes_that_cannot_be(write, tmp_path):
    with pytest.raises(ShapeError, match=r"got complex64 of shape \(2, 2, 2\), expected real numbers \(D, H, W\)"):
        read_volume(write(np.ones((2, 2, 2), np.complex64)))
    with pytest.raises(ShapeError, match=r"got float64 of shape \(4, 4\)"):
        read_volume(write(np.ones((4, 4))))
    for wrong in (1.5, -0.5, np.nan, np.inf):
        with pytest.raises(InvalidDataError, match="expected numbers from 0 to 1; scale them"):
            read_volume(write(np.full((2, 2, 2), wrong)))
    with pytest.raises(ShapeError, match=r"got shape \(4, 4, 2\), expected a cube whose .* of size = 2"):
        read_volume(write(np.ones((4, 4, 2))), 2)
    with pytest.raises(FileFormatError, match="no such file"):
        read_volume(tmp_path / "none.npy")


@pytest.mark.parametrize("name", ["shapes", "shapes-", "shapes-x", "-", "", "shapes-1e3", "shapes-" + "9" * 20])
def test_phantoms_without_a_number(name):
    with pytest.raises(OptionError, match="expected phantom:FAMILY-NUMBER, as phantom:shapes-3"):
        read_volume(f"phantom:{name}", 8)


def test_phantoms_without_a_family_or_size():
    with pytest.raises(OptionError, match="unknown family: got 'cats'"):
        read_volume("phantom:cats-1", 8)
    with pytest.raises(OptionError, match="size: got 0 for phantom:shapes-1"):
        read_volume("phantom:shapes-1")


def test_what_begins_like_a_volume(write):
    def start(array) -> bytes:
        with open(write(array), "rb") as file:
            return file.read(512)

    assert is_volume(start(np.ones((2, 2, 2)))) and is_volume(start(np.ones((30, 30, 30), np.uint8)))
    assert not is_volume(start(np.ones((2, 2, 2), complex))) and not is_volume(start(np.ones((2, 2))))
    assert not is_volume(b"") and not is_volume(b"\x93NUMPY") and not is_volume(b"\x93NUMPY\x09\x00" + b"x" * 200)
