"""HTC2022: what is read, which views are selected, and which files are refused."""

import numpy as np
import pytest
from scipy.io import savemat

from eitdip.data import htc2022
from eitdip.errors import FileFormatError, InvalidDataError, NotPositiveError, OptionError, ShapeError
from eitdip.metrics import mcc
from eitdip.phantoms import Ellipses
from eitdip.problems.scans import disc_operator

PARAMETERS = {
    "distanceSourceOrigin": 410.66,
    "distanceSourceDetector": 553.74,
    "pixelSizePost": 2.0,
    "effectivePixelSizePost": 0.148322,
    "numDetectorsPost": 56,
    "angles": np.arange(0, 361, 2.0),
}


@pytest.fixture
def write(tmp_path, rng):
    """A file of this layout, with some entries changed, or left out where the change is None."""
    sinogram = rng.uniform(0, 2, (181, 56))

    def _write(name="ta_full.mat", struct="CtDataFull", sinogram=sinogram, **changes):
        parameters = {key: value for key, value in (PARAMETERS | changes).items() if value is not None}
        data = {"type": "2D", "sinogram": sinogram, "parameters": parameters}
        savemat(tmp_path / name, {struct: {key: value for key, value in data.items() if value is not None}})
        return tmp_path / name

    _write.sinogram = sinogram
    return _write


@pytest.mark.parametrize("struct", htc2022.STRUCTS)
def test_what_is_read(write, struct):
    disc = htc2022.load(write(struct=struct))
    np.testing.assert_array_equal(disc.sinogram, write.sinogram)
    np.testing.assert_array_equal(disc.angles, PARAMETERS["angles"])
    assert (disc.source_origin, disc.source_detector, disc.detector_size) == (410.66, 553.74, 2.0)
    assert disc.pixel_size == 0.148322 and disc.detectors == 56 and len(disc.sha256) == 64
    np.testing.assert_array_equal(disc.data.values, disc.sinogram)
    assert not disc.data.noise.known and disc.data.provenance == {"format": "HTC2022", "sha256": disc.sha256}


def test_the_operator_has_the_geometry_in_mm(write):
    pytest.importorskip("astra")
    disc = htc2022.load(write(angles=np.arange(0, 362, 2.0))).every(6)
    operator = disc_operator(disc, 128, dtype="float64", kernel="strip")
    assert operator.domain.shape == (128, 128) and operator.range.shape == disc.sinogram.shape
    body = Ellipses([[0.04, 30, 25, 2, -3, 0.5]])  # mm and 1/mm
    exact, found = body.integrals(operator.beam, samples=8), operator(body.image((128, 128), 512 * 0.148322 / 128))
    assert np.linalg.norm(found - exact) <= 0.004 * np.linalg.norm(exact)


def test_limited_views(write):
    disc = htc2022.load(write())
    part = disc.limited(30, 60)
    np.testing.assert_array_equal(part.angles, np.arange(30, 91, 2))
    np.testing.assert_array_equal(part.sinogram, disc.sinogram[15:46])
    around = disc.limited(350, 20)
    np.testing.assert_array_equal(around.angles % 360, [350, 352, 354, 356, 358, 0, 2, 4, 6, 8, 10])
    np.testing.assert_array_equal(around.sinogram[6], disc.sinogram[1])
    assert len(disc.limited(7, 360).angles) == 180  # 0 and 360 are one direction
    assert len(part.limited(40, 30).angles) == 16
    with pytest.raises(OptionError, match="got 0 to 50 after the start; the data do not reach that far"):
        part.limited(40, 60)
    with pytest.raises(OptionError, match="got none between 100 and 120"):
        part.limited(100, 20)
    with pytest.raises(OptionError, match="span: got 0"):
        disc.limited(0, 0)


def test_fewer_detectors_or_views(write):
    disc = htc2022.load(write())
    coarse = disc.binned(4)
    assert coarse.detectors == 14 and coarse.detector_size == 8.0
    np.testing.assert_allclose(coarse.sinogram[:, 1], disc.sinogram[:, 4:8].mean(axis=1))
    np.testing.assert_array_equal(disc.every(10).angles, np.arange(0, 361, 20))
    with pytest.raises(OptionError, match="expected a divisor of the 56"):
        disc.binned(3)
    with pytest.raises(OptionError, match="step: got 0"):
        disc.every(0)


