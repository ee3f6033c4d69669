"""Pictures as arrays."""

import numpy as np
import pytest
from PIL import Image

from eitdip.data.pictures import gray, read_picture, read_pixels, scaled, square
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError

RAMP = np.linspace(0, 1, 40 * 64).reshape(40, 64)


def test_one_pixel_is_the_mean_of_the_middle_square():
    np.testing.assert_allclose(square(RAMP, 1), [[RAMP[:, 12:52].mean()]], rtol=1e-12)
    with pytest.raises(ShapeError, match="expected at least size = 0"):
        square(RAMP, 0)


def test_the_square_of_a_picture_keeps_its_mean(rng):
    picture = rng.random((3, 30, 42))
    middle = picture[:, :, 6:36]
    np.testing.assert_allclose(square(picture, 30), middle)
    np.testing.assert_allclose(square(picture, 15), middle.reshape(3, 15, 2, 15, 2).mean(axis=(2, 4)))
    assert square(picture, 7).mean() == pytest.approx(middle.mean())
    with pytest.raises(ShapeError, match="at least size"):
        square(picture, 31)


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(FileFormatError, match="cannot be read as a picture"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "pixels", "white", "error"),
    [
        ("8.png", (255 * RAMP).astype(np.uint8), None, 1 / 255),
        ("8.png", (255 * RAMP).astype(np.uint8), 255.0, 1 / 255),
        ("16.png", (65535 * RAMP).astype(np.uint16), None, 1 / 65535),
        ("16.tif", (65535 * RAMP).astype(np.uint16), None, 1 / 65535),
        ("12.png", (4095 * RAMP).astype(np.uint16), 4095.0, 1 / 4095),
        ("32.tif", (65535 * RAMP).astype(np.int32), 65535.0, 1 / 65535),
        ("real.tif", RAMP.astype(np.float32), None, 1e-6),
        ("real.tif", (7 * RAMP).astype(np.float32), 7.0, 1e-6),
    ],
)
def test_a_picture_is_its_numbers(name, pixels, white, error, tmp_path):
    Image.fromarray(pixels).save(tmp_path / name)
    found = read_picture(tmp_path / name, white)
    assert found.shape == (40, 64) and np.abs(found - RAMP).max() <= error


def test_the_order_of_bytes_does_not_matter(tmp_path):
    pixels = (65535 * RAMP).astype(">u2").tobytes()
    Image.frombytes("I;16B", (64, 40), pixels).save(tmp_path / "big.tif")
    np.testing.assert_allclose(read_picture(tmp_path / "big.tif"), RAMP, atol=1 / 65535)


@pytest.mark.parametrize(
    ("pixels", "white", "message"),
    [
        ((4095 * RAMP).astype(np.uint16), None, "16 bits from 0 to 4095, whose range is not known; state the number"),
        ((65535 * RAMP).astype(np.int32), None, "32 bits from 0 to 65535, whose range is not known"),
        ((7 * RAMP).astype(np.float32), None, "from 0 to 7, expected 0 to 1; state another number as white"),
        ((RAMP - 0.5).astype(np.float32), None, "from -0.5 to 0.5, expected 0 to 1"),
        (np.where(RAMP > 0.9, np.nan, RAMP).astype(np.float32), None, "from nan to nan, expected 0 to 1"),
        ((255 * RAMP).astype(np.uint8), 100.0, "from 0 to 255, expected 0 to 100"),
    ],
)
def test_numbers_of_unknown_range_are_refused(pixels, white, message, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "deep.tif")
    with pytest.raises(InvalidDataError, match=message):
        read_picture(tmp_path / "deep.tif", white)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pixels_are_not_guessed(mode, tmp_path):
    band = Image.fromarray((255 * RAMP).astype(np.uint8))
    hole = np.full(RAMP.shape, 255, np.uint8)
    hole[5:9, 10:20] = 0
    Image.merge(mode, [band] * (len(mode) - 1) + [Image.fromarray(hole)]).save(tmp_path / "hole.png")
    with pytest.raises(InvalidDataError, match="got 40 transparent pixels"):
        read_picture(tmp_path / "hole.png")
    pixels, known = read_pixels(tmp_path / "hole.png")
    assert pixels.shape == ((40, 64) if mode == "LA" else (3, 40, 64)) and (~known).sum() == 40
    Image.merge(mode, [band] * (len(mode) - 1) + [Image.new("L", (64, 40), 255)]).save(tmp_path / "whole.png")
    np.testing.assert_allclose(read_picture(tmp_path / "whole.png").reshape(-1, 40, 64)[0], RAMP, atol=1 / 255)


def test_true_is_white():
    np.testing.assert_array_equal(scaled(np.array([[True, False]]), "a mask"), [[1.0, 0.0]])


def test_gray_is_that_of_scikit_image(rng):
    color = pytest.importorskip("skimage.color")
    picture = rng.random((3, 4, 5))
    np.testing.assert_allclose(gray(picture), color.rgb2gray(np.moveaxis(picture, 0, -1)), rtol=1e-12)
    np.testing.assert_array_equal(gray(picture[0]), picture[0])


def test_examples_are_those_of_scikit_image():
    data = pytest.importorskip("skimage.data")
    np.testing.assert_array_equal(read_picture("skimage:camera"), data.camera() / 255)
    np.testing.assert_array_equal(read_picture("skimage:astronaut"), np.moveaxis(data.astronaut(), -1, 0) / 255)
    with pytest.raises(OptionError, match="skimage:nothing: scikit-image has no such picture; try camera"):
        read_picture("skimage:nothing")
