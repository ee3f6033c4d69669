"""Pictures as arrays, and what makes them square and small."""

from pathlib import Path

import numpy as np

from eitdip.errors import FileFormatError, OptionError, ShapeError, require

EXAMPLE = "skimage:"


def read_picture(source) -> np.ndarray:
    """A picture with values from 0 to 1, (H, W), or (3, H, W) if it has colours.

    Args:
        source: A PNG, JPEG or other file that Pillow reads; or "skimage:NAME" for a picture that comes with
            scikit-image, such as "skimage:camera".

    Raises:
        FileFormatError: If it cannot be read.
        MissingPackageError: If scikit-image is not installed.
    """
    from PIL import Image, UnidentifiedImageError

    if str(source).startswith(EXAMPLE):
        pixels = _example(str(source).removeprefix(EXAMPLE))
    else:
        try:
            with Image.open(Path(source)) as file:
                pixels = np.asarray(file.convert("L" if file.mode in ("1", "L", "I;16", "I", "F") else "RGB"))
        except (OSError, UnidentifiedImageError, ValueError) as error:
            raise FileFormatError(f"{source}: cannot be read as a picture ({error})") from error
    values = pixels.astype(float) / (255 if pixels.dtype == np.uint8 else 1)
    return values if values.ndim == 2 else np.moveaxis(values[..., :3], -1, 0)


def _example(name: str) -> np.ndarray:
    pictures = require("skimage.data", "imaging")
    if name not in pictures.__all__:
        raise OptionError(f"{EXAMPLE}{name}: scikit-image has no such picture; try camera, astronaut, coins or moon")
    try:
        pixels = np.asarray(getattr(pictures, name)())
    except Exception as error:  # it may want to download the picture, and fail in many ways
        raise FileFormatError(f"{EXAMPLE}{name}: scikit-image cannot give it ({error})") from error
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ShapeError(f"{EXAMPLE}{name}: got an array of shape {pixels.shape}, expected a picture")
    return pixels


def gray(picture: np.ndarray) -> np.ndarray:
    """Luminance (ITU-R BT.709) of colours (3, H, W), or the gray picture (H, W) itself."""
    return picture if picture.ndim == 2 else np.tensordot([0.2125, 0.7154, 0.0721], picture, axes=1)


def square(picture: np.ndarray, size: int) -> np.ndarray:
    """The middle square of a picture in size x size pixels, each the mean of what it covers.

    Raises:
        ShapeError: If the picture has fewer pixels.
    """
    side = min(picture.shape[-2:])
    if not 1 <= size <= side:
        raise ShapeError(f"picture: got {picture.shape[-2:]}, expected at least size = {size} pixels along each side")
    top, left = ((count - side) // 2 for count in picture.shape[-2:])
    middle = picture[..., top : top + side, left : left + side]
    # Means over intervals of a fractional number of pixels, from the integral along each axis.
    edges = np.linspace(0, side, size + 1)
    for axis in (-2, -1):
        total = np.concatenate([np.zeros_like(middle.take([0], axis)), np.cumsum(middle, axis)], axis)
        low = np.minimum(edges.astype(int), side - 1)
        part = np.expand_dims(edges - low, tuple(range(1, -axis)) if axis < -1 else ())
        whole = total.take(low, axis) + part * middle.take(low, axis)
        middle = np.diff(whole, axis=axis) * (size / side)
    return middle.clip(0, 1)
