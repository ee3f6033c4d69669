"""Walnut and lotus root of the Finnish Inverse Problems Society, in files that a user has downloaded.

Each MATLAB file holds a sinogram `m`, one view a column, and a sparse matrix `A` of its fan beam, so that A x(:) = m(:)
for an image x of N x N pixels in MATLAB's order, by columns.

    walnut, DOI 10.5281/zenodo.1254206: Data82.mat, Data164.mat, Data328.mat, N = 82, 164, 328, 120 views
    lotus root, DOI 10.5281/zenodo.1254204: LotusData128.mat, LotusData256.mat, N = 128, 256, 120 views of 429 rays

References:
    Hämäläinen, Harhanen, Kallonen, Kujanpää, Niemi, Siltanen (2015), Tomographic X-ray data of a walnut, arXiv
    1502.04064.
    Bubba, Hauptmann, Huotari, Rimpeläinen, Siltanen (2016), Tomographic X-ray data of a lotus root filled with
    attenuating objects, arXiv 1609.07299.
"""

import hashlib
import warnings
from dataclasses import dataclass, field
from math import isqrt
from pathlib import Path

import numpy as np
from scipy import sparse

from eitdip.data.data import Data
from eitdip.data.files import MatFile, as_path, read_bytes
from eitdip.data.noise import Gaussian
from eitdip.errors import FileFormatError, InvalidDataError, ShapeError

FIELDS = ("A", "m")
RECORDS = {"Data": "10.5281/zenodo.1254206", "LotusData": "10.5281/zenodo.1254204"}
MD5 = {"Data82.mat": "5698942708300bc34b87931c6d91f6b6"}  # as published; of the other files none is known here


@dataclass(frozen=True, eq=False)
class XRayData:
    """Line integrals of an image, measured, and the matrix that models them.

    Args:
        matrix: Sparse, shape (views * rays, H * W), rows and columns in the order of the arrays.
        sinogram: Shape (views, rays).
        shape: Of the image (H, W).
        provenance: Where the data come from, and how their checksum was checked.
    """

    matrix: sparse.csr_array
    sinogram: np.ndarray
    shape: tuple[int, int]
    provenance: dict = field(default_factory=dict)

    @property
    def data(self) -> Data:
        """The sinogram; how noisy it is, nobody says."""
        return Data(self.sinogram, Gaussian(None), provenance=self.provenance)


def load(path, accept_md5: str | None = None) -> XRayData:
    """Read Data*.mat or LotusData*.mat.

    A file is taken if its MD5 is the published one, or the one that the caller accepts.

    Args:
        path: The file.
        accept_md5: MD5 of a file to take although its published one is not known here or differs: for instance the one
            that the record's web page shows for this file.

    Returns:
        Matrix and sinogram; rays that leave the matrix empty are kept.

    Raises:
        FileFormatError: If the file is missing, damaged, has no A and m, or its MD5 is neither.
        ShapeError: If A does not fit m, or its columns are no square image.
        InvalidDataError: If an entry is not finite.
    """
    path = as_path(path)
    md5 = hashlib.md5(read_bytes(path), usedforsecurity=False).hexdigest()
    checked = _check(path, md5, accept_md5)
    with warnings.catch_warnings():  # SciPy asks in which of its two sparse classes A should come: either will do
        warnings.filterwarnings("ignore", "The default value for `spmatrix`", DeprecationWarning)
        file = MatFile.read(path)
    file.expect(FIELDS, "the walnut or the lotus root of FIPS")
    sinogram = file.matrix("m")
    if np.isnan(sinogram).any():
        row, column = (int(i) + 1 for i in np.argwhere(np.isnan(sinogram))[0])
        raise InvalidDataError(f"{path}: m is NaN in row {row}, column {column} (counted from 1), expected numbers")
    matrix = file.fields["A"]
    if not sparse.issparse(matrix) or matrix.dtype.kind not in "fiub":
        raise FileFormatError(f"{path}: A is not a sparse matrix of real numbers")
    size = isqrt(matrix.shape[1])
    if matrix.shape[0] != sinogram.size or size**2 != matrix.shape[1]:
        raise ShapeError(
            f"{path}: A: got shape {matrix.shape}, expected {sinogram.size} rows, one for each entry of m, and a "
            "square number of columns, one for each pixel"
        )
    if not np.isfinite(matrix.data).all():
        raise InvalidDataError(f"{path}: A has entries that are not finite, expected lengths of rays in pixels")
    by_rows = np.arange(size**2).reshape(size, size, order="F").ravel()  # where MATLAB has pixel (i, j)
    provenance = {
        "format": "FIPS",
        "file": path.name,
        "sha256": file.sha256,
        "md5": md5,
        "checksum": checked,
        "record": RECORDS.get(path.stem.rstrip("0123456789"), "unknown"),
    }
    # The rows are in MATLAB's order of m, which is that of its transpose here.
    return XRayData(
        sparse.csr_array(sparse.csc_array(matrix)[:, by_rows]),
        np.ascontiguousarray(sinogram.T),
        (size, size),
        provenance,
    )


def _check(path: Path, md5: str, accepted: str | None) -> str:
    """How the checksum was found right."""
    published = MD5.get(path.name)
    if md5 == published:
        return "as published"
    if accepted is not None and md5 == accepted.strip().lower():
        return "as accepted by the caller"
    if accepted is not None:
        raise FileFormatError(f"{path}: got MD5 {md5}, expected the accepted {accepted}; fetch the file again")
    if published is not None:
        raise FileFormatError(
            f"{path}: got MD5 {md5}, expected the published {published}; fetch the file again, or pass "
            f"accept_md5='{md5}' if you trust this one"
        )
    raise FileFormatError(
        f"{path}: got MD5 {md5}, but no published one is known here for a file of this name; compare it with the one "
        f"on the record's page (DOI {' or '.join(RECORDS.values())}) and, if it is right, pass accept_md5='{md5}'"
    )
