"""Pictures as arrays, and what makes them square and small."""

import io
import warnings
from contextlib import contextmanager

import numpy as np

from eitdip.data.files import read_bytes
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError, require

EXAMPLE = "skimage:"
_DEEP = ("I", "F")  # Pillow's modes that hold numbers of more than eight bits; "I;16" and its byte orders start so too


def read_picture(source, white: float | None = None) -> np.ndarray:
    """A picture with values from 0 to 1, (H, W), or (3, H, W) if it has colours.

    Numbers are taken as they are: those of 8 and 16 bits over the range of their type, real ones from 0 to 1.

    Args:
        source: A PNG, JPEG or other file that Pillow reads; or "skimage:NAME" for a picture that comes with
            scikit-image, such as "skimage:camera".
        white: The number that is 1, where the type does not tell: 12 bits in 16, or 32 bits.

    Raises:
        FileFormatError: If it cannot be read.
        InvalidDataError: If its numbers are not within 0 and white, if white has to be stated, or if pixels are
            transparent: what they hide is not known.
        MissingPackageError: If scikit-image is not installed.
    """
    pixels, known = read_pixels(source)
    if not known.all():
        raise InvalidDataError(
            f"{source}: got {int((~known).sum())} transparent pixels, expected all to be known; flatten the picture, "
            "or fill them: task inpaint"
        )
    return scaled(pixels, source, white)


@contextmanager
def opened(source):
    """A picture as Pillow has it; what goes wrong with it is an error of the file.

    Raises:
        FileFormatError: If it cannot be read, or has more than some 90 million pixels.
    """
    from PIL import Image

    content = read_bytes(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as file:
                yield file
    except Exception as error:  # damage surfaces as many types
        raise FileFormatError(f"{source}: cannot be read as a picture ({type(error).__name__}: {error})") from error


def is_picture(path) -> bool:
    """Whether Pillow knows the format of a file."""
    from PIL import UnidentifiedImageError

    try:
        with opened(path):
            return True
    except FileFormatError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            return False
        raise


def read_pixels(source) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of a picture as they are, (H, W) or (3, H, W), and where it is not transparent, booleans (H, W).

    Raises:
        FileFormatError, MissingPackageError: As `read_picture`.
    """
    if str(source).startswith(EXAMPLE):
        pixels = _example(str(source).removeprefix(EXAMPLE))
    else:
        with opened(source) as file:
            if file.mode.startswith(_DEEP):
                pixels = np.array(file)
            elif file.has_transparency_data:
                pixels = np.asarray(file.convert("LA" if file.mode == "LA" else "RGBA"))
            else:
                pixels = np.asarray(file.convert("L" if file.mode in ("1", "L") else "RGB"))
    known = np.ones(pixels.shape[:2], bool)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        known, pixels = pixels[..., -1] > 0, pixels[..., :-1]
    pixels = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels
    return (pixels[0] if pixels.ndim == 3 and len(pixels) == 1 else pixels), known


def scaled(pixels: np.ndarray, source, white: float | None = None) -> np.ndarray:
    """Numbers of any type as values from 0 to 1, of the same shape; arguments and errors as of `read_picture`."""
    kind = pixels.dtype
    low, high = float(pixels.min()), float(pixels.max())
    if white is None:
        if kind.kind == "b" or kind == np.uint8:
            white = 255.0 if kind == np.uint8 else 1.0
        elif kind.kind == "u" and kind.itemsize == 2 and high > 4095:
            white = 65535.0
        elif kind.kind == "f":
            white = 1.0
        else:
            raise InvalidDataError(
                f"{source}: got numbers of {8 * kind.itemsize} bits from {low:g} to {high:g}, whose range is not "
                "known; state the number that is white, such as white=4095 for 12 bits"
            )
    if not 0 <= low <= high <= white:  # also if one is NaN
        raise InvalidDataError(
            f"{source}: got numbers from {low:g} to {high:g}, expected 0 to {white:g}; state another number as white"
        )
    return pixels.astype(float) / white


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
