"""The turns and reflections that take a round tank with equal electrodes to itself."""

from dataclasses import dataclass

import numpy as np

from eitdip.errors import OptionError
from eitdip.mesh import Tank


@dataclass(frozen=True, eq=False)
class Symmetries:
    """The 2 L symmetries of a tank: what each does to transfer matrices and to images of classes.

    Args:
        orders: Which electrode of the tank before is where electrode l is after, shape (2 L, L).
        pixels: Which pixel (its place in the flattened image of classes, or -1 for none) lies at each of 2 x 2 points
            in each pixel of the target, shape (2 L, 2 H, 2 W).
    """

    orders: np.ndarray
    pixels: np.ndarray

    @staticmethod
    def of(tank: Tank, side: int, window: float, shape: tuple[int, int]) -> "Symmetries":
        """Those of a tank.

        Args:
            tank: The tank; electrodes equal and equally spaced.
            side: Pixels of images of classes, over the bounding square.
            window: Half extent of target images over the radius.
            shape: (H, W) of target images.

        Raises:
            OptionError: If the tank is no plane one.
        """
        if tank.dimension != 2:
            raise OptionError(f"tank: got {tank.dimension} dimensions, expected a plane tank")
        count, first = tank.electrode_count, np.radians(tank.first)
        x, y = np.meshgrid(*((np.arange(2 * n) + 0.5) * window / n - window for n in (shape[1], shape[0])))
        place, number = (x - 1j * y), np.arange(count)  # row 0 at the top
        orders, pixels = [], []
        for mirrored in (False, True):
            for steps in number:
                orders.append((steps - number if mirrored else number - steps) % count)
                turn = 2 * np.pi * steps / count * (-1 if tank.clockwise else 1)
                before = place * np.exp(-1j * turn)
                if mirrored:  # about the line through electrode 1
                    before = before.conj() * np.exp(2j * first)
                pixels.append(_pixels(before, side))
        return Symmetries(np.array(orders), np.array(pixels))

    def __len__(self) -> int:
        return len(self.orders)

    def transfer(self, number: int, matrix: np.ndarray) -> np.ndarray:
        """The transfer matrix (L, L) of the turned tank."""
        order = self.orders[number]
        return matrix[np.ix_(order, order)]

    def shares(self, number: int, classes: np.ndarray) -> np.ndarray:
        """Of the turned tank, the share of classes 0, 1, 2 in each pixel of the target: float32 (3, H, W)."""
        pixels = self.pixels[number]
        turned = np.where(pixels >= 0, classes.ravel()[pixels], 0)
        fine = np.stack([turned == value for value in range(3)])
        height, width = (n // 2 for n in pixels.shape)
        return fine.reshape(3, height, 2, width, 2).mean(axis=(2, 4), dtype=np.float32)


def _pixels(place: np.ndarray, side: int) -> np.ndarray:
    column, row = (
        np.floor(side * (1 + sign * part) / 2).astype(int) for sign, part in ((1, place.real), (-1, place.imag))
    )
    there = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    return np.where(there, row * side + column, -1)