@pytest.mark.parametrize(
    ("views", "chosen"), [(1, [0]), (3, [0, 60, 120]), (4, [0, 45, 90, 135]), (7, [0, 25, 51, 77, 103, 129, 155])]
)
def test_evenly_spread_views(write, views, chosen):
    """Of 181, whole parts of 181 / views apart."""
    disc = htc2022.load(write())
    part = disc.thinned(views)
    np.testing.assert_array_equal(part.angles, 2.0 * np.array(chosen))
    np.testing.assert_array_equal(part.sinogram, disc.sinogram[chosen])
    np.testing.assert_array_equal(disc.thinned(181).sinogram, disc.sinogram)
    for wrong in (0, 182):
        with pytest.raises(OptionError, match=f"views: got {wrong}, expected 1 to 181"):
            disc.thinned(wrong)


def test_categories():
    assert [htc2022.span_of(category) for category in range(1, 8)] == [90, 80, 70, 60, 50, 40, 30]
    with pytest.raises(OptionError, match="unknown category: got 8, expected one of: 1, 2"):
        htc2022.span_of(8)


@pytest.mark.parametrize(("error", "match", "changes"), [
    (FileFormatError, "got fields Other; expected CtDataFull or CtDataLimited", {"struct": "Other"}),
    (FileFormatError, "CtDataFull: got fields type, parameters; expected sinogram", {"sinogram": None}),
    (FileFormatError, "parameters: got fields .*; expected angles", {"angles": None}),
    (FileFormatError, "sinogram is not an array of real numbers", {"sinogram": "none"}),
    (ShapeError, "sinogram: got shape .180, 56. with angles of shape .181,.", {"sinogram": np.ones((180, 56))}),
    (ShapeError, "sinogram: got 55 columns, expected numDetectorsPost = 56", {"sinogram": np.ones((181, 55))}),
    (ShapeError, "angles: got shape .2, 2., expected a vector", {"angles": np.ones((2, 2))}),
    (ShapeError, "pixelSizePost: got shape .1, 2., expected one", {"pixelSizePost": [1.0, 2.0]}),
    (NotPositiveError, "detector_size: got -0.2", {"pixelSizePost": -0.2}),
    (NotPositiveError, "source_origin: got nan", {"distanceSourceOrigin": np.nan}),
    (InvalidDataError, "source_detector: got 300 mm, expected more", {"distanceSourceDetector": 300.0}),
    (InvalidDataError, "angles: got one that is not", {"angles": np.r_[np.inf, np.arange(180.0)]}),
])  # fmt: skip
def test_wrong_files_are_refused(write, error, match, changes):
    path = write(**changes)
    with pytest.raises(error, match=f"{path.name}: {match}"):
        htc2022.load(path)


def test_nan_names_the_entry(write):
    sinogram = write.sinogram.copy()
    sinogram[3, 7] = np.nan
    with pytest.raises(InvalidDataError, match=r"not finite in row 4, column 8 \(counted from 1\)"):
        htc2022.load(write(sinogram=sinogram))


def test_a_file_that_is_no_struct(tmp_path):
    savemat(tmp_path / "x.mat", {"CtDataFull": np.ones(3)})
    with pytest.raises(FileFormatError, match="CtDataFull is not one struct"):
        htc2022.load(tmp_path / "x.mat")
    with pytest.raises(FileFormatError, match="no such file"):
        htc2022.load(tmp_path / "y.mat")


def test_segmentations(tmp_path, rng):
    image = rng.integers(0, 2, (512, 512)).astype(np.uint8)
    path = htc2022.reference_path(tmp_path / "htc2022_ta_limited.mat")
    assert path == tmp_path / "htc2022_ta_full_recon_fbp_seg.mat"
    savemat(path, {"reconFullFbpSeg": image})
    found = htc2022.load_segmentation(path)
    assert found.dtype == bool and (found == image).all()
    for error, match, wrong in (
        (ShapeError, "expected .512, 512.", image[1:]),
        (InvalidDataError, "other values", 2 * image),
    ):
        savemat(path, {"reconFullFbpSeg": wrong})
        with pytest.raises(error, match=match):
            htc2022.load_segmentation(path)
    savemat(path, {"other": image})
    with pytest.raises(FileFormatError, match="expected reconFullFbpSeg of a segmentation"):
        htc2022.load_segmentation(path)


@pytest.mark.parametrize("name", ["ta", "tb"])
def test_real_discs(real, name):
    """A few views, back-projected and cut at half the attenuation, show the disc the right way round."""
    pytest.importorskip("astra")
    path = real / "htc2022" / f"htc2022_{name}_full.mat"
    disc = htc2022.load(path).limited(0, 360)
    assert disc.sinogram.shape == (720, 560)
    few = disc.binned(4).every(8)
    reference = htc2022.load_segmentation(htc2022.reference_path(path)).reshape(128, 4, 128, 4).mean(axis=(1, 3)) > 0.5
    found = disc_operator(few, 128).pinv(few.sinogram) > 0.018  # 1/mm, half of acrylic's
    assert mcc(found, reference) >= 0.97
    assert mcc(found[::-1], reference) < 0.9
