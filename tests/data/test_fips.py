"""Walnut and lotus root: small files of the same layout."""

import hashlib

import numpy as np
import pytest
import scipy.io
from scipy import sparse

from eitdip.data import fips
from eitdip.errors import FileFormatError, InvalidDataError, ShapeError
from eitdip.problems.scans import xray_operator

SIZE, RAYS, VIEWS = 4, 5, 3


@pytest.fixture
def write(tmp_path, rng, monkeypatch):
    """A file of the layout, with some fields changed, or left out where the change is None."""
    matrix = sparse.random_array((RAYS * VIEWS, SIZE**2), density=0.4, rng=rng, format="csc")
    fields = {"A": matrix, "m": rng.standard_normal((RAYS, VIEWS)), "normA": 2.0}

    def save(name: str = "LotusData4.mat", **changes):
        path = tmp_path / name
        scipy.io.savemat(path, {key: value for key, value in (fields | changes).items() if value is not None})
        return path

    save.fields = fields
    return save


def md5(path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def load(path) -> fips.XRayData:
    return fips.load(path, accept_md5=md5(path))


def test_matrix_and_sinogram_agree_with_matlab(write, rng):
    data = load(write())
    image = rng.standard_normal((SIZE, SIZE))
    expected = (write.fields["A"] @ image.ravel(order="F")).reshape(RAYS, VIEWS, order="F").T
    operator = xray_operator(data, "float64")
    np.testing.assert_allclose(operator(image), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(data.sinogram, write.fields["m"].T)
    np.testing.assert_array_equal(data.data.values, data.sinogram)
    assert not data.data.noise.known and data.data.provenance == data.provenance
    assert operator.domain.shape == data.shape == (SIZE, SIZE) and operator.range.shape == (VIEWS, RAYS)
    assert xray_operator(data).domain.dtype == "float32"
    assert abs(np.vdot(operator(image), data.sinogram) - np.vdot(image, operator.adjoint(data.sinogram))) <= 1e-12


def test_provenance_tells_the_record_and_the_check(write, monkeypatch):
    path = write()
    provenance = load(path).provenance
    assert provenance["record"] == "10.5281/zenodo.1254204" and provenance["checksum"] == "as accepted by the caller"
    assert provenance["md5"] == md5(path) and provenance["file"] == "LotusData4.mat"
    assert load(write("walnut.mat")).provenance["record"] == "unknown"
    path = write("Data82.mat")
    monkeypatch.setitem(fips.MD5, "Data82.mat", md5(path))
    provenance = fips.load(path).provenance
    assert provenance["checksum"] == "as published" and provenance["record"] == "10.5281/zenodo.1254206"


def test_a_file_of_unknown_checksum_is_not_taken_silently(write):
    path = write()
    with pytest.raises(FileFormatError, match=rf"no published one is known .* pass accept_md5='{md5(path)}'"):
        fips.load(path)


def test_a_file_of_another_checksum_is_refused(write):
    path = write("Data82.mat")
    with pytest.raises(FileFormatError, match=rf"got MD5 {md5(path)}, expected the published 5698942708300bc3"):
        fips.load(path)
    assert fips.load(path, accept_md5=md5(path).upper()).shape == (SIZE, SIZE)
    with pytest.raises(FileFormatError, match="expected the accepted 1234; fetch"):
        fips.load(path, accept_md5="1234")


def test_contents_that_do_not_fit(write):
    with pytest.raises(ShapeError, match=r"A: got shape \(15, 16\), expected 12 rows"):
        load(write(m=write.fields["m"][1:]))
    with pytest.raises(ShapeError, match="a square number of columns"):
        load(write(A=write.fields["A"][:, 1:]))
    with pytest.raises(FileFormatError, match="got fields A, normA; expected A, m of the walnut"):
        load(write(m=None))
    with pytest.raises(FileFormatError, match="A is not a sparse matrix"):
        load(write(A=write.fields["A"].toarray()))


def test_numbers_that_are_not_finite(write):
    sinogram, matrix = write.fields["m"].copy(), write.fields["A"].copy()
    sinogram[1, 2] = np.nan
    with pytest.raises(InvalidDataError, match=r"m is NaN in row 2, column 3 \(counted from 1\)"):
        load(write(m=sinogram))
    matrix.data[3] = np.inf
    with pytest.raises(InvalidDataError, match="A has entries that are not finite"):
        load(write(A=matrix))


def test_what_is_no_file_of_this_kind(tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        fips.load(tmp_path / "Data82.mat")
    path = tmp_path / "Data82.mat"
    path.write_bytes(b"not a MATLAB file")
    with pytest.raises(FileFormatError, match="cannot be read as a MATLAB file"):
        load(path)
