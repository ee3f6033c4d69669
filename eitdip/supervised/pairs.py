"""Pairs of images and data to learn from."""

from dataclasses import dataclass

import numpy as np
import torch

from eitdip.data.noise import Noise
from eitdip.data.streams import stream
from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.imaging import ImagingOperator
from eitdip.phantoms import random_ellipses


@dataclass(frozen=True, eq=False)
class Pairs:
    """Images and their noisy data.

    Args:
        images: Shape (count, H, W).
        data: Shape (count, *range.shape).

    Raises:
        ShapeError: If the counts differ.
        InvalidDataError: If there is no pair, or a value is not finite.
    """

    images: torch.Tensor
    data: torch.Tensor

    def __post_init__(self):
        if len(self.images) != len(self.data):
            raise ShapeError(
                f"pairs: got {len(self.images)} images and {len(self.data)} data, expected as many of each"
            )
        if not len(self.images):
            raise InvalidDataError("pairs: got none, expected at least one image with its data")
        for name in ("images", "data"):
            if not torch.isfinite(getattr(self, name)).all():
                raise InvalidDataError(f"pairs: the {name} contain NaN or infinity; leave such pairs out")

    def __len__(self) -> int:
        return len(self.images)


def ellipse_pairs(operator: ImagingOperator, count: int, seed: int, noise: Noise, most: int = 8) -> Pairs:
    """Random ellipses in the square [-1, 1]^2, from 3 up to `most` of them, clipped to values up to 1, and their data.

    The data are of the pixel image. Ellipses and noise are drawn from streams of their own: the images of a seed are
    the same with any noise.

    Args:
        operator: On images (H, W) with square pixels.
        count: Pairs.
        seed: Of ellipses and noise.
        noise: Of the data.
        most: Largest number of ellipses in an image, at least 3.

    Raises:
        OptionError: If count < 1 or most < 3.
    """
    if count < 1 or most < 3:
        raise OptionError(f"count, most: got {count}, {most}; expected at least 1 and 3")
    rng = np.random.default_rng(seed)
    height, width = operator.domain.shape
    side = 2 / max(height, width)
    drawn = [random_ellipses(rng, int(rng.integers(3, most + 1))) for _ in range(count)]
    images = np.stack([ellipses.image((height, width), side).clip(0, 1) for ellipses in drawn])
    data = noise.sample(operator(images), stream(seed, "noise of pairs"))
    return Pairs(
        *(
            torch.from_numpy(values.astype(space.dtype)).to(operator.device)
            for values, space in ((images, operator.domain), (data, operator.range))
        )
    )
