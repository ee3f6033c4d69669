"""Pictures as arrays."""

import numpy as np
import pytest

from eitdip.data.pictures import read_picture, square
from eitdip.errors import FileFormatError, ShapeError


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
